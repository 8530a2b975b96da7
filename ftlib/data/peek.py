"""The first rows of a recipe's data, mended and checked as notebook 01 does it, without the whole of it."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

from ftlib.data import checks, habits, load
from ftlib.data.judgement import judging
from ftlib.data.prompts import Renderer
from ftlib.data.table import each
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.rows import Row


def first_rows(recipe: Recipe, renderer: Renderer, most: int) -> list[Row]:
    """Rows that stay of the first `most` records of `data.path`; what other rows decide (duplicates, sides) is open.

    Raises:
        UserError: the data can't be read, or no row of these stays.
    """
    data = recipe.data
    with tempfile.TemporaryDirectory() as folder:
        read = load.load(data.path, Path(folder) / "first.arrow", data, watch=lambda records: islice(records, most))
        entries = list(each(read.table))
    usual = habits.learn_habits((entry.row for entry in entries), len(entries), data)
    judged, _ = judging(data, usual, recipe.model, checks.template_overhead(renderer))(entries)
    rows = [one.entry.row for one in judged if not one.reason]
    if not rows:
        found = f"none; the first is out for {judged[0].reason}: {judged[0].detail}"
        wanted = f"a row that stays among the first {most} records"
        fix = "run notebook 01, which tells what goes and why"
        raise UserError.of(f"data.path = {data.path}", wanted, found, fix)
    return rows
