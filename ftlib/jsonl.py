"""JSON lines: one object a line, UTF-8, written whole or not at all."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ftlib import atomic
from ftlib.errors import UserError


def iterate(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON lines file one by one; blank lines are passed over.

    Raises:
        UserError: the file is missing, or a line is no JSON object (file, line and byte offset named).
    """
    path = Path(path)
    if not path.is_file():
        raise UserError.of(str(path), "a file of JSON lines", "no such file", "check the path")
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parse(line, path, number, offset)
            offset += len(line)


def read(path: str | Path) -> list[dict[str, Any]]:
    """All rows of a JSON lines file; see `iterate` for what it raises."""
    return list(iterate(path))


def write(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows, whole or not at all (see `atomic.replacing`); returns how many."""
    count = 0
    with atomic.replacing(path) as file:
        for row in rows:
            file.write(_line(row))
            count += 1
    return count


def append(path: str | Path, row: Mapping[str, Any]) -> None:
    """Add one row; a last line that a kill cut short is removed first."""
    with Path(path).open("ab+") as file:
        _drop_torn_line(file)
        file.write(_line(row).encode("utf-8"))


def cut_torn_line(path: str | Path) -> None:
    """Remove a last line that a kill cut short; every line that was finished stays."""
    with Path(path).open("ab+") as file:
        _drop_torn_line(file)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(", ", ": ")) + "\n"


def _parse(line: bytes, path: Path, number: int, offset: int) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        found = f"byte 0x{line[error.start]:02x} that is not UTF-8"
        raise _bad(path, number, offset + error.start, found) from None
    except json.JSONDecodeError as error:
        byte = offset + len(line.decode("utf-8", "replace")[: error.pos].encode("utf-8"))
        raise _bad(path, number, byte, f"{error.msg}: {_excerpt(line)}") from None
    except RecursionError:
        raise _bad(path, number, offset, "brackets nested too deeply") from None
    if not isinstance(row, dict):
        raise _bad(path, number, offset, f"{type(row).__name__}: {_excerpt(line)}")
    return row


def _bad(path: Path, number: int, byte: int, found: str) -> UserError:
    return UserError.of(f"{path}, line {number} (byte {byte})", "one JSON object", found, "mend or remove this line")


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _drop_torn_line(file: Any) -> None:
    """Cut back to the last newline; every line that was finished stays."""
    if end := file.seek(0, os.SEEK_END):
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            whole = content.rfind(b"\n") + 1
        if whole < end:
            file.truncate(whole)
