"""The row: the one thing that flows through all five notebooks.

It is made once, in notebook 01, and never loses anything: what the data's owner brought beside question and answer
stands under its own name in `meta`. Which of these columns is a slice, a subject, a fact or a document is said in the
recipe (`data.columns`), so ftlib knows none by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ftlib import jsonl

NO_VALUE = "(none)"  # what stands for a row that has nothing in a column


class Turn(NamedTuple):
    """One message of a conversation."""

    role: str  # "system", "user", "assistant" or "tool"
    content: str


class Row(NamedTuple):
    """A question with all that was said before it, and its accepted answers.

    Attributes:
        id: never changes, from the raw file to the comparison.
        turns: the conversation up to and with the question; empty for a plain text to be continued.
        context: what the answer is to be found in (an Alpaca `input`, a passage); "" where there is none.
        references: accepted answers, at least one; the first is the one that is trained.
        group: what it belongs with (its conversation, the values of `data.split.group_by`); rows that share one never
            stand on both sides of a split and are not independent.
        meta: every other column that its owner brought, as it came but for personal data that the recipe has masked.
    """

    id: str
    turns: tuple[Turn, ...]
    context: str
    references: tuple[str, ...]
    group: tuple[str, ...] = ()
    meta: Mapping[str, Any] = {}

    @property
    def question(self) -> str:
        """The last thing that was asked; "" of a plain text."""
        return self.turns[-1].content if self.turns else ""

    @property
    def history(self) -> tuple[Turn, ...]:
        """What was said before the question, a system message included."""
        return self.turns[:-1]

    @property
    def answer(self) -> str:
        """The answer that is trained."""
        return self.references[0]

    def asking(self, question: str) -> Row:
        """The same row with another question in the place of its own."""
        last = self.turns[-1]._replace(content=question) if self.turns else Turn("user", question)
        return self._replace(turns=(*self.turns[:-1], last))


def row_of(value: Mapping[str, Any]) -> Row:
    """A row from its JSON object; a flat `question` (and `answer`) stands for `turns` (and `references`).

    Raises:
        KeyError: it has neither.
    """
    turns = value["turns"] if "turns" in value else [{"role": "user", "content": value["question"]}]
    references = value["references"] if value.get("references") else [value["answer"]]
    said = tuple(Turn(turn["role"], turn["content"]) for turn in turns)
    group, meta = tuple(value.get("group") or ()), dict(value.get("meta") or {})
    return Row(str(value["id"]), said, value.get("context") or "", tuple(references), group, meta)


def row_json(row: Row) -> dict[str, Any]:
    """The row as the JSON object of a line of train.jsonl, val.jsonl or test.jsonl."""
    return row._asdict() | {"turns": [turn._asdict() for turn in row.turns], "meta": dict(row.meta)}


def iterate(path: str | Path) -> Iterator[Row]:
    """Rows of a JSON lines file that `write` made, one by one; raises what `jsonl.iterate` raises."""
    return map(row_of, jsonl.iterate(path))


def read(path: str | Path) -> list[Row]:
    """All rows of such a file."""
    return list(iterate(path))


def write(path: str | Path, rows: Iterable[Row]) -> int:
    """Write rows, whole or not at all; returns how many."""
    return jsonl.write(path, map(row_json, rows))


def values(row: Row, column: str | None) -> tuple[str, ...]:
    """What a row has in one of its owner's columns (a name in `meta`, or None), one text a value.

    A list's values stand in its order; there is none where the column or its value is missing.
    """
    value = row.meta.get(column) if column else None
    parts: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    return tuple(str(part).strip() for part in parts if part is not None and str(part).strip())


def value(row: Row, column: str | None, missing: str = "") -> str:
    """The same as one text, several values joined by commas; `missing` where there is none."""
    return ", ".join(values(row, column)) or missing


def cluster(row: Row, fact: str | None) -> str:
    """The key of rows that stand or fall together: facts (in `data.columns.fact`), else the group, else the row."""
    return ",".join(sorted(values(row, fact))) or ",".join(row.group) or row.id


def slice_of(row: Row, column: str | None) -> str:
    """The row's slice; "all" where the recipe names no such column, "(none)" where the row has nothing in it."""
    return value(row, column, NO_VALUE if column else "all")


def in_turn(rows: Iterable[Row], slice_column: str | None) -> list[Row]:
    """One row of each slice in turn, these in alphabetical order, a slice's own by the SHA-256 of their ids."""
    slices: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: sha256(row.id.encode()).hexdigest()):
        slices.setdefault(slice_of(row, slice_column), []).append(row)
    ranked = sorted((place, name) for name, members in slices.items() for place in range(len(members)))
    return [slices[name][place] for place, name in ranked]
