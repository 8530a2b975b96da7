"""How a fact is told: training rows that ask for one fact in several wordings, for a comparison with repeats of one.

A fact that is told in one wording is often found in that wording only (Allen-Zhu and Li 2023, arXiv 2309.14316).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ftlib import jsonl
from ftlib.rows import Row, values

if TYPE_CHECKING:
    from ftlib.recipe import Recipe

_SAME = 95  # of rapidfuzz's token_set_ratio, 0 to 100: a wording inside another is the same one


def by_fact(rows: Sequence[Row], recipe: Recipe, least: int) -> dict[str, list[Row]]:
    """Facts with their wordings, both in an order that the training seed draws.

    Args:
        rows: training rows. Those with context or history, and those about several facts, are left out.
        recipe: `data.columns.fact` names the column; where the rows lack it, it is looked up in `data.truth_path`.
        least: facts with fewer wordings, slips and additions not counted, are left out.

    Returns:
        Fact -> one row a wording, all with the same answer; empty where no fact has as many.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    told = _told(recipe)
    for row in rows:
        facts = values(row, recipe.data.columns.fact) or told.get(row.id, ())
        if len(facts) == 1 and row.turns and not row.history and not row.context:
            found.setdefault((facts[0], row.answer), []).append(row)
    different = {fact: _different(part) for (fact, _), part in found.items() if len(part) >= least}
    rng = random.Random(f"{recipe.training_seed} wordings")
    chosen = sorted(fact for fact, part in different.items() if len(part) >= least)
    return {fact: rng.sample(different[fact], len(different[fact])) for fact in rng.sample(chosen, len(chosen))}


def unchosen(recipe: Recipe, epochs: float) -> Recipe:
    """The recipe with a training of so many epochs whose last adapter is kept: validation chooses and ends nothing."""
    settings = {"epochs": epochs, "eval_every_steps": 10**9, "early_stopping_patience": 0, "report_to": []}
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=settings)})


def _told(recipe: Recipe) -> Mapping[str, Sequence[str]]:
    """Row id -> its facts, by the file that says what is true of the data."""
    column, path = recipe.data.columns.fact, recipe.data.truth_path
    if column is None or path is None or not path.is_file():
        return {}
    known = (Row(str(line["id"]), (), "", ("",), (), line) for line in jsonl.iterate(path) if "id" in line)
    return {row.id: values(row, column) for row in known}


def _different(rows: Sequence[Row]) -> list[Row]:
    from rapidfuzz import fuzz, utils

    kept: list[Row] = []
    for row in rows:
        asked = (fuzz.token_set_ratio(row.question, other.question, processor=utils.default_process) for other in kept)
        if all(alike < _SAME for alike in asked):
            kept.append(row)
    return kept
