"""Records out of files, one at a time: JSON, JSON lines, CSV, Parquet, plain text, gzip of these, a folder, the hub."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

from ftlib.data.json_files import LONGEST, Record, json_file, json_lines, lines, place_of
from ftlib.errors import UserError


def find_files(source: str | Path) -> list[Path]:
    """The file that a source is, or those of a folder and its subfolders, sorted; empty where it is a hub name.

    Raises:
        UserError: the folder holds no file of a known kind, or the file's kind is unknown.
    """
    path, kinds = Path(source), ", ".join(_READERS)
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and _kind(file) and file.stem != "README")
        if not found:
            raise UserError.of(f"data.path = {path}", f"files ending in {kinds}", "none", "check the folder")
        return found
    if path.exists() and not _kind(path):
        raise UserError.of(f"data.path = {path}", f"one of {kinds}, also .gz", path.name, "rename or convert the file")
    return [path] if path.exists() else []


def records(source: str | Path) -> Iterator[Record]:
    """Every record of a file, a folder or a hub data set, in a stable order.

    Args:
        source: path, or hub name as `name` or `name:split`. Of a folder in the hub's layout (a README that names
            the files of each split) only the split is read, `train` where none is given.

    Raises:
        UserError: nothing is there, or a file as a whole can't be read.
    """
    paths = [] if _has_splits(Path(source)) else find_files(source)
    if not paths:
        yield from _hub(str(source))
    for path in paths:
        yield from _READERS[_kind(path)](path)


def _has_splits(path: Path) -> bool:
    """Whether a folder is laid out as on the hub, so that its README says which files are which split."""
    readme = path / "README.md"
    head = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    return head.startswith("---") and "\nconfigs:" in head.partition("\n---")[0]


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in _READERS if name.endswith(suffix)), "")


def _csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(LONGEST)
    place = place_of(path, 1, 0)

    def texts() -> Iterator[str]:
        nonlocal place
        for number, offset, text, problem in lines(path):
            place = place_of(path, number, offset)
            if problem:
                raise csv.Error(problem)
            yield text

    try:
        for row in csv.DictReader(texts(), delimiter="\t" if _kind(path) == ".tsv" else ",", strict=True):
            if None in row or None in row.values():
                problem = "expected as many fields as the header, found " + ("more" if None in row else "fewer")
                yield Record(place, None, problem)
            else:
                yield Record(place, dict(row))
    except csv.Error as error:
        yield Record(place, None, f"expected CSV, found: {error}")


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow.parquet

    number = 0
    try:
        packed = path.suffix.lower() == ".gz"
        source = pyarrow.BufferReader(gzip.decompress(path.read_bytes())) if packed else path
        with pyarrow.parquet.ParquetFile(source) as file:
            for batch in file.iter_batches(batch_size=1000):
                for value in batch.to_pylist():
                    yield Record(f"{path}, row {number}", value)
                    number += 1
    except (OSError, EOFError, ValueError, pyarrow.ArrowException) as error:
        yield Record(f"{path}, row {number}", None, f"expected Parquet, found: {_first_line(error)}")


def _text(path: Path) -> Iterator[Record]:
    """Paragraphs (parted by blank lines) of a plain text."""
    held, start = "", ""
    for number, offset, text, problem in lines(path):
        if problem:
            yield Record(place_of(path, number, offset), None, problem)
        elif text.strip():
            held, start = held + text, start or place_of(path, number, offset)
        elif held:
            yield Record(start, {"text": held})
            held, start = "", ""
    if held:
        yield Record(start, {"text": held})


def _hub(name: str) -> Iterator[Record]:
    """A data set of the Hugging Face hub, streamed."""
    import datasets

    name, _, split = name.partition(":")
    try:
        rows = datasets.load_dataset(name, split=split or "train", streaming=True)
        for number, value in enumerate(rows):
            yield Record(f"{name}, row {number}", dict(value))
    except Exception as error:  # the hub's client raises many kinds; all mean that the name can't be loaded
        raise UserError.of(
            f"data.path = {name}",
            "an existing file or folder, or the name of a data set on the hub",
            _first_line(error),
            "check the path (relative paths are relative to the recipe) or the network",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


_READERS = {
    **dict.fromkeys((".jsonl", ".ndjson"), json_lines),
    ".json": json_file,
    **dict.fromkeys((".csv", ".tsv"), _csv),
    ".parquet": _parquet,
    **dict.fromkeys((".txt", ".md"), _text),
}
