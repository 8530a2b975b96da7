"""What notebook 01 shows: tables and figures of the steps, and the mask over a rendered row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ftlib import plots
from ftlib.data.prompts import IGNORED, Example, Renderer, check
from ftlib.data.table import each, said_before
from ftlib.rows import Row
from ftlib.stats import wilson

_TRAINED, _MASKED = "#1b7f4d", "#7a7a7a"


def before_after(raw, checked, count: int = 10):
    """A `pandas.DataFrame` of `count` rows that were mended, as they came and as they are, each kind of change in turn.

    `raw` is the table as loaded, `checked` that of the rows that stayed.
    """
    import pandas as pd

    by_kind: dict[str, list[Row]] = defaultdict(list)
    for entry in each(checked):
        kind = ", ".join((*entry.changes, *entry.pii))
        if kind and len(by_kind[kind]) < count:
            by_kind[kind].append(entry.row)
    turns = [(kind, held[turn]) for turn in range(count) for kind, held in by_kind.items() if turn < len(held)]
    after = {row.id: (kind, row) for kind, row in turns[:count]}
    before = (entry.row for entry in each(raw, ("id", "turns", "context", "references")) if entry.row.id in after)
    lines = [(row.id, after[row.id][0], _written(row), _written(after[row.id][1])) for row in before]
    table = pd.DataFrame(lines, columns=["id", "changes", "before", "after"])
    return table.sort_values("changes").reset_index(drop=True)


def _written(row: Row) -> str:
    parts = (said_before(row), row.context, row.question, f"→ {row.answer}")
    return "\n".join(part for part in parts if part)


def counts_figure(counts: Mapping[str, int], title: str, xlabel: str = "rows"):
    """One bar a name (a reason, a slice, a size), the largest count on top; `xlabel` says what is counted."""
    bars = {name: (count, None) for name, count in sorted(counts.items(), key=lambda item: -item[1])}
    return plots.bars_with_intervals(bars, title=title, xlabel=xlabel, percent=False)


def lengths_figure(whole: Sequence[int], trained: Sequence[int], max_length: int):
    """Tokens of rows and of their answers, with the length at which training would cut where it is not far off."""
    tokens, title = {"whole row": whole, "trained (answer)": trained}, "Tokens of a row, and of its answer"
    if max_length > 2 * max([1, *whole]):  # a line out there would squeeze the rows into a corner
        return plots.histogram(tokens, title=title, xlabel=f"tokens (training cuts at {max_length:,})")
    return plots.histogram(tokens, title=title, xlabel="tokens", mark=max_length, mark_label="max_length")


def detectors_table(detectors: Mapping[str, Mapping[str, Any]]):
    """`ftlib.data.truth.score` as a `pandas.DataFrame` with counts and 95 % intervals (Wilson), one row a detector."""
    import pandas as pd

    lines = []
    for name, figure in detectors.items():
        line: dict[str, Any] = {"detector": name.replace("_", " "), "planted": figure["n"], "found": figure["found"]}
        for measure, n in (("precision", figure["found"]), ("recall", figure["n"])):
            line[measure] = figure[measure]
            line[f"{measure} 95 %"] = "{:.3f} to {:.3f}".format(*_interval(figure[measure], n)) if n else ""
        lines.append(line)
    return pd.DataFrame(lines)


def _interval(share: float, n: int) -> tuple[float, float]:
    return wilson(round(share * n), n)


def recall_figure(detectors: Mapping[str, Mapping[str, Any]]):
    """Recall of every detector with its interval."""
    return plots.bars_with_intervals(
        {name: (f["recall"], _interval(f["recall"], f["n"])) for name, f in detectors.items()},
        n={name: f["n"] for name, f in detectors.items()},
        title="Recall of planted defects",
        xlabel="share of planted defects that were found",
    )


def mask_tokens(example: Example, renderer: Renderer) -> list[tuple[str, int, bool]]:
    """(text, id, trained) per token; of an encoder-decoder, the encoder's ids come before the decoder's labels.

    A token that is only part of a character keeps its raw name.
    """
    ids, labels, tokenizer = *example, renderer.tokenizer
    if renderer.encoder_decoder:
        ids, labels = [*ids, *labels], [IGNORED] * len(ids) + labels
    shown = []
    for token_id, label in zip(ids, labels, strict=True):
        text = tokenizer.decode([token_id])
        if "\N{REPLACEMENT CHARACTER}" in text or not text:
            text = str(tokenizer.convert_ids_to_tokens(token_id))
        shown.append((text, token_id, label != IGNORED))
    return shown


def _checked(example: Example, renderer: Renderer) -> list[tuple[str, int, bool]]:
    check(example, renderer.tokenizer, encoder_decoder=renderer.encoder_decoder)
    return mask_tokens(example, renderer)


def mask_text(example: Example, renderer: Renderer) -> str:
    """A plain-text table: position, id, token, and `train` or `mask`; arguments as of `mask_tokens`.

    Raises:
        UserError: as `ftlib.data.prompts.check`, so that a wrong mask is never shown as if it were right.
    """
    lines = [f"{'pos':>4} {'id':>6} {'label':5}  token"]
    for position, (token, token_id, trained) in enumerate(_checked(example, renderer)):
        lines.append(f"{position:4d} {token_id:6d} {'train' if trained else 'mask':5}  {token!r}")
    return "\n".join(lines)


class MaskHtml(str):
    """HTML that a notebook shows as HTML."""

    def _repr_html_(self) -> str:
        return str(self)


def mask_html(example: Example, renderer: Renderer) -> MaskHtml:
    """The same as running text: trained tokens green and underlined, masked ones grey; raises as `mask_text`."""
    spans = []
    tokens = _checked(example, renderer)
    for token, token_id, trained in tokens:
        colour, line = (_TRAINED, "border-bottom:2px solid") if trained else (_MASKED, "border-bottom:1px dotted")
        shown = escape(token).replace("\n", "↵<br>").replace(" ", "&nbsp;")
        title = f"id {token_id}, {'trained' if trained else 'masked (-100)'}"
        spans.append(f'<span title="{title}" style="color:{colour};{line};margin-right:1px">{shown}</span>')
    legend = f"<p>{len(tokens)} tokens, {sum(t[2] for t in tokens)} of them trained (underlined green)</p>"
    return MaskHtml(f'<div style="font-family:monospace;line-height:1.9">{"".join(spans)}</div>{legend}')
