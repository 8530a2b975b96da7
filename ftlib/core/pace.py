"""How a training runs: transformers' arguments, and when it logs, evaluates and saves."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainingArguments

from ftlib.core.distributed import decided_by_first


def arguments(out_dir: Path, **given) -> TrainingArguments:
    """TrainingArguments for `TokenTrainer`, which does its own evaluating, saving and showing.

    Args:
        out_dir: of the checkpoints, of which two are kept. given: by transformers' names, what else a training needs.
    """
    args = TrainingArguments(
        output_dir=str(out_dir),
        logging_first_step=True,
        logging_nan_inf_filter=False,  # the filter waits for the device at every step
        save_strategy="no",
        eval_strategy="no",
        save_total_limit=2,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        accelerator_config={"even_batches": False},  # batches differ in size
        ddp_find_unused_parameters=False,
        use_cache=True,  # else Trainer turns the cache off in the model's config, and that is saved with it
        activation_checkpointing_kwargs={"use_reentrant": False},
        **{"report_to": []} | given,
    )
    args._n_gpu = min(args.n_gpu, 1)  # one device: DataParallel would split the label positions
    return args


def without_gain(values: Iterable[float], min_delta: float = 0.0) -> int:
    """How many evaluations in a row, up to the last, brought no new best by more than `min_delta`; lower is better."""
    best, since = math.inf, 0
    for value in values:
        since = 0 if value < best - min_delta else since + 1
        best = min(best, value)
    return since


class Pace(TrainerCallback):
    """When to log, evaluate and save: by steps, by the clock, and once at the end."""

    def __init__(self, eval_every_steps: int, save_every_seconds: float):
        self.eval_every_steps, self.save_every_seconds = eval_every_steps, save_every_seconds
        self.last_save = time.monotonic()

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the clock of the checkpoints."""
        self.last_save = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        """Set the flags that Trainer's loop reads after each step."""
        last = state.global_step >= state.max_steps
        if self.eval_every_steps and (last or state.global_step % self.eval_every_steps == 0):
            control.should_evaluate = True
        if last or control.should_evaluate:
            control.should_log = True  # the losses up to here, before the evaluation's line
        if decided_by_first(last or time.monotonic() - self.last_save >= self.save_every_seconds):
            control.should_save = True
            control.should_log = True  # counts the tokens into the state that is saved
            self.last_save = time.monotonic()

    def on_epoch_end(self, args, state, control, **kwargs):
        """The last step has done all of it; Trainer would do it again."""
        control.should_log = control.should_evaluate = control.should_save = False
