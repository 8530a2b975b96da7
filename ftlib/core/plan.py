"""What a training is going to do, decided before it starts and printed with its reasons."""
from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ftlib.core.batches import LengthGroupedBatches
from ftlib.core.device import Device
from ftlib.core.lora import is_fused
from ftlib.recipe import Recipe


class Plan(NamedTuple):
    """A training in numbers and choices; `text` is what the notebook shows, plan.json what it keeps."""

    device: str
    dtype: str
    rows: int
    trained_tokens: int  # labelled tokens in one epoch
    batch_rows: int  # rows per micro-batch
    accumulation: int  # micro-batches per step
    steps_per_epoch: int
    total_steps: int
    padding: float  # share of the batches' places that hold padding
    trainable_parameters: int
    total_parameters: int
    activation_checkpointing: bool
    reasons: list[str]

    def text(self) -> str:
        """The plan in a few lines."""
        share = self.trainable_parameters / self.total_parameters
        lines = [
            f"{self.rows:,} rows, {self.trained_tokens:,} trained tokens an epoch; "
            f"{self.total_steps:,} steps of {self.batch_rows} x {self.accumulation} rows, {self.padding:.1%} padding",
            f"{self.trainable_parameters:,} of {self.total_parameters:,} parameters train ({share:.2%})",
        ]
        return "\n".join(lines + self.reasons)

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        path.write_text(json.dumps(self._asdict(), indent=1) + "\n", encoding="utf-8")


def make_plan(model: torch.nn.Module, batches: LengthGroupedBatches, trained_tokens: int, recipe: Recipe,
              machine: Device, notes: Sequence[str]) -> Plan:
    """Put together what the training will do.

    Args:
        model: with its adapter. batches: of the training. trained_tokens: labels in one epoch.
        machine: from `device.describe`. notes: reasons that others have stated (gemm, compile).

    Returns:
        The plan.
    """
    train = recipe.train
    steps_per_epoch = math.ceil(batches.per_epoch / train.accumulation)
    trainable, total = count_parameters(model)
    checkpointing, reason = choose_checkpointing(train.activation_checkpointing, total, machine)
    return Plan(
        device=f"{machine.kind}: {machine.name}, {machine.cores} cores", dtype=str(model.dtype).removeprefix("torch."),
        rows=len(batches.lengths), trained_tokens=trained_tokens, batch_rows=train.batch_rows,
        accumulation=train.accumulation, steps_per_epoch=steps_per_epoch,
        total_steps=total_steps(batches, recipe), padding=padding_share(batches),
        trainable_parameters=trainable, total_parameters=total,
        activation_checkpointing=checkpointing,
        reasons=[_dtype_reason(model, machine, recipe.model.dtype), *notes, _fused_reason(model, recipe), reason])


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Trainable and all parameters; what is stored in 4 bits, two to a byte, counts as what it stands for."""
    if hasattr(model, "get_nb_trainable_parameters"):
        return model.get_nb_trainable_parameters()
    return sum(p.numel() for p in model.parameters() if p.requires_grad), sum(p.numel() for p in model.parameters())


def total_steps(batches: LengthGroupedBatches, recipe: Recipe) -> int:
    """Optimizer steps of the whole training; the last step of an epoch may reach into the next."""
    return max(1, math.ceil(recipe.train.epochs * batches.per_epoch / recipe.train.accumulation))


def padding_share(batches: LengthGroupedBatches) -> float:
    """Share of the first epoch's places that are padding."""
    places = tokens = 0
    for rows in batches.epoch(0):
        widths = [batches.lengths[i] for i in rows]
        places += max(widths) * len(widths)
        tokens += sum(widths)
    return 1 - tokens / places


def choose_checkpointing(wanted: bool | str, parameters: int, machine: Device) -> tuple[bool, str]:
    """Whether to recompute activations in the backward pass, and why."""
    if wanted != "auto":
        return bool(wanted), f"activation checkpointing: {'on' if wanted else 'off'}, set by the recipe"
    if parameters * 16 < machine.memory_bytes:  # a rule of thumb: activations of a batch stay below ~12 bytes a weight
        return False, "activation checkpointing: off, the model is small for this memory"
    return True, "activation checkpointing: on, the model is large for this memory"


def _dtype_reason(model: torch.nn.Module, machine: Device, wanted: str) -> str:
    dtype = str(model.dtype).removeprefix("torch.")
    if wanted != "auto":
        return f"dtype: {dtype}, set by the recipe"
    return f"dtype: {dtype}, because {machine.name} {'has' if machine.bf16 else 'lacks'} bfloat16 hardware"


def _fused_reason(model: torch.nn.Module, recipe: Recipe) -> str:
    if is_fused(model):
        return "adapter: fused with the base's product"
    return "adapter: PEFT's own operations, " + (
        "because the base exists in 4 bits only" if recipe.lora.fused else "set by the recipe")
