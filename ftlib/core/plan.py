"""What a training is going to do, decided before it starts and printed with its reasons."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ftlib import atomic
from ftlib.core import device as devices
from ftlib.core.batches import IGNORED, LengthGroupedBatches
from ftlib.core.device import Device
from ftlib.core.distributed import decided_by_first, group, launched
from ftlib.core.layout import Layout
from ftlib.core.lora import fused_adapter, lora_layers
from ftlib.core.loss import computed_in
from ftlib.core.memory import TrainingMemory, heap_gaps, needed
from ftlib.recipe import Recipe

PLAN_NAME = "plan.json"
HEADROOM = 0.92  # share of the memory that may be planned: allocators leave gaps


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
    peak_memory_bytes: int | None = None  # the process on a CPU, its tensors on a GPU; None: the model's code hides it

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
    checkpointing: tuple[bool, str],
) -> Plan:
    """Put together what the training will do.

    Args:
        model: with its adapter. batches: of the training. trained_tokens: labels in one epoch.
        machine: from `device.describe`. notes: reasons that others have stated (gemm, compile).
        checkpointing: from `choose_checkpointing`.

    Returns:
        The plan.
    """
    train = recipe.train
    steps_per_epoch = math.ceil(batches.count(1) / train.accumulation)
    trainable, total = count_parameters(model)
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
        activation_checkpointing=checkpointing[0],
        reasons=[
            _dtype_reason(model, machine, recipe.model.dtype),
            *notes,
            _fused_reason(model, recipe),
            checkpointing[1],
        ],
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


class LargestBatch(NamedTuple):
    """The micro-batch that takes most memory."""

    rows: int
    length: int  # tokens of its longest row, those that a decoder writes left out
    labelled: float  # trained tokens over all of its places

    @classmethod
    def of(cls, rows: Sequence[Mapping], batches: Iterable[Sequence[int]], layout: Layout) -> LargestBatch:
        """The one with most places.

        Args:
            rows: from `feed.training_rows`. batches: indices of rows. layout: of the rows in them.
        """
        size = lambda batch: len(batch) * max(len(rows[row]["input_ids"]) for row in batch)
        chosen = [rows[row] for row in max(batches, key=size)]
        count, length = layout.places([len(row["input_ids"]) for row in chosen])
        labels = sum(label != IGNORED for row in chosen for label in row["labels"])
        return cls(count, length, labels / (count * length))


def choose_checkpointing(
    model: torch.nn.Module, recipe: Recipe, largest: LargestBatch, free_bytes: int | None = None
) -> tuple[bool, str]:
    """Whether to recompute activations in the backward pass, and why.

    Asked for "auto", it is whether a step with the largest batch fits into the free memory without.

    Args:
        model: loaded and ready to be trained. recipe: that of the training.
        largest: its micro-batch. free_bytes: beside the loaded model; None for what is free now.

    Returns:
        The choice and its reason.
    """
    wanted = recipe.train.activation_checkpointing
    if not getattr(model, "supports_gradient_checkpointing", True):
        return False, "activation checkpointing: off, this model has none"
    if wanted != "auto":
        return bool(wanted), f"activation checkpointing: {'on' if wanted else 'off'}, set by the recipe"
    free = (devices.available_bytes() if free_bytes is None else free_bytes) // _sharing(model)
    planned = planned_memory(model, recipe, largest, free)
    if planned is None:
        return True, "activation checkpointing: on, because what a step takes without it could not be found"
    on = _decided(not fits(planned.stepping, free))
    taken, there = (f"{size / 2**20:,.0f}" for size in (planned.stepping, free))
    needs = f"{largest.rows} x {largest.length} tokens take {taken} of {there} MiB free"
    return on, f"activation checkpointing: {'on' if on else 'off'}, because without it {needs}"


def fits(taken: int, there: int) -> bool:
    """Whether so many bytes may be planned of those that are there."""
    return taken <= HEADROOM * there


def planned_memory(
    model: torch.nn.Module, recipe: Recipe, largest: LargestBatch, free_bytes: int, checkpointing: bool = False
) -> TrainingMemory | None:
    """What a training takes beside the loaded model, as `memory.needed` finds it.

    Args:
        model, recipe, largest: as of `choose_checkpointing`. free_bytes: beside the loaded model.
        checkpointing: whether activations are recomputed.

    Returns:
        The bytes, of which `stepping` and `added` hold here; None where the model's code needs its weights to run.
    """
    config, dtype = model.config, computed_in(model)
    plain = recipe.train.method == "full" or any(fused_adapter(layer) for layer in lora_layers(model))
    try:
        return needed(
            config,
            recipe,
            dtype=dtype,
            gemm="plain" if plain else "streamed",
            checkpointing=checkpointing,
            **largest._asdict(),
            attention=config._attn_implementation,
            gaps=heap_gaps(),
            evaluated=devices.tokens_of_forward(config, dtype, model.device.type, free_bytes),
        )
    except Exception as error:  # code of any model, on tensors that it was not written for
        logging.getLogger(__name__).warning("the plan of memory was left out: %s: %s", type(error).__name__, error)
        return None


def _decided(flag: bool) -> bool:
    if launched() > 1:
        group()  # all that are asked have come together
    return decided_by_first(flag)


def _sharing(model: torch.nn.Module) -> int:
    """Processes that share the memory: on a CPU all that were launched together."""
    return launched() if model.device.type == "cpu" else 1


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
