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
from ftlib.core.checkpoints import checkpoint_bytes, room_for, save_weights
from ftlib.core.compiling import compile_where_it_pays, uncompile
from ftlib.core.distributed import is_main, launched, wait_for_all
from ftlib.core.feed import make_batches, sample_steps, training_rows
from ftlib.core.layout import Layout, choose_layout
from ftlib.core.loss import has_encoder
from ftlib.core.optimizers import optimizer_note
from ftlib.core.plan import PLAN_NAME, LargestBatch, Plan, choose_checkpointing, make_plan, planned_memory
from ftlib.core.sharding import gathered, is_split
from ftlib.core.trackers import reporting, require_trackers
from ftlib.core.trainer_factory import make_trainer
from ftlib.progress import progress
from ftlib.recipe import Recipe

if TYPE_CHECKING:
    from ftlib.core.trainer import TokenTrainer


_STILL_FALLING = 0.1  # of the validation loss


class TrainResult(NamedTuple):
    """What a fine-tuning came to."""

    adapter_dir: Path  # a PEFT adapter, or with `train.method: full` a whole model
    metrics_path: Path
    plan: Plan
    steps: int  # optimizer steps taken
    tokens: int  # of the rows trained on, padding not counted; a shared beginning counts in each row
    tokens_per_second: float  # while training: evaluating and saving not counted
    seconds: float  # of training
    base_loss: float  # validation loss per token before the first step
    best_loss: float  # validation loss of the saved adapter
    best_exact: float  # share of validation answers that the saved adapter writes exactly
    best_step: int
    stopped_early: bool
    peak_memory_bytes: int
    last_fall: float = 0.0  # share by which validation loss fell from the evaluation before the last

    def ending(self, recipe: Recipe) -> str:
        """Which step was kept, by what, and why the training ended."""
        by = "validation answers written exactly" if recipe.train.best_by == "exact" else "validation loss"
        value = f"{self.best_exact:.3f}" if recipe.train.best_by == "exact" else f"{self.best_loss:.4f}"
        kept = f"kept: step {self.best_step} of {self.plan.total_steps}, by {by} ({value})"
        if not self.stopped_early:
            return kept + self._hint()
        patience, delta = recipe.train.early_stopping_patience, recipe.train.early_stopping_min_delta
        by_more = f" by more than {delta:g}" if delta else ""
        return f"{kept}; stopped at step {self.steps}: {patience} evaluations without a new best{by_more}"

    def _hint(self) -> str:
        if self.last_fall < _STILL_FALLING:
            return ""
        more = "more train.epochs, or a higher rate (ftlib find-lr), may lower it further"
        return f"; the loss fell by {self.last_fall:.0%} since the evaluation before: {more}"


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
    rows = training_rows([*train_examples, *chain.from_iterable(drawn)], recipe, "train", has_encoder(model))
    held_out = training_rows(val_examples, recipe, "val", has_encoder(model))
    for row, row_id in zip(rows, row_ids, strict=False):
        row["id"] = row_id
    an_epoch = len(train_examples) + len(drawn[0] if drawn else ())
    layout = choose_layout(model, tokenizer, rows, recipe, an_epoch)
    batches = _batched(model, rows, [len(train_examples), *map(len, drawn)], layout, recipe)
    plan = _planned(model, tokenizer, rows, batches, layout, out_dir, recipe)
    run_dir, told_to = out_dir.resolve().parent, recipe.train.report_to
    name = f"{run_dir.name}/{out_dir.name.removesuffix('.partial')}"
    choices = {
        "layout": layout,
        "total_steps": plan.total_steps,
        "activation_checkpointing": plan.activation_checkpointing,
    }
    bar = progress(total=plan.total_steps, desc="training", interactive=interactive, stays=True)
    with bar, reporting(told_to, run_dir / "trackers", recipe.name, name):
        given = (model, tokenizer, rows, held_out, batches, out_dir, recipe)
        choices |= {"report_to": told_to, "run_name": name, "on_log": _shows(bar, on_log)}
        trainer = make_trainer(*given, **choices)
        trainer.resume()
    if plan.compiled:
        uncompile(model)
    trainer.load_best()
    model.eval()
    _save_trained(model, tokenizer, out_dir / "adapter")
    result = _result(trainer, plan, out_dir)
    if is_main():
        print(result.ending(recipe))
    return result


def _batched(
    model: torch.nn.Module, rows: Sequence[dict], counts: Sequence[int], layout: Layout, recipe: Recipe
) -> LengthGroupedBatches:
    """The batches of all epochs; `counts` says how many rows belong to all, and then to each single one."""
    lengths = [row_tokens(row, has_encoder(model)) for row in rows]
    parts = [range(start, end) for start, end in pairwise(accumulate(counts))]
    epochs = math.ceil(recipe.train.epochs) + 1
    return make_batches(lengths, recipe, epochs, parts, layout)


def _planned(
    model: torch.nn.Module,
    tokenizer,
    rows: Sequence[dict],
    batches: LengthGroupedBatches,
    layout: Layout,
    out_dir: Path,
    recipe: Recipe,
) -> Plan:
    """Decides what is left to decide, compiles the layers where that pays, writes the plan and prints it."""
    machine = devices.describe()
    tokens = sum(batches.lengths[row] for row in batches.rows(0)) * recipe.train.epochs
    before = Plan.compiled_in(out_dir)
    before = False if launched() > 1 and before is None else before  # timings differ, and all must decide alike
    held, largest = devices.held_bytes(), LargestBatch.of(rows, batches.epoch(0), layout)
    free = devices.available_bytes()
    chosen = choose_checkpointing(model, recipe, largest, free)
    memory = planned_memory(model, recipe, largest, free, chosen[0])  # without checkpointing it is found already
    if chosen[0]:  # before steps are timed, which may not fit without
        model.activation_checkpointing_enable({"use_reentrant": False})
    make_steps = partial(sample_steps, model, tokenizer, rows, batches, layout)
    compiled, compile_note = compile_where_it_pays(model, recipe.train.compile, make_steps, tokens, before)
    first = (rows[number]["labels"][0 if has_encoder(model) else 1 :] for number in batches.rows(0))
    labels = sum(label != IGNORED for labels in first for label in labels)
    loaded = [getattr(model, name, "") for name in ("gemm_reason", "attention_reason")]
    notes = [*loaded, *layout.reasons, compile_note, optimizer_note(recipe.train.optimizer, machine.kind)]
    plan = make_plan(model, batches, labels, recipe, machine, list(filter(None, notes)), chosen)
    peak = None if memory is None else held + memory.added
    plan = plan._replace(compiled=compiled, padding=0.0 if layout.packed else plan.padding, peak_memory_bytes=peak)
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


def _shows(bar, on_log: Callable[[dict], None] | None) -> Callable[[dict], None]:
    def show(entry: dict) -> None:
        if is_main():
            bar.update(entry["step"] - bar.n)
            bar.set_postfix({k: f"{entry[k]:.3f}" for k in ("loss", "eval_loss") if k in entry})
        if on_log:
            on_log(entry)

    return show


def _save_trained(model: torch.nn.Module, tokenizer, adapter_dir: Path) -> None:
    """The adapter alone; a model that was trained as a whole with its tokenizer, to be loaded as any is."""
    tensors = gathered(model) if is_split() else None
    if is_main():
        staged = adapter_dir.with_name(adapter_dir.name + ".tmp")
        shutil.rmtree(staged, ignore_errors=True)
        with room_for(adapter_dir.parent, checkpoint_bytes(model, 0), "adapter"):
            save_weights(model, staged, tensors)
            if not hasattr(model, "peft_config"):
                tokenizer.save_pretrained(staged)
        shutil.rmtree(adapter_dir, ignore_errors=True)
        os.replace(staged, adapter_dir)
    wait_for_all()


def _result(trainer: TokenTrainer, plan: Plan, out_dir: Path) -> TrainResult:
    """Sums over metrics.jsonl, so that a resumed training counts all of it."""
    lines = [json.loads(line) for line in trainer.metrics_log.path.read_text(encoding="utf-8").splitlines()]
    seconds = sum(line["seconds"] for line in lines if "loss" in line)
    evaluated = {line["step"]: line for line in lines if "eval_loss" in line}
    best = trainer.state.best_global_step
    return TrainResult(
        adapter_dir=out_dir / "adapter",
        metrics_path=trainer.metrics_log.path,
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
        last_fall=_last_fall([evaluated[step]["eval_loss"] for step in sorted(evaluated)]),
    )


def _last_fall(losses: Sequence[float]) -> float:
    return 1 - losses[-1] / losses[-2] if len(losses) > 1 and losses[-2] > 0 else 0.0
