"""Does the training set hold what the evaluation asks? Exact, normalized, near, group and answer overlaps.

A leaked question turns a measurement of understanding into one of memory, so the default answer is not a warning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ftlib.data import similar
from ftlib.data.duplicates import Sketches, sketch
from ftlib.data.similar import jaccard, normal_form, same
from ftlib.data.table import SAID, WorkingTable, each, fetch, said_before, shown, subject
from ftlib.errors import UserError
from ftlib.rows import Row

KINDS = ("exact", "normalized", "near", "group")  # what blocks; answer_in_train is only reported
UNKNOWN_GROUPS = "not known: no group column"
_EXAMPLES = 10
_LONG_ANSWER = 5  # words; shorter answers ("24 months") are shared by many questions by nature
_PAIRS_AT_ONCE = 20_000  # whose rows are held in memory


class Overlap(NamedTuple):
    """A training row that an evaluation row gives away."""

    kind: str  # one of KINDS
    row: int  # number of the training row
    other: int  # number of the evaluation row
    similarity: float  # Jaccard, of the two questions, 0..1


def overlaps(table, sketches: Sketches, train: np.ndarray, others: Sequence[Row], similarity: float) -> list[Overlap]:
    """Every overlap between training rows (their numbers, int64) and evaluation rows, of each pair the strictest kind.

    `similarity` is the least Jaccard similarity of near-duplicate questions, 0..1; `sketches` are those of the table.
    """
    if not len(train) or not others:
        return []
    found = []
    ordered = sorted(_candidates(sketches, train, others, similarity))
    for start in range(0, len(ordered), _PAIRS_AT_ONCE):
        block = ordered[start : start + _PAIRS_AT_ONCE]
        rows = fetch(table, [number for number, _ in block], SAID)
        for number, other in block:
            row = rows[number].row
            if kind := compare(row, others[other], similarity):
                likeness = round(jaccard(subject(row), subject(others[other])), 3)
                found.append(Overlap(kind, number, other, likeness))
    groups = {key: number for number, other in reversed([*enumerate(others)]) for key in other.group}
    for number, row in _among(table, train, ["group"]) if groups else ():
        if shared := [key for key in row.group if key in groups]:
            found.append(Overlap("group", number, groups[shared[0]], 0.0))
    return found


def _candidates(
    sketches: Sketches, train: np.ndarray, others: Sequence[Row], similarity: float
) -> set[tuple[int, int]]:
    """(training row, evaluation row) that ask the same to the letter, or perhaps nearly so."""
    asked = sketch(others, len(others))
    by_question = defaultdict(list)
    for other, key in enumerate(asked.question.tolist()):
        by_question[key].append(other)
    equal = train[np.isin(sketches.question[train], asked.question)].tolist()
    found = {(number, other) for number in equal for other in by_question[int(sketches.question[number])]}
    minhash = np.concatenate([asked.minhash, sketches.minhash[train]])
    codes = np.concatenate([asked.numbers, sketches.numbers[train]])
    for i, j in similar.pairs(minhash, codes, similarity, first=len(others)):
        found.update(zip(train[j - len(others)].tolist(), i.tolist(), strict=True))
    return found


def compare(row: Row, other: Row, similarity: float) -> str:
    """How one row's question gives another's away: `exact`, `normalized`, `near` or "".

    The same question about two different contexts ("When was it built?") or after two different histories ("And what
    does it cost?") is no leak.
    """
    a, b = subject(row), subject(other)
    apart = row.context and other.context and not same(row.context, other.context, similarity)
    histories = {normal_form(said_before(one)) for one in (row, other) if one.history}
    if apart or len(histories) > 1:
        return ""
    if a == b:
        return "exact"
    if normal_form(a) == normal_form(b):
        return "normalized"
    return "near" if same(a, b, similarity) else ""


def groups_are_known(table, train: np.ndarray, others: Sequence[Row]) -> bool:
    """Whether training and evaluation rows are grouped by a column that both have; else nothing is known of groups."""
    wanted = {key.partition("=")[0] for row in others for key in row.group}
    trained = (key.partition("=")[0] for _, row in _among(table, train, ["group"]) for key in row.group)
    return any(column in wanted for column in trained)


def _among(table, numbers: np.ndarray, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Some rows with their numbers, in order."""
    inside = np.zeros(len(table), dtype=bool)
    inside[numbers] = True
    return ((number, entry.row) for number, entry in enumerate(each(table, columns)) if inside[number])


def answers_in_train(table, train: np.ndarray, others: Sequence[Row]) -> dict[str, int]:
    """How many evaluation answers stand word for word among the training answers: `seen` of `rows`.

    `long` are those of five words and more, `long_seen` of these. Short answers are shared by many questions by
    nature, so this is reported and blocks nothing.
    """
    asked = [normal_form(other.answer) for other in others]
    trained = set(asked).intersection(normal_form(row.answer) for _, row in _among(table, train, ["references"]))
    long = [answer for answer in asked if len(answer.split()) >= _LONG_ANSWER]
    seen, long_seen = (sum(answer in trained for answer in answers) for answers in (asked, long))
    return {"rows": len(others), "seen": seen, "long": len(long), "long_seen": long_seen}


def between(
    rows: WorkingTable,
    sketches: Sketches,
    inside: Sequence[int],
    others: Sequence[Row],
    where: str,
    data,
    policy: str,
) -> dict[str, Any]:
    """Compares the rows `inside` some sides with evaluation rows and does what the policy says.

    Args:
        rows: under the policy `drop` those that leak are taken out.
        sketches: of these rows.
        inside: the sides whose rows count as training rows.
        others: evaluation rows.
        where: what is compared, e.g. `train and test`, for the error of `enforce`.
        data: the recipe's data section.
        policy: `block`, `warn` or `drop`.

    Returns:
        `report`'s counts and examples, and `answer_in_train`.
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
    """What `overlaps` found, by kind: {train_rows, other_rows, examples: [{train, other, similarity}]}."""
    out = {}
    for kind in KINDS:
        of_kind = [overlap for overlap in found if overlap.kind == kind]
        rows = fetch(table, [overlap.row for overlap in of_kind[:_EXAMPLES]])
        out[kind] = {
            "train_rows": len({overlap.row for overlap in of_kind}),
            "other_rows": len({overlap.other for overlap in of_kind}),
            "examples": [
                {"train": shown(rows[row].row), "other": shown(others[other]), "similarity": similarity}
                for _, row, other, similarity in of_kind[:_EXAMPLES]
            ],
        }
    return out


def enforce(found: Sequence[Overlap], policy: str, where: str) -> None:
    """Raises UserError where the policy is `block` and there is any overlap; `where` says what was compared."""
    if found and policy == "block":
        counts = ", ".join(f"{sum(o.kind == kind for o in found)} {kind}" for kind in KINDS)
        raise UserError.of(
            f"leakage between {where}",
            "no training row that gives an evaluation row away (data.leakage: block)",
            f"{len({o.row for o in found})} training rows: {counts}",
            "look at leakage.examples, mend the data, or set data.leakage: drop to leave these training rows out",
        )
