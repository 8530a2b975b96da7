"""Rows as tests of this room write them."""

from pathlib import Path

from ftlib.data.audit import note_headlines
from ftlib.data.preparation import STEPS, Preparation
from ftlib.data.table import Entry, write_entries
from ftlib.errors import UserError
from ftlib.rows import Row, Turn


def row(row_id="r", question="q", answer="a", context="", history=(), group=(), **meta):
    """A row; `history` are (role, content), everything else beside the named arguments is meta."""
    turns = tuple(Turn(*turn) for turn in (*history, ("user", question)))
    return Row(row_id, turns, context, (answer,), tuple(group), meta)


def table(rows, folder):
    """The working table of these rows."""
    return write_entries((Entry(each) for each in rows), folder / "rows.arrow")


def prepare(run) -> Path:
    """The whole room at once, as notebook 01 does it step by step; returns the stage's folder.

    Raises:
        UserError: wherever a step finds the user's input wrong; nothing is left half-written.
    """
    stage = run.begin("01_data")
    try:
        with Preparation(run.recipe, stage.path, interactive=run.interactive) as preparation:
            for step in STEPS:
                getattr(preparation, step)()
            note_headlines(stage, preparation.report)
    except UserError:
        run.discard("01_data", partial_only=True)
        raise
    return stage.finish()
