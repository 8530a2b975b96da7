"""Stopping a training that has broken: a loss or gradient that is no number, or far above those before it."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import torch

from ftlib.errors import UserError

_REMEMBERED, _NEEDED = 64, 16  # steps that a step is compared with, and how many there must be
_DEVIATIONS, _TIMES = 8.0, 3.0  # robust standard deviations above the median, and multiples of it
_IN_A_ROW = 3  # a single batch may be hard


class ExplosionError(UserError):
    """A training's loss or gradient exploded; what went before is in the last checkpoint."""


class Watched(NamedTuple):
    """One micro-batch's loss, or the gradient's norm of a whole step, not yet brought to the CPU."""

    step: int  # optimizer step that it belongs to, the first is 1
    batch: int | None  # number of the micro-batch in the training; None for the gradient of all of the step's
    value: torch.Tensor

    def rows(self, batches: Iterable[Sequence[int]], accumulation: int, processes: int, place: int) -> list[int]:
        """Indices of the rows that it comes from.

        Args:
            batches: of the whole training. accumulation: micro-batches that a process takes of a step.
            processes, place: how many train together, taking the batches in turn, and which of them this is.
        """
        start, count = (self.step - 1) * accumulation * processes, accumulation * processes
        if self.batch is not None:
            start, count = self.batch * processes + place, 1
        return [row for rows in islice(batches, start, start + count) for row in rows]


class Broken(NamedTuple):
    """The first thing that was wrong."""

    reading: Watched
    value: float
    usual: float | None  # the median of the steps before; None where the value is no finite number


class ExplosionWatch:
    """Collects readings and looks at them, all at once where bringing them over costs time.

    A value that is not finite breaks a training at once. With `sudden` so does one that exceeds the median of
    the last 64 by a factor of 3 and by 8 robust standard deviations (1.4826 times the median absolute deviation),
    three times running.

    Args:
        rule: "off", "not_finite" or "sudden", as the recipe's `train.stop_on_explosion`.
        gradients: False does not look at gradients (float16's are scaled, and overflow now and then on purpose).
    """

    def __init__(self, rule: str, gradients: bool = True):
        self.rule, self.gradients = rule, gradients
        self._waiting: list[Watched] = []
        self._before = {True: deque(maxlen=_REMEMBERED), False: deque(maxlen=_REMEMBERED)}  # losses, gradients
        self._above = {True: 0, False: 0}

    def add(self, step: int, batch: int | None, value: torch.Tensor) -> None:
        """Remember a loss (of a micro-batch) or a gradient's norm (batch None)."""
        if self.rule != "off" and (batch is not None or self.gradients):
            self._waiting.append(Watched(step, batch, value.detach()))

    def look(self) -> Broken | None:
        """The first broken one among those that were added since, or None."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return None
        values = torch.stack([reading.value.float().reshape(()) for reading in waiting]).tolist()
        broken = (self._judge(reading, value) for reading, value in zip(waiting, values, strict=True))
        return next(filter(None, broken), None)

    def _judge(self, reading: Watched, value: float) -> Broken | None:
        if not math.isfinite(value):
            return Broken(reading, value, None)
        is_loss = reading.batch is not None
        before, usual = self._before[is_loss], None
        if self.rule == "sudden" and len(before) >= _NEEDED:
            usual = statistics.median(before)
            spread = 1.4826 * statistics.median(abs(other - usual) for other in before)
            far = value > max(usual + _DEVIATIONS * spread, _TIMES * usual)
            self._above[is_loss] = self._above[is_loss] + 1 if far else 0
        if not self._above[is_loss]:
            before.append(value)
        return Broken(reading, value, usual) if self._above[is_loss] >= _IN_A_ROW else None


def require_finite(loss: float, step: int) -> None:
    """Raises where a validation loss is no number.

    Raises:
        ExplosionError: it is not finite.
    """
    if not math.isfinite(loss):
        fix = "set model.dtype: float32, or lower train.learning_rate; at step 0 the base itself is broken"
        raise ExplosionError.of(f"training, validation at step {step}", "a finite loss", str(loss), fix)


def explosion_error(broken: Broken, rows: list[str], rate: float, checkpoint: str | None) -> ExplosionError:
    """What to tell, and to advise.

    Args:
        broken: from `ExplosionWatch.look`. rows: ids of the rows that were in it. rate: the learning rate of that step.
        checkpoint: name of the last whole checkpoint, if there is one.
    """
    what = "gradient norm" if broken.reading.batch is None else "loss"
    found = f"{what} {broken.value:.4g}" + ("" if broken.usual is None else f", usually {broken.usual:.4g}")
    shown = ", ".join(rows[:20]) + (f" and {len(rows) - 20} more" if len(rows) > 20 else "")
    kept = f"{checkpoint} is whole and is gone on from" if checkpoint else "no checkpoint had been written yet"
    single = "look at this row" if len(rows) == 1 else "look at these rows"
    fix = (
        f"{single} first; if nothing is wrong there, lower train.learning_rate (it was {rate:.3g}), raise "
        f"train.warmup_ratio or set model.dtype: float32; {kept} (train.stop_on_explosion says when to stop)"
    )
    return ExplosionError.of(f"training, step {broken.reading.step}, rows {shown}", f"a steady {what}", found, fix)
