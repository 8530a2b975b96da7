"""From any source to the working table: records in, rows with unique ids out, bad records named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.data import files
from ftlib.data.formats import Malformed, Reading, entries, is_row
from ftlib.data.json_files import Record, unreadable
from ftlib.data.opening import named
from ftlib.data.table import Entry, Judged, Watch, each, write_entries
from ftlib.errors import UserError
from ftlib.rows import Row

_MOST_CHARACTERS = 1_000_000  # of a row; no model reads a longer one, and every later step would hold it several times


class Loaded(NamedTuple):
    """What came in."""

    bad: list[Judged]  # rows that could not be read, as they go to rejected.jsonl
    formats: Counter[str]  # rows by recognised shape
    notes: Counter[str]  # rows by unwrapped template and by renamed id, files by what was passed over or is unusual
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
    field = "data.test_path" if frozen else "data.path"
    options = {"encoding": data.encoding, "key_path": data.records, "notes": found.notes, "field": field}
    source_records = files.records(source, **options)
    table = write_entries(_entries(watch(source_records), reading, data.on_bad_row, found), arrow_file)
    if not len(table):
        to_do, instead = "check that the file is not empty", "no record at all"
        if found.bad:
            worst, times = Counter(judged.detail for judged in found.bad).most_common(1)[0]
            instead = f"none among {len(found.bad)} records; most often ({times}): {worst}"
            to_do = f"mend the first of them: {found.bad[0].entry.place}"
        raise UserError.of(f"{field} = {named(Path(source))}", "at least one row", instead, to_do)
    return found._replace(table=table)


def _entries(records: Iterable[Record], reading: Reading, on_bad_row: str, found: Loaded) -> Iterator[Entry]:
    """Makes rows of records and notes in `found` what came in."""
    seen: set[int] = set()
    for number, record in enumerate(records):
        name, made, bad = f"row-{number:07d}", [], ("unreadable", record.problem)
        if not record.problem:
            within = (record.value.get("meta") or ()) if is_row(record.value) else ()
            found.columns.update(map(str, (*record.value, *within)))
            try:
                made, bad = list(entries(record.value, reading, name)), ("", "")
            except Malformed as error:
                bad = ("malformed", str(error))
        if bad[0] and on_bad_row == "fail":
            more = "; to go on without such records, set data.on_bad_row: reject"
            raise unreadable(record._replace(problem=bad[1]), more)
        if bad[0]:
            found.bad.append(_unfit(name, record.place, *bad))
        for entry in made:
            row_id = _own_id(entry.row.id, seen)
            if (size := _characters(entry.row)) > _MOST_CHARACTERS:
                found.bad.append(_unfit(row_id, record.place, "overlong", f"{size} characters"))
                continue
            found.formats[entry.format] += 1
            found.notes.update([f"unwrapped {note}" for note in entry.notes])
            if row_id != entry.row.id:
                found.notes["id repeated"] += 1
            yield entry._replace(row=entry.row._replace(id=row_id), place=record.place)


def _unfit(name: str, place: str, reason: str, detail: str) -> Judged:
    """A row that is left out, without its texts: they are not masked yet."""
    return Judged(Entry(Row(name, (), "", ("",)), place=place), reason, detail)


def _characters(row: Row) -> int:
    texts = (*(turn.content for turn in row.turns), row.context, *row.references, *row.meta.values())
    return sum(len(text) for text in texts if isinstance(text, str))


def _own_id(row_id: str, seen: set[int]) -> str:
    """An id that no earlier row has; a hash a row is what 1,000,000 rows can afford."""
    unique, number = row_id, 1
    while hash(unique) in seen:
        number += 1
        unique = f"{row_id}~{number}"
    seen.add(hash(unique))
    return unique


def frozen_rows(path: Path, arrow_file: Path, data) -> tuple[list[Row], set[str]]:
    """The rows of a frozen test file, as they stand, and its columns, by the recipe's names where it has ftlib's.

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
    """Raises UserError where the recipe's data section names a column that is not among those found."""
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
