"""Rows as tests of this room write them."""

from ftlib.data.table import Entry, write_entries
from ftlib.rows import Row, Turn


def row(row_id="r", question="q", answer="a", context="", history=(), group=(), **meta):
    """A row; `history` are (role, content), everything else beside the named arguments is meta."""
    turns = tuple(Turn(*turn) for turn in (*history, ("user", question)))
    return Row(row_id, turns, context, (answer,), tuple(group), meta)


def table(rows, folder):
    """The working table of these rows."""
    return write_entries((Entry(each) for each in rows), folder / "rows.arrow")
