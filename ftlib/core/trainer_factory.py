"""A trainer as the recipe describes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ftlib.core.distributed import mean_loss_together, share_of
from ftlib.core.layout import PADDED, Layout
from ftlib.core.loss import computed_in
from ftlib.core.optimizers import make_optimizer, schedule
from ftlib.core.sharding import is_split
from ftlib.recipe import Recipe

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from ftlib.core.trainer import TokenTrainer

LOG_EVERY_STEPS = 10


def make_trainer(
    model: torch.nn.Module,
    tokenizer,
    rows: Sequence[dict],
    held_out: Sequence[dict],
    batches: Sequence[list[int]],
    out_dir: Path,
    recipe: Recipe,
    *,
    layout: Layout = PADDED,
    total_steps: int,
    activation_checkpointing: bool,
    on_log: Callable[[dict], None] | None = None,
    report_to: Sequence[str] = (),
    run_name: str | None = None,
) -> TokenTrainer:
    """The trainer that `train` runs.

    Args:
        model, tokenizer, out_dir, recipe, on_log: as of `train`.
        rows, held_out: from `training_rows`.
        batches: indices of rows, one list a micro-batch. layout: of a batch's rows.
        total_steps: optimizer steps, also of the schedule.
        activation_checkpointing: whether activations are computed again in the backward pass.
        report_to: trackers, inside of `trackers.reporting`. run_name: what they call this training.
    """
    from ftlib.core.sharded_trainer import ShardedTrainer  # transformers' Trainer loads peft and bitsandbytes
    from ftlib.core.trainer import TokenTrainer

    section, kind = recipe.train, ShardedTrainer if is_split() else TokenTrainer
    asked = {"activation_checkpointing": activation_checkpointing, "report_to": list(report_to), "run_name": run_name}
    args = _arguments(model, recipe, out_dir / "checkpoints", max_steps=total_steps, **asked)
    rates = section.model_dump(include={"learning_rate", "lora_plus_ratio", "weight_decay"})
    optimizer = make_optimizer(model, args, section.optimizer, **rates)
    return kind(
        model=model,
        args=args,
        train_dataset=rows,
        data_collator=layout.collator(model, tokenizer),
        batches=batches,
        optimizers=(optimizer, schedule(optimizer, recipe, total_steps)),
        metrics_path=out_dir / "metrics.jsonl",
        save_every_seconds=section.save_every_seconds,
        evaluator=lambda m: mean_loss_together(m, tokenizer, held_out),
        eval_every_steps=section.eval_every_steps,
        patience=section.early_stopping_patience,
        min_delta=section.early_stopping_min_delta,
        keep_best=True,
        best_by=section.best_by,
        on_log=on_log,
        only_labelled_logits=section.logits == "labelled",
        kl_weight=section.replay_kl,
        monitor_every_seconds=section.monitor_every_seconds,
        stop_on_explosion=section.stop_on_explosion,
    )


def _arguments(model: torch.nn.Module, recipe: Recipe, folder: Path, **asked) -> TrainingArguments:
    """transformers' arguments: what the recipe says, and what else is asked for by their names."""
    from ftlib.core.pace import arguments

    section, dtype = recipe.train, computed_in(model)
    return arguments(
        folder,
        gradient_accumulation_steps=share_of(section.accumulation),
        per_device_train_batch_size=section.batch_rows,
        max_grad_norm=section.max_grad_norm,
        logging_steps=LOG_EVERY_STEPS,
        seed=recipe.training_seed,
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16 and model.device.type == "cuda",  # else gradients underflow
        project=recipe.name,
        neftune_noise_alpha=section.neftune_alpha or None,
        **asked,
    )
