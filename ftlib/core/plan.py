"""What a training is going to do, decided before it starts and printed with its reasons."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ftlib import atomic
from ftlib.core.batches import LengthGroupedBatches
from ftlib.core.device import Device
from ftlib.core.lora import fused_adapter, lora_layers
from ftlib.core.loss import computed_in
from ftlib.recipe import Recipe

PLAN_NAME = "plan.json"


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
    compiled: bool = False  # whether the decoder layers run through torch.compile

    @classmethod
    def compiled_in(cls, out_dir: Path) -> bool | None:
        """What the plan that lies in a folder says of `compiled`; None where there is none yet."""
        path = out_dir / PLAN_NAME
        return json.loads(path.read_text(encoding="utf-8"))["compiled"] if path.exists() else None

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
        atomic.write_json(path, self._asdict())


def make_plan(
    model: torch.nn.Module,
    batches: LengthGroupedBatches,
    trained_tokens: int,
    recipe: Recipe,
    machine: Device,
    notes: Sequence[str],
) -> Plan:
    """Put together what the training will do.

    Args:
        model: with its adapter. batches: of the training. trained_tokens: labels in one epoch.
        machine: from `device.describe`. notes: reasons that others have stated (gemm, compile).

    Returns:
        The plan.
    """
    train = recipe.train
    steps_per_epoch = math.ceil(batches.count(1) / train.accumulation)
    trainable, total = count_parameters(model)
    checkpointing, reason = checkpointing_of(model, recipe, machine)
    return Plan(
        device=f"{machine.kind}: {machine.name}, {machine.cores} cores",
        dtype=str(model.dtype).removeprefix("torch."),
        rows=len(batches.rows(0)),
        trained_tokens=trained_tokens,
        batch_rows=train.batch_rows,
        accumulation=train.accumulation,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps(batches, recipe),
        padding=padding_share(batches),
        trainable_parameters=trainable,
        total_parameters=total,
        activation_checkpointing=checkpointing,
        reasons=[_dtype_reason(model, machine, recipe.model.dtype), *notes, _fused_reason(model, recipe), reason],
    )


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Trainable and all parameters; what is stored in 4 bits, two to a byte, counts as what it stands for."""
    if hasattr(model, "get_nb_trainable_parameters"):
        return model.get_nb_trainable_parameters()
    return sum(p.numel() for p in model.parameters() if p.requires_grad), sum(p.numel() for p in model.parameters())


def total_steps(batches: LengthGroupedBatches, recipe: Recipe) -> int:
    """Optimizer steps of the whole training; the last step of an epoch may reach into the next."""
    return max(1, math.ceil(batches.count(recipe.train.epochs) / recipe.train.accumulation))


def padding_share(batches: LengthGroupedBatches) -> float:
    """Share of the first epoch's places that are padding."""
    places = tokens = 0
    for rows in batches.epoch(0):
        widths = [batches.lengths[i] for i in rows]
        places += max(widths) * len(widths)
        tokens += sum(widths)
    return 1 - tokens / places


def checkpointing_of(model: torch.nn.Module, recipe: Recipe, machine: Device) -> tuple[bool, str]:
    """`choose_checkpointing` for a model that is loaded."""
    possible = getattr(model, "supports_gradient_checkpointing", True)
    return choose_checkpointing(recipe.train.activation_checkpointing, count_parameters(model)[1], machine, possible)


def choose_checkpointing(
    wanted: bool | str, parameters: int, machine: Device, possible: bool = True
) -> tuple[bool, str]:
    """Whether to recompute activations in the backward pass, and why.

    Args:
        wanted: by the recipe. parameters: all of the model's. machine: from `device.describe`.
        possible: whether the model's code can do it.

    Returns:
        The choice and its reason.
    """
    if not possible:
        return False, "activation checkpointing: off, this model has none"
    if wanted != "auto":
        return bool(wanted), f"activation checkpointing: {'on' if wanted else 'off'}, set by the recipe"
    if parameters * 16 < machine.memory_bytes:  # a rule of thumb: activations of a batch stay below ~12 bytes a weight
        return False, "activation checkpointing: off, the model is small for this memory"
    return True, "activation checkpointing: on, the model is large for this memory"


def _dtype_reason(model: torch.nn.Module, machine: Device, wanted: str) -> str:
    dtype = str(computed_in(model)).removeprefix("torch.")
    why = "set by the recipe"
    if wanted == "auto":
        why = f"because {machine.name} {'has' if machine.bf16 else 'lacks'} bfloat16 hardware"
    frozen = [p for p in model.parameters() if p.is_floating_point() and not p.requires_grad]
    apart = sum(p.dtype != model.dtype for p in frozen)
    others = f"; {apart} of the base's tensors stay in another, as the model's own code asks" if apart else ""
    return f"dtype: {dtype}, {why}{others}"


def _fused_reason(model: torch.nn.Module, recipe: Recipe) -> str:
    """What will run, looked up in the layers themselves."""
    layers = lora_layers(model)
    if not layers:
        return "adapter: none, all weights of the model are trained"
    fused = sum(fused_adapter(layer) is not None for layer in layers)
    if fused == len(layers):
        return f"adapter: fused with the base's product in all {fused} layers"
    why = "whose base exists in 4 bits only or is no plain linear layer" if recipe.lora.fused else "set by the recipe"
    if not fused:
        return f"adapter: PEFT's own operations in {len(layers)} layers, {why}"
    return f"adapter: fused with the base's product in {fused} of {len(layers)} layers; PEFT's own in those {why}"
