"""The checks without a notebook: on the rows of a run, or on the first of a recipe's own data."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from ftlib import rows
from ftlib.core import reading
from ftlib.core.load import load_base
from ftlib.core.lora import for_training
from ftlib.core.preflight import PreflightFinding, preflight
from ftlib.data.peek import first_rows
from ftlib.data.prompts import Renderer
from ftlib.data.tokens import load_tokenizer
from ftlib.recipe import Recipe
from ftlib.rows import Row

_READ = 1000  # records, where no run has the rows
_DRAWN_FOR = 512  # rows for which the epochs' further rows are drawn


def check_recipe(
    recipe: Recipe, data: Path | None = None, say: Callable[[str], object] = print
) -> list[PreflightFinding]:
    """Load the base, make it ready to train and run `preflight`; nothing is written.

    Args:
        recipe: what would be trained.
        data: a run's folder 01_data, whose rows are looked at; None for the first records of `data.path`.
        say: is told which rows these are.

    Raises:
        UserError: base, data or what the epochs draw from is not there.
    """
    tokenizer = load_tokenizer(recipe.model)
    renderer = Renderer.of(recipe, tokenizer)
    train, held_out, where = _rows(recipe, data, renderer)
    say(f"{len(train):,} training and {len(held_out):,} validation rows: {where}")
    drawn = reading.draw(train[:_DRAWN_FOR], math.ceil(recipe.train.epochs), recipe, renderer).examples
    base, _ = load_base(recipe, tokenizer=tokenizer)
    ready = for_training(base, recipe)
    return preflight(ready, tokenizer, renderer, train, held_out, recipe, more=list(chain.from_iterable(drawn)))


def _rows(recipe: Recipe, data: Path | None, renderer: Renderer) -> tuple[list[Row], list[Row], str]:
    """Training and validation rows, and where they come from."""
    if data is not None:
        return rows.read(data / "train.jsonl"), rows.read(data / "val.jsonl"), f"those of {data}"
    first = first_rows(recipe, renderer, _READ)
    middle = len(first) - max(1, len(first) // 20)
    return first[:middle] or first, first[middle:], f"the first of {recipe.data.path}, not yet divided by notebook 01"
