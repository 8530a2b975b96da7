"""Where the errors are: error rates by slice with intervals, and what one system got right that the other did not.

Rates carry Wilson's interval on the effective sample size (questions about one fact are one cluster). The worst slices
are ranked by the lower limit, so that five rows with three errors do not come before a hundred with fifty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ftlib.evaluate.scores import expects_refusal
from ftlib.plots import COLOURS, GRID, INK, new_figure, percent_axis, styled
from ftlib.review.case import quantities
from ftlib.review.training_index import TrainingIndex
from ftlib.rows import NO_VALUE, Row, cluster, value, values
from ftlib.stats import mcnemar, mean_ci95

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Dimension = Callable[[Row], str]


class SliceRate(NamedTuple):
    """Error rate of the rows that share one value of one dimension, with its 95 % limits."""

    dimension: str
    value: str
    n: int
    errors: int
    rate: float
    low: float
    high: float


class Transitions(NamedTuple):
    """How each row fared from the first system to the second; ids of the rows, and McNemar's exact p for the change."""

    kept_right: tuple[str, ...]
    fixed: tuple[str, ...]
    regressed: tuple[str, ...]  # right in the first, wrong in the second
    kept_wrong: tuple[str, ...]
    p_value: float

    @property
    def n(self) -> int:
        """Number of rows."""
        return sum(map(len, self[:4]))


def answer_type(row: Row, refusal: str, also: Sequence[str] = ()) -> str:
    """What kind of answer a row asks for: refusal, yes/no, quantity, code, word, phrase or sentence."""
    answer, words = row.answer, len(row.answer.split())
    if expects_refusal(row, refusal, also):
        return "refusal"
    if answer.strip().lower().rstrip(".") in ("yes", "no"):
        return "yes/no"
    if quantities(answer) and words <= 3:
        return "quantity"
    if re.search(r"\d", answer) and words == 1:
        return "code"
    return "word" if words == 1 else "phrase (2-4 words)" if words <= 4 else "sentence (5+ words)"


def band(count: int, edges: Sequence[int]) -> str:
    """The band of a count: with edges (1, 3) one of "0", "1-2", "3+"."""
    first = max((edge for edge in edges if edge <= count), default=0)
    last = min((edge - 1 for edge in edges if edge > count), default=None)
    return f"{first}+" if last is None else f"{first}" if last == first else f"{first}-{last}"


def dimensions(
    rows: Sequence[Row], index: TrainingIndex, more: Iterable[str], refusal: str, also: Sequence[str] = ()
) -> dict[str, Dimension]:
    """The ways in which test rows are sliced, by name; one that does not divide these rows is left out.

    Args:
        rows: the test rows.
        index: it counts the wordings that training saw of a fact.
        more: columns by whose values rows are cut beside `data.columns.slice` (`review.dimensions`).
        refusal, also: the sentences that decline.
    """
    columns = index.columns
    named = dict.fromkeys(name for name in (columns.slice, *more) if name)
    ways: dict[str, Dimension] = {name: lambda row, name=name: value(row, name, NO_VALUE) for name in named}
    ways |= {
        "fact's attribute": lambda row: _attribute(row, columns.fact),
        "answer type": lambda row: answer_type(row, refusal, also),
        "question words": lambda row: band(len(row.question.split()), (6, 9, 13)),
        "answer words": lambda row: band(len(row.answer.split()), (2, 3, 5, 9)),
        "turns before the question": lambda row: band(len(row.history), (1, 2, 3, 5)),
        "training wordings": lambda row: _wordings(index.training_wordings(row)),
    }
    return {name: value_of for name, value_of in ways.items() if len({value_of(row) for row in rows}) > 1}


def _wordings(count: int | None) -> str:
    return "(no fact)" if count is None else band(count, (1, 3, 5, 8))


def _attribute(row: Row, column: str | None) -> str:
    return " + ".join(sorted({fact.rpartition("/")[2] for fact in values(row, column)})) or NO_VALUE


def error_rates(
    rows: Iterable[Row], wrong: Mapping[str, bool], ways: Mapping[str, Dimension], fact: str | None = None
) -> list[SliceRate]:
    """Error rate for every value of every dimension, values in order.

    Args:
        rows: the test rows.
        wrong: row id -> whether the answer was wrong.
        ways: the dimensions.
        fact: the column that names facts (`data.columns.fact`): rows that share one are one cluster.
    """
    rates, rows = [], list(rows)
    for name, value_of in ways.items():
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(value_of(row), []).append(row)
        for shared, members in sorted(groups.items(), key=lambda item: _natural(item[0])):
            errors = [wrong[row.id] for row in members]
            found = mean_ci95([*map(float, errors)], [cluster(row, fact) for row in members])
            rates.append(SliceRate(name, shared, found.n, sum(errors), found.mean, found.low, found.high))
    return rates


def _natural(text: str) -> tuple:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part)


def worst_slices(rates: Iterable[SliceRate], *, overall: float, min_rows: int, top: int = 10) -> list[SliceRate]:
    """The `top` slices of `min_rows` or more whose whole interval lies above the overall rate, worst lower limit first.

    The limits are not corrected for the number of slices looked at: take them as where to look first.
    """
    standing_out = [rate for rate in rates if rate.n >= min_rows and rate.low > overall]
    return sorted(standing_out, key=lambda rate: (-rate.low, -rate.n, rate.dimension, rate.value))[:top]


def transitions(before: Mapping[str, bool], after: Mapping[str, bool]) -> Transitions:
    """Compare two systems (row id -> whether it was right) row by row.

    Raises:
        ValueError: the two do not cover the same rows.
    """
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise ValueError(f"answered by one system only: {len(odd)} row(s), such as {odd[0]!r}")

    def ids(was: bool, is_now: bool) -> tuple[str, ...]:
        return tuple(key for key in before if before[key] is was and after[key] is is_now)

    p_value = mcnemar([float(after[key]) for key in before], [float(before[key]) for key in before]) if before else 1.0
    return Transitions(ids(True, True), ids(False, True), ids(True, False), ids(False, False), p_value)


PARTS = (
    ("kept_right", "right in both", COLOURS[0]),
    ("fixed", "turned right", COLOURS[2]),
    ("regressed", "turned wrong (regression)", COLOURS[1]),
    ("kept_wrong", "wrong in both", "#C9CED6"),
)


@styled
def transition_bars(groups: Mapping[str, Transitions], *, title: str = "") -> Figure:
    """One bar a group (of one row or more), divided by what became of its questions; counts stand in the parts."""
    figure, axes = new_figure(7.6, 1.5 + 0.44 * len(groups))
    for at, group in enumerate(groups.values()):
        left = 0.0
        for attribute, label, colour in PARTS:
            count = len(getattr(group, attribute))
            share, name = count / group.n, label if at == 0 else None
            axes.barh(at, share, left=left, color=colour, height=0.66, label=name, edgecolor="white")
            if share >= 0.035:  # a narrower part has no room for its count
                ink = INK if attribute == "kept_wrong" else "white"
                axes.text(left + share / 2, at, str(count), ha="center", va="center", color=ink, fontsize=10.5)
            left += share
    axes.set_yticks(range(len(groups)), [f"{name.replace('_', ' ')}  (n={group.n})" for name, group in groups.items()])
    axes.invert_yaxis()
    percent_axis(axes.xaxis)
    axes.set(title=title, xlabel="share of the questions", xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_color(GRID)
    figure.legend(loc="outside lower center", ncols=2)
    return figure
