"""Tables as text: CSV with commas, semicolons, tabs or bars, the separator told by the first lines."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from ftlib.data import opening
from ftlib.data.json_files import Record
from ftlib.data.opening import LONGEST, advice, broken, named
from ftlib.errors import UserError

_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_SAMPLE = 200  # lines that show the separator
_LISTED = 80  # characters of a name in a message


def csv_file(path: Path, encoding: str | None, notes: Counter[str]) -> Iterator[Record]:
    """A record a row, by the names in the first line; `notes` counts separators and headers that stand again below.

    Raises:
        UserError: a name stands twice in the header; a quote is not closed or a line has no end, so that all behind it
            is lost; what `opening.text` raises.
    """
    csv.field_size_limit(LONGEST)
    usual = "\t" if ".tsv" in path.name.lower() else ","
    with opening.text(path, encoding) as file:
        texts = iter(lambda: file.readline(LONGEST), "")
        sample = list(islice(texts, _SAMPLE))
        separator = _separator(sample, usual)
        if separator != usual:
            notes[f"files separated by {_SEPARATORS[separator]}"] += 1
        spaced = bool(sample) and f"{separator} " in sample[0]
        rows = csv.reader(chain(sample, texts), delimiter=separator, skipinitialspace=spaced, strict=True)
        yield from _records(path, rows, encoding, notes)


def _separator(sample: Sequence[str], usual: str) -> str:
    """The separator by which most rows have as many fields as the header; the usual one where several do."""

    def share(separator: str) -> float:
        try:
            rows = [row for row in csv.reader(sample, delimiter=separator) if row]
        except csv.Error:
            return 0.0
        if not rows or len(rows[0]) < 2:
            return 0.0
        return sum(len(row) == len(rows[0]) for row in rows) / len(rows) + (separator == usual) / 2 / len(rows)

    return max((usual, *_SEPARATORS), key=share)


def _records(path: Path, rows, encoding: str | None, notes: Counter[str]) -> Iterator[Record]:
    header: list[str] = []
    written: list[str] = []
    to_do = ""
    while True:
        place, problem, fix = f"{named(path)}, line {rows.line_num + 1}", "", ""
        try:
            row = next(rows, None)
        except csv.Error as error:
            row, problem = [], f"expected CSV, found: {error}"
            if "unexpected end" in str(error) or "field limit" in str(error):
                fix = "close the quote"
                raise UserError.of(place, "a quote that is closed", "none up to the end of the file", fix) from None
        if row is None:
            return
        if not header and row:
            written, header = row, _header(path, row, encoding)
        elif problem:
            yield Record(place, None, problem)
        elif row and row == written:
            notes["headers that stood again among the rows"] += 1
        elif row and len(row) != len(header):
            problem = f"expected {len(header)} fields as in the header, found {len(row)}"
            yield Record(place, None, problem)
        elif row:
            if problem := broken("".join(row), encoding):
                to_do = to_do or advice(path)
            yield Record(place, None, problem, to_do) if problem else Record(place, dict(zip(header, row, strict=True)))


def _header(path: Path, row: Sequence[str], encoding: str | None) -> list[str]:
    """The names of the columns; a column without one is named by its number."""
    opening.refuse_broken(path, "".join(row), encoding)
    names = [name.strip() or f"column {number}" for number, name in enumerate(row, start=1)]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        found = f"{twice[0][:_LISTED]!r} {names.count(twice[0])} times"
        raise UserError.of(f"{named(path)}, line 1", "each column's name once", found, "rename or remove one of them")
    return names
