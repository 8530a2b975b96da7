"""How the page of `ftlib demo` looks: HTML in which every text is escaped, in the light of JupyterLab's theme."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from ftlib.systems import System

CARD_PIXELS = 300  # the least width of a system's card
STYLE = """<style>
.ft-demo { --ft-ink: var(--jp-ui-font-color1, #22272e); --ft-quiet: var(--jp-ui-font-color2, #5b6470);
  --ft-line: var(--jp-border-color2, #dfe3e8); font-family: var(--jp-ui-font-family, system-ui, sans-serif);
  color: var(--ft-ink); max-width: 1180px; margin: 26px auto; padding: 0 20px; overflow: visible; }
.ft-demo .ft-title { font-size: 25px; font-weight: 700; line-height: 1.3; }
.ft-demo :is(.ft-sub, .ft-foot, .ft-meta) { color: var(--ft-quiet); font-size: 13px; line-height: 1.5; }
.ft-demo .ft-field { height: 46px; }
.ft-demo .ft-field input { height: 46px; font-size: 17px; border-radius: 10px !important; padding: 0 16px !important; }
.ft-demo button.ft-go { height: 46px; border-radius: 10px; font-size: 16px; font-weight: 600; color: #fff;
  background: #0072b2; }
.ft-demo .ft-offers { padding: 4px; margin: -4px; }
.ft-demo button.ft-offered { height: 30px; border-radius: 15px; padding: 0 14px; font-size: 13px; max-width: 100%;
  color: var(--ft-ink); background: transparent; border: 1px solid var(--ft-line); }
.ft-demo button:focus-visible { outline: 3px solid #56b4e9; outline-offset: 1px; }
.ft-demo .ft-side, .ft-demo .ft-side .widget-html-content { height: 100%; margin: 0; }
.ft-demo .ft-card { height: 100%; box-sizing: border-box; border: 1px solid var(--ft-line); border-radius: 12px;
  border-top: 5px solid var(--ft-own); padding: 14px 18px 12px; background: var(--jp-layout-color0, #fff); }
.ft-demo .ft-name { font-size: 12px; font-weight: 700; letter-spacing: .06em; text-transform: uppercase;
  color: var(--ft-quiet); margin-bottom: 8px; }
.ft-demo .ft-text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; line-height: 1.5; }
.ft-demo .ft-answer { font-size: 19px; min-height: 58px; }
.ft-demo .ft-quietly { opacity: .6; font-style: italic; font-size: 15px; }
.ft-demo .ft-problem { color: #b3261e; font-size: 14px; }
.ft-demo .ft-expected { padding: 8px 16px; border-radius: 10px; font-size: 15px;
  background: color-mix(in srgb, #009e73 11%, transparent); }
.ft-demo details { margin-top: 10px; border-top: 1px solid var(--ft-line); padding-top: 8px; font-size: 13.5px; }
.ft-demo summary { cursor: pointer; font-weight: 600; }
.ft-demo .ft-passage { margin-top: 8px; padding: 8px 12px; border-left: 3px solid var(--ft-line); max-height: 240px;
  overflow: auto; font-size: 13.5px; }
</style>"""


def title_card(name: str, base: str) -> str:
    """Whose page it is: the run's name and its base."""
    sub = f"One question, several systems over {html.escape(base)}; each answers for itself."
    return f'<div class="ft-title">{html.escape(name)}</div><div class="ft-sub">{sub}</div>'


def empty_card(system: System) -> str:
    """A system that nothing was asked yet."""
    return _card(system, '<div class="ft-text ft-answer ft-quietly">nothing asked yet</div>')


def waiting_card(system: System) -> str:
    """A system that is answering."""
    return _card(system, '<div class="ft-text ft-answer ft-quietly">answering …</div>')


def told_card(system: System, told: Mapping[str, Any]) -> str:
    """What a system did with the question: the fields of `ftlib.serve.page.Told`."""
    if told["error"]:
        return _card(system, f'<div class="ft-text ft-problem">{html.escape(told["error"])}</div>')
    empty = '<span class="ft-quietly">(an empty answer)</span>'
    answer = html.escape(told["answer"]) if told["answer"].strip() else empty
    inner = f'<div class="ft-text ft-answer">{answer}</div><div class="ft-meta">{told["seconds"]:.2f} s</div>'
    if told["declined"] is not None:
        declined = html.escape(told["declined"])
        inner += f'<div class="ft-meta">Unsure, so it declines; it would have said: {declined}</div>'
    return _card(system, inner + _passages(told["passages"], told["is_cut"]))


def expected_card(references: Sequence[str]) -> str:
    """The accepted answers of a question of the test set."""
    answers = " <b>or</b> ".join(map(html.escape, references))
    return f'<div class="ft-expected">The test set expects: {answers}</div>'


def foot_card(max_new_tokens: int) -> str:
    """What a reader must know of all answers."""
    return (
        f'<div class="ft-foot">Written by language models: fluent, and at times wrong. The likeliest words, at most '
        f"{max_new_tokens} tokens; no answer knows another, and nothing of this page is kept.</div>"
    )


def _passages(passages: Sequence[tuple[str, str]] | None, is_cut: bool) -> str:
    if passages is None:
        return ""
    if not passages:
        return '<div class="ft-meta">No passage was found or had room.</div>'
    shown = "".join(
        f'<div class="ft-passage"><div class="ft-name">{html.escape(key)}</div>'
        f'<div class="ft-text">{html.escape(text.strip())}</div></div>'
        for key, text in passages
    )
    note = '<div class="ft-meta">The last one was cut in the prompt.</div>' if is_cut else ""
    count = f"{len(passages)} passage{'s' if len(passages) > 1 else ''} shown to it"
    return f"<details open><summary>{count}</summary>{shown}{note}</details>"


def _card(system: System, inner: str) -> str:
    """A system's label and colour around HTML."""
    name, colour = html.escape(system.label), html.escape(system.colour)
    return f'<div class="ft-card" style="--ft-own: {colour}"><div class="ft-name">{name}</div>{inner}</div>'
