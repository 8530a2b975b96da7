"""The learning-rate finder (Smith 2017, arXiv 1506.01186): one short training whose rate grows at every step."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from ftlib.core.batches import on_device, row_tokens
from ftlib.core.feed import make_batches, training_rows
from ftlib.core.layout import Layout, choose_layout
from ftlib.core.loss import autocast, has_encoder, summed_loss
from ftlib.core.plan import LargestBatch, choose_checkpointing
from ftlib.core.preflight.case import unchanged
from ftlib.core.trainer_factory import make_trainer
from ftlib.errors import UserError
from ftlib.progress import progress
from ftlib.recipe import Recipe

if TYPE_CHECKING:
    from ftlib.core.trainer import TokenTrainer

_FEWEST_STEPS = 20
_SMOOTHED_OVER = 25  # the width of the smoothing is the ramp's length over this
_DIVERGED, _COMPARED = 3.0, 10  # times the lowest mean loss of so many steps


class RateFinding(NamedTuple):
    """A ramp of learning rates and what it came to."""

    rates: list[float]  # of each step taken
    losses: list[float]  # of each step's batch, nats per labelled token, by how much it is a harder one left out
    smoothed: list[float]
    suggestion: float | None  # None where the loss did not fall by more than its noise
    reason: str


def find_rate(
    model: torch.nn.Module,
    tokenizer,
    train_examples: Sequence,
    recipe: Recipe,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 120,
    interactive: bool = False,
) -> RateFinding:
    """Train a few steps while the rate grows from `low` to `high` by the same factor each; then undo all of it.

    It is the recipe's own trainer: its batches, optimizer, accumulation and clipping. The ramp ends early where the
    mean loss of ten steps has grown to three times its lowest. Batches of long rows and of short ones may differ by
    more than training moves them, so of each batch's loss what it was before the ramp is taken off. Model, adapter and
    the state of the random numbers are afterwards what they were before, bit for bit, and nothing is written.

    Args:
        model: with a fresh adapter. tokenizer, train_examples, recipe: as of `train`.
        low, high: rates per step, 0 < low < high. steps: optimizer steps of the whole ramp, 20 or more.
        interactive: a live bar instead of plain lines.

    Raises:
        UserError: no rows or too long ones, or a ramp that is none.
    """
    if not 0 < low < high or steps < _FEWEST_STEPS:
        found = f"{low:g} to {high:g} in {steps} steps"
        expected = f"0 < low < high and {_FEWEST_STEPS} or more steps"
        raise UserError.of("learning-rate finder", expected, found, "set other values")
    rows, both = training_rows(train_examples, recipe, "train", has_encoder(model)), has_encoder(model)
    lengths, section = [row_tokens(row, both) for row in rows], recipe.train
    layout = choose_layout(model, tokenizer, rows, recipe)
    an_epoch = make_batches(lengths, recipe, 1, (), layout).count(1)
    epochs = math.ceil(steps * section.accumulation / an_epoch)
    batches = make_batches(lengths, recipe, epochs, (), layout)
    rates = [low * (high / low) ** (step / (steps - 1)) for step in range(steps)]
    bar = progress(total=steps, desc="rates", interactive=interactive)
    with tempfile.TemporaryDirectory() as folder, bar, unchanged(model):
        trainer = _trainer(model, tokenizer, rows, batches, Path(folder), recipe, layout, steps)
        untrained = _untrained(model, trainer, list(batches)[: steps * section.accumulation], section.accumulation)
        losses = _ramp(trainer, [rate / section.learning_rate for rate in rates], untrained, bar.update)
    smoothed = _smoothed(losses, steps / _SMOOTHED_OVER)
    rates = rates[: len(losses)]
    return RateFinding(rates, losses, smoothed, *suggest(rates, losses, smoothed))


def suggest(rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float]) -> tuple[float | None, str]:
    """The rate at which the smoothed loss falls fastest (per factor of ten), and why, or why there is none.

    Args:
        rates: growing. losses: at each of them. smoothed: the same without most of their noise.
    """
    import numpy as np

    if len(losses) < 3:
        return None, "no suggestion: the loss is no finite number at the lowest rates already"
    curve, at = np.asarray(smoothed), int(np.argmin(smoothed))
    fall, noise = float(curve[0] - curve[at]), float(np.std(np.asarray(losses)[: at + 1] - curve[: at + 1]))
    if at < 2 or fall <= 2 * noise:
        why = f"the loss fell by {max(fall, 0.0):.2g} nats, which its batches' noise ({noise:.2g}) explains"
        return None, f"no suggestion: {why}; take more steps, larger batches or a wider ramp"
    slopes = np.gradient(curve[: at + 1], np.log10(np.asarray(rates[: at + 1])))
    best = int(np.argmin(slopes))
    reason = (
        f"{rates[best]:.2g}: there the smoothed loss falls fastest ({-slopes[best]:.2g} nats per factor of ten); it is "
        f"lowest at {rates[at]:.2g} and above that it "
        + ("rises" if at < len(curve) - 1 else "was not tried: raise the end of the ramp")
    )
    return float(rates[best]), reason


def _trainer(model, tokenizer, rows, batches, folder: Path, recipe: Recipe, layout: Layout, steps: int) -> TokenTrainer:
    """The recipe's trainer without its evaluations, samples, checkpoints and stops."""
    from ftlib.core.pace import Pace

    settings = {"monitor_every_seconds": 0.0, "stop_on_explosion": "off"}
    plain = recipe.model_copy(update={"train": recipe.train.model_copy(update=settings)})
    again, _ = choose_checkpointing(model, recipe, LargestBatch.of(rows, batches.epoch(0), layout))
    given = (model, tokenizer, rows, rows[:1], batches, folder, plain)
    trainer = make_trainer(*given, layout=layout, total_steps=steps, activation_checkpointing=again)
    trainer.remove_callback(Pace)  # nothing is evaluated or saved
    trainer.args.logging_steps = 1
    return trainer


@torch.no_grad()
def _untrained(model, trainer: TokenTrainer, batches: Sequence[list[int]], accumulation: int) -> list[float]:
    """Each step's loss before any training, nats per labelled token."""
    sums, counts = [0.0] * (len(batches) // accumulation), [0] * (len(batches) // accumulation)
    model.eval()
    for number, rows in enumerate(batches):
        batch = on_device(trainer.data_collator([trainer.train_dataset[row] for row in rows]), model.device)
        with autocast(model):
            sums[number // accumulation] += summed_loss(model, batch).item()
        counts[number // accumulation] += len(batch["targets"])
    return [total / max(1, count) for total, count in zip(sums, counts, strict=True)]


def _ramp(
    trainer: TokenTrainer, factors: Sequence[float], untrained: Sequence[float], tick: Callable[[], object]
) -> list[float]:
    """Losses of the steps; `factors` are times the optimizer's own rates, so that groups keep their ratios."""
    usual = sum(untrained) / len(untrained)
    losses: list[float] = []
    means: list[float] = []  # of the last few batches: single ones may differ by more than a divergence

    def look(entry: dict) -> None:
        if "loss" not in entry:
            return
        tick()
        losses.append(usual + entry["loss"] - untrained[len(losses)])
        means.append(sum(losses[-_COMPARED:]) / len(losses[-_COMPARED:]))
        if not math.isfinite(means[-1]) or (len(means) > _COMPARED and means[-1] > _DIVERGED * min(means[_COMPARED:])):
            trainer.control.should_training_stop = True

    trainer.on_log = look
    schedule = torch.optim.lr_scheduler.LambdaLR
    trainer.lr_scheduler = schedule(trainer.optimizer, lambda step: factors[min(step, len(factors) - 1)])
    trainer.train()
    return [loss for loss in losses if math.isfinite(loss)]


def _smoothed(losses: Sequence[float], width: float) -> list[float]:
    """A Gaussian over neighbouring steps (`width` of them): unlike a running mean it does not lag behind."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(losses, width, mode="nearest").tolist() if losses else []
