"""Training rows that a person should look at: each with the reason, and the answer that speaks against its own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.evaluate.metrics import normalize, token_f1
from ftlib.evaluate.values import value_match
from ftlib.review.placebo import TRACED
from ftlib.review.training_index import Key, TrainingIndex
from ftlib.rows import Row

DIFFER, FLAGGED, BEHIND = "answers differ", "flagged by notebook 01", "behind an error"


class Suspect(NamedTuple):
    """A training row to look at."""

    row: Row
    kind: str  # `DIFFER`, `FLAGGED` or `BEHIND`
    why: str  # a sentence
    instead: str = ""  # another answer, "" where none is known


def suspects(
    train_rows: Sequence[Row],
    index: TrainingIndex,
    errors: Iterable[Mapping[str, Any]],
    flags: Iterable[Mapping[str, Any]],
) -> list[Suspect]:
    """What is doubtful about the training rows; each stands once, under the first kind that fits.

    Args:
        train_rows: the training rows.
        index: made of them; it knows what a row is about.
        errors: of `taxonomy.errors_of`, the wrong answers of one system.
        flags: lines of room 01's flagged.jsonl, whichever side their rows are on.

    Returns:
        Rows of one fact (or question) whose answers differ; flagged rows; and for each wrong answer that training
        gives somewhere, the row that gives it to the question most like the one that was asked.
    """
    found = [*_differing(train_rows, index), *_flagged(train_rows, flags), *_behind(train_rows, errors)]
    once: dict[str, Suspect] = {}
    for each in found:
        once.setdefault(each.row.id, each)
    return list(once.values())


def _differing(train_rows: Iterable[Row], index: TrainingIndex) -> Iterable[Suspect]:
    """Rows whose answer is not that of most rows about the same thing; where none is, all of them."""
    about: dict[tuple[Key, str], list[Row]] = defaultdict(list)
    for row in train_rows:
        if len(keys := index.own_keys(row)) == 1:  # the answer to a comparison is no value of either fact
            about[keys[0], row.context].append(row)
    for group in about.values():
        counts = Counter(normalize(row.answer) for row in group)
        (usual, most), *others = counts.most_common()
        tied = bool(others) and others[0][1] == most
        by_answer = {normalize(row.answer): row.answer for row in group}
        for row in group if others else ():
            rival = next(text for text, _ in counts.most_common() if text != normalize(row.answer))
            against = by_answer[rival]
            if (tied or normalize(row.answer) != usual) and not value_match(row.answer, [against], row.question):
                why = f"{counts[rival]} of {len(group)} rows about the same answer {against!r}"
                yield Suspect(row, DIFFER, why, against)


def _flagged(train_rows: Iterable[Row], flags: Iterable[Mapping[str, Any]]) -> Iterable[Suspect]:
    told: dict[str, list[str]] = defaultdict(list)
    for flag in flags:
        told[flag["id"]].append(f"{flag['check'].replace('_', ' ')}: {flag['detail']}".rstrip(": "))
    return (Suspect(row, FLAGGED, "; ".join(told[row.id])) for row in train_rows if row.id in told)


def _behind(train_rows: Iterable[Row], errors: Iterable[Mapping[str, Any]]) -> Iterable[Suspect]:
    giving: dict[str, list[Row]] = defaultdict(list)
    for row in train_rows:
        giving[normalize(row.answer)].append(row)
    for error in errors:
        rows = giving.get(normalize(error["prediction"] or ""), ())
        if error["category"] in TRACED and rows:
            likeness = [token_f1(row.question, [error["question"]]) for row in rows]
            nearest = rows[likeness.index(max(likeness))]
            why = f"its answer was given, wrongly, to {error['question']!r}, where {error['answer']!r} is right"
            yield Suspect(nearest, BEHIND, why)
