"""One training step, computed in several ways, and how far apart two of them may be."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ftlib.core.batches import IGNORED, ids_and_labels, on_device, row_tokens
from ftlib.core.layout import PADDED, Layout
from ftlib.core.loss import autocast, computed_in, has_encoder, summed_loss
from ftlib.core.optimizers import trainable
from ftlib.core.plan import LargestBatch, choose_checkpointing
from ftlib.core.preflight.case import PreflightCase, PreflightFinding
from ftlib.core.quantize import linear_8bit
from ftlib.core.shared_beginning import shared_attention
from ftlib.core.train import make_trainer, training_rows

_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.03, torch.float16: 5e-3}  # relative, of a norm
_DEPTH = 4  # layers for which the 16-bit ones hold; rounding adds up like a random walk over more of them
_ROWS = 4


class Step(NamedTuple):
    """What one optimizer step goes by."""

    loss: float  # nats per labelled token
    gradients: dict[str, torch.Tensor]  # by parameter, as far as there are any


def tolerance(case: PreflightCase) -> float:
    """How far two ways to compute the same may be apart, relative to its norm, in the model's dtype and depth."""
    dtype = torch.bfloat16 if linear_8bit(case.model) else computed_in(case.model)  # 8 bits round by the whole batch
    layers = case.model.config.get_text_config(decoder=True).num_hidden_layers
    return _TOLERANCE[dtype] * (1.0 if dtype == torch.float32 else max(1.0, layers / _DEPTH) ** 0.5)


def trainer_for(case: PreflightCase, rows: Sequence[dict], batches: Sequence[list[int]], folder: Path, **settings):
    """The real trainer over some rows; it is given what the training would be given.

    Args:
        rows: from `training_rows`. batches: indices of rows, one list a micro-batch. folder: for what it writes.
        settings: fields of the recipe's section `train`, beside `total_steps` (1 where it is not given) and
            `held_out` (rows to evaluate on; the first row where it is not given).
    """
    steps, held_out = settings.pop("total_steps", 1), settings.pop("held_out", rows[:1])
    recipe = case.recipe.model_copy(update={"train": case.recipe.train.model_copy(update=settings)})
    longest = longest_rows(case)  # by which the training decides, too
    again, _ = choose_checkpointing(case.model, recipe, LargestBatch.of(longest, [range(len(longest))], case.layout))
    given = (case.model, case.tokenizer, rows, held_out, batches, folder, recipe)
    return make_trainer(*given, layout=case.layout, total_steps=steps, activation_checkpointing=again)


def first_step(case: PreflightCase, rows: Sequence[dict], batches: Sequence[list[int]]) -> Step:
    """The first step of the real trainer, all batches accumulated; the adapter is stepped back."""
    values = {name: parameter.detach().clone() for name, parameter in trainable(case.model).items()}
    caught: dict[str, torch.Tensor] = {}
    losses: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = {"accumulation": len(batches), "max_grad_norm": 1e30, "neftune_alpha": 0.0}
        trainer = trainer_for(case, rows, batches, Path(folder), **settings)
        trainer.optimizer.register_step_pre_hook(lambda *_: caught.update(_gradients(case.model)))
        trainer.on_log = lambda entry: losses.append(entry["loss"]) if "loss" in entry else None
        trainer.train()
    with torch.no_grad():
        for name, parameter in trainable(case.model).items():
            parameter.copy_(values[name])
    return Step(losses[0], caught)


def computed_step(case: PreflightCase, rows: Sequence[dict], all_logits: bool = False, layout: Layout = PADDED) -> Step:
    """Loss and gradients of one batch, without a trainer."""
    case.model.train()
    case.model.zero_grad()
    collate = layout.collator(case.model, case.tokenizer)
    batch = on_device(collate(rows), case.model.device)
    with shared_attention(case.model, batch):
        with autocast(case.model):
            loss = summed_loss(case.model, batch, masked=all_logits, all_logits=all_logits)
        loss = loss / count_labels(case, rows)
        loss.backward()
    return Step(loss.item(), _gradients(case.model))


def _gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {name: parameter.grad for name, parameter in trainable(model).items() if parameter.grad is not None}
    return {name: gradient.detach().float().clone() for name, gradient in found.items()}


def compare_steps(case: PreflightCase, name: str, what: str, one: Step, other: Step, advice: str) -> PreflightFinding:
    """Whether two ways to compute a step agree: the loss, and all gradients as one vector."""
    a, b = (torch.cat([gradient.flatten() for gradient in step.gradients.values()]) for step in (one, other))
    loss = abs(one.loss - other.loss) / max(abs(one.loss), 1e-12)
    apart = ((a - b).norm() / a.norm()).item() if a.shape == b.shape else float("inf")
    allowed = tolerance(case)
    ok = loss <= allowed and apart <= allowed  # False with NaN, too
    told = f"{what}: loss differs by {loss:.1e}, gradients by {apart:.1e} (relative, at most {allowed:.2g})"
    return PreflightFinding(name, ok, told, {"loss": loss, "gradients": apart, "allowed": allowed}, advice)


def few_rows(case: PreflightCase, most: int = _ROWS) -> list[dict]:
    """Up to so many training rows, short and long ones, at most as many as a batch has."""
    few = case.few(min(most, max(2, case.recipe.train.batch_rows)))
    return training_rows(few, case.recipe, "train", has_encoder(case.model))


def longest_rows(case: PreflightCase) -> list[dict]:
    """A batch of the longest rows, the longest first."""
    both = has_encoder(case.model)
    ordered = sorted([*case.examples, *case.more], key=lambda each: -row_tokens(each, both))
    return training_rows(ordered[: case.recipe.train.batch_rows], case.recipe, "train", both)


def padded_batch(case: PreflightCase, rows: Sequence[dict]) -> dict[str, torch.Tensor]:
    """The rows as the trainer's collator pads them, on the model's device."""
    return on_device(PADDED.collator(case.model, case.tokenizer)(rows), case.model.device)


def count_labels(case: PreflightCase, rows: Sequence[dict]) -> int:
    """How many tokens of the rows are trained."""
    first = 0 if has_encoder(case.model) else 1
    return sum(label != IGNORED for row in rows for label in ids_and_labels(row)[1][first:])
