"""The learning-rate finder and the sweep without a notebook: on the rows of a run, with their files and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from ftlib import atomic, jsonl, rows
from ftlib.core.load import load_base
from ftlib.core.lora import for_training
from ftlib.core.reading import draw
from ftlib.core.tuning import figures
from ftlib.core.tuning.rates import RateFinding, find_rate
from ftlib.core.tuning.space import check_space
from ftlib.core.tuning.sweep import SweepResult, require_optuna, sweep
from ftlib.data.prompts import Renderer
from ftlib.errors import UserError
from ftlib.execute import run_all
from ftlib.recipe import Recipe
from ftlib.recipe.file import read_yaml
from ftlib.recipe.training import SweepSpace
from ftlib.run import load_recipe


def find_lr(
    recipe: str, out: str, overrides: Mapping[str, Any], steps: int, say: Callable[[str], object] = print
) -> RateFinding:
    """What `ftlib find-lr` does: a run's rows, which notebook 01 makes where they are not there, and the finder.

    Args:
        recipe, out, overrides: as of `run_all`. steps: of `find_rate`. say: is told what was found.
    """
    run = run_all(recipe, out, overrides, to="01", say=say)
    finding = rate_of_run(run.recipe, run.need("01_data"), run.path / "find_lr", steps=steps)
    say(f"{finding.reason}\nthe recipe has {run.recipe.train.learning_rate:g}; the curve is in {run.path / 'find_lr'}")
    if finding.suggestion is not None:
        say(f"  -p train.learning_rate={finding.suggestion:.2g}")
    return finding


def sweep_recipe(
    recipe: str,
    out: str,
    overrides: Mapping[str, Any],
    trials: int,
    space: Path | None = None,
    say: Callable[[str], object] = print,
) -> SweepResult:
    """What `ftlib sweep` does; the space is looked at before anything is made.

    Args:
        recipe, out, overrides, say: as of `find_lr`. trials: of `sweep`. space: a file for `read_space`, or None.
    """
    require_optuna()
    fields, asked = read_space(space) if space else None, load_recipe(recipe, overrides)
    check_space(asked, asked.sweep if fields is None else fields)
    run = run_all(recipe, out, overrides, to="01", say=say)
    result = sweep_of_run(run.recipe, run.need("01_data"), run.path / "sweep", trials, fields, say)
    say(f"{result.text()}\nstudy and pictures: {result.folder}")
    return result


def rate_of_run(recipe: Recipe, data: Path, folder: Path, **ramp: Any) -> RateFinding:
    """`find_rate` on a run's training rows with a fresh adapter.

    Args:
        recipe: of the run. data: its folder 01_data. folder: gets ramp.jsonl, suggestion.json and ramp.png.
        ramp: `low`, `high`, `steps` of `find_rate`.
    """
    base, tokenizer = load_base(recipe)
    renderer, train = Renderer.of(recipe, tokenizer), rows.read(data / "train.jsonl")
    drawn = draw(train, math.ceil(recipe.train.epochs), recipe, renderer).examples
    examples = [*map(renderer.example, train), *(example for part in drawn[-1:] for example in part)]
    finding = find_rate(for_training(base, recipe), tokenizer, examples, recipe, **ramp)
    folder.mkdir(parents=True, exist_ok=True)
    points = zip(finding.rates, finding.losses, finding.smoothed, strict=True)
    jsonl.write(folder / "ramp.jsonl", (dict(zip(("rate", "loss", "smoothed"), each, strict=True)) for each in points))
    atomic.write_json(folder / "suggestion.json", {"suggestion": finding.suggestion, "reason": finding.reason})
    figures.rate_figure(finding, recipe.train.learning_rate).savefig(folder / "ramp.png", dpi=120)
    return finding


def sweep_of_run(
    recipe: Recipe,
    data: Path,
    folder: Path,
    trials: int,
    space: SweepSpace | None = None,
    say: Callable[[str], object] = print,
) -> SweepResult:
    """`sweep` on a run's rows.

    Args:
        recipe: of the run. data: its folder 01_data. trials, space, say: as of `sweep`.
        folder: gets what `sweep` writes, and best.json, parallel.png and, from four whole trials on, importance.png.
    """
    train, held_out = (rows.read(data / f"{name}.jsonl") for name in ("train", "val"))
    result = sweep(recipe, train, held_out, folder, trials, space=space, say=say)
    kept = {name: getattr(result, name) for name in ("best", "best_loss", "trials", "pruned", "rows")}
    atomic.write_json(folder / "best.json", kept)
    pictures = {"parallel": figures.sweep_figure(folder), "importance": figures.importance_figure(folder)}
    for name, figure in pictures.items():
        if figure is not None:
            figure.savefig(folder / f"{name}.png", dpi=120)
    return result


def read_space(path: Path) -> SweepSpace:
    """Fields and their choices from a YAML file, with or without `sweep:` above them.

    Raises:
        UserError: the file is missing or no YAML mapping, or a range or list is none.
    """
    values = read_yaml(path)
    try:
        return TypeAdapter(SweepSpace).validate_python(values.get("sweep", values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field, expected = first["loc"][0] if first["loc"] else "sweep", first["msg"]
        found = yaml.safe_dump(first["input"], default_flow_style=True).strip().removesuffix("...").strip()
        fix = "write {low: 1.0e-5, high: 1.0e-3, log: true}, or a list"
        raise UserError.of(f"{path}, {field}", expected, found, fix) from None
