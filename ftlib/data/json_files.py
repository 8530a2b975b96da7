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
from typing import Any, NamedTuple

LONGEST = 64 << 20  # bytes; a longer value is taken for a broken file
_BLOCK = 1 << 20  # characters read at once from an array
_BETWEEN = re.compile(r"[\ufeff\s,]*")  # what may stand between the items of an array
_DECODER = json.JSONDecoder()


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


def lines(path: Path) -> Iterator[tuple[int, int, bytes, str]]:
    """(line number, byte offset, bytes, problem); offsets count unpacked bytes. A torn gzip ends with a problem."""
    number, offset = 0, 0
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, offset, line, ""
                offset += len(line)
    except (OSError, EOFError, zlib.error) as error:
        yield number + 1, offset, b"", f"expected readable data, found: {error}"


def decoded(line: bytes, number: int) -> tuple[str, int, str]:
    """(text, byte of the error within the line, problem); line 1 may begin with a byte order mark."""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8"), 0, ""
    except UnicodeDecodeError as error:
        return "", error.start, f"expected UTF-8, found byte 0x{line[error.start]:02x}"


def json_lines(path: Path) -> Iterator[Record]:
    """One object a line; blank lines are passed over."""
    for number, offset, line, problem in lines(path):
        if problem:
            yield Record(f"{path}, line {number} (byte {offset})", None, problem)
        elif line.strip():
            text, byte, problem = decoded(line, number)
            value = None
            if not problem:
                value, byte, problem = _parsed(text.rstrip("\r\n"))
            yield Record(f"{path}, line {number} (byte {offset + byte})", value, problem)


def _parsed(text: str) -> tuple[dict[str, Any] | None, int, str]:
    """(record, byte of the error, problem)"""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        byte = len(text[: error.pos].encode("utf-8", "surrogatepass"))
        return None, byte, f"expected one JSON object, found {excerpt(text)} ({error.msg})"
    except (RecursionError, ValueError) as error:  # brackets too deep; numbers of too many digits
        return None, 0, f"expected one JSON object, found {excerpt(text)} ({error})"
    if not isinstance(value, dict):
        return None, 0, f"expected one JSON object, found {type(value).__name__} {excerpt(text)}"
    return value, 0, ""


def excerpt(text: str) -> str:
    """The beginning of a text, quoted, for messages."""
    text = text.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def json_file(path: Path) -> Iterator[Record]:
    """A .json file is an array of objects or, as many exports have it, JSON lines or a single object."""
    filled = (line for _, _, line, problem in lines(path) if line.strip() or problem)
    first, second = next(filled, b""), next(filled, None)
    if first.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
        yield from _json_array(path)
    elif second is not None and _parsed(decoded(first, 1)[0])[0]:
        yield from json_lines(path)
    else:
        yield from _json_object(path)


def _json_object(path: Path) -> Iterator[Record]:
    parts = list(lines(path))
    content = b"".join(line for _, _, line, _ in parts)
    value, byte, unread = None, len(content), next((problem for *_, problem in parts if problem), "")
    if not content.strip() and not unread:
        return
    text, byte, problem = ("", byte, unread) if unread else decoded(content, 1)
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
        if ended or not block or len(buffer) - at > LONGEST:
            yield Record(place, None, problem)
            return
        buffer, at, seen = buffer[at:] + block, 0, 0


def _next_value(buffer: str, at: int) -> tuple[Any, int, str]:
    """(value, its end, problem); a problem may only mean that the buffer ends inside the value."""
    try:
        value, end = _DECODER.raw_decode(buffer, at)
    except (RecursionError, ValueError) as error:
        return None, at, f"expected an object or ], found {excerpt(buffer[at : at + 80])} ({error})"
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
