"""What people decided about single rows in notebook 04, followed when the same rows come in again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ftlib import jsonl
from ftlib.errors import UserError

if TYPE_CHECKING:  # who only needs the names of the decisions does not wait for numpy
    from ftlib.data.table import Judged

KEPT, MENDED, DROPPED = "keep", "mend", "drop"


class Decided(NamedTuple):
    """A decision about one row."""

    decision: str  # `KEPT`, `MENDED` or `DROPPED`
    answer: str  # the mended one
    was: str  # the row's answer when it was reviewed: of another answer nothing was decided


def read_decisions(path: str | Path) -> dict[str, Decided]:
    """Decisions by the id of their row, of JSON lines as notebook 04 exports them.

    Raises:
        UserError: a line without one of the fields, another decision, or a mend without an answer.
    """
    found = {}
    for number, line in enumerate(jsonl.iterate(path), start=1):
        one = Decided(*(str(line.get(name, "")) for name in Decided._fields))
        sound = one.decision in (KEPT, DROPPED) or (one.decision == MENDED and one.answer.strip())
        if not line.get("id") or "was" not in line or not sound:
            expected = f"id, was, and a decision: {KEPT}, {DROPPED}, or {MENDED} with an answer"
            fix = "export the decisions anew in notebook 04, or correct the line"
            raise UserError.of(f"data.decisions_path = {path}, row {number}", expected, str(line)[:200], fix)
        found[str(line["id"])] = one
    return found


def follow(judged: Judged, decisions: Mapping[str, Decided]) -> tuple[Judged, str]:
    """A checked row as it was decided that it should be, and what was done with it.

    Args:
        judged: a row with what the checks have found.
        decisions: of `read_decisions`.

    Returns:
        The row, and "kept" (its flags are settled), "mended", "dropped", "has another answer now", or "" where
        nobody has decided anything or a check has rejected it.
    """
    entry, one = judged.entry, decisions.get(judged.entry.row.id)
    if one is None or judged.reason:
        return judged, ""
    if entry.row.answer != one.was:
        return judged, "has another answer now"
    if one.decision == DROPPED:
        return judged._replace(reason="review"), "dropped"
    if one.decision == KEPT:
        return judged._replace(flags=()), "kept"
    row = entry.row._replace(references=(one.answer, *entry.row.references[1:]))
    return judged._replace(entry=entry._replace(row=row, changes=(*entry.changes, "review")), flags=()), "mended"
