"""Records out of files, one at a time: JSON, JSON lines, CSV, Parquet, plain text, gzip of these, a folder, the hub."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftlib.data.json_files import LONGEST, Record, decoded, json_file, json_lines, lines
from ftlib.errors import UserError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md")


def find_files(source: str | Path) -> list[Path]:
    """The files that a source stands for.

    Args:
        source: a file, or a folder that is searched with its subfolders.

    Returns:
        Paths in sorted order; empty where the source is no path on this machine (a hub name).

    Raises:
        UserError: the folder holds no file of a known kind, or the file's kind is unknown.
    """
    path = Path(source)
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and _kind(file) and file.stem != "README")
        if not found:
            raise UserError.of(
                f"data.path = {path}", f"files ending in {', '.join(SUFFIXES)}", "none", "check the folder"
            )
        return found
    if path.exists() and not _kind(path):
        raise UserError.of(
            f"data.path = {path}", f"one of {', '.join(SUFFIXES)}, also .gz", path.name, "rename or convert the file"
        )
    return [path] if path.exists() else []


def records(source: str | Path) -> Iterator[Record]:
    """Every record of a file, a folder or a hub data set, in a stable order.

    Args:
        source: path, or hub name as `name` or `name:split`. Of a folder in the hub's layout (a README that names
            the files of each split) only the split is read, `train` where none is given.

    Yields:
        Record.

    Raises:
        UserError: nothing is there, or a file as a whole can't be read.
    """
    paths = [] if _has_splits(Path(source)) else find_files(source)
    if not paths:
        yield from _hub(str(source))
    for path in paths:
        yield from _readers()[_kind(path)](path)


def _has_splits(path: Path) -> bool:
    """Whether a folder is laid out as on the hub, so that its README says which files are which split."""
    readme = path / "README.md"
    if not readme.is_file():
        return False
    head = readme.read_text(encoding="utf-8", errors="replace")
    return head.startswith("---") and "\nconfigs:" in head.partition("\n---")[0]


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def _readers() -> dict[str, Any]:
    return {
        ".jsonl": json_lines,
        ".ndjson": json_lines,
        ".json": json_file,
        ".csv": _csv,
        ".tsv": _csv,
        ".parquet": _parquet,
        ".txt": _text,
        ".md": _text,
    }


def _csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(LONGEST)
    place = [f"{path}, line 1 (byte 0)"]
    delimiter = "\t" if ".tsv" in path.name.lower() else ","

    def decoded_lines() -> Iterator[str]:
        for number, offset, line, problem in lines(path):
            place[0] = f"{path}, line {number} (byte {offset})"
            text, _, wrong = decoded(line, number)
            if problem or wrong:
                raise csv.Error(problem or wrong)
            yield text

    try:
        for row in csv.DictReader(decoded_lines(), delimiter=delimiter, strict=True):
            if None in row or None in row.values():
                problem = "expected as many fields as the header, found " + ("more" if None in row else "fewer")
                yield Record(place[0], None, problem)
            else:
                yield Record(place[0], dict(row))
    except csv.Error as error:
        yield Record(place[0], None, f"expected CSV, found: {error}")


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
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield Record(f"{path}, row {number}", None, f"expected Parquet, found: {found}")


def _text(path: Path) -> Iterator[Record]:
    """Paragraphs (parted by blank lines) of a plain text."""
    held: list[str] = []
    start = ""
    for number, offset, line, problem in lines(path):
        text, byte, wrong = decoded(line, number)
        place = f"{path}, line {number} (byte {offset + byte})"
        if problem or wrong:
            yield Record(place, None, problem or wrong)
        elif text.strip():
            start = start if held else place
            held.append(text)
        elif held:
            yield Record(start, {"text": "".join(held)})
            held = []
    if held:
        yield Record(start, {"text": "".join(held)})


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
            str(error).splitlines()[0] if str(error) else type(error).__name__,
            "check the path (relative paths are relative to the recipe) or the network",
        ) from error
