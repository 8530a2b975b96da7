"""From any source to the working table: records in, rows with unique ids out, bad records named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.data import files
from ftlib.data.formats import Malformed, Reading, entries, is_row
from ftlib.data.table import Entry, Judged, Watch, each, write_entries
from ftlib.errors import UserError
from ftlib.rows import Row


class Loaded(NamedTuple):
    """What came in."""

    bad: list[Judged]  # rows that could not be read, as they go to rejected.jsonl
    formats: Counter[str]  # rows by recognised shape
    notes: Counter[str]  # rows by embedded template that was unwrapped, and by renamed id
    columns: set[str]  # every column that any record has
    table: Any = None  # the working table's file, see `ftlib.data.table.write_entries`


def load(source: str | Path, arrow_file: Path, data, *, frozen: bool = False, watch: Watch = iter) -> Loaded:
    """Reads a source (file, folder or hub name, see `ftlib.data.files`) into an Arrow file, as `data.*` says.

    Of a `frozen` test file, columns may also have ftlib's names. The records pass through `watch`.

    Raises:
        UserError: nothing to read, no row in it, or a bad row where `data.on_bad_row` is `fail`.
    """
    found = Loaded([], Counter(), Counter(), set())
    reading = Reading.of(data, frozen=frozen)
    table = write_entries(_entries(watch(files.records(source)), reading, data.on_bad_row, found), arrow_file)
    if not len(table) and not found.bad:
        field = "data.test_path" if frozen else "data.path"
        raise UserError.of(f"{field} = {source}", "at least one row", "none", "check that the file is not empty")
    return found._replace(table=table)


def _entries(records: Iterable[files.Record], reading: Reading, on_bad_row: str, found: Loaded) -> Iterator[Entry]:
    """Makes rows of records and notes in `found` what came in."""
    seen: set[int] = set()
    for number, record in enumerate(records):
        name, reason, problem, made = f"row-{number:07d}", "unreadable", record.problem, []
        if not problem:
            within = (record.value.get("meta") or ()) if is_row(record.value) else ()
            found.columns.update(map(str, (*record.value, *within)))
            try:
                made = list(entries(record.value, reading, name))
            except Malformed as error:
                reason, problem = "malformed", str(error)
        if problem and on_bad_row == "fail":
            expected, _, instead = problem.partition(", found")
            raise UserError.of(
                record.place,
                expected.removeprefix("expected "),
                instead.lstrip(": ") or "something else",
                "mend or remove it, or set data.on_bad_row: reject to go on without it",
            )
        if problem:
            found.bad.append(Judged(Entry(Row(name, (), "", ("",)), place=record.place), reason, problem))
        for entry in made:
            row_id = _own_id(entry.row.id, seen)
            found.formats[entry.format] += 1
            found.notes.update([f"unwrapped {note}" for note in entry.notes])
            if row_id != entry.row.id:
                found.notes["id repeated"] += 1
            yield entry._replace(row=entry.row._replace(id=row_id), place=record.place)


def _own_id(row_id: str, seen: set[int]) -> str:
    """An id that no earlier row has; a hash a row is what 1,000,000 rows can afford."""
    unique, number = row_id, 1
    while hash(unique) in seen:
        number += 1
        unique = f"{row_id}~{number}"
    seen.add(hash(unique))
    return unique


def frozen_rows(path: Path, arrow_file: Path, data) -> tuple[list[Row], set[str]]:
    """The rows of a frozen test file, as they stand; it is read as the training data is.

    Returns:
        The rows, and the columns that the file has, by the recipe's names where it has ftlib's for them.

    Raises:
        UserError: it can't be read, or has rows without question or answer.
    """
    loaded = load(path, arrow_file, data, frozen=True)
    rows = [entry.row for entry in each(loaded.table)]
    for row in rows:
        if not row.answer.strip() or (row.turns and not row.question.strip()):
            where = f"{path}, id {row.id}"
            raise UserError.of(where, "a question and an answer", "an empty one", "mend the test set")
    named = Reading.of(data).columns
    return rows, loaded.columns | {name for part, name in named.items() if part in loaded.columns}


def require_columns(data, found: Iterable[str]) -> None:
    """Raises where the recipe's data section names a column that is not among those found in rows and test file.

    Raises:
        UserError: naming the columns that were found, and the nearest.
    """
    from rapidfuzz import process

    found, reading = sorted(found), Reading.of(data)
    named = [(f"data.columns.{part}", name) for part, name in reading.columns.items()]
    named += [("data.split.group_by", name) for name in reading.group_by]
    named += [("data.split.stratify_by", data.split.stratify_by)] if data.split.stratify_by else []
    for field, name in named:
        if name not in found:
            nearest = process.extractOne(name, found)
            hint = f"did you mean {nearest[0]!r}? Name one of the columns found, or " if nearest else ""
            wanted, listed = "a column of the data", ", ".join(found) or "no column at all"
            raise UserError.of(f"{field} = {name}", wanted, listed, f"{hint}leave the field out")
