"""Before a training begins: what costs others days, found in seconds, on the first real rows.

Each check is a function from a `PreflightCase` to a `PreflightFinding`; the recipe's `train.preflight` has a field of
its name.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ftlib.core.feed import training_rows
from ftlib.core.layout import PADDED, choose_layout
from ftlib.core.loss import has_encoder
from ftlib.core.optimizers import trainable
from ftlib.core.preflight import limits, numbers, texts
from ftlib.core.preflight.case import PreflightCase, PreflightFinding, unchanged
from ftlib.errors import UserError
from ftlib.progress import progress

if TYPE_CHECKING:
    import torch

    from ftlib.data.prompts import Example, Renderer
    from ftlib.recipe import Recipe
    from ftlib.rows import Row

__all__ = [
    "CHECKS",
    "PreflightCase",
    "PreflightFinding",
    "check_all",
    "findings_text",
    "make_case",
    "preflight",
    "require_sound",
]
LOOKED_AT = 256  # rows
_WIDTH = 108  # characters of a line
_OF_ROWS: tuple[Callable[[PreflightCase], PreflightFinding], ...] = (
    texts.tokens_trained,
    texts.end_trained,
    texts.end_stops,
    texts.end_published,
    texts.begin_once,
    texts.special_whole,
    texts.markers_whole,
    texts.prompt_same,
    texts.mask_differs,
    texts.answer_whole,
    texts.answer_spelled,
    texts.turns_shown,
)
_OF_COMPUTING: tuple[Callable[[PreflightCase], PreflightFinding], ...] = (
    numbers.gradients,
    numbers.collated,
    limits.memory,  # soon: later an allocator keeps what others have got
    numbers.adapter_acts,
    numbers.accumulation,
    numbers.logits,
    numbers.fused,
    numbers.padding,
    numbers.packed,
    numbers.shared,
    limits.resume,
)
CHECKS = {check.__name__: check for check in (texts.rendered, *_OF_ROWS, *_OF_COMPUTING)}


class _Rendered(NamedTuple):
    rows: list[Row]
    examples: list[Example]
    refused: list[str]


def preflight(
    model: torch.nn.Module,
    tokenizer,
    renderer: Renderer,
    rows: Sequence[Row],
    held_out: Sequence[Row],
    recipe: Recipe,
    *,
    more: Sequence = (),
    interactive: bool = False,
) -> list[PreflightFinding]:
    """Run the checks of `train.preflight` that are not off; the model is left exactly as it was.

    Args:
        model: a base with a fresh adapter from `add_lora`.
        tokenizer: the base's. renderer: makes prompts and examples.
        rows: training rows; the longest and others taken evenly are looked at, 256 in all.
        held_out: validation rows, likewise.
        recipe: its section `train`, the prompt's and the model's.
        more: further examples of the training (`reading.Drawn.examples`, as one list); the longest batch may be theirs.
        interactive: a live bar.

    Returns:
        One finding a check; where the rows themselves are at fault, what is computed is not looked at.
    """
    case = make_case(model, tokenizer, renderer, rows, held_out, recipe, more)
    return check_all(case, interactive=interactive)


def make_case(model, tokenizer, renderer, rows, held_out, recipe: Recipe, more: Sequence = ()) -> PreflightCase:
    """What the checks look at; arguments as of `preflight`."""
    train, other = (_render(renderer, _chosen(part, recipe), recipe) for part in (rows, held_out))
    refused = [*train.refused, *other.refused]
    layout = PADDED
    if train.examples:
        looked_at = training_rows(train.examples, recipe, "train", has_encoder(model))
        layout = choose_layout(model, tokenizer, looked_at, recipe)
    rendered = (train.rows, train.examples, other.examples)
    return PreflightCase(model, tokenizer, renderer, recipe, *rendered, layout, more, refused)


def check_all(case: PreflightCase, *, interactive: bool = False) -> list[PreflightFinding]:
    """Run the checks on a case, each as its level in the recipe says."""
    levels, findings = case.recipe.train.preflight.model_dump(), []
    with progress(total=len(CHECKS), desc="preflight", interactive=interactive) as bar:
        for name, check in CHECKS.items():
            if levels[name] != "off" and _makes_sense(check, case, findings):
                with unchanged(case.model):
                    findings.append(check(case)._replace(level=levels[name]))
            bar.update(1)
    return findings


def findings_text(findings: Iterable[PreflightFinding]) -> str:
    """One line a check, and what to do below those that found something."""
    lines = []
    for finding in findings:
        word = "ok" if finding.ok else finding.level
        lines += _wrapped(f"{word:<5}{finding.name:<16}{finding.told}")
        lines += [] if finding.ok else _wrapped(f"{'':<21}to do: {finding.advice}")
    return "\n".join(lines)


def require_sound(findings: Iterable[PreflightFinding]) -> None:
    """Raises for the first finding that stops.

    Raises:
        UserError: with row, token and advice.
    """
    for finding in findings:
        if finding.stops:
            wanted = " ".join((CHECKS[finding.name].__doc__ or finding.name).split()).rstrip(".")
            level = f"; or, if this is meant, train.preflight.{finding.name}: warn"
            raise UserError.of(f"preflight, {finding.name}", wanted, finding.told, finding.advice + level)


def _makes_sense(
    check: Callable[[PreflightCase], PreflightFinding], case: PreflightCase, findings: Sequence[PreflightFinding]
) -> bool:
    """Without rows there is nothing to look at; with wrong ones, or no adapter, nothing to compute."""
    if check is texts.rendered or not (case.examples and case.held_out):
        return check is texts.rendered
    if check not in _OF_COMPUTING:
        return True
    wrong = any(finding.stops for finding in findings if CHECKS[finding.name] not in _OF_COMPUTING)
    return not wrong and (check is numbers.gradients or bool(trainable(case.model)))


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH, subsequent_indent=" " * 21, break_long_words=False, drop_whitespace=True)


def _chosen(rows: Sequence[Row], recipe: Recipe) -> list[Row]:
    """The longest by characters, a batch of them, and others taken evenly, in their order."""
    if len(rows) <= LOOKED_AT:
        return list(rows)
    order = sorted(range(len(rows)), key=lambda number: -_characters(rows[number]))
    chosen = {*order[: min(recipe.train.batch_rows, LOOKED_AT // 2)]}
    others = [number for number in range(len(rows)) if number not in chosen]
    chosen.update(others[:: -(-len(others) // (LOOKED_AT - len(chosen)))])
    return [rows[number] for number in sorted(chosen)]


def _characters(row: Row) -> int:
    return sum(map(len, (*(turn.content for turn in row.turns), row.context, row.answer)))


def _render(renderer: Renderer, rows: Sequence[Row], recipe: Recipe) -> _Rendered:
    made = _Rendered([], [], [])
    for row in rows:
        try:
            made.examples.append(renderer.example(row, max_tokens=recipe.train.max_length))
            made.rows.append(row)
        except UserError as error:
            made.refused.append(str(error))
    return made
