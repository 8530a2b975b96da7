"""Where the errors are: error rates by slice with intervals, and what fine-tuning turned right or wrong.

Rates carry Wilson's interval on the effective sample size (questions about one fact are one cluster). The worst slices
are ranked by the lower limit, so that five rows with three errors do not come before a hundred with fifty.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ftlib.evaluate.metrics import expects_refusal
from ftlib.evaluate.scores import cluster
from ftlib.evaluate.stats import mcnemar, mean_ci95
from ftlib.review.case import quantities
from ftlib.review.knowledge import Knowledge, Row, fact_ids

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
    """How each row fared from base to fine-tuned; ids of the rows, and McNemar's exact p for the change."""

    kept_right: tuple[str, ...]
    fixed: tuple[str, ...]
    regressed: tuple[str, ...]
    kept_wrong: tuple[str, ...]
    p_value: float

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.kept_right) + len(self.fixed) + len(self.regressed) + len(self.kept_wrong)


def answer_type(row: Row, refusal: str) -> str:
    """What kind of answer a row asks for: refusal, yes/no, quantity, code, word, phrase or sentence."""
    answer = str(row["answer"]).strip()
    if expects_refusal(dict(row), refusal):
        return "refusal"
    if answer.lower().rstrip(".") in ("yes", "no"):
        return "yes/no"
    if quantities(answer) and len(answer.split()) <= 3:
        return "quantity"
    if re.search(r"\d", answer) and len(answer.split()) == 1:
        return "code"
    words = len(answer.split())
    return "word" if words == 1 else "phrase (2-4 words)" if words <= 4 else "sentence (5+ words)"


def band(count: int, edges: Sequence[int]) -> str:
    """The band of a count: with edges (1, 3) one of "0", "1-2", "3+"."""
    starts = [0, *edges]
    index = sum(count >= edge for edge in edges)
    if index == len(edges):
        return f"{starts[index]}+"
    last = starts[index + 1] - 1
    return f"{starts[index]}" if last == starts[index] else f"{starts[index]}-{last}"


def dimensions(knowledge: Knowledge, refusal: str) -> dict[str, Dimension]:
    """The ways in which rows are sliced.

    Args:
        knowledge: the index of the training rows (it counts the wordings that training saw of a fact).
        refusal: the sentence that declines.

    Returns:
        Name -> function from a test row to its value.
    """
    return {
        "slice": lambda row: str(row.get("slice") or "(none)"),
        "source": lambda row: str(row.get("source") or "(none)"),
        "product": lambda row: str(row.get("product") or "(none)"),
        "attribute": _attribute,
        "answer type": lambda row: answer_type(row, refusal),
        "question words": lambda row: band(len(str(row["question"]).split()), (6, 9, 13)),
        "answer words": lambda row: band(len(str(row["answer"]).split()), (2, 3, 5, 9)),
        "training wordings": lambda row: _wordings(knowledge.training_wordings(row)),
    }


def _wordings(count: int | None) -> str:
    return "(no fact id)" if count is None else band(count, (1, 3, 5, 8))


def _attribute(row: Row) -> str:
    names = {one.rpartition("/")[2] for one in fact_ids(row)}
    return " + ".join(sorted(names)) or "(none)"


def error_rates(rows: Iterable[Row], wrong: Mapping[str, bool], ways: Mapping[str, Dimension]) -> list[SliceRate]:
    """Error rate for every value of every dimension.

    Args:
        rows: the test rows.
        wrong: row id -> whether the answer was wrong.
        ways: the dimensions.

    Returns:
        One SliceRate per (dimension, value), values in order.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        for name, value_of in ways.items():
            groups.setdefault((name, value_of(row)), []).append(row)
    order = {name: place for place, name in enumerate(ways)}
    ordered = sorted(groups.items(), key=lambda item: (order[item[0][0]], _natural(item[0][1])))
    return [_rate(name, value, members, wrong) for (name, value), members in ordered]


def _natural(text: str) -> tuple:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part)


def _rate(name: str, value: str, members: Sequence[Row], wrong: Mapping[str, bool]) -> SliceRate:
    flags = [float(wrong[str(row["id"])]) for row in members]
    found = mean_ci95(flags, [cluster(row) for row in members])
    return SliceRate(name, value, found.n, int(sum(flags)), found.mean, found.low, found.high)


def worst(rates: Iterable[SliceRate], *, overall: float, min_rows: int, top: int = 10) -> list[SliceRate]:
    """Slices whose error rate is above the overall rate beyond doubt, worst lower limit first.

    Args:
        rates: from ``error_rates``.
        overall: error rate over all rows, 0..1.
        min_rows: smaller slices are left out.
        top: how many at most.

    Returns:
        Slices with ``low > overall``; empty where none stands out. The limits are not corrected for the number of
        slices looked at: take them as where to look first.
    """
    standing_out = [rate for rate in rates if rate.n >= min_rows and rate.low > overall]
    return sorted(standing_out, key=lambda rate: (-rate.low, -rate.n, rate.dimension, rate.value))[:top]


def transitions(before: Mapping[str, bool], after: Mapping[str, bool]) -> Transitions:
    """Compare two systems row by row.

    Args:
        before: row id -> whether the base model was right.
        after: row id -> whether the fine-tuned model was right.

    Returns:
        Transitions; ``regressed`` holds the rows that were right before and are wrong after.

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
