"""Checks of what would end a training late: memory that is too small, and a checkpoint that does not go on."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from ftlib.core.batches import batches_that_fit, row_tokens
from ftlib.core.device import available_bytes, tokens_that_fit
from ftlib.core.loss import has_encoder
from ftlib.core.optimizers import trainable
from ftlib.core.preflight.case import PreflightCase, PreflightFinding, unchanged
from ftlib.core.preflight.steps import longest_rows, tolerance, trainer_for
from ftlib.core.train import training_rows

_SECONDS_BETWEEN_LOOKS = 0.002
_RESUMED_ROWS = 4


def memory(case: PreflightCase) -> PreflightFinding:
    """The longest batch, forward, backward, step and evaluation, fits into memory."""
    from accelerate.utils.memory import should_reduce_batch_size

    both = has_encoder(case.model)
    rows, held_out = longest_rows(case), training_rows(_one_evaluation(case), case.recipe, "val", both)
    free, fits, needed = available_bytes(), len(rows), 0
    if case.model.device.type == "cpu":  # nothing is raised there: the system ends the process
        one = _needed(case, rows[:1], rows[:1])
        fits = min(fits, int(free // max(one, 1)))
    while fits:
        try:
            needed = _needed(case, rows[:fits], held_out)
            break
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            fits //= 2
        torch.cuda.empty_cache()
    tokens = row_tokens(rows[0], both)
    numbers = {"rows": len(rows), "fit": fits, "tokens": tokens, "bytes": needed, "free_bytes": free}
    told = f"{len(rows)} rows of up to {tokens} tokens and an evaluation: "
    if fits == len(rows):
        told += f"{needed / 2**20:,.0f} MiB more, {free / 2**20:,.0f} MiB free"
        return PreflightFinding("memory", True, told, numbers)
    told += f"{fits} rows fit into {free / 2**20:,.0f} MiB"
    half = max(1, fits)
    advice = f"set train.batch_rows: {half} and train.accumulation: {-(-len(rows) // half)} times what it is"
    return PreflightFinding("memory", False, told, numbers, advice + ("" if fits else ", or lower data.max_tokens"))


def resume(case: PreflightCase) -> PreflightFinding:
    """One step, save, load, one step give the adapter that two steps give."""
    few = case.few(2 * min(_RESUMED_ROWS, case.recipe.train.batch_rows))
    rows = training_rows(few, case.recipe, "train", has_encoder(case.model))
    middle = max(1, len(rows) // 2)
    batches = [list(range(middle)), list(range(middle, len(rows))) or [0]]
    settings = {"total_steps": 2, "accumulation": 1, "save_every_seconds": 1e-9, "eval_every_steps": 2}
    with tempfile.TemporaryDirectory() as folder:
        with unchanged(case.model):
            trainer_for(case, rows, batches, Path(folder), **settings).train()
            straight = _values(case.model)
        shutil.rmtree(Path(folder) / "checkpoints" / "checkpoint-2")
        with unchanged(case.model):
            trainer_for(case, rows, batches, Path(folder), **settings).resume()
            resumed = _values(case.model)
    apart = ((straight - resumed).norm() / straight.norm()).item()
    allowed = 0.0 if case.model.device.type == "cpu" else tolerance(case)
    told = f"the adapter after 1 + 1 steps differs from that after 2 by {apart:.1e} (relative, at most {allowed:g})"
    advice = "something that the training goes by is not in the checkpoint: do not rely on resuming a killed run"
    return PreflightFinding("resume", apart <= allowed, told, {"apart": apart, "allowed": allowed}, advice)


def _one_evaluation(case: PreflightCase) -> list:
    """The largest batch that evaluating makes of the validation rows."""
    lengths = [row_tokens(each, has_encoder(case.model)) for each in case.held_out]
    return [case.held_out[number] for number in batches_that_fit(lengths, tokens_that_fit(case.model))[0]]


def _needed(case: PreflightCase, rows: Sequence[dict], held_out: Sequence[dict]) -> int:
    """Bytes that one step of the real trainer on these rows and one evaluation take beside what is there already."""
    with tempfile.TemporaryDirectory() as folder, unchanged(case.model), _watched(case.model) as seen:
        settings = {"accumulation": 1, "held_out": held_out, "eval_every_steps": 1}
        trainer_for(case, rows, [list(range(len(rows)))], Path(folder), **settings).train()
    return seen["most"] - seen["before"]


@contextmanager
def _watched(model: torch.nn.Module) -> Iterator[dict[str, int]]:
    """The memory held `before` and at `most`, on the device that holds the model."""
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        seen = {"before": torch.cuda.memory_allocated(), "most": 0}
        yield seen
        seen["most"] = torch.cuda.max_memory_allocated()
        return
    import psutil

    process, done = psutil.Process(), threading.Event()
    seen = dict.fromkeys(("before", "most"), process.memory_info().rss)

    def look() -> None:
        while not done.is_set():
            seen["most"] = max(seen["most"], process.memory_info().rss)
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _values(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().float().cpu() for parameter in trainable(model).values()])
