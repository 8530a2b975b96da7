"""`ftlib run --seeds N`: several trainings of one recipe, and how far their luck moves the numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def combine(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The headline numbers of several trainings on the same questions, each with an interval over both.

    With k trainings of mean m and standard deviation s, and (low, high) the mean reach of their own intervals, which
    are over questions, the limits are `m - sqrt(low^2 + t^2)` and `m + sqrt(high^2 + t^2)` with
    `t = t(0.975, k - 1) s / sqrt(k)`: the two kinds of luck are independent of each other. Where all their own limits
    lie in 0 to 1 the number is taken for a share, and these do too.

    Args:
        summaries: summary.json of each training, two or more.

    Returns:
        For each number that has an interval in all of them and is not the same in all: `<key>_seeds` (the mean),
        `_seeds_ci95`, `_seeds_n` (trainings) and `_seeds_sd`.

    Raises:
        ValueError: fewer than two summaries.
    """
    if len(summaries) < 2:
        raise ValueError(f"the luck of a training is seen from two on, not from {len(summaries)}")
    found: dict[str, Any] = {}
    for key in summaries[0]:
        if all(_limits(each, key) for each in summaries) and len({each[key] for each in summaries}) > 1:
            found |= _combined(key, summaries)
    return found


def told(numbers: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Some of `combine`'s numbers as text, a line each; `keys` without their ending."""
    lines = []
    for key in keys:
        if f"{key}_seeds" in numbers:
            low, high = numbers[f"{key}_seeds_ci95"]
            spread, n = numbers[f"{key}_seeds_sd"], numbers[f"{key}_seeds_n"]
            lines.append(
                f"  {key:<40} {numbers[f'{key}_seeds']:>8.3f}  [{low:.3f}, {high:.3f}]  sd {spread:.3f}, n={n}"
            )
    return "\n".join(["  Mean of several trainings, 95 % interval over questions and trainings:", *lines])


def _limits(summary: Mapping[str, Any], key: str) -> Sequence[float] | None:
    limits = summary.get(f"{key}_ci95")
    return limits if limits and None not in limits else None


def _combined(key: str, summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from scipy.special import stdtrit

    values, limits = [each[key] for each in summaries], [_limits(each, key) for each in summaries]
    mean, spread, count = statistics.fmean(values), statistics.stdev(values), len(values)
    luck = float(stdtrit(count - 1, 0.975)) * spread / math.sqrt(count)
    below = statistics.fmean(value - low for value, (low, _) in zip(values, limits, strict=True))
    above = statistics.fmean(high - value for value, (_, high) in zip(values, limits, strict=True))
    ends = [mean - math.hypot(below, luck), mean + math.hypot(above, luck)]
    if all(low >= 0 and high <= 1 for low, high in limits):  # a share
        ends = [max(0.0, ends[0]), min(1.0, ends[1])]
    return {f"{key}_seeds": mean, f"{key}_seeds_ci95": ends, f"{key}_seeds_n": count, f"{key}_seeds_sd": spread}
