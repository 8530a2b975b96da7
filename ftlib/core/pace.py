"""When a training logs, evaluates and saves."""

from __future__ import annotations

import time

from transformers import TrainerCallback


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
        if last or time.monotonic() - self.last_save >= self.save_every_seconds:
            control.should_save = True
            control.should_log = True  # counts the tokens into the state that is saved
            self.last_save = time.monotonic()

    def on_epoch_end(self, args, state, control, **kwargs):
        """The last step has done all of it; Trainer would do it again."""
        control.should_log = control.should_evaluate = control.should_save = False
