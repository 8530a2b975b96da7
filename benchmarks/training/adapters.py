"""Adapters that are trained for so many steps and asked: what benchmarks/replay.py and benchmarks/wordings.py share."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ftlib import atomic
from ftlib.core.generate import generate
from ftlib.core.load import load_base
from ftlib.core.lora import add_lora
from ftlib.core.train import train
from ftlib.core.wordings import unchosen
from ftlib.data.prompts import Example, Renderer
from ftlib.evaluate.metrics import exact_match
from ftlib.recipe import Recipe
from ftlib.rows import Row

Point = dict[str, Any]


class Tuned(NamedTuple):
    """A base with its adapter, and what makes its prompts."""

    model: torch.nn.Module
    tokenizer: Any
    renderer: Renderer


class Points:
    """Measured points in a JSON file; one that is there already is not measured again.

    Args:
        path: the file, a list of objects; it is written anew after each.
        names: the fields that say which point it is.
    """

    def __init__(self, path: Path, names: Sequence[str]):
        self.path, self.names = path, names
        self.all: list[Point] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []

    def measured(self, wanted: Point, measure: Callable[[], Point]) -> Point:
        """The point with these fields: from the file, or from `measure`, which gives the others."""
        for point in self.all:
            if all(point.get(name) == wanted[name] for name in self.names):
                return point
        print(f"measuring {wanted}", file=sys.stderr, flush=True)
        self.all.append(wanted | measure())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(self.path, json.dumps(self.all, indent=1) + "\n")
        return self.all[-1]


def fresh(recipe: Recipe) -> Tuned:
    """The recipe's base with an adapter that changes nothing yet."""
    model, tokenizer = load_base(recipe)
    return Tuned(add_lora(model, recipe.lora, recipe.training_seed), tokenizer, Renderer.of(recipe, tokenizer))


def fit(
    tuned: Tuned,
    examples: Sequence[Example],
    folder: Path,
    recipe: Recipe,
    *,
    steps: int | None = None,
    drawn: Sequence[Sequence[Example]] = (),
    on_log: Callable[[dict], None] | None = None,
) -> Tuned:
    """Train the adapter in place; the last step's weights are kept, so that nothing is chosen.

    Args:
        tuned: from `fresh`, or trained before.
        examples: the rows of every epoch. drawn: further ones, a list an epoch.
        folder: for checkpoints and metrics.jsonl; a killed training goes on from there.
        recipe: its section `train` and its seed.
        steps: optimizer steps, where nothing is drawn; None: the recipe's epochs.
        on_log: called with each line of metrics.jsonl.
    """
    epochs = recipe.train.epochs
    if steps:
        batches = math.ceil(len(examples) / recipe.train.batch_rows)
        epochs = (steps - 0.5) * recipe.train.accumulation / batches  # rounded up to whole steps
    recipe = unchosen(recipe, epochs)
    with contextlib.redirect_stdout(sys.stderr):
        train(*tuned[:2], examples, examples[:1], folder, recipe, drawn=drawn, on_log=on_log)
    return tuned


def exact(tuned: Tuned, rows: Sequence[Row], recipe: Recipe) -> list[float]:
    """Exact match, 0.0 or 1.0, of each row's answer by greedy decoding."""
    prompts = [tuned.renderer.prompt(row).ids for row in rows]
    limits = {"max_new_tokens": recipe.evaluate.max_new_tokens, "batch_rows": recipe.evaluate.batch_rows}
    with contextlib.redirect_stdout(sys.stderr):
        answers = generate(tuned.model, tuned.tokenizer, prompts, **limits)
    return [exact_match(answer.text, row.references) for answer, row in zip(answers, rows, strict=True)]
