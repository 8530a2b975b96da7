"""Text out of files, line by line: regular files only, unpacked where gzip packed them, in the encoding they have.

What makes a file unreadable as a whole (it is no text, its encoding is another, it is torn) raises; a single line that
can't be read is handed on with its place and what is wrong with it.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

from ftlib.errors import UserError

LONGEST = 16 << 20  # characters of a record; a longer one is taken for a broken file
_BROKEN = re.compile("[\0\udc80-\udcff]")  # what is no text, and bytes that the encoding does not have
_WORD = re.compile(rb"[^\s\"',:;|]*[\x80-\xff][^\s\"',:;|]*")
_GUESSED_BY = 1 << 16  # bytes that show the encoding
_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_FOREIGN = (
    (b"pk\x03\x04", "a zip archive or an Excel sheet", "unpack it, or save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "a file of an old Office", "save it as CSV in UTF-8"),
    (b"%pdf-", "a PDF", "bring the text itself"),
    (b"\x89png", "a picture", "remove it"),
    (b"sqlite format 3", "an SQLite database", "export its table as CSV"),
    (b"par1", "Parquet", "name the file .parquet"),
    (b"arrow1", "an Arrow file", "write it as Parquet"),
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd", "unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS in the place of the file", "fetch the file: git lfs pull"),
    (b"<!doctype html", "a web page", "download the file itself; perhaps it needs a login"),
    (b"<html", "a web page", "download the file itself; perhaps it needs a login"),
)


class Line(NamedTuple):
    """One line as it stands in the file."""

    number: int
    byte: int  # where it, or what is wrong with it, begins
    text: str
    problem: str = ""  # what is wrong: "expected ..., found ..."
    fix: str = ""  # what to do about it


def named(path: Path) -> str:
    """A path for messages: its name may hold bytes that are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def place_of(path: Path, line: int, byte: int) -> str:
    """Where something stands, for messages; bytes are those of the unpacked file in UTF-8."""
    return f"{named(path)}, line {line} (byte {byte})"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file in binary, unpacked where it is gzipped, whatever its name says.

    Raises:
        UserError: it is no regular file (a pipe would wait for ever), may not be read, or is torn.
    """
    try:
        with ExitStack() as stack:
            if not stat.S_ISREG(path.stat().st_mode):
                found = "a folder" if path.is_dir() else "a pipe, socket or device"
                raise UserError.of(named(path), "a regular file", found, "bring a copy of what it holds")
            file = stack.enter_context(path.open("rb"))
            yield stack.enter_context(gzip.open(file)) if file.peek(2).startswith(b"\x1f\x8b") else file
    except (OSError, EOFError, zlib.error) as error:
        found = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError.of(named(path), "a file that can be read", found, "mend the file or its rights") from None


@contextmanager
def text(path: Path, encoding: str | None = None) -> Iterator[io.TextIOWrapper]:
    """The file as text, UTF-8 where neither a byte order mark nor `encoding` says otherwise.

    A byte that the encoding does not have becomes a surrogate (see PEP 383).

    Raises:
        UserError: what `opened` raises, another kind of file, an unknown encoding, or text that is not in it.
    """
    with opened(path) as file:
        head = file.peek(32)[:32]
        for mark, found, fix in _FOREIGN:
            if head.lower().startswith(mark):
                raise UserError.of(named(path), "text", found, fix)
        codec = next((name for mark, name in _MARKS if head.startswith(mark)), encoding or "utf-8")
        codec = "utf-8-sig" if head.startswith(b"\xef\xbb\xbf") else codec
        try:
            yield io.TextIOWrapper(file, encoding=codec, errors="surrogateescape", newline="")
        except LookupError:
            wanted = "the name of a text encoding, such as utf-8, cp1252 or shift_jis"
            raise UserError.of(f"data.encoding = {encoding}", wanted, "none of this name", "correct it") from None
        except UnicodeError as error:
            raise UserError.of(named(path), f"text in {codec}", str(error), advice(path)) from None


def lines(path: Path, encoding: str | None = None) -> Iterator[Line]:
    """The lines of a file, ended by LF, CR LF or CR; raises what `text` raises."""
    byte, to_do = 0, ""
    with text(path, encoding) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST), ""), start=1):
            size = len(line) if line.isascii() else len(_bytes(line))
            if len(line) == LONGEST:
                while line and line[-1] not in "\r\n":
                    size += len(_bytes(line := file.readline(LONGEST)))
                found = f"expected a line of at most {LONGEST >> 20} million characters, found a longer one"
                yield Line(number, byte, "", found, "divide or remove it")
            elif (not line.isascii() or "\0" in line) and (problem := broken(line, encoding)):
                at, to_do = len(_bytes(line[: _BROKEN.search(line).start()])), to_do or advice(path)
                yield Line(number, byte + at, "", problem, to_do)
            else:
                yield Line(number, byte, line)
            byte += size


def broken(said: str, encoding: str | None = None) -> str:
    """What is wrong with a text as `text` reads it: "expected ..., found ...", or "" where nothing is."""
    if not (found := _BROKEN.search(said)):
        return ""
    byte = "NUL" if found.group() == "\0" else f"byte 0x{ord(found.group()) - 0xDC00:02x}"
    return f"expected {encoding or 'UTF-8'}, found {byte}"


def refuse_broken(path: Path, said: str, encoding: str | None) -> None:
    """Raises UserError where a text has bytes that its encoding does not have."""
    if problem := broken(said, encoding):
        expected, _, found = problem.removeprefix("expected ").partition(", found ")
        raise UserError.of(named(path), expected, found, advice(path))


def _bytes(line: str) -> bytes:
    return line.encode("utf-8", "surrogateescape")


def advice(path: Path) -> str:
    """What to do about bytes that are no UTF-8: how the first such word reads in the encodings that are likely."""
    from charset_normalizer import from_bytes

    with opened(path) as file:
        telling = (
            line for line in iter(lambda: file.readline(_GUESSED_BY), b"") if not line.isascii() or b"\0" in line
        )
        sample = b"".join(islice(telling, 50))[:_GUESSED_BY]
    if b"\0" in sample:
        names = [match.encoding for match in from_bytes(sample)][:1]
        return " ".join(["mend it", *(f"or, if it is {name}, set data.encoding: {name}" for name in names)])
    word, likely = _WORD.search(sample), dict.fromkeys(["cp1252", *(match.encoding for match in from_bytes(sample))])
    said = {name: word.group()[:30].decode(name, "replace") for name in likely} if word else {}
    read = [f"{text!r} in {name}" for name, text in said.items() if "\ufffd" not in text and name != "utf_8"][:3]
    whole = f"; this file has {', '.join(read)}" if read else ""
    return f"mend it, save the file as UTF-8 or name its encoding in data.encoding{whole}"
