"""JSON out of files, record by record: lines, arrays of any length, single objects, plain or gzipped.

Nothing is held but the record at hand. A record that can't be read is handed on with its place and what is wrong with
it, so that the caller decides between failing and rejecting.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

LONGEST = 64 << 20  # bytes; a longer value is taken for a broken file
_BLOCK = 1 << 20  # characters read at once from an array
_BETWEEN = re.compile(r"[\ufeff\s,]*")  # what may stand between the items of an array
_DECODER = json.JSONDecoder()
_UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError)


class Record(NamedTuple):
    """One record as it stands in the source."""

    place: str  # file, line and byte offset, for messages
    value: dict[str, Any] | None  # None where it could not be read
    problem: str = ""  # what is wrong: "expected ..., found ..."


def opened(path: Path) -> IO[bytes]:
    """The file in binary, unpacked where it ends in .gz."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def place_of(path: Path, line: int, byte: int) -> str:
    """Where something stands, for messages; bytes are those of the unpacked file."""
    return f"{path}, line {line} (byte {byte})"


def lines(path: Path) -> Iterator[tuple[int, int, str, str]]:
    """(line number, byte offset, text, problem); the first may begin with a byte order mark, a torn gzip has a last."""
    number = offset = 0
    try:
        with opened(path) as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield number, offset, line.decode("utf-8-sig" if number == 1 else "utf-8"), ""
                except UnicodeDecodeError as error:
                    found = f"expected UTF-8, found byte 0x{line[error.start]:02x}"
                    yield number, offset + error.start, "", found
                offset += len(line)
    except _UNREADABLE as error:
        yield number + 1, offset, "", f"expected readable data, found: {error}"


def json_lines(path: Path) -> Iterator[Record]:
    """One object a line; blank lines are passed over."""
    for number, offset, text, problem in lines(path):
        if problem:
            yield Record(place_of(path, number, offset), None, problem)
        elif text.strip():
            yield _parsed(path, number, offset, text.rstrip("\r\n"))


def _parsed(path: Path, number: int, offset: int, text: str) -> Record:
    """The object that a text is, which begins at this line and byte."""
    value, at, found = None, 0, ""
    try:
        value = json.loads(text)
        if not isinstance(value, dict):
            value, found = None, f"{type(value).__name__} {_excerpt(text)}"
    except (RecursionError, ValueError) as error:  # ValueError also of numbers with too many digits
        at, found = getattr(error, "pos", 0), f"{_excerpt(text)} ({getattr(error, 'msg', error)})"
    before = text[:at]
    place = place_of(path, number + before.count("\n"), offset + len(before.encode()))
    return Record(place, value, found and f"expected one JSON object, found {found}")


def _excerpt(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _item(place: str, value: Any) -> Record:
    if isinstance(value, dict):
        return Record(place, value)
    return Record(place, None, f"expected an object, found {type(value).__name__}")


def json_file(path: Path) -> Iterator[Record]:
    """A .json file is an array of objects or, as many exports have it, JSON lines or a single object."""
    filled = (text for *_, text, problem in lines(path) if text.strip() or problem)
    first, second = next(filled, ""), next(filled, None)
    if first.lstrip("\ufeff \t\r\n").startswith("["):
        yield from _json_array(path)
    elif second is not None and _parsed(path, 1, 0, first).value:
        yield from json_lines(path)
    else:
        yield from _json_object(path)


def _json_object(path: Path) -> Iterator[Record]:
    parts = list(lines(path))
    content = "".join(text for *_, text, _ in parts)
    unread = [Record(place_of(path, number, byte), None, problem) for number, byte, _, problem in parts if problem]
    if unread or not content.strip():
        yield from unread[:1]
        return
    whole = _parsed(path, 1, 0, content)
    value = whole.value or {}
    lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
    if not lists or {"messages", "conversations"} & value.keys():
        yield whole
        return
    for number, item in enumerate(lists[0]):  # {"data": [...]}
        yield _item(f"{path}, item {number}", item)


def _json_array(path: Path) -> Iterator[Record]:
    """Objects of a JSON array without reading the array as a whole."""
    place = place_of(path, 1, 0)
    try:
        with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
            buffer = text.read(_BLOCK)
            at, seen, line, byte = buffer.find("[") + 1, 0, 1, 0
            while True:
                at = _BETWEEN.match(buffer, at).end()
                line, byte, seen = line + buffer.count("\n", seen, at), byte + len(buffer[seen:at].encode()), at
                place = place_of(path, line, byte)
                if buffer[at : at + 1] == "]":
                    return
                try:
                    value, at = _DECODER.raw_decode(buffer, at)
                except (RecursionError, ValueError) as error:  # perhaps only because the block ends inside the value
                    block = text.read(_BLOCK) if len(buffer) - at <= LONGEST else ""
                    if not block:
                        found = f"{_excerpt(buffer[at : at + 80])} ({error})"
                        yield Record(place, None, f"expected an object or ], found {found}")
                        return
                    buffer, at, seen = buffer[at:] + block, 0, 0
                else:
                    yield _item(place, value)
    except _UNREADABLE as error:
        yield Record(place, None, f"expected readable UTF-8, found: {error}")
