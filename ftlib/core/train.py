"""Training: an adapter by a recipe, or all parameters on a language-modelling data set."""
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from ftlib.core import device as devices
from ftlib.core.batches import LengthGroupedBatches, PaddingCollator, SequentialBatches
from ftlib.core.compiling import compile_layers, uncompile
from ftlib.core.likelihood import mean_loss
from ftlib.core.optimizer import warmup_cosine, warmup_stable_decay
from ftlib.core.plan import Plan, make_plan
from ftlib.progress import progress
from ftlib.recipe import Recipe, UserError

if TYPE_CHECKING:
    from ftlib.core.trainer import CausalTrainer

LOG_EVERY_STEPS = 10


class TrainResult(NamedTuple):
    """What a fine-tuning came to."""

    adapter_dir: Path
    metrics_path: Path
    plan: Plan
    steps: int  # optimizer steps taken
    tokens: int  # input tokens read, padding not counted
    tokens_per_second: float  # while training: evaluating and saving not counted
    seconds: float  # of training
    base_loss: float  # validation loss per token before the first step
    best_loss: float  # validation loss of the saved adapter
    best_exact: float  # share of validation answers that the saved adapter writes exactly
    best_step: int
    stopped_early: bool
    peak_memory_bytes: int


class PretrainResult(NamedTuple):
    """What a pretraining came to."""

    steps: int
    tokens: int
    metrics_path: Path


def train(model: torch.nn.Module, tokenizer, train_examples: Sequence, val_examples: Sequence, out_dir: str | Path,
          recipe: Recipe, *, interactive: bool = False, on_log: Callable[[dict], None] | None = None) -> TrainResult:
    """Train an adapter; called again after a kill it goes on exactly where the last checkpoint stood.

    Args:
        model: a base with a fresh adapter from `add_lora`.
        tokenizer: for its padding token.
        train_examples: `Example`s (input_ids, labels). val_examples: likewise, never trained on.
        out_dir: gets adapter/, metrics.jsonl, plan.json and checkpoints/.
        recipe: its sections `train` and `lora`, and its seed.
        interactive: a live bar instead of plain lines.
        on_log: called with each line of metrics.jsonl as it is written.

    Returns:
        The result; `model` holds the best adapter by validation (`train.best_by`).

    Raises:
        UserError: no rows, or rows longer than `train.max_length`.
    """
    out_dir = Path(out_dir)
    rows, held_out = _rows(train_examples, recipe, "train"), _rows(val_examples, recipe, "val")
    batches = LengthGroupedBatches([len(row["input_ids"]) for row in rows], recipe.train.batch_rows,
                                   int(-(-recipe.train.epochs // 1)) + 1, recipe.seed)
    machine = devices.describe()
    compiled, compile_note = compile_layers(model, _worth_compiling(recipe, machine), dynamic=True)
    labels = sum(label != -100 for row in rows for label in row["labels"][1:])
    notes = [getattr(model, "gemm_reason", "gemm: as the model was loaded"), compile_note]
    plan = make_plan(model, batches, labels, recipe, machine, notes)
    out_dir.mkdir(parents=True, exist_ok=True)
    plan.save(out_dir / "plan.json")
    print(plan.text())
    with progress(total=plan.total_steps, desc="training", interactive=interactive) as bar:
        trainer = _trainer(model, tokenizer, rows, held_out, batches, out_dir, recipe, plan, _shows(bar, on_log))
        trainer.resume()
    if compiled:
        uncompile(model)
    trainer.load_best()
    model.eval()
    _save_adapter(model, out_dir / "adapter")
    return _result(trainer, plan, out_dir)


def _rows(examples: Sequence, recipe: Recipe, name: str) -> list[dict]:
    """Examples as mappings; all of them must fit."""
    rows = [e if isinstance(e, dict) else {"input_ids": e.input_ids, "labels": e.labels} for e in examples]
    if not rows:
        raise UserError.of(f"{name} rows", "at least one row", "none", "look into 01_data/rejected.jsonl")
    longest, limit = max(len(row["input_ids"]) for row in rows), recipe.train.max_length
    if longest > limit:
        count = sum(len(row["input_ids"]) > limit for row in rows)
        raise UserError.of("train.max_length", f"at least {longest} tokens, the longest {name} row", f"{limit}",
                           f"raise train.max_length, or lower data.max_tokens to reject the {count} longer rows")
    if recipe.train.loss_on == "all":
        rows = [{"input_ids": row["input_ids"], "labels": row["input_ids"]} for row in rows]
    return rows


def _worth_compiling(recipe: Recipe, machine: devices.Device) -> bool | str:
    """On a CPU compiling takes longer than it saves in a training of minutes, so "auto" means the GPU."""
    wanted = recipe.train.compile
    return False if wanted == "auto" and machine.kind == "cpu" else wanted


def _trainer(model, tokenizer, rows, held_out, batches, out_dir: Path, recipe: Recipe, plan: Plan,
             on_log: Callable[[dict], None]) -> CausalTrainer:
    from peft.optimizers import create_loraplus_optimizer

    from ftlib.core.trainer import CausalTrainer, arguments  # transformers' Trainer loads peft and bitsandbytes

    section = recipe.train
    args = arguments(out_dir / "checkpoints", total_steps=plan.total_steps, accumulation=section.accumulation,
                     batch_rows=section.batch_rows, max_grad_norm=section.max_grad_norm,
                     log_every_steps=LOG_EVERY_STEPS, keep=2, seed=recipe.seed, bf16=model.dtype == torch.bfloat16,
                     fp16=model.dtype == torch.float16 and model.device.type == "cuda",  # else gradients underflow
                     activation_checkpointing=plan.activation_checkpointing)
    optimizer = create_loraplus_optimizer(model, torch.optim.AdamW, lr=section.learning_rate,
                                          loraplus_lr_ratio=section.lora_plus_ratio,
                                          loraplus_weight_decay=section.weight_decay, fused=True)
    return CausalTrainer(
        model=model, args=args, train_dataset=rows, data_collator=PaddingCollator(tokenizer.pad_token_id),
        batches=batches, optimizers=(optimizer, schedule(optimizer, recipe, plan.total_steps)),
        metrics_path=out_dir / "metrics.jsonl", save_every_seconds=section.save_every_seconds,
        evaluator=lambda m: mean_loss(m, tokenizer, held_out), eval_every_steps=section.eval_every_steps,
        patience=section.early_stopping_patience, keep_best=True, best_by=section.best_by, on_log=on_log,
        only_labelled_logits=section.logits == "labelled")


def schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The recipe's learning-rate schedule over all `steps`."""
    warmup = round(recipe.train.warmup_ratio * steps)
    factor = {
        "cosine": warmup_cosine(steps, warmup),
        "linear": warmup_stable_decay(steps, warmup, max(1, steps - warmup)),
        "constant": warmup_stable_decay(steps, warmup),
    }[recipe.train.scheduler]
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _shows(bar, on_log: Callable[[dict], None] | None) -> Callable[[dict], None]:
    def show(entry: dict) -> None:
        bar.update(entry["step"] - bar.n)
        values = {k: f"{entry[k]:.3f}" for k in ("loss", "eval_loss") if k in entry}
        bar.set_postfix(values)
        if on_log:
            on_log(entry)
    return show


def _save_adapter(model: torch.nn.Module, adapter_dir: Path) -> None:
    staged = adapter_dir.with_name(adapter_dir.name + ".tmp")
    shutil.rmtree(staged, ignore_errors=True)
    model.save_pretrained(staged, save_embedding_layers=False)
    shutil.rmtree(adapter_dir, ignore_errors=True)
    os.replace(staged, adapter_dir)


def _result(trainer: CausalTrainer, plan: Plan, out_dir: Path) -> TrainResult:
    """Sums over metrics.jsonl, so that a resumed training counts all of it."""
    lines = [json.loads(line) for line in trainer.metrics_path.read_text(encoding="utf-8").splitlines()]
    seconds = sum(line["seconds"] for line in lines if "loss" in line)
    evaluated = {line["step"]: line for line in lines if "eval_loss" in line}
    best = trainer.state.best_global_step
    return TrainResult(
        adapter_dir=out_dir / "adapter", metrics_path=trainer.metrics_path, plan=plan,
        steps=trainer.state.global_step, tokens=trainer.state.num_input_tokens_seen,
        tokens_per_second=trainer.state.num_input_tokens_seen / max(seconds, 1e-9), seconds=seconds,
        base_loss=evaluated[0]["eval_loss"], best_loss=evaluated[best]["eval_loss"],
        best_exact=evaluated[best]["eval_exact"], best_step=best,
        stopped_early=trainer.state.global_step < plan.total_steps, peak_memory_bytes=devices.peak_memory_bytes())


def pretrain(model: torch.nn.Module, dataset, out_dir: str | Path, *, optimizer: torch.optim.Optimizer,
             schedule: Callable[[int], float], batch_rows: int, total_steps: int, accumulation: int = 1,
             max_grad_norm: float = 1.0, save_every_seconds: float = 600, eval_fn: Callable | None = None,
             eval_every_steps: int = 0, log_every_steps: int = 20, pad_token_id: int = 0, seed: int = 0,
             bf16: bool = False, workers: int = 0, compile: bool | str = "auto", only_labelled_logits: bool = True,
             on_log: Callable[[dict], None] | None = None) -> PretrainResult:
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
        compile: True, False or "auto": torch.compile of the decoder layers.
        only_labelled_logits: False computes all logits, as transformers does.
        on_log: called with each logged dict.

    Returns:
        Steps, tokens seen and the path of the metrics; `model` holds the trained weights.

    Raises:
        ValueError: the data set is too short.
    """
    from ftlib.core.trainer import CausalTrainer, arguments

    if len(dataset) < total_steps * accumulation * batch_rows:
        raise ValueError(f"dataset: expected {total_steps * accumulation * batch_rows} items, got {len(dataset)}")
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    args = arguments(out_dir / "checkpoints", total_steps=total_steps, accumulation=accumulation,
                     batch_rows=batch_rows, max_grad_norm=max_grad_norm, log_every_steps=log_every_steps,
                     keep=2, seed=seed, bf16=bf16, workers=workers)
    print(compile_layers(model, compile)[1])
    trainer = CausalTrainer(
        model=model, args=args, train_dataset=dataset, data_collator=PaddingCollator(pad_token_id),
        batches=SequentialBatches(total_steps * accumulation, batch_rows),
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)),
        metrics_path=out_dir / "metrics.jsonl", save_every_seconds=save_every_seconds, evaluator=eval_fn,
        eval_every_steps=eval_every_steps, only_labelled_logits=only_labelled_logits, on_log=on_log)
    trainer.resume()
    uncompile(model)
    return PretrainResult(trainer.state.global_step, trainer.state.num_input_tokens_seen, out_dir / "metrics.jsonl")
