"""Records out of files, one at a time: JSON, JSON lines, CSV, Parquet, plain text, gzip of these, a folder, the hub.

Nothing is held but the record at hand, and a record that can't be read is handed on with its place and what is
wrong with it, so that the caller decides between failing and rejecting.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.recipe import UserError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md")
_BLOCK = 1 << 20  # bytes read at once from a JSON array
_BETWEEN = re.compile(r"[\ufeff\s,]*")  # what may stand between the items of a JSON array
_DECODER = json.JSONDecoder()
_LONGEST_FIELD = 64 << 20  # bytes; a longer CSV field or JSON value is taken for a broken file


class Record(NamedTuple):
    """One record as it stands in the source.

    Attributes:
        place: file, line and byte offset, for messages.
        value: the record, or None where it could not be read.
        problem: what is wrong ("expected ..., found ..."), or "".
    """

    place: str
    value: dict[str, Any] | None
    problem: str = ""


def find(source: str | Path) -> list[Path]:
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
        source: path, or hub name as ``name`` or ``name:split``.

    Yields:
        Record.

    Raises:
        UserError: nothing is there, or a file as a whole can't be read.
    """
    paths = find(source)
    if not paths:
        yield from _hub(str(source))
    for path in paths:
        yield from _readers()[_kind(path)](path)


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def _readers() -> dict[str, Any]:
    return {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".json": _json_file,
        ".csv": _csv,
        ".tsv": _csv,
        ".parquet": _parquet,
        ".txt": _text,
        ".md": _text,
    }


def _lines(path: Path) -> Iterator[tuple[int, int, bytes, str]]:
    """(line number, byte offset, bytes, problem); offsets count unpacked bytes. A torn gzip ends with a problem."""
    number, offset = 0, 0
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, offset, line, ""
                offset += len(line)
    except (OSError, EOFError, zlib.error) as error:
        yield number + 1, offset, b"", f"expected readable data, found: {error}"


def _decoded(line: bytes, number: int) -> tuple[str, int, str]:
    """(text, byte within the line, problem)"""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8"), 0, ""
    except UnicodeDecodeError as error:
        return "", error.start, f"expected UTF-8, found byte 0x{line[error.start]:02x}"


def _json_lines(path: Path) -> Iterator[Record]:
    for number, offset, line, problem in _lines(path):
        if problem:
            yield Record(f"{path}, line {number} (byte {offset})", None, problem)
        elif line.strip():
            text, byte, problem = _decoded(line, number)
            value = None
            if not problem:
                value, byte, problem = _parsed(text)
            yield Record(f"{path}, line {number} (byte {offset + byte})", value, problem)


def _parsed(text: str) -> tuple[dict[str, Any] | None, int, str]:
    """(record, byte of the error, problem)"""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        byte = len(text[: error.pos].encode("utf-8", "surrogatepass"))
        return None, byte, f"expected one JSON object, found {_excerpt(text)} ({error.msg})"
    except (RecursionError, ValueError) as error:  # brackets too deep; numbers of too many digits
        return None, 0, f"expected one JSON object, found {_excerpt(text)} ({error})"
    if not isinstance(value, dict):
        return None, 0, f"expected one JSON object, found {type(value).__name__} {_excerpt(text)}"
    return value, 0, ""


def _excerpt(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _json_file(path: Path) -> Iterator[Record]:
    """A .json file is an array of objects or, as many exports have it, JSON lines or a single object."""
    lines = (line for _, _, line, _ in _lines(path) if line.strip())
    first, second = next(lines, b""), next(lines, None)
    if first.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
        yield from _json_array(path)
    elif second is not None and _parsed(_decoded(first, 1)[0])[0]:
        yield from _json_lines(path)
    else:
        yield from _json_object(path)


def _json_object(path: Path) -> Iterator[Record]:
    content = b"".join(line for _, _, line, _ in _lines(path))
    if not content.strip():
        return
    text, byte, problem = _decoded(content, 1)
    value = None
    if not problem:
        value, byte, problem = _parsed(text)
    lists = [item for item in (value or {}).values() if isinstance(item, list) and item and isinstance(item[0], dict)]
    if not lists or {"messages", "conversations"} & set(value):
        yield Record(f"{path}, line {content[:byte].count(10) + 1} (byte {byte})", value, problem)
        return
    for number, item in enumerate(lists[0]):  # {"data": [...]}
        fine = isinstance(item, dict)
        yield Record(f"{path}, item {number}", item if fine else None, "" if fine else "expected an object")


def _json_array(path: Path) -> Iterator[Record]:
    """Objects of a JSON array without reading the array as a whole."""
    blocks = _characters(path)
    buffer, at, seen, line, byte, opened, ended = "", 0, 0, 1, 0, False, False
    while True:
        at = _BETWEEN.match(buffer, at).end()
        if not opened and buffer[at : at + 1] == "[":
            at, opened = at + 1, True
            continue
        if opened and buffer[at : at + 1] == "]":
            return
        line, byte, seen = line + buffer.count("\n", seen, at), byte + len(buffer[seen:at].encode()), at
        place = f"{path}, line {line} (byte {byte})"
        value, end, problem = _next_value(buffer, at)
        if not problem:
            found = "" if isinstance(value, dict) else f"expected an object, found {type(value).__name__}"
            yield Record(place, None if found else value, found)
            at = end
            continue
        block = next(blocks, "")
        if isinstance(block, bytes):  # the file turned out unreadable
            problem, ended = block.decode(), True
        if ended or not block or len(buffer) - at > _LONGEST_FIELD:
            yield Record(place, None, problem)
            return
        buffer, at, seen = buffer[at:] + block, 0, 0


def _next_value(buffer: str, at: int) -> tuple[Any, int, str]:
    """(value, its end, problem); a problem may only mean that the buffer ends inside the value."""
    try:
        value, end = _DECODER.raw_decode(buffer, at)
    except (RecursionError, ValueError) as error:
        return None, at, f"expected an object or ], found {_excerpt(buffer[at : at + 80])} ({error})"
    return value, end, ""


def _characters(path: Path) -> Iterator[str | bytes]:
    """Blocks of text; bytes stand for a problem that ends the file."""
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
            while block := text.read(_BLOCK):
                yield block
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        yield f"expected readable UTF-8, found: {error}".encode()


def _csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(_LONGEST_FIELD)
    place = [f"{path}, line 1 (byte 0)"]
    delimiter = "\t" if ".tsv" in path.name.lower() else ","

    def lines() -> Iterator[str]:
        for number, offset, line, problem in _lines(path):
            place[0] = f"{path}, line {number} (byte {offset})"
            text, _, wrong = _decoded(line, number)
            if problem or wrong:
                raise csv.Error(problem or wrong)
            yield text

    try:
        for row in csv.DictReader(lines(), delimiter=delimiter, strict=True):
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
        opened = gzip.open(path, "rb") if path.suffix.lower() == ".gz" else None
        source = pyarrow.BufferReader(opened.read()) if opened else path
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
    for number, offset, line, problem in _lines(path):
        text, byte, wrong = _decoded(line, number)
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
