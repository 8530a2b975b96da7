"""What a sweep tries: fields of the recipe, each with its choices or its range."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.recipe.file import explain
from ftlib.recipe.training import RangeRecipe, SweepSpace

if TYPE_CHECKING:
    from optuna import Trial

_SECTIONS = ("train", "lora", "quantization")
_OTHER_LOSS = {"train.loss_on"}  # with another value of it the loss is of other tokens


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with other values in dotted fields.

    Raises:
        UserError: a field or value is not allowed.
    """
    filled = recipe.model_dump()
    for field, value in values.items():
        *parents, last = field.split(".")
        section = filled
        for parent in parents:
            section = section.get(parent)
            if not isinstance(section, dict):
                raise UserError.of(f"sweep, {field}", "a field of the recipe", f"no section {parent}", "correct it")
        section[last] = value
    try:
        return Recipe.model_validate(filled)
    except ValidationError as error:
        raise explain(Recipe, error, Path("sweep"), values) from None


def check_space(recipe: Recipe, space: SweepSpace) -> None:
    """Make sure that every field may be swept and every end of its choices be set.

    Raises:
        UserError: nothing is to be tried, a field is not the training's, or a value is not allowed in it.
    """
    if not space:
        fix = "write e.g. `sweep: {train.learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}, lora.r: [4, 8, 16]}`"
        raise UserError.of("sweep", "fields to try", "none", fix)
    for field, choices in space.items():
        if field.split(".")[0] not in _SECTIONS or field in _OTHER_LOSS:
            expected = f"a field of {', '.join(_SECTIONS)} with which losses can be compared"
            raise UserError.of(f"sweep, {field}", expected, field, "leave it out")
        for value in _ends(choices) if isinstance(choices, RangeRecipe) else choices:
            with_values(recipe, {field: value})


def suggested(trial: Trial, field: str, choices: RangeRecipe | list) -> Any:
    """One of a field's choices, as Optuna wants it tried."""
    if not isinstance(choices, RangeRecipe):
        return trial.suggest_categorical(field, choices)
    low, high = _ends(choices)
    suggest = trial.suggest_int if choices.whole else trial.suggest_float
    return suggest(field, low, high, log=choices.log)


def _ends(choices: RangeRecipe) -> tuple[float, float]:
    return (int(choices.low), int(choices.high)) if choices.whole else (choices.low, choices.high)


def one_line(value: Any) -> str:
    """A value as YAML on one line; safe_dump writes 1e-05 as 1.0e-05, which is read back as a number."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=True)
    return text.removesuffix("...\n").strip()
