"""From any source to one memory-mapped table of rows, and back out as JSON lines.

The table is a ``datasets.Dataset`` over an Arrow file on disk, so that a million rows cost no memory; every later
step reads it in batches and keeps only numbers per row.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.data import files, formats
from ftlib.recipe import UserError

BATCH_ROWS = 1000
Watch = Callable[[Iterable[Any]], Iterable[Any]]


class Loaded(NamedTuple):
    """What came in.

    Attributes:
        table: ``datasets.Dataset`` with the columns of :func:`schema`.
        bad: rows that could not be read, as they go to rejected.jsonl.
        formats: rows by recognised shape.
        notes: rows by embedded template that was unwrapped, and by renamed id.
    """

    table: Any
    bad: list[dict[str, Any]]
    formats: dict[str, int]
    notes: dict[str, int]


def schema():
    """The columns every row has."""
    import pyarrow as pa

    texts = ("id", "question", "context", "answer", "group", *formats.TEXT_FIELDS, "format", "place")
    lists = (*formats.LIST_FIELDS, "history", "notes")
    return pa.schema([(name, pa.large_string()) for name in texts] + [(n, pa.list_(pa.large_string())) for n in lists])


def load(
    source: str | Path,
    arrow_file: Path,
    *,
    shape: str = "auto",
    columns: dict[str, str] | None = None,
    group_by: Sequence[str] = (),
    on_bad_row: str = "fail",
    watch: Watch = iter,
) -> Loaded:
    """Reads a source into an Arrow file.

    Args:
        source: file, folder or hub name, see :mod:`ftlib.data.files`.
        arrow_file: where the table goes.
        shape: a format's name, or "auto".
        columns: this project's column names to the source's.
        group_by: metadata columns whose values become the row's ``group``.
        on_bad_row: "fail" or "reject".
        watch: what the records pass through, to show progress.

    Returns:
        Loaded. Its ``bad`` is empty where ``on_bad_row`` is "fail".

    Raises:
        UserError: nothing to read, no row in it, or a bad row where ``on_bad_row`` is "fail".
    """
    reader = _Reader(shape, columns or {}, group_by, on_bad_row)
    table = write(reader.rows(watch(files.records(source))), arrow_file)
    if not len(table) and not reader.bad:
        raise UserError.of(f"data.path = {source}", "at least one row", "none", "check that the file is not empty")
    return Loaded(table, reader.bad, dict(reader.formats), dict(reader.notes))


class _Reader:
    """Makes rows of records and counts what came in."""

    def __init__(self, shape: str, columns: dict[str, str], group_by: Sequence[str], on_bad_row: str):
        self._shape, self._columns, self._group_by, self._on_bad_row = shape, columns, group_by, on_bad_row
        self._seen: set[int] = set()
        self.bad: list[dict[str, Any]] = []
        self.formats: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()

    def rows(self, records: Iterable[files.Record]) -> Iterator[dict[str, Any]]:
        for number, record in enumerate(records):
            name, place = f"row-{number:07d}", {"place": record.place}
            if record.problem:
                self._refuse(name, record.place, record.problem, "unreadable")
                continue
            try:
                made = list(formats.rows(record.value, self._shape, self._columns, self._group_by, name))
            except formats.Malformed as error:
                self._refuse(name, record.place, str(error), "malformed")
                continue
            for row in made:
                yield self._counted(row) | place

    def _counted(self, row: dict[str, Any]) -> dict[str, Any]:
        row["id"], renamed = _own_id(row["id"], self._seen)
        self.formats[row["format"]] += 1
        self.notes.update([f"unwrapped {note}" for note in row["notes"]] + ["id repeated"] * renamed)
        return row

    def _refuse(self, name: str, place: str, problem: str, reason: str) -> None:
        if self._on_bad_row == "fail":
            expected, _, found = problem.partition(", found")
            raise UserError.of(
                place,
                expected.removeprefix("expected "),
                found.lstrip(": ") or "something else",
                "mend or remove it, or set data.on_bad_row: reject to go on without it",
            )
        self.bad.append({"id": name, "reason": reason, "detail": problem, "place": place})


def _own_id(row_id: str, seen: set[int]) -> tuple[str, bool]:
    """An id that no earlier row has; a hash a row is what 1,000,000 rows can afford."""
    unique, number = row_id, 1
    while hash(unique) in seen:
        number += 1
        unique = f"{row_id}~{number}"
    seen.add(hash(unique))
    return unique, unique != row_id


def write(rows: Iterable[dict[str, Any]], arrow_file: Path, arrow_schema=None):
    """Writes rows to an Arrow stream file and maps it into memory.

    Args:
        rows: dicts with the schema's columns; others are left out.
        arrow_file: where the table goes.
        arrow_schema: a pyarrow schema; :func:`schema` if None.

    Returns:
        ``datasets.Dataset``.
    """
    import datasets
    import pyarrow as pa

    arrow_schema = arrow_schema or schema()
    with pa.OSFile(str(arrow_file), "wb") as sink, pa.ipc.new_stream(sink, arrow_schema) as stream:
        for batch in batched(rows):
            stream.write_batch(pa.RecordBatch.from_pylist(batch, arrow_schema))
    return datasets.Dataset.from_file(str(arrow_file))


def batched(rows: Iterable[dict[str, Any]], size: int = BATCH_ROWS) -> Iterator[list[dict[str, Any]]]:
    """Lists of up to ``size`` rows."""
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def each(table, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a table one by one, read in batches.

    The file is read, not mapped: pages of a mapped file that a pass has touched count as memory of this process.

    Args:
        table: ``datasets.Dataset`` as :func:`write` makes it.
        columns: only these, or all if None.
    """
    import pyarrow as pa

    (file,) = table.cache_files
    with pa.OSFile(file["filename"]) as source, pa.ipc.open_stream(source) as stream:
        for batch in stream:
            yield from (batch.select(list(columns)) if columns else batch).to_pylist()
