"""Records out of files, one at a time: JSON, JSON lines, CSV, Parquet, plain text, gzip of these, a folder, the hub."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ftlib.data.csv_files import csv_file
from ftlib.data.json_files import Record, json_file, json_lines, refuse_key_path
from ftlib.data.opening import LONGEST, lines, named, opened, place_of
from ftlib.errors import UserError

_BESIDE = {"readme", "license", "dataset_info", "dataset_infos"}  # names of files about the data
_BATCH = 200  # rows of a Parquet file that are read at once


def find_files(source: str | Path, notes: Counter[str], field: str = "data.path") -> list[Path]:
    """The file that a source is, or those of a folder and its subfolders, sorted; empty where it is a hub name.

    Hidden files, those about the data and of other kinds, and links to folders are passed over and counted in `notes`.

    Raises:
        UserError: nothing of this path is there, a folder holds no file of a known kind or may not be read, or the
            file's kind is unknown.
    """
    path, kinds, name = Path(source), ", ".join(_KINDS), f"{field} = {named(Path(source))}"
    if os.path.isdir(path):
        if not (found := _inside(path, notes)):
            raise UserError.of(name, f"files ending in {kinds}", "none", "check the folder")
        return found
    if not os.path.lexists(path):
        if not (path.is_absolute() or _kind(path)):
            return []
        raise UserError.of(name, "an existing file or folder", "nothing of this name", "check the path")
    if not _kind(path):
        raise UserError.of(name, f"one of {kinds}, also .gz", named(path), "convert it (a table: to CSV)")
    return [path]


def _inside(folder: Path, notes: Counter[str]) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise UserError.of(named(error.filename), "a folder that can be read", error.strerror, "mend its rights")

    found = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        hidden = [name for name in folders if name.startswith((".", "__"))]
        links = [name for name in folders if name not in hidden and os.path.islink(os.path.join(parent, name))]
        folders[:] = [name for name in folders if name not in {*hidden, *links}]
        for what, passed in (("hidden folders", hidden), ("links to folders", links)):
            notes.update([f"{what} passed over"] * len(passed))
        for name in names:
            if name.startswith((".", "~", "#")):
                notes["hidden files passed over"] += 1
            elif not _kind(Path(name)) or name.partition(".")[0].lower() in _BESIDE:
                notes["files of other kinds passed over"] += 1
            else:
                found.append(Path(parent, name))
    return sorted(found)


def records(
    source: str | Path,
    *,
    encoding: str | None = None,
    key_path: str | None = None,
    notes: Counter[str] | None = None,
    field: str = "data.path",
) -> Iterator[Record]:
    """Every record of a file, a folder or a hub data set, in a stable order.

    Args:
        source: path, or hub name as `name` or `name:split`. Of a folder in the hub's layout (a README that names
            the files of each split) only the split is read, `train` where none is given.
        encoding: that of texts without a byte order mark; None for UTF-8.
        key_path: keys, joined by dots, of the list of records in a JSON object; None where it holds one list.
        notes: where it is counted what was passed over, and how tables are separated.
        field: the recipe's field that names the source, for messages.

    Raises:
        UserError: nothing is there, or a file as a whole can't be read.
    """
    notes = Counter() if notes is None else notes
    paths = [] if _has_splits(str(source)) else find_files(source, notes, field)
    if not paths:
        yield from _hub(str(source), field)
    for path in paths:
        kind, empty = _kind(path), True
        if kind != ".json" and kind not in _LINES:
            refuse_key_path(path, key_path, f"a file ending in {kind}")
        for record in _read(path, kind, encoding, key_path, notes):
            empty = False
            yield record
        if empty:
            notes["files without any record"] += 1


def _read(path: Path, kind: str, encoding: str | None, key_path: str | None, notes: Counter[str]) -> Iterator[Record]:
    if kind in _TABLES:
        return csv_file(path, encoding, notes)
    if kind == ".parquet":
        return _parquet(path)
    if kind in _TEXTS:
        return _text(path, encoding)
    return (json_file if kind == ".json" else json_lines)(path, encoding, key_path)


def _has_splits(source: str) -> bool:
    """Whether a folder (`path` or `path:split`) is laid out as on the hub: its README says which files a split has."""
    folder = source if os.path.isdir(source) or ":" not in source else source.rpartition(":")[0]
    readme, head = Path(folder, "README.md"), ""
    with suppress(OSError, ValueError):
        head = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    return head.startswith("---") and "\nconfigs:" in head.partition("\n---")[0]


_LINES, _TABLES, _TEXTS = (".jsonl", ".ndjson"), (".csv", ".tsv"), (".txt", ".md")
_KINDS = (*_LINES, ".json", *_TABLES, ".parquet", *_TEXTS)


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in _KINDS if name.endswith(suffix)), "")


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow.parquet

    number = 0
    with opened(path) as raw:
        try:
            source = pyarrow.BufferReader(raw.read()) if isinstance(raw, gzip.GzipFile) else raw
            with pyarrow.parquet.ParquetFile(source) as file:
                names = file.schema_arrow.names
                if twice := {name for name in names if names.count(name) > 1}:
                    raise ValueError(f"the column {min(twice)!r} twice")
                for batch in file.iter_batches(batch_size=_BATCH):
                    columns = [_values(name, column) for name, column in zip(names, batch.columns, strict=True)]
                    for values in zip(*columns, strict=True):
                        yield Record(f"{named(path)}, row {number}", dict(zip(names, values, strict=True)))
                        number += 1
        except (OSError, EOFError, ValueError, ArithmeticError, MemoryError, pyarrow.ArrowException) as error:
            place = f"{named(path)}, row {number}"
            raise UserError.of(place, "Parquet, texts in UTF-8", _first_line(error), "write the file again") from None


def _values(name: str, column) -> list:
    """A column's values, as Python has them."""
    try:
        return column.to_pylist()
    except (ValueError, ArithmeticError) as error:
        raise ValueError(f"in column {name}: {_first_line(error)}") from None


def _text(path: Path, encoding: str | None) -> Iterator[Record]:
    """Paragraphs (parted by blank lines) of a plain text."""
    held, start = "", ""
    for line in lines(path, encoding):
        if not start and line.text.startswith(('{"', '[{"')) and line.text.rstrip().endswith(("}", "}]", ",")):
            where = place_of(path, line.number, line.byte)
            raise UserError.of(where, "plain text", "JSON", "name the file .jsonl or .json")
        if line.problem:
            yield Record(place_of(path, line.number, line.byte), None, line.problem, line.fix)
        elif line.text.strip():
            held, start = held + line.text, start or place_of(path, line.number, line.byte)
            if len(held) > LONGEST:
                wanted = f"paragraphs of at most {LONGEST >> 20} million characters"
                raise UserError.of(start, wanted, "a longer one", "part them by blank lines")
        elif held:
            yield Record(start, {"text": held})
            held, start = "", ""
    if held:
        yield Record(start, {"text": held})


def _hub(name: str, field: str) -> Iterator[Record]:
    """A data set of the Hugging Face hub, streamed."""
    import datasets

    name, _, split = name.partition(":")
    try:
        rows = datasets.load_dataset(name, split=split or "train", streaming=True)
        for number, value in enumerate(rows):
            yield Record(f"{name}, row {number}", dict(value))
    except Exception as error:  # the hub's client raises many kinds; all mean that the name can't be loaded
        wanted = "an existing file or folder, or the name of a data set on the hub"
        fix = "check the path (relative paths are relative to the recipe) or the network"
        raise UserError.of(f"{field} = {name}", wanted, _first_line(error), fix) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
