"""How fast this machine is at its best: products of matrices, and operations on each number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

SECONDS_OF_TIMING = 0.3
_NUMBERS = 2**22  # of each tensor in the timing of bytes: more than a processor's caches hold


class Speed(NamedTuple):
    """A machine's best; infinite where nobody asks for the time."""

    flops: float = math.inf  # multiplications and additions a second in products of matrices
    bytes: float = math.inf  # read and written a second in all other operations


def measure_speed(dtype: torch.dtype, width: int = 1024, device: str | None = None) -> Speed:
    """The fastest of some short runs of both kinds.

    Args:
        dtype: of the numbers. width: of the larger matrices; they are (1024, width) and (width, width).
        device: "cuda" or "cpu"; None for the GPU where there is one.
    """
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    width = max(64, min(width, 4096))
    a, b = torch.ones(1024, width, dtype=dtype, device=place), torch.ones(width, width, dtype=dtype, device=place)
    x, y = torch.ones(2, _NUMBERS, dtype=dtype, device=place)
    flops, moved = 2 * 1024 * width * width, 3 * x.nbytes  # the sum is written, too
    return Speed(flops / _fastest(lambda: a @ b, place), moved / _fastest(lambda: x + y, place))


def _fastest(compute: Callable[[], torch.Tensor], place: str) -> float:
    """Seconds."""
    fastest, ends = math.inf, time.perf_counter() + SECONDS_OF_TIMING
    while time.perf_counter() < ends or fastest == math.inf:
        started = time.perf_counter()
        compute()
        if place == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - started)
    return fastest
