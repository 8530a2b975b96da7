"""Training: an adapter by a recipe."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from ftlib.core import device as devices
from ftlib.core.batches import IGNORED, LengthGroupedBatches, row_tokens
from ftlib.core.checkpoints import checkpoint_bytes, room_for
from ftlib.core.compiling import compile_where_it_pays, uncompile
from ftlib.core.distributed import is_main, launched, mean_loss_together, share_of, wait_for_all
from ftlib.core.feed import choose_packing, make_batches, make_collator, sample_steps, training_rows
from ftlib.core.loss import computed_in, has_encoder
from ftlib.core.optimizers import make_optimizer, optimizer_note
from ftlib.core.plan import PLAN_NAME, LargestBatch, Plan, choose_checkpointing, make_plan, planned_memory
from ftlib.core.sharding import gathered, is_split
from ftlib.core.trackers import reporting, require_trackers
from ftlib.progress import progress
from ftlib.recipe import Recipe

if TYPE_CHECKING:
    from ftlib.core.trainer import TokenTrainer

LOG_EVERY_STEPS = 10


class TrainResult(NamedTuple):
    """What a fine-tuning came to."""

    adapter_dir: Path  # a PEFT adapter, or with `train.method: full` a whole model
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

    def ending(self, recipe: Recipe) -> str:
        """Which step was kept, by what, and why the training ended."""
        by = "validation answers written exactly" if recipe.train.best_by == "exact" else "validation loss"
        value = f"{self.best_exact:.3f}" if recipe.train.best_by == "exact" else f"{self.best_loss:.4f}"
        kept = f"kept: step {self.best_step} of {self.plan.total_steps}, by {by} ({value})"
        if not self.stopped_early:
            return kept
        patience, delta = recipe.train.early_stopping_patience, recipe.train.early_stopping_min_delta
        by_more = f" by more than {delta:g}" if delta else ""
        return f"{kept}; stopped at step {self.steps}: {patience} evaluations without a new best{by_more}"


def train(
    model: torch.nn.Module,
    tokenizer,
    train_examples: Sequence,
    val_examples: Sequence,
    out_dir: str | Path,
    recipe: Recipe,
    *,
    drawn: Sequence[Sequence] = (),
    interactive: bool = False,
    on_log: Callable[[dict], None] | None = None,
    row_ids: Sequence[str] = (),
) -> TrainResult:
    """Train an adapter; called again after a kill it goes on exactly where the last checkpoint stood.

    Args:
        model: from `lora.for_training`: a base with a fresh adapter, or one that is trained as a whole.
        tokenizer: for its padding token.
        train_examples: `Example`s (input_ids, labels). val_examples: likewise, never trained on.
        out_dir: gets adapter/, metrics.jsonl, plan.json and checkpoints/.
        recipe: its sections `train` and `lora`, and its training seed.
        drawn: further examples of one epoch each, as many in each, see `ftlib.core.reading`.
        interactive: a live bar instead of plain lines.
        on_log: called with each line of metrics.jsonl as it is written, samples of the hardware left out.
        row_ids: of the training examples, and of the drawn ones after them, for messages; their numbers without.

    Returns:
        The result; `model` holds the best adapter by validation (`train.best_by`).

    Raises:
        UserError: no rows, rows longer than `train.max_length`, a tracker that is not installed; as `ExplosionError`
            a loss or gradient that `train.stop_on_explosion` does not allow.
    """
    require_trackers(recipe.train.report_to)
    out_dir = Path(out_dir)
    both = has_encoder(model)
    rows, held_out = (
        training_rows(examples, recipe, name, both)
        for examples, name in (([*train_examples, *chain.from_iterable(drawn)], "train"), (val_examples, "val"))
    )
    for row, row_id in zip(rows, row_ids, strict=False):
        row["id"] = row_id
    lengths, ends = [row_tokens(row, both) for row in rows], accumulate(map(len, drawn), initial=len(train_examples))
    parts = [range(start, end) for start, end in pairwise(ends)]
    epochs = math.ceil(recipe.train.epochs) + 1
    batches = make_batches(lengths, recipe, epochs, parts, packed=choose_packing(model, recipe.train.packing)[0])
    plan = _planned(model, tokenizer, rows, batches, out_dir, recipe)
    with progress(total=plan.total_steps, desc="training", interactive=interactive, stays=True) as bar:
        choices = {"total_steps": plan.total_steps, "activation_checkpointing": plan.activation_checkpointing}
        given = (model, tokenizer, rows, held_out, batches, out_dir, recipe)
        name = f"{out_dir.resolve().parent.name}/{out_dir.name.removesuffix('.partial')}"
        with reporting(recipe.train.report_to, out_dir.resolve().parent / "trackers", recipe.name, name):
            choices |= {"report_to": recipe.train.report_to, "run_name": name}
            trainer = make_trainer(*given, **choices, on_log=_shows(bar, on_log))
            trainer.resume()
    if plan.compiled:
        uncompile(model)
    trainer.load_best()
    model.eval()
    tensors = gathered(model) if is_split() else None
    if is_main():
        with room_for(out_dir, checkpoint_bytes(model, 0), "adapter"):
            _save_trained(model, tokenizer, out_dir / "adapter", tensors)
    wait_for_all()
    result = _result(trainer, plan, out_dir)
    if is_main():
        print(result.ending(recipe))
    return result


def _planned(
    model: torch.nn.Module,
    tokenizer,
    rows: Sequence[dict],
    batches: LengthGroupedBatches,
    out_dir: Path,
    recipe: Recipe,
) -> Plan:
    """Decides what is left to decide, compiles the layers where that pays, writes the plan and prints it."""
    (packed, packing_note), machine = choose_packing(model, recipe.train.packing), devices.describe()
    tokens = sum(batches.lengths[row] for row in batches.rows(0)) * recipe.train.epochs
    before = Plan.compiled_in(out_dir)
    before = False if launched() > 1 and before is None else before  # timings differ, and all must decide alike
    held, largest = devices.held_bytes(), LargestBatch.of(rows, batches.epoch(0), packed=packed)
    chosen = choose_checkpointing(model, recipe, largest)
    memory = planned_memory(model, recipe, largest, devices.available_bytes(), chosen[0])
    if chosen[0]:  # before steps are timed, which may not fit without
        model.activation_checkpointing_enable({"use_reentrant": False})
    make_steps = partial(sample_steps, model, tokenizer, rows, batches, packed=packed)
    compiled, compile_note = compile_where_it_pays(model, recipe.train.compile, make_steps, tokens, before)
    first = (rows[number]["labels"][0 if has_encoder(model) else 1 :] for number in batches.rows(0))
    labels = sum(label != IGNORED for labels in first for label in labels)
    loaded = [getattr(model, name, "") for name in ("gemm_reason", "attention_reason")]
    notes = [*loaded, packing_note, compile_note, optimizer_note(recipe.train.optimizer, machine.kind)]
    plan = make_plan(model, batches, labels, recipe, machine, list(filter(None, notes)), chosen)
    peak = None if memory is None else held + memory.added
    plan = plan._replace(compiled=compiled, padding=0.0 if packed else plan.padding, peak_memory_bytes=peak)
    out_dir.mkdir(parents=True, exist_ok=True)
    if is_main():
        plan.save(out_dir / PLAN_NAME)
        print("\n".join([plan.text(), *_sharing()]))
    return plan


def _sharing() -> list[str]:
    if is_split():
        what = "weights streamed, the adapter PEFT's own, nothing compiled, whatever the recipe says"
        return [f"{launched()} processes share the model and the batches of a step: {what}"]
    return [f"{launched()} processes share the batches of a step"] if launched() > 1 else []


def make_trainer(
    model: torch.nn.Module,
    tokenizer,
    rows: Sequence[dict],
    held_out: Sequence[dict],
    batches: Sequence[list[int]],
    out_dir: Path,
    recipe: Recipe,
    *,
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
        batches: indices of rows, one list a micro-batch.
        total_steps: optimizer steps, also of the schedule.
        activation_checkpointing: whether activations are computed again in the backward pass.
        report_to: trackers, inside of `trackers.reporting`. run_name: what they call this training.
    """
    from ftlib.core.pace import arguments
    from ftlib.core.sharded_trainer import ShardedTrainer  # transformers' Trainer loads peft and bitsandbytes
    from ftlib.core.trainer import TokenTrainer

    trainer = ShardedTrainer if is_split() else TokenTrainer
    section = recipe.train
    args = arguments(
        out_dir / "checkpoints",
        total_steps=total_steps,
        accumulation=share_of(section.accumulation),
        batch_rows=section.batch_rows,
        max_grad_norm=section.max_grad_norm,
        log_every_steps=LOG_EVERY_STEPS,
        keep=2,
        seed=recipe.training_seed,
        bf16=computed_in(model) == torch.bfloat16,
        fp16=computed_in(model) == torch.float16 and model.device.type == "cuda",  # else gradients underflow
        activation_checkpointing=activation_checkpointing,
        report_to=report_to,
        run_name=run_name,
        project=recipe.name,
        neftune_alpha=section.neftune_alpha,
    )
    rates = section.model_dump(include={"learning_rate", "lora_plus_ratio", "weight_decay"})
    optimizer = make_optimizer(model, args, section.optimizer, **rates)
    return trainer(
        model=model,
        args=args,
        train_dataset=rows,
        data_collator=make_collator(model, tokenizer, choose_packing(model, section.packing)[0]),
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


def schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The recipe's learning-rate schedule over all `steps`: transformers', begun one step later.

    Its warm-up starts at a rate of 0, with which the first step would teach nothing.
    """
    from transformers import get_scheduler

    name = "constant_with_warmup" if recipe.train.scheduler == "constant" else recipe.train.scheduler
    warmup = round(recipe.train.warmup_ratio * steps)
    (factor,) = set(get_scheduler(name, optimizer, warmup + 1, steps + 1).lr_lambdas)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step + 1))


def _shows(bar, on_log: Callable[[dict], None] | None) -> Callable[[dict], None]:
    def show(entry: dict) -> None:
        if is_main():
            bar.update(entry["step"] - bar.n)
            bar.set_postfix({k: f"{entry[k]:.3f}" for k in ("loss", "eval_loss") if k in entry})
        if on_log:
            on_log(entry)

    return show


def _save_trained(model: torch.nn.Module, tokenizer, adapter_dir: Path, tensors: dict | None) -> None:
    """The adapter as PEFT writes it; a model that was trained as a whole with its tokenizer, to be loaded as any is.

    Args:
        tensors: what was trained, where the model itself is split; else None.
    """
    staged = adapter_dir.with_name(adapter_dir.name + ".tmp")
    shutil.rmtree(staged, ignore_errors=True)
    if hasattr(model, "peft_config"):
        model.save_pretrained(staged, save_embedding_layers=False, state_dict=tensors)
    else:
        model.save_pretrained(staged)
        tokenizer.save_pretrained(staged)
    shutil.rmtree(adapter_dir, ignore_errors=True)
    os.replace(staged, adapter_dir)


def _result(trainer: TokenTrainer, plan: Plan, out_dir: Path) -> TrainResult:
    """Sums over metrics.jsonl, so that a resumed training counts all of it."""
    lines = [json.loads(line) for line in trainer.metrics_path.read_text(encoding="utf-8").splitlines()]
    seconds = sum(line["seconds"] for line in lines if "loss" in line)
    evaluated = {line["step"]: line for line in lines if "eval_loss" in line}
    best = trainer.state.best_global_step
    return TrainResult(
        adapter_dir=out_dir / "adapter",
        metrics_path=trainer.metrics_path,
        plan=plan,
        steps=trainer.state.global_step,
        tokens=trainer.state.num_input_tokens_seen,
        tokens_per_second=trainer.state.num_input_tokens_seen / max(seconds, 1e-9),
        seconds=seconds,
        base_loss=evaluated[0]["eval_loss"],
        best_loss=evaluated[best]["eval_loss"],
        best_exact=evaluated[best]["eval_exact"],
        best_step=best,
        stopped_early=trainer.state.global_step < plan.total_steps,
        peak_memory_bytes=devices.peak_device_bytes(),
    )
