"""The working table: rows on their way through the room, in an Arrow file on disk.

A million rows cost no memory that way: every step reads the file in batches and keeps only numbers per row. What
beside a row has to be known of it here (where it came from, what was changed) stands around it in an `Entry`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ftlib import rows as row_values
from ftlib.errors import UserError
from ftlib.rows import Row, Turn

if TYPE_CHECKING:
    from ftlib.data.ledger import Ledger

TRAIN, VAL, TEST = 0, 1, 2
NAMES = ("train", "val", "test")
BATCH_ROWS = 1000
SAID = ("turns", "context", "references")  # the columns that rows are compared by
Watch = Callable[[Iterable[Any]], Iterable[Any]]


class Entry(NamedTuple):
    """A row and what is known of it.

    Attributes:
        row: the row.
        format: the shape it was recognised by.
        place: file, line and byte it came from.
        notes: embedded templates that were unwrapped.
        changes: what was mended.
        pii: kinds of personal data that were found.
    """

    row: Row
    format: str = ""
    place: str = ""
    notes: Sequence[str] = ()
    changes: Sequence[str] = ()
    pii: Sequence[str] = ()


class Judged(NamedTuple):
    """An entry with the reason why it can't stay; "" where it can."""

    entry: Entry
    reason: str = ""
    detail: str = ""


def _schema():
    import pyarrow as pa

    text = pa.large_string()
    turn = pa.struct([("role", pa.string()), ("content", text)])
    texts = [(name, text) for name in ("id", "context", "meta", "format", "place")]
    lists = [(name, pa.list_(text)) for name in ("references", "group", "notes", "changes", "pii")]
    return pa.schema([("turns", pa.list_(turn)), *texts, *lists])


def write_entries(entries: Iterable[Entry], arrow_file: Path):
    """Writes entries to an Arrow stream file and maps it into memory.

    Args:
        entries: in order.
        arrow_file: where the table goes.

    Returns:
        `datasets.Dataset`; `each` and `fetch` make entries of it again.
    """
    import datasets
    import pyarrow as pa

    schema = _schema()
    with pa.OSFile(str(arrow_file), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        for batch in batched(entries):
            stream.write_batch(pa.RecordBatch.from_pylist([_record(entry) for entry in batch], schema))
    return datasets.Dataset.from_file(str(arrow_file))


def batched(items: Iterable[Any], size: int = BATCH_ROWS) -> Iterator[list[Any]]:
    """Lists of up to `size` items."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def each(table, columns: Sequence[str] | None = None) -> Iterator[Entry]:
    """Entries of a table one by one, read in batches.

    The file is read, not mapped: pages of a mapped file that a pass has touched count as memory of this process.

    Args:
        table: `datasets.Dataset` as `write_entries` makes it.
        columns: only these parts of each entry are filled, or all if None.
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


def _record(entry: Entry) -> dict[str, Any]:
    row = entry.row
    meta = json.dumps(dict(row.meta), ensure_ascii=False)
    turns = [{"role": role, "content": content} for role, content in row.turns]
    return entry._asdict() | row._asdict() | {"turns": turns, "meta": meta}


_LISTS = ("turns", "references", "group", "notes", "changes", "pii")


def _entries(batch) -> Iterator[Entry]:
    """The entries of a record batch; columns that it lacks stay empty."""
    found = {name: _values(batch.column(name)) for name in batch.schema.names}
    if "meta" in found:
        found["meta"] = map(json.loads, found["meta"])

    def column(name: str) -> Iterable[Any]:
        return found.get(name) or repeat(() if name in _LISTS else {} if name == "meta" else "", batch.num_rows)

    rows = map(Row, *map(column, Row._fields))
    return map(Entry, rows, *map(column, Entry._fields[1:]))


def _values(array) -> list[Any]:
    """What a column holds; lists are cut out of one list of all their items, ten times as fast as `to_pylist`."""
    import pyarrow as pa

    if not pa.types.is_list(array.type):
        return array.to_pylist()
    offsets = array.offsets.to_pylist()
    items = array.values
    fields = [items.field(name).to_pylist() for name in Turn._fields] if pa.types.is_struct(items.type) else []
    listed = list(map(Turn, *fields)) if fields else items.to_pylist()
    return [tuple(listed[start:end]) for start, end in pairwise(offsets)]


class WorkingTable:
    """Checked rows, and of each whether it is still in and on which side.

    Args:
        table: from `write_entries`.
        ledger: where rejected rows are noted.

    Attributes:
        alive: bool (n,), which rows are still in.
        sides: int8 (n,), TRAIN, VAL, TEST; -1 before the split and for rows that are out.
    """

    def __init__(self, table, ledger: Ledger):
        self.table, self._ledger = table, ledger
        self.alive = np.ones(len(table), dtype=bool)
        self.sides = np.full(len(table), -1, dtype=np.int8)

    def __len__(self) -> int:
        return len(self.table)

    def reject(self, reasons: Mapping[int, tuple[str, str]]) -> None:
        """Takes rows out and notes why; a row that is out already stays so.

        Args:
            reasons: row number -> (reason, detail).
        """
        numbers = [number for number in sorted(reasons) if self.alive[number]]
        for block in batched(numbers):
            for number, entry in fetch(self.table, block).items():
                self._ledger.reject(Judged(entry, *reasons[number]))
        self.alive[numbers] = False
        self.sides[numbers] = -1

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
        """Stops where nothing is left to train or to validate with.

        Args:
            after: the step that has just been taken, for the message.

        Raises:
            UserError: no row for training or none for validation.
        """
        for at, name in ((TRAIN, "training"), (VAL, "validation")):
            if not self.count(at):
                raise UserError.of(
                    f"data after {after}",
                    f"at least one row for {name}",
                    f"none of {self._ledger.rows_in} rows in; rejected: {dict(self._ledger.rejected)}",
                    self._ledger.advice() or "bring more rows or raise data.split.val_fraction",
                )


def shown(row: Row, beside: str | None = None) -> dict[str, str]:
    """A row as reports show it: id, what was said before, question and answer, and one of its owner's columns."""
    before = {"history": said_before(row)} if row.history else {}
    after = {beside: row_values.value(row, beside)} if beside else {}
    return {"id": row.id, **before, "question": row.question, "answer": row.answer, **after}


def said_before(row: Row) -> str:
    """All that was said before the question, one turn a line; "" where nothing was."""
    return "\n".join(f"{turn.role}: {turn.content}" for turn in row.history)
