"""Rows in the form that later rooms read."""

from pathlib import Path
from typing import Any

from ftlib.data import load
from ftlib.recipe import UserError

ROW = ("id", "question", "context", "answer", "slice", "fact", "group", "source", "product", "created")


def saved_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row as later rooms read it; earlier turns of a conversation stand under ``history`` as pairs."""
    out = {name: row[name] for name in ROW}
    if row["history"]:
        out["history"] = [list(pair) for pair in zip(row["history"][::2], row["history"][1::2], strict=True)]
    return out


def test_row(row: dict[str, Any]) -> dict[str, Any]:
    """A test row as later rooms read it: also ``references`` (the answer, if there are no others) and ``documents``."""
    return saved_row(row) | {"references": row["references"] or [row["answer"]], "documents": row["documents"]}


def test_rows(path: Path, arrow_file: Path, data) -> list[dict[str, Any]]:
    """The rows of a frozen test file, as they stand.

    Args:
        path: any file that :mod:`ftlib.data.files` reads.
        arrow_file: a working file.
        data: the recipe's data section.

    Raises:
        UserError: it can't be read, or has rows without question or answer.
    """
    loaded = load.load(path, arrow_file, columns={} if data.format == "auto" else data.columns)
    rows = [test_row(row) for row in load.each(loaded.table)]
    for row in rows:
        if not row["question"].strip() or not row["answer"].strip():
            where = f"{path}, id {row['id']}"
            raise UserError.of(where, "a question and an answer", "an empty one", "mend the test set")
    return rows
