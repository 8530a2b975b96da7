"""Stage 02 as a plain process: what notebook 02 writes, without Jupyter, on one GPU or on several."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from ftlib import rows
from ftlib.core.distributed import group, is_main, launched, log_likelihood_together, wait_for_all
from ftlib.core.sharding import as_split, is_split, require_known_launch
from ftlib.run import Run
from ftlib.stage import Stage
from ftlib.stats import Headline, mean_ci95

STAGE = "02_train"


def train_stage(
    recipe: str | Path,
    run_dir: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    say: Callable[[str], object] = print,
) -> Path:
    """Train by a recipe into a run that holds its data; called again after a kill it goes on.

    Under `accelerate launch` or `torchrun` every process calls this; the first one writes.

    Args:
        recipe, run_dir, overrides: as of `Run.open`. say: is told what happens, in the first process.

    Returns:
        The stage's folder, from which notebooks 03 to 05 go on.

    Raises:
        UserError: recipe, data, model or accumulation do not fit, or the checks before the training say stop.
    """
    require_known_launch()
    if launched() > 1:
        group()  # from here on each process has its own GPU
    run = _opened(recipe, run_dir, overrides)
    if run.is_complete(STAGE):
        if is_main():
            say(f"{STAGE}: complete, its inputs unchanged, skipped")
        return run.path / STAGE
    files = [run.need("01_data/train.jsonl"), run.need("01_data/val.jsonl")]
    stage = run.begin(STAGE, reads=files) if is_main() else None
    path = _told_by_first(str(stage.path) if stage else "")
    headlines, dtype, metrics, best = _train_into(Path(path), run, *map(rows.read, files), say)
    if stage:
        _show(stage, metrics, best)
        for headline in headlines:
            stage.headline(*headline)
        stage.fact("dtype", dtype)
        stage.finish()
    wait_for_all()
    return run.path / STAGE


def _opened(recipe: str | Path, run_dir: str | Path, overrides: Mapping[str, Any] | None) -> Run:
    """The run; only the first process writes into it."""
    run = Run.open(run_dir, recipe, overrides, make=is_main())
    wait_for_all()
    return run


def _told_by_first(text: str) -> str:
    if launched() == 1:
        return text
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([text])[0]


def _train_into(path: Path, run: Run, known: list[rows.Row], val: list[rows.Row], say: Callable[[str], object]):
    """Train; the headlines as notebook 02 computes them, the dtype, where the metrics are, and the best step."""
    from ftlib.core import reading
    from ftlib.core.load import load_base
    from ftlib.core.lora import for_training
    from ftlib.core.loss import computed_in
    from ftlib.core.train import train
    from ftlib.data.prompts import Renderer

    recipe = as_split(run.recipe) if is_split() else run.recipe
    base, tokenizer = load_base(recipe)
    renderer = Renderer.of(recipe, tokenizer)
    examples = [renderer.example(row) for row in val]
    before = None if is_split() else log_likelihood_together(base, tokenizer, examples)
    model = for_training(base, recipe)
    drawn = reading.draw(known, math.ceil(recipe.train.epochs), recipe, renderer)
    _check(model, tokenizer, renderer, known, val, recipe, list(chain.from_iterable(drawn.examples)), say)
    taught, ids = [renderer.example(row) for row in known], [row.id for row in known]
    result = train(model, tokenizer, taught, examples, path, recipe, drawn=drawn.examples, row_ids=ids)
    after = log_likelihood_together(model, tokenizer, examples)
    if before is None:  # the base does not change, and is split only by now: in one piece it may not fit on a GPU
        with model.disable_adapter():
            before = log_likelihood_together(model, tokenizer, examples)
    together = [rows.cluster(row, recipe.data.columns.fact) for row in val]
    dtype = str(computed_in(model)).removeprefix("torch.")
    return _headlines(before, after, together, result, recipe.seed), dtype, result.metrics_path, result.best_step


def _check(model, tokenizer, renderer, known, val, recipe, more, say: Callable[[str], object]) -> None:
    from ftlib.core.preflight import findings_text, preflight, require_sound

    if launched() > 1:
        if is_main():
            say("The checks before a training run in one process: ftlib preflight with the same recipe and run.")
        return
    findings = preflight(model, tokenizer, renderer, known, val, recipe, more=more)
    say(findings_text(findings))
    require_sound(findings)


def _headlines(before, after, together, result, seed: int) -> list[Headline]:
    from ftlib.core.loss import loss_interval

    exact = [float(score.is_greedy) for score in after]
    return [
        Headline.of("val_loss_base", loss_interval(before, clusters=together, seed=seed)),
        Headline.of("val_loss_finetuned", loss_interval(after, clusters=together, seed=seed)),
        Headline.of("val_loss_change", loss_interval(after, minus=before, clusters=together, seed=seed)),
        Headline.of("val_exact_finetuned", mean_ci95(exact, clusters=together, seed=seed)),
        Headline("train_tokens_per_second", result.tokens_per_second),
        Headline("train_peak_memory_bytes", result.peak_memory_bytes),
        Headline("train_seconds", result.seconds),
        Headline("train_tokens", result.tokens),
        Headline("train_steps", result.steps),
        Headline("train_best_step", result.best_step),
    ]


def _show(stage: Stage, metrics: Path, best_step: int) -> None:
    """The report's pictures."""
    from ftlib.core import figures
    from ftlib.core.course import course_figure

    told = {
        "loss": (figures.loss_figure, "Loss per trained token on training and validation rows."),
        "exact": (figures.exact_figure, "Validation answers that greedy decoding writes word for word, over steps."),
        "course": (course_figure, "The course of the training: loss, rate, gradients, speed, memory and load."),
    }
    for name, (draw, caption) in told.items():
        stage.figure(draw(metrics, best_step=best_step), name, caption=caption)
