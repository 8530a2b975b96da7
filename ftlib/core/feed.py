"""What a training is fed: examples as the trainer reads them, their batches, and how a batch is laid out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from ftlib.core.batches import LengthGroupedBatches, ids_and_labels, is_towards_base, on_device, row_tokens
from ftlib.core.layout import Layout
from ftlib.core.loss import autocast, summed_loss
from ftlib.core.packing import BestFitBatches
from ftlib.core.shared_beginning import shared_attention
from ftlib.errors import UserError
from ftlib.recipe import Recipe


def training_rows(examples: Sequence, recipe: Recipe, name: str, encoder_decoder: bool) -> list[dict]:
    """Examples as the trainer reads them: mappings, with labels as `train.loss_on` says.

    Args:
        examples: `Example`s and others of their kind. recipe: its section `train`.
        name: of the rows, for errors. encoder_decoder: whether the model has an encoder.

    Raises:
        UserError: there is none, one is longer than `train.max_length`, or `train.loss_on` does not fit the model.
    """
    names = ("input_ids", "labels", "towards_base")
    rows = [dict(zip(names, (*ids_and_labels(each), is_towards_base(each)), strict=True)) for each in examples]
    if not rows:
        raise UserError.of(f"{name} rows", "at least one row", "none", "look into 01_data/rejected.jsonl")
    lengths, limit = [max(map(len, ids_and_labels(row))) for row in rows], recipe.train.max_length
    if max(lengths) > limit:
        count = sum(length > limit for length in lengths)
        raise UserError.of(
            "train.max_length",
            f"at least {max(lengths)} tokens, the longest {name} row",
            f"{limit}",
            f"raise train.max_length, or lower data.max_tokens to reject the {count} longer rows",
        )
    if recipe.train.loss_on == "answers":
        return rows
    if encoder_decoder:
        raise UserError.of(
            "train.loss_on",
            "answers: an encoder-decoder writes nothing else",
            repr(recipe.train.loss_on),
            "leave train.loss_on out",
        )
    return [row | {"labels": row["input_ids"]} for row in rows]


def make_batches(
    lengths: Sequence[int], recipe: Recipe, epochs: int, drawn: Sequence[Sequence[int]], layout: Layout
) -> LengthGroupedBatches:
    """The batches of all epochs, as the recipe's section `train` says.

    Args:
        lengths: tokens of each row. recipe: its batch sizes and training seed. epochs: how many are needed at most.
        drawn: rows (their indices) that come up in one epoch only. layout: from `layout.choose_layout`.
    """
    section = recipe.train
    if layout.packed and section.batch_tokens:
        return BestFitBatches(lengths, section.batch_tokens, epochs, recipe.training_seed, drawn=drawn)
    return LengthGroupedBatches(lengths, section.batch_rows, epochs, recipe.training_seed, drawn=drawn)


def sample_steps(
    model: torch.nn.Module,
    tokenizer,
    rows: Sequence[dict],
    batches: LengthGroupedBatches,
    layout: Layout,
    count: int = 3,
) -> list[Callable[[], int]]:
    """Forward and backward of some batches, from few places to many, for a timing.

    Args:
        model, tokenizer: as of `train`. rows: from `training_rows`. batches: of the training.
        layout: of a batch's rows. count: how many.

    Returns:
        Functions that add a batch's gradients to the model's and say how many tokens the batch had.
    """
    collate = layout.collator(model, tokenizer)
    ordered = sorted(batches.epoch(0), key=lambda each: len(each) * max(row_tokens(rows[row]) for row in each))
    chosen = [ordered[(2 * number + 1) * len(ordered) // (2 * count)] for number in range(count)]
    made = [on_device(collate([rows[row] for row in each]), model.device) for each in chosen]

    def step(batch: dict[str, torch.Tensor]) -> int:
        with shared_attention(model, batch):
            with autocast(model):
                loss = summed_loss(model, batch) / max(1, len(batch["targets"]))
            loss.backward()
        return int(batch["attention_mask"].sum())

    return [partial(step, batch) for batch in made]
