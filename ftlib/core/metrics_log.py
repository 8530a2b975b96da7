"""metrics.jsonl: what a training writes down as it goes, and the clock behind its tokens per second."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ftlib import atomic
from ftlib.core.checkpoints import room_for
from ftlib.core.distributed import is_main, sum_over_all


class MetricsLog:
    """The lines of one training, each with its step, and what of the time between them was spent on training.

    Args:
        path: JSON lines; of several processes that train together the first one writes them.
        at_step: the step that the training is at; asked from any thread.
    """

    def __init__(self, path: str | Path, at_step: Callable[[], int]):
        self.path, self._at_step = Path(path), at_step
        self._writing, self._began = threading.Lock(), False
        self.start_clock()

    # -- lines -----------------------------------------------------------------------------
    def append(self, line: Mapping[str, Any]) -> None:
        """Write a line, from any thread.

        Raises:
            UserError: the disk is full.
        """
        if not is_main():
            return
        line_room = room_for(self.path.parent, 2**20, "line of metrics.jsonl")
        with line_room, self._writing, self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self._at_step(), **line}) + "\n")

    def note(self, line: Mapping[str, Any]) -> None:
        """Append a line that tells of no step; before the first batch a resumed training does not know its own yet."""
        if self._began:
            self.append(line)

    def forget_after(self, step: int) -> None:
        """Drop lines that a training which goes on from this step is going to write again, and a torn one."""
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            kept = [f"{line}\n" for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
            atomic.write_text(self.path, "".join(kept))

    # -- clock -----------------------------------------------------------------------------
    def start_clock(self) -> None:
        """Count tokens and seconds from here."""
        self._tokens: int | torch.Tensor = 0
        self._paused, self._since = 0.0, time.perf_counter()

    def count(self, tokens: torch.Tensor) -> None:
        """Add tokens that were read, a scalar; it stays on its device until the next line."""
        self._tokens, self._began = self._tokens + tokens, True

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside is no training."""
        started = time.perf_counter()
        yield
        self._paused += time.perf_counter() - started

    def lap(self, *, trained: bool) -> tuple[int, dict[str, float]]:
        """What was read since the lap before; all processes have to ask at once.

        Args:
            trained: whether the line tells of training; the time goes on where it does not.

        Returns:
            Tokens of all processes, and for a line that tells of training `tokens_per_second` and `seconds`.
        """
        now, tokens = time.perf_counter(), sum_over_all(int(self._tokens))
        self._tokens = 0
        if not trained:
            return tokens, {}
        seconds = now - self._since - self._paused
        self._paused, self._since = 0.0, now
        return tokens, {"tokens_per_second": tokens / max(seconds, 1e-9), "seconds": seconds}
