"""Training of all parameters on rows that are a pure function of their number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from ftlib.core.batches import PaddingCollator
from ftlib.core.compiling import compile_layers, uncompile
from ftlib.core.pace import arguments
from ftlib.core.trainer import TokenTrainer


class PretrainResult(NamedTuple):
    """What a pretraining came to."""

    steps: int
    tokens: int
    metrics_path: Path


class SequentialBatches:
    """Batch b holds rows b * batch_rows ... (b + 1) * batch_rows - 1: resuming is counting.

    Args:
        batches: number of batches.
        batch_rows: rows in each.
    """

    def __init__(self, batches: int, batch_rows: int):
        self.batches, self.batch_rows = batches, batch_rows

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        for b in range(self.batches):
            yield list(range(b * self.batch_rows, (b + 1) * self.batch_rows))


def warmup_cosine(total_steps: int, warmup_steps: int = 0, floor: float = 0.0) -> Callable[[int], float]:
    """Linear warm-up, then half a cosine down to `floor`; a factor of the learning rate per step."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    return factor


def pretrain(
    model: torch.nn.Module,
    dataset,
    out_dir: str | Path,
    *,
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], float],
    batch_rows: int,
    total_steps: int,
    accumulation: int = 1,
    max_grad_norm: float = 1.0,
    save_every_seconds: float = 600,
    eval_fn: Callable | None = None,
    eval_every_steps: int = 0,
    log_every_steps: int = 20,
    pad_token_id: int = 0,
    seed: int = 0,
    bf16: bool = False,
    workers: int = 0,
    compile: bool = False,
    only_labelled_logits: bool = True,
    on_log: Callable[[dict], None] | None = None,
) -> PretrainResult:
    """Train all parameters; called again after a kill it goes on exactly where the last checkpoint stood.

    Args:
        model: causal language model in float32.
        dataset: map-style; item i is {"input_ids", "labels"} (lists, -100 where nothing is trained) and
            a pure function of i. Needs accumulation * batch_rows * total_steps items.
        out_dir: gets metrics.jsonl and checkpoints/ (two kept, each written aside and renamed).
        optimizer: e.g. `muon_adamw(model)`; its rates are multiplied by `schedule(step)`.
        schedule: factor of the learning rates per step, e.g. `warmup_cosine(total_steps, 100)`.
        batch_rows: rows per micro-batch. accumulation: micro-batches per step.
        total_steps: optimizer steps of the whole training.
        max_grad_norm: the gradient's norm is clipped to this.
        save_every_seconds: time between checkpoints.
        eval_fn: model -> {"name": number}; called in eval mode every `eval_every_steps` steps and at the end.
        log_every_steps: steps per line of metrics.jsonl.
        pad_token_id: fills short rows.
        seed: of dropout and everything else random in the loop.
        bf16: autocast to bfloat16 (only where the hardware has it).
        workers: processes that make the rows.
        compile: torch.compile the decoder layers.
        only_labelled_logits: False computes all logits, as transformers does.
        on_log: called with each logged dict.

    Returns:
        Steps, tokens seen and the path of the metrics; `model` holds the trained weights.

    Raises:
        ValueError: the data set is too short.
    """
    if len(dataset) < total_steps * accumulation * batch_rows:
        raise ValueError(f"dataset: expected {total_steps * accumulation * batch_rows} items, got {len(dataset)}")
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    args = arguments(
        out_dir / "checkpoints",
        max_steps=total_steps,
        gradient_accumulation_steps=accumulation,
        per_device_train_batch_size=batch_rows,
        max_grad_norm=max_grad_norm,
        logging_steps=log_every_steps,
        seed=seed,
        bf16=bf16,
        dataloader_num_workers=workers,
    )
    if compile:
        print(compile_layers(model)[1])
    trainer = TokenTrainer(
        model=model,
        args=args,
        train_dataset=dataset,
        data_collator=PaddingCollator(pad_token_id),
        batches=SequentialBatches(total_steps * accumulation, batch_rows),
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)),
        metrics_path=out_dir / "metrics.jsonl",
        save_every_seconds=save_every_seconds,
        evaluator=eval_fn,
        eval_every_steps=eval_every_steps,
        only_labelled_logits=only_labelled_logits,
        on_log=on_log,
    )
    trainer.resume()
    uncompile(model)
    return PretrainResult(trainer.state.global_step, trainer.state.num_input_tokens_seen, out_dir / "metrics.jsonl")
