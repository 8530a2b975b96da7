"""JSON out of files, record by record: lines, arrays of any length, single objects, plain or gzipped.

Nothing is held but the record at hand. A record that can't be read is handed on with its place and what is wrong with
it, so that the caller decides between failing and rejecting; where all that follows is lost too, that is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.data import opening
from ftlib.data.opening import LONGEST, Line, lines, named, place_of, refuse_broken
from ftlib.errors import UserError

_BLOCK = 1 << 20  # characters read at once from an array
_WHOLE = 128 << 20  # characters of a file that has to be read as a whole
_DEEPEST = 8  # levels at which lists of records are looked for
_SPACE = re.compile(r"[\ufeff\s]*")


class Record(NamedTuple):
    """One record as it stands in the source."""

    place: str  # file, line and byte offset, for messages
    value: dict[str, Any] | None  # None where it could not be read
    problem: str = ""  # what is wrong: "expected ..., found ..."
    fix: str = ""  # what to do about it, where more is known than that it is wrong


def unreadable(record: Record, more: str = "") -> UserError:
    """What to raise of a record that can't be read; `more` is what else can be done about it."""
    what, _, hint = record.problem.partition("; ")
    expected, _, found = what.removeprefix("expected ").partition(", found")
    to_do = (record.fix or hint or "mend or remove it") + more
    return UserError.of(record.place, expected, found.lstrip(": ") or "another", to_do)


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object, which has no key twice: one of the two values would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} twice")
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_unrepeated)


def json_lines(path: Path, encoding: str | None = None, key_path: str | None = None) -> Iterator[Record]:
    """One object a line; blank lines are passed over. An array, whatever its file is called, is read as one.

    `key_path` has no meaning here but to be refused.
    """
    if _begins_with(path, encoding, "["):
        yield from json_file(path, encoding, key_path)
        return
    refuse_key_path(path, key_path, "JSON lines")
    for line in lines(path, encoding):
        if line.problem:
            yield Record(place_of(path, line.number, line.byte), None, line.problem, line.fix)
        elif line.text.strip():
            yield _parsed(path, line)


def refuse_key_path(path: Path, key_path: str | None, what: str) -> None:
    """Raises UserError where `data.records` is set for a file that holds no object with lists."""
    if key_path:
        wanted = f"a .json file that holds one object with this list ({named(path)})"
        raise UserError.of(f"data.records = {key_path}", wanted, what, "leave the field out")


def _begins_with(path: Path, encoding: str | None, sign: str) -> bool:
    with opening.text(path, encoding) as file:
        head = " "
        while head and not (head := head.lstrip("\ufeff \t\r\n")[:1]):
            if not (head := file.read(4096)):
                return False
        return head.startswith(sign)


def _parsed(path: Path, line: Line) -> Record:
    """The object that a line is."""
    said = line.text.rstrip("\r\n").removeprefix("\ufeff")  # files that were joined keep their marks
    try:
        return _item(place_of(path, line.number, line.byte), _DECODER.decode(said), said)
    except (RecursionError, ValueError) as error:
        before = said[: getattr(error, "pos", 0)].encode("utf-8", "surrogateescape")
        place = place_of(path, line.number, line.byte + len(before))
        return Record(place, None, f"expected one JSON object, found {_excerpt(said)} ({_reason(error)})")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return getattr(error, "msg", "") or str(error).split(";")[0]  # also of a number with too many digits


def _excerpt(said: str) -> str:
    said = said[:1000].strip()
    return repr(said if len(said) <= 60 else said[:57] + "...")


def _item(place: str, value: Any, said: str = "") -> Record:
    if isinstance(value, dict):
        return Record(place, value)
    return Record(place, None, f"expected one JSON object, found {type(value).__name__} {said and _excerpt(said)}")


def json_file(path: Path, encoding: str | None = None, key_path: str | None = None) -> Iterator[Record]:
    """A .json file is an array of objects or, as many exports have it, JSON lines or a single object.

    `key_path` are keys, joined by dots, under which an object holds the list of records; None where it holds one list.

    Raises:
        UserError: the file as a whole, or all behind a place in it, can't be read; an object with several lists.
    """
    if _begins_with(path, encoding, "["):
        refuse_key_path(path, key_path, "an array")
        yield from _json_array(path, encoding)
        return
    filled = (line for line in lines(path, encoding) if line.text.strip() or line.problem)
    first, second = [*islice(filled, 2), None, None][:2]
    if second and first.text and _parsed(path, first).value is not None:
        yield from json_lines(path, encoding, key_path)
    elif first:
        yield from _json_object(path, encoding, key_path)


def _json_object(path: Path, encoding: str | None, key_path: str | None) -> Iterator[Record]:
    with opening.text(path, encoding) as file:
        content = file.read(_WHOLE)
        if file.read(1):
            fix = "write one object a line (.jsonl)"
            raise UserError.of(named(path), f"at most {_WHOLE >> 20} million characters in one object", "more", fix)
    refuse_broken(path, content, encoding)
    try:
        value = _DECODER.decode(content.lstrip("\ufeff"))
    except (RecursionError, ValueError) as error:
        raise _stopped(path, content[: getattr(error, "pos", 0)], "JSON", _reason(error)) from None
    found = _lists(value) if isinstance(value, dict) else {}
    if key_path:
        chosen = key_path
    elif (isinstance(value, dict) and {"messages", "conversations"} & value.keys()) or len(found) == 0:
        yield _item(named(path), value, content)
        return
    elif len(found) > 1:
        fix = f"name one in data.records, e.g. data.records: {next(iter(found))}"
        raise UserError.of(named(path), "one list of records", f"{len(found)}: {', '.join(found)}", fix)
    else:
        (chosen,) = found
    if chosen not in found:
        wanted, listed = "the keys of a list of records, joined by dots", ", ".join(found) or "no such list"
        raise UserError.of(f"data.records = {key_path}", wanted, listed, f"name one that {named(path)} has")
    for number, item in enumerate(found[chosen]):
        yield _item(f"{named(path)}, {chosen} item {number}", item)


def _lists(value: Mapping[str, Any], before: str = "", level: int = 1) -> dict[str, list[Any]]:
    """Lists of objects inside an object, by their keys joined by dots."""
    found: dict[str, list[Any]] = {}
    for name, inside in value.items():
        if isinstance(inside, list) and inside and isinstance(inside[0], dict):
            found[f"{before}{name}"] = inside
        elif isinstance(inside, dict) and level < _DEEPEST:
            found |= _lists(inside, f"{before}{name}.", level + 1)
    return found


def _stopped(path: Path, before: str, expected: str, found: str) -> UserError:
    """What ends the reading of a file: behind `before` nothing can be told apart any more."""
    place = place_of(path, 1 + before.count("\n"), len(before.encode("utf-8", "surrogateescape")))
    return UserError.of(place, expected, found, "mend the file")


# What an array may go on with -> the signs that are allowed there; and what may follow a sign.
_SIGNS = {"an array": "[", "an object or ]": "]", "an object": "", ", or ]": ",]", "nothing more": ""}
_AFTER = {"[": "an object or ]", ",": "an object", "]": "nothing more"}


def _json_array(path: Path, encoding: str | None) -> Iterator[Record]:
    """Objects of a JSON array without reading the array as a whole."""
    buffer, seen, at, line, byte, expected = "", 0, 0, 1, 0, "an array"
    with opening.text(path, encoding) as file:
        while True:
            at = _SPACE.match(buffer, at).end()
            line, byte = line + buffer.count("\n", seen, at), byte + len(buffer[seen:at].encode())
            seen, end, value, then, found = at, at + 1, None, expected, "the end of the file"
            if (sign := buffer[at:end]) and sign in _SIGNS[expected]:
                then = _AFTER[sign]
            elif sign and expected.startswith("an object"):
                try:
                    value, end = _DECODER.raw_decode(buffer, at)
                    then = ", or ]"
                except (RecursionError, ValueError) as error:
                    found = f"{_excerpt(buffer[at : at + 80])} ({_reason(error)})"
            elif sign:
                found = _excerpt(buffer[at : at + 80])
            if then == expected or end == len(buffer):  # perhaps only because the block ends here
                if block := file.read(_BLOCK) if len(buffer) - at <= LONGEST else "":
                    refuse_broken(path, block, encoding)
                    buffer, seen, at = buffer[at:] + block, 0, 0
                    continue
                if expected == "nothing more" and not sign:
                    return
                if then == expected:
                    raise UserError.of(place_of(path, line, byte), expected, found, "mend the file")
            if then == ", or ]":
                yield _item(place_of(path, line, byte), value)
            at, expected = end, then
