"""How a question with two answers looks on the screen: HTML in which every text is escaped.

Colours come from JupyterLab's theme variables, with fallbacks, so that light and dark themes both work.
"""

from __future__ import annotations

import html

from ftlib.review.store import Shown

STYLE = """<style>
.ft-review { --ft-ink: var(--jp-ui-font-color1, #22272e); --ft-quiet: var(--jp-ui-font-color2, #667);
  --ft-line: var(--jp-border-color2, #dfe3e8); --ft-shade: var(--jp-layout-color2, #f3f4f6);
  font-family: var(--jp-ui-font-family, system-ui, sans-serif); color: var(--ft-ink); max-width: 980px;
  padding: 18px 20px; border: 1px solid var(--ft-line); border-radius: 14px; overflow: visible;
  background: var(--jp-layout-color1, #fff); box-shadow: 0 1px 3px rgba(0,0,0,.06); }
.ft-review .ft-label { font-size: 11px; font-weight: 600; letter-spacing: .07em; text-transform: uppercase;
  color: var(--ft-quiet); margin-bottom: 4px; }
.ft-review .ft-text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; line-height: 1.45; }
.ft-review .ft-question .ft-text { font-size: 19px; font-weight: 600; }
.ft-review .ft-context { max-height: 180px; overflow: auto; font-size: 13px; margin-top: 8px; padding: 8px 12px;
  border-left: 3px solid var(--ft-line); }
.ft-review .ft-history { max-height: 220px; overflow: auto; font-size: 13.5px; margin-bottom: 12px; }
.ft-review .ft-turn { margin: 4px 0; padding: 5px 12px; border-radius: 9px; background: var(--ft-shade); }
.ft-review .ft-by-assistant { margin-left: 36px; }
.ft-review .ft-accepted { margin-top: 12px; padding: 8px 14px; border-radius: 9px; font-size: 15px;
  background: color-mix(in srgb, #009e73 11%, transparent); }
.ft-review .ft-answer { border: 1px solid var(--ft-line); border-radius: 11px; padding: 12px 16px; min-height: 74px;
  max-height: 260px; overflow: auto; background: var(--jp-layout-color0, #fbfcfd); font-size: 16px;
  box-sizing: border-box; }
.ft-review .ft-empty { opacity: .6; font-style: italic; }
.ft-review .ft-bar { height: 7px; border-radius: 4px; background: var(--jp-border-color3, #e8ebef); overflow: hidden; }
.ft-review .ft-bar > div { height: 100%; background: #0072b2; border-radius: 4px; transition: width .25s; }
.ft-review :is(.ft-counts, .ft-status, .ft-hint) { font-size: 12.5px; color: var(--ft-quiet); line-height: 1.5; }
.ft-review .ft-counts { display: flex; justify-content: space-between; gap: 14px; margin-bottom: 5px; }
.ft-review .ft-counts span:last-child { white-space: nowrap; }
.ft-review .ft-chip { display: inline-block; padding: 0 9px; border-radius: 10px; line-height: 19px; margin-left: 6px;
  letter-spacing: 0; text-transform: none; background: color-mix(in srgb, #0072b2 13%, transparent); }
.ft-review .ft-done { text-align: center; padding: 30px 10px; font-size: 17px; line-height: 1.6; }
.ft-review .ft-status { min-height: 19px; }
.ft-review .ft-note { font-size: 12.5px; line-height: 1.5; padding: 6px 12px; border-radius: 9px; margin-bottom: 8px;
  background: color-mix(in srgb, #e69f00 16%, transparent); }
.ft-review .ft-problem { color: #b3261e; font-weight: 600; white-space: pre-wrap; }
.ft-review .ft-hint { line-height: 30px; }
.ft-review kbd { padding: 1px 6px; border: 1px solid var(--jp-border-color1, #bbb); border-radius: 4px;
  background: var(--ft-shade); font: 11.5px var(--jp-code-font-family, monospace); }
.ft-review button.ft-verdict { border-radius: 10px; height: 44px; font-size: 13.5px; font-weight: 600; margin: 0;
  padding: 0 5px; white-space: normal; line-height: 1.15; color: var(--ft-ink);
  border: 1px solid color-mix(in srgb, var(--ft-own) 45%, transparent);
  background: color-mix(in srgb, var(--ft-own) 12%, transparent); transition: background .12s; }
.ft-review button.ft-verdict:hover:enabled { background: color-mix(in srgb, var(--ft-own) 26%, transparent); }
.ft-review button.ft-verdict::before { content: var(--ft-key); margin-right: 8px; padding: 1px 6px; border-radius: 5px;
  font-size: 12px; color: #fff; background: var(--ft-own); }
.ft-review .ft-first { --ft-own: #0072b2; --ft-key: "1"; } .ft-review .ft-second { --ft-own: #0072b2; --ft-key: "2"; }
.ft-review .ft-both_right { --ft-own: #00795a; --ft-key: "3"; }
.ft-review .ft-both_wrong { --ft-own: #c04f00; --ft-key: "4"; }
.ft-review .ft-unsure { --ft-own: #6b7280; --ft-key: "5"; }
.ft-review .ft-keep { --ft-own: #00795a; --ft-key: "1"; } .ft-review .ft-mend { --ft-own: #0072b2; --ft-key: "2"; }
.ft-review .ft-drop { --ft-own: #c04f00; --ft-key: "3"; } .ft-review .ft-drop ~ .ft-unsure { --ft-key: "4"; }
.ft-review button.ft-plain { border-radius: 9px; height: 32px; background: transparent; margin: 0; color: var(--ft-ink);
  border: 1px solid var(--ft-line); }
.ft-review select, .ft-review input, .ft-review textarea { border-radius: 8px !important; }
.ft-review .ft-side, .ft-review .ft-side .widget-html-content { height: 100%; margin: 0; }
.ft-review .ft-side .ft-answer { height: 100%; }
.ft-review button:focus-visible { outline: 3px solid #56b4e9; outline-offset: 1px; }
.ft-review .ft-keys { position: relative; height: 32px; }
.ft-review .ft-keys .widget-label { position: absolute; inset: 0; z-index: 1; width: auto; margin: 0; cursor: pointer;
  font-size: 0; text-align: center; line-height: 32px; }
.ft-review .ft-keys .widget-label::after { content: "click here to use the keyboard"; font-size: 12.5px; }
.ft-review .ft-keys:focus-within .widget-label::after { content: "the digits rate now"; }
.ft-review .ft-keys input { color: transparent; caret-color: transparent; pointer-events: none; height: 32px; }
.ft-review .ft-keys input:focus { box-shadow: 0 0 0 3px #56b4e9; border-color: #0072b2; }
.ft-review .ft-keys input::selection { background: transparent; }
.ft-pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr)); gap: 14px;
  margin-top: 14px; }
</style>"""


def escaped(text: str) -> str:
    """Text made safe for HTML, one that holds nothing visible said to be empty."""
    return html.escape(text) if text.strip() else '<span class="ft-empty">(empty)</span>'


def _labelled(kind: str, label: str, text: str) -> str:
    """A text under its label, both of them HTML."""
    inner = f'<div class="ft-label">{label}</div><div class="ft-text">{text}</div>'
    return f'<div class="ft-{kind}">{inner}</div>'


def question_card(shown: Shown, slice_name: str = "", accepted: str = "Expected") -> str:
    """The earlier turns and the context, if any, the question and the accepted answers under what they are called."""
    chip = f'<span class="ft-chip">{html.escape(slice_name.replace("_", " "))}</span>' if slice_name else ""
    said = [(html.escape(turn.role), escaped(turn.content)) for turn in shown.history]
    turns = "".join(_labelled(f"turn ft-by-{role}", role, text) for role, text in said)
    history = f'<div class="ft-history"><div class="ft-label">Before that</div>{turns}</div>' if turns else ""
    given = f'<div class="ft-context ft-text">{html.escape(shown.context)}</div>' if shown.context else ""
    asked = _labelled("question", f"Question {chip}", escaped(shown.question))
    answers = "  <b>or</b>  ".join(map(escaped, shown.accepted))
    return history + asked + given + _labelled("accepted", html.escape(accepted), answers)


def answer_card(label: str, text: str) -> str:
    """One answer under a label, which says nothing of the system behind it where the reviewer is blind."""
    return _labelled("answer", html.escape(label), escaped(text))


def key_hint(choices: int) -> str:
    """Which keys there are; the first `choices` digits rate."""
    keys = {f"1</kbd>&ndash;<kbd>{choices}": "rate", "u": "undo", "p": "previous", "n": "next"}
    told = " &nbsp; ".join(f"<kbd>{key}</kbd> {what}" for key, what in keys.items())
    return f"<div class='ft-hint'>{told}</div>"


def progress_card(done: int, total: int, goal: int, note: str = "", thing: str = "question") -> str:
    """Counts in words and a bar: how many things of the goal (or of all under a smaller filter) are rated."""
    aim = min(goal, total)
    share = 100 * min(done, aim) / aim if aim else 0
    asked = f"You have rated <b>{done}</b> of the {aim} {thing}s that you are asked to rate"
    asked += f"; {total} pass these filters, and more than {aim} are welcome." if total > aim else "."
    return (
        f'<div class="ft-counts"><span>{asked}</span>'
        f"<span>{html.escape(note)}</span></div>"
        f'<div class="ft-bar" role="progressbar" aria-valuenow="{done}" aria-valuemax="{aim}">'
        f'<div style="width:{share:.1f}%"></div></div>'
    )


def finished_card(total: int, thing: str = "question") -> str:
    """What stands in the place of a question when none is left."""
    message = f"All {total} {thing}s under these filters are rated." if total else f"No {thing} passes these filters."
    return f'<div class="ft-done">{message}<br>Choose another slice, or go back to look at your ratings.</div>'


def status_line(message: str, *, problem: bool = False) -> str:
    """The line at the foot; a problem stands out."""
    return f'<div class="ft-status{" ft-problem" if problem else ""}" role="status">{html.escape(message)}</div>'


def note_line(text: str) -> str:
    """A remark that stands above the questions."""
    return f'<div class="ft-note">{html.escape(text)}</div>'


def preview_card(shown: Shown, answers: tuple[str, ...], slice_name: str = "") -> str:
    """A still picture of one item, which says that it is one, for notebooks that nobody is watching."""
    pair = "".join(answer_card(f"Answer {n}", one) for n, one in enumerate(answers, start=1))
    told = "A preview: what a reviewer sees, without its buttons. Open the notebook in JupyterLab to rate."
    inner = f'{note_line(told)}{question_card(shown, slice_name)}<div class="ft-pair">{pair}</div>'
    return f'{STYLE}<div class="ft-review">{inner}</div>'
