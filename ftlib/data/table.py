"""The working table: rows on their way through the room, in an Arrow file on disk.

A million rows cost no memory that way: every step reads the file in batches and keeps only numbers per row. What
beside a row has to be known of it here (where it came from, what was changed) stands around it in an `Entry`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat, starmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ftlib import rows as row_values
from ftlib.rows import Row, Turn

TRAIN, VAL, TEST = 0, 1, 2
NAMES = ("train", "val", "test")
BATCH_ROWS = 1000
SAID = ("turns", "context", "references")  # the columns that rows are compared by
Watch = Callable[[Iterable[Any]], Iterable[Any]]


class Entry(NamedTuple):
    """A row and what is known of it."""

    row: Row
    format: str = ""  # the shape it was recognised by
    place: str = ""  # file, line and byte it came from
    notes: Sequence[str] = ()  # embedded templates that were unwrapped
    changes: Sequence[str] = ()  # what was mended
    pii: Sequence[str] = ()  # kinds of personal data that were found


def _turns(said: Iterable[Sequence[str]] = ()) -> tuple[Turn, ...]:
    return tuple(starmap(Turn, said))


_COLUMNS = (*Row._fields, *Entry._fields[1:])
# What is no text stands in the file as JSON; this is what it becomes again.
_KINDS = {"turns": _turns, "meta": dict, **dict.fromkeys(("references", "group", "notes", "changes", "pii"), tuple)}
_json = json.JSONEncoder(ensure_ascii=False).encode


class Judged(NamedTuple):
    """An entry with the reason why it can't stay ("" where it can), and what else was found: (check, detail) pairs."""

    entry: Entry
    reason: str = ""
    detail: str = ""
    flags: Sequence[tuple[str, str]] = ()


def write_entries(entries: Iterable[Entry], arrow_file: Path):
    """Writes entries, in order, to an Arrow stream file.

    Returns the `datasets.Dataset` over it; `each` and `fetch` make entries of it again.
    """
    import datasets
    import pyarrow as pa

    schema = pa.schema([(name, pa.large_string()) for name in _COLUMNS])
    with pa.OSFile(str(arrow_file), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        for batch in batched(entries):
            stream.write_batch(pa.RecordBatch.from_pylist([_record(entry) for entry in batch], schema))
    return datasets.Dataset.from_file(str(arrow_file))


def batched(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists of up to BATCH_ROWS items."""
    items = iter(items)
    while batch := list(islice(items, BATCH_ROWS)):
        yield batch


def each(table, columns: Sequence[str] | None = None) -> Iterator[Entry]:
    """Entries of a table one by one, read in batches; only these columns of each are filled, or all if None.

    The file is read, not mapped: pages of a mapped file that a pass has touched count as memory of this process.
    """
    import pyarrow as pa

    (file,) = table.cache_files
    with pa.OSFile(file["filename"]) as source, pa.ipc.open_stream(source) as stream:
        for batch in stream:
            yield from _entries(batch.select(list(columns)) if columns else batch)


def fetch(table, numbers: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> dict[int, Entry]:
    """Entries by number, read in one go; arguments as of `each`."""
    wanted = np.unique(np.asarray(numbers, dtype=np.int64))
    if not len(wanted):
        return {}
    chosen = table.select_columns(list(columns)) if columns else table
    batches = chosen.select(wanted).with_format("arrow")[:].to_batches()
    return dict(zip(wanted.tolist(), (entry for batch in batches for entry in _entries(batch)), strict=True))


def _record(entry: Entry) -> dict[str, str]:
    values = zip(_COLUMNS, (*entry.row, *entry[1:]), strict=True)
    return {name: _json(value) if name in _KINDS else value for name, value in values}


def _entries(batch) -> Iterator[Entry]:
    """The entries of a record batch; columns that it lacks stay empty."""
    found = dict(zip(batch.schema.names, (array.to_pylist() for array in batch.columns), strict=True))
    for name in found.keys() & _KINDS:  # all of a batch at once is faster than one by one
        found[name] = list(map(_KINDS[name], json.loads(f"[{','.join(found[name])}]")))
    columns = [found.get(name) or repeat(_KINDS.get(name, str)(), batch.num_rows) for name in _COLUMNS]
    rows = map(Row, *columns[: len(Row._fields)])
    return map(Entry, rows, *columns[len(Row._fields) :])


class WorkingTable:
    """Checked rows, and of each whether it is still in and on which side.

    What goes is noted in a `ftlib.data.ledger.Ledger`.

    Attributes:
        table: from `write_entries`.
        alive: bool (n,), which rows are still in.
        sides: int8 (n,), TRAIN, VAL, TEST; -1 before the split and for rows that are out.
    """

    def __init__(self, table, ledger):
        self.table, self._ledger = table, ledger
        self.alive = np.ones(len(table), dtype=bool)
        self.sides = np.full(len(table), -1, dtype=np.int8)

    def __len__(self) -> int:
        return len(self.table)

    def reject(self, reasons: Mapping[int, tuple[str, str]]) -> None:
        """Takes rows out and notes why: row number -> (reason, detail); a row that is out already stays so."""
        numbers = [number for number in sorted(reasons) if self.alive[number]]
        for block in batched(numbers):
            for number, entry in fetch(self.table, block).items():
                self._ledger.reject(Judged(entry, *reasons[number]))
        self.alive[numbers] = False
        self.sides[numbers] = -1

    def flag(self, found: Mapping[int, Sequence[tuple[str, str]]]) -> None:
        """Notes what was found in rows that stay: row number -> (check, detail) pairs."""
        numbers = [number for number in sorted(found) if self.alive[number]]
        for block in batched(numbers):
            for number, entry in fetch(self.table, block).items():
                self._ledger.flag(entry.row, found[number])

    def on(self, side: int) -> Iterator[Row]:
        """Rows of one side (TRAIN, VAL or TEST), in order."""
        for entry, at in zip(each(self.table), self.sides.tolist(), strict=True):
            if at == side:
                yield entry.row

    def count(self, side: int) -> int:
        """Number of rows of one side."""
        return int((self.sides == side).sum())

    def shown(self, numbers: Sequence[int], beside: str | None = None) -> list[dict[str, str]]:
        """Some rows as reports show them; `beside` names a further column of their owner's."""
        found = fetch(self.table, numbers)
        return [shown(found[int(number)].row, beside) for number in numbers]

    def require(self, after: str) -> None:
        """Raises UserError where nothing is left to train or to validate with after a step."""
        for at, name in ((TRAIN, "training"), (VAL, "validation")):
            if not self.count(at):
                self._ledger.stop(after, f"at least one row for {name}")


def shown(row: Row, beside: str | None = None) -> dict[str, str]:
    """A row as reports show it: id, what was said before, question and answer, and one of its owner's columns."""
    before = {"history": said_before(row)} if row.history else {}
    after = {beside: row_values.value(row, beside)} if beside else {}
    return {"id": row.id, **before, "question": row.question, "answer": row.answer, **after}


def said_before(row: Row) -> str:
    """All that was said before the question, one turn a line; "" where nothing was."""
    return "\n".join(f"{turn.role}: {turn.content}" for turn in row.history)


def subject(row: Row) -> str:
    """What a row is compared by: its question, or its text where it has none."""
    return row.question or row.answer


def all_text(row: Row) -> str:
    """Every turn, the context and the answer in one line."""
    return " ".join((*(turn.content for turn in row.turns), row.context, row.answer))
