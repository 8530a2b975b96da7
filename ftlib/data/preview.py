"""The mask preview: every token of an example with its label, trained ones in colour."""

from html import escape

from ftlib.data.prompts import IGNORED, Example, check

_TRAINED, _MASKED = "#1b7f4d", "#7a7a7a"


def tokens(example: Example, tokenizer) -> list[tuple[str, int, bool]]:
    """What each token stands for.

    Args:
        example: ids and labels.
        tokenizer: the tokenizer that made them.

    Returns:
        (text, id, trained) per token. A token that is only part of a character keeps its raw name.
    """
    shown = []
    for token_id, label in zip(*example, strict=True):
        text = tokenizer.decode([token_id])
        if "\N{REPLACEMENT CHARACTER}" in text or not text:
            text = str(tokenizer.convert_ids_to_tokens(token_id))
        shown.append((text, token_id, label != IGNORED))
    return shown


def text(example: Example, tokenizer, *, max_tokens: int | None = None, where: str = "example") -> str:
    """A plain-text table: position, id, token, and ``train`` or ``mask``.

    Args:
        example: ids and labels.
        tokenizer: the tokenizer that made them.
        max_tokens: the trainer's limit, or None.
        where: the row's place, for error messages.

    Returns:
        One line a token.

    Raises:
        UserError: as :func:`ftlib.data.prompts.check`, so that a wrong mask is never shown as if it were right.
    """
    check(example, tokenizer, max_tokens=max_tokens, where=where)
    lines = [f"{'pos':>4} {'id':>6} {'label':5}  token"]
    for position, (token, token_id, trained) in enumerate(tokens(example, tokenizer)):
        lines.append(f"{position:4d} {token_id:6d} {'train' if trained else 'mask':5}  {token!r}")
    return "\n".join(lines)


class Html(str):
    """HTML that a notebook shows as HTML."""

    def _repr_html_(self) -> str:
        return str(self)


def html(example: Example, tokenizer, *, max_tokens: int | None = None, where: str = "example") -> Html:
    """The same as running text: trained tokens green and underlined, masked ones grey, escaped.

    Args:
        example: ids and labels.
        tokenizer: the tokenizer that made them.
        max_tokens: the trainer's limit, or None.
        where: the row's place, for error messages.

    Returns:
        A string with ``_repr_html_``.

    Raises:
        UserError: as :func:`text`.
    """
    check(example, tokenizer, max_tokens=max_tokens, where=where)
    spans = []
    for token, token_id, trained in tokens(example, tokenizer):
        colour, line = (_TRAINED, "border-bottom:2px solid") if trained else (_MASKED, "border-bottom:1px dotted")
        shown = escape(token).replace("\n", "↵<br>").replace(" ", "&nbsp;")
        title = f"id {token_id}, {'trained' if trained else 'masked (-100)'}"
        spans.append(f'<span title="{title}" style="color:{colour};{line};margin-right:1px">{shown}</span>')
    trained = sum(label != IGNORED for label in example.labels)
    legend = f"<p>{len(example.input_ids)} tokens, {trained} of them trained (underlined green)</p>"
    return Html(f'<div style="font-family:monospace;line-height:1.9">{"".join(spans)}</div>{legend}')
