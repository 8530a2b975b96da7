"""From any source to the working table: records in, rows with unique ids out, bad records named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.data import files, formats
from ftlib.data.table import Entry, Judged, Watch, each, write_entries
from ftlib.errors import UserError
from ftlib.rows import Row


class Loaded(NamedTuple):
    """What came in.

    Attributes:
        table: the working table's file, see `ftlib.data.table.write_entries`.
        bad: rows that could not be read, as they go to rejected.jsonl.
        formats: rows by recognised shape.
        notes: rows by embedded template that was unwrapped, and by renamed id.
        columns: every column that any record has.
    """

    table: Any
    bad: list[Judged]
    formats: dict[str, int]
    notes: dict[str, int]
    columns: set[str]


def load(source: str | Path, arrow_file: Path, data, *, frozen: bool = False, watch: Watch = iter) -> Loaded:
    """Reads a source into an Arrow file.

    Args:
        source: file, folder or hub name, see `ftlib.data.files`.
        arrow_file: where the table goes.
        data: the recipe's data section: format, columns, conversation_turns, split.group_by and on_bad_row are read.
        frozen: whether this is a frozen test file, whose columns may also have ftlib's names.
        watch: what the records pass through, to show progress.

    Returns:
        Loaded. Its `bad` is empty where `data.on_bad_row` is `fail`.

    Raises:
        UserError: nothing to read, no row in it, or a bad row where `data.on_bad_row` is `fail`.
    """
    reader = _Reader(formats.Reading.of(data, frozen=frozen), data.on_bad_row)
    table = write_entries(reader.entries(watch(files.records(source))), arrow_file)
    if not len(table) and not reader.bad:
        field = "data.test_path" if frozen else "data.path"
        raise UserError.of(f"{field} = {source}", "at least one row", "none", "check that the file is not empty")
    return Loaded(table, reader.bad, dict(reader.formats), dict(reader.notes), reader.columns)


class _Reader:
    """Makes rows of records and counts what came in."""

    def __init__(self, reading: formats.Reading, on_bad_row: str):
        self._reading, self._on_bad_row = reading, on_bad_row
        self._seen: set[int] = set()
        self.bad: list[Judged] = []
        self.formats: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.columns: set[str] = set()

    def entries(self, records: Iterable[files.Record]) -> Iterator[Entry]:
        for number, record in enumerate(records):
            name = f"row-{number:07d}"
            if record.problem:
                self._refuse(name, record.place, record.problem, "unreadable")
                continue
            self._note(record.value)
            try:
                made = list(formats.entries(record.value, self._reading, name))
            except formats.Malformed as error:
                self._refuse(name, record.place, str(error), "malformed")
                continue
            for entry in made:
                yield self._counted(entry)._replace(place=record.place)

    def _note(self, record: Mapping[str, Any]) -> None:
        self.columns.update(map(str, record))
        if formats.is_row(record):
            self.columns.update(map(str, record.get("meta") or ()))

    def _counted(self, entry: Entry) -> Entry:
        row_id, renamed = _own_id(entry.row.id, self._seen)
        self.formats[entry.format] += 1
        self.notes.update([f"unwrapped {note}" for note in entry.notes] + ["id repeated"] * renamed)
        return entry._replace(row=entry.row._replace(id=row_id)) if renamed else entry

    def _refuse(self, name: str, place: str, problem: str, reason: str) -> None:
        if self._on_bad_row == "fail":
            expected, _, found = problem.partition(", found")
            raise UserError.of(
                place,
                expected.removeprefix("expected "),
                found.lstrip(": ") or "something else",
                "mend or remove it, or set data.on_bad_row: reject to go on without it",
            )
        self.bad.append(Judged(Entry(Row(name, (), "", ("",)), place=place), reason, problem))


def _own_id(row_id: str, seen: set[int]) -> tuple[str, bool]:
    """An id that no earlier row has; a hash a row is what 1,000,000 rows can afford."""
    unique, number = row_id, 1
    while hash(unique) in seen:
        number += 1
        unique = f"{row_id}~{number}"
    seen.add(hash(unique))
    return unique, unique != row_id


def frozen_rows(path: Path, arrow_file: Path, data) -> tuple[list[Row], set[str]]:
    """The rows of a frozen test file, as they stand.

    Args:
        path: any file that `ftlib.data.files` reads.
        arrow_file: a working file.
        data: the recipe's data section; the file is read as the training data is.

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
    named = formats.named_columns(data.columns)
    return rows, loaded.columns | {name for part, name in named.items() if part in loaded.columns}


def require_columns(data, found: Iterable[str]) -> None:
    """Raises where the recipe names a column that no record has.

    Args:
        data: the recipe's data section.
        found: every column that there is, in the rows or in the test file.

    Raises:
        UserError: naming the columns that were found, and the nearest.
    """
    from rapidfuzz import process

    found = sorted(found)
    named = [(f"data.columns.{part}", name) for part, name in formats.named_columns(data.columns).items()]
    named += [("data.split.group_by", name) for name in formats.group_columns(data.split)]
    named += [("data.split.stratify_by", data.split.stratify_by)] if data.split.stratify_by else []
    for field, name in named:
        if name not in found:
            nearest = process.extractOne(name, found)
            raise UserError.of(
                f"{field} = {name}",
                "a column of the data",
                ", ".join(found) or "no column at all",
                f"did you mean {nearest[0]!r}? Name one of the columns found, or leave the field out"
                if nearest
                else "leave the field out",
            )
