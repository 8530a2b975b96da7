"""Does the training set hold what the evaluation asks? Exact, normalized, near, group and answer overlaps.

A leaked question turns a measurement of understanding into one of memory, so the default answer is not a warning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ftlib.data import neighbours
from ftlib.data.duplicates import Sketches, sketch, subject
from ftlib.data.similar import jaccard, normal_form, same, words
from ftlib.data.table import SAID, WorkingTable, each, fetch, said_before, shown
from ftlib.errors import UserError
from ftlib.rows import Row

KINDS = ("exact", "normalized", "near", "group")  # what blocks; answer_in_train is only reported
UNKNOWN_GROUPS = "not known: no group column"
_EXAMPLES = 10
_LONG_ANSWER = 5  # words; shorter answers ("24 months") are shared by many questions by nature
_PAIRS_AT_ONCE = 20_000  # whose rows are held in memory


class Overlap(NamedTuple):
    """A training row that an evaluation row gives away.

    Attributes:
        kind: one of KINDS.
        row: number of the training row.
        other: number of the evaluation row.
        similarity: Jaccard similarity of the two questions, 0..1.
    """

    kind: str
    row: int
    other: int
    similarity: float


def overlaps(table, sketches: Sketches, train: np.ndarray, others: Sequence[Row], similarity: float):
    """Every overlap between training rows and evaluation rows, the strictest kind of each pair only.

    Args:
        table: `datasets.Dataset`, see `ftlib.data.table`.
        sketches: of its rows.
        train: int64, numbers of the training rows.
        others: evaluation rows.
        similarity: least Jaccard similarity of near-duplicate questions.

    Returns:
        List of Overlap, in the order of the training rows.
    """
    if not len(train) or not others:
        return []
    asked = sketch(others, len(others))
    pairs = set(_equal_pairs(sketches.question[train], asked.question))
    both = np.concatenate([asked.minhash, sketches.minhash[train]])
    codes = np.concatenate([asked.numbers, sketches.numbers[train]])
    for i_block, j_block in neighbours.pairs(both, codes, similarity, first=len(others)):
        pairs |= {(j - len(others), i) for i, j in zip(i_block.tolist(), j_block.tolist(), strict=True)}
    found = []
    ordered = sorted(pairs)
    for start in range(0, len(ordered), _PAIRS_AT_ONCE):
        block = ordered[start : start + _PAIRS_AT_ONCE]
        rows = fetch(table, train[[at for at, _ in block]], SAID)
        for at, other in block:
            row, number = rows[int(train[at])].row, int(train[at])
            if kind := compare(row, others[other], similarity):
                likeness = round(jaccard(subject(row), subject(others[other])), 3)
                found.append(Overlap(kind, number, other, likeness))
    return found + list(_group_overlaps(table, train, others))


def compare(row: Row, other: Row, similarity: float) -> str:
    """How one row's question gives another's away: `exact`, `normalized`, `near` or "".

    The same question about two different contexts ("When was it built?") or after two different histories ("And what
    does it cost?") is no leak.
    """
    a, b = subject(row), subject(other)
    if row.context and other.context and not same(row.context, other.context, similarity):
        return ""
    if row.history and other.history and normal_form(said_before(row)) != normal_form(said_before(other)):
        return ""
    if a == b:
        return "exact"
    if normal_form(a) == normal_form(b):
        return "normalized"
    return "near" if same(a, b, similarity) else ""


def _equal_pairs(train: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int]]:
    by_hash = defaultdict(list)
    for number, key in enumerate(others.tolist()):
        by_hash[key].append(number)
    for at in np.flatnonzero(np.isin(train, others)):
        for other in by_hash[int(train[at])]:
            yield int(at), other


def _group_overlaps(table, train: np.ndarray, others: Sequence[Row]) -> Iterator[Overlap]:
    groups: dict[str, int] = {}
    for number, other in enumerate(others):
        for key in other.group:
            groups.setdefault(key, number)
    for number, row in _among(table, train, ["group"]) if groups else ():
        if shared := [key for key in row.group if key in groups]:
            yield Overlap("group", number, groups[shared[0]], 0.0)


def groups_are_known(table, train: np.ndarray, others: Sequence[Row]) -> bool:
    """Whether training and evaluation rows are grouped by a column that both have; else nothing is known of groups."""

    def columns(rows: Iterable[Row]) -> set[str]:
        return {key.partition("=")[0] for row in rows for key in row.group}

    wanted = columns(others)
    return any(wanted & columns([row]) for _, row in _among(table, train, ["group"]))


def _among(table, numbers: np.ndarray, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Some rows with their numbers, in order."""
    inside = np.zeros(len(table), dtype=bool)
    inside[numbers] = True
    return ((number, entry.row) for number, entry in enumerate(each(table, columns)) if inside[number])


def answers_in_train(table, train: np.ndarray, others: Sequence[Row]) -> dict[str, int]:
    """How many evaluation answers stand word for word among the training answers.

    Returns:
        `rows` evaluated, `seen` of them, `long` answers of five words and more, `long_seen` of these. Short
        answers are shared by many questions by nature, so this is reported and blocks nothing.
    """
    wanted: dict[str, list[int]] = defaultdict(list)
    for number, other in enumerate(others):
        wanted[normal_form(other.answer)].append(number)
    seen: set[int] = set()
    for _, row in _among(table, train, ["references"]):
        seen.update(wanted.pop(normal_form(row.answer), ()))
    long = {n for n, other in enumerate(others) if len(words(other.answer)) >= _LONG_ANSWER}
    return {"rows": len(others), "seen": len(seen), "long": len(long), "long_seen": len(long & seen)}


def between(
    rows: WorkingTable,
    sketches: Sketches,
    inside: Sequence[int],
    others: Sequence[Row],
    where: str,
    data,
    policy: str,
) -> dict[str, Any]:
    """Compares two sets and does what the policy says.

    Args:
        rows: the working table; under `drop` its rows that leak are taken out.
        sketches: of its rows.
        inside: the sides whose rows count as training rows.
        others: evaluation rows.
        where: what is compared, e.g. `train and test`.
        data: the recipe's data section.
        policy: `block`, `warn` or `drop`.

    Returns:
        `report`'s counts and examples, and `answer_in_train`.

    Raises:
        UserError: as `enforce`.
    """
    train = np.flatnonzero(np.isin(rows.sides, inside))
    found = overlaps(rows.table, sketches, train, others, data.near_duplicate_similarity)
    entry = report(rows.table, found, others)
    if not groups_are_known(rows.table, train, others):
        entry["group"] = {"train_rows": None, "other_rows": None, "examples": [], "note": UNKNOWN_GROUPS}
    entry["answer_in_train"] = answers_in_train(rows.table, train, others)
    enforce(found, policy, where)
    if policy == "drop":  # a row's strictest kind is its reason
        rows.reject({o.row: (f"leak_{o.kind}", others[o.other].id) for o in reversed(found)})
    return entry


def report(table, found: Sequence[Overlap], others: Sequence[Row]) -> dict[str, Any]:
    """Counts by kind, with examples side by side.

    Args:
        table: `datasets.Dataset`, see `ftlib.data.table`.
        found: from `overlaps`.
        others: the evaluation rows.

    Returns:
        kind -> {train_rows, other_rows, examples: [{train, other, similarity}]}.
    """
    out = {}
    for kind in KINDS:
        of_kind = [overlap for overlap in found if overlap.kind == kind]
        first = of_kind[:_EXAMPLES]
        rows = fetch(table, [overlap.row for overlap in first])
        examples = [
            {
                "train": shown(rows[overlap.row].row),
                "other": shown(others[overlap.other]),
                "similarity": overlap.similarity,
            }
            for overlap in first
        ]
        out[kind] = {
            "train_rows": len({overlap.row for overlap in of_kind}),
            "other_rows": len({overlap.other for overlap in of_kind}),
            "examples": examples,
        }
    return out


def enforce(found: Sequence[Overlap], policy: str, where: str) -> None:
    """Stops where the recipe says so.

    Args:
        found: overlaps.
        policy: `block`, `warn` or `drop`.
        where: what was compared, e.g. `train and test`.

    Raises:
        UserError: the policy is `block` and there is any overlap.
    """
    if found and policy == "block":
        counts = ", ".join(f"{sum(o.kind == kind for o in found)} {kind}" for kind in KINDS)
        raise UserError.of(
            f"leakage between {where}",
            "no training row that gives an evaluation row away (data.leakage: block)",
            f"{len({o.row for o in found})} training rows: {counts}",
            "look at leakage.examples, mend the data, or set data.leakage: drop to leave these training rows out",
        )
