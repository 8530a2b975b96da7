"""Intervals and paired tests for means of scores, clustered where questions share a fact.

- A mean of scores in 0..1 with some at the ends: Wilson's interval, on the number of independent 0/1 scores that would
  be as sure of it (Korn and Graubard 1998). It keeps its coverage near 0 and 1, where a bootstrap has no width.
- A paired difference with ties: Tango's interval on the win, loss and tie shares that have its first two moments.
- Any other mean, ratio or difference: the bootstrap-t over clusters; of a few batches' means Student's t.
- A paired difference's p-value: sign flips of whole clusters. McNemar's exact test stands beside.

Clusters are drawn and flipped whole: two wordings of one fact are not two independent trials. Limits that the data
say nothing about (one cluster; a measure that is the same everywhere) are infinite, and none are shown.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from ftlib.stats.proportions import effective_n, tango, wilson
from ftlib.stats.resampling import bootstrap_limits, sign_flip_p

SAMPLES = 10_000


class Interval(NamedTuple):
    """A mean with its 95 % confidence limits over `n` items."""

    mean: float
    low: float
    high: float
    n: int


class Headline(NamedTuple):
    """A number for summary.json: its key, value, 95 % limits (None where there are none) and n (None likewise)."""

    key: str
    value: float
    ci95: tuple[float, float] | None = None
    n: int | None = None

    @classmethod
    def of(cls, key: str, measured: Interval | Paired) -> Headline:
        """From a mean or a paired difference; limits that are not known become None."""
        return cls(key, measured[0], known_limits(measured), measured.n)

    @classmethod
    def compared(
        cls, key: str, systems: Mapping[str, Interval], end: str, changes: Mapping[str, Interval | Paired]
    ) -> list[Headline]:
        """`<key>_<system>` of each, then their changes: `<key>_<end>` of a single one, else `<key>_<end>_<system>`."""
        tails = {name: end if len(changes) == 1 else f"{end}_{name}" for name in changes}
        found = [cls.of(f"{key}_{name}", each) for name, each in systems.items()]
        return found + [cls.of(f"{key}_{tails[name]}", each) for name, each in changes.items()]


class Paired(NamedTuple):
    """`mean(a) - mean(b)` on the same items: 95 % limits, two-sided p, wins (a > b), losses."""

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    wins: int
    losses: int


def known_limits(measured: Interval | Paired) -> tuple[float, float] | None:
    """(low, high), or None where the data say nothing about them."""
    known = math.isfinite(measured.low) and math.isfinite(measured.high)
    return (measured.low, measured.high) if known else None


def mean_ci95(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, samples: int = SAMPLES, seed: int = 0
) -> Interval:
    """Mean and 95 % interval: Wilson's for scores in 0..1 that reach an end, the cluster bootstrap-t for others.

    Args:
        values: one score per item, (n,).
        clusters: one key per item, (n,); items with equal keys are dependent. None: all apart.
        samples, seed: of the bootstrap.

    Raises:
        ValueError: if there are no values, one is not finite, or the lengths differ.
    """
    scores = _checked(values, "values")
    sums, sizes = _by_cluster(scores, clusters)
    mean, ends = float(scores.mean()), np.isin(scores, (0.0, 1.0))
    if not (ends.any() and scores.min() >= 0 and scores.max() <= 1):
        return Interval(mean, *bootstrap_limits(sums, sizes, samples, seed), len(scores))
    variance = float(scores.var())
    effective = effective_n(sums, sizes, variance) * (mean * (1 - mean) / variance if variance > 0 else 1.0)
    return Interval(mean, *wilson(min(mean * effective, effective), effective), len(scores))


def few_ci95(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval of a few measurements (n,), each itself a mean over many items (Student's t).

    Too few for a bootstrap, which needs about ten, and near enough to normal not to need one: seconds of batches. Of a
    single one the limits are not known.

    Raises:
        ValueError: if there are no values or one is not finite.
    """
    measured = _checked(values, "values")
    mean, n = float(measured.mean()), len(measured)
    if n == 1:
        return Interval(mean, -math.inf, math.inf, 1)
    reach = float(stdtrit(n - 1, 0.975) * measured.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - reach, mean + reach, n)


def ratio_ci95(
    numerators: Sequence[float],
    denominators: Sequence[float],
    samples: int = SAMPLES,
    seed: int = 0,
    *,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """`sum(numerators) / sum(denominators)` with the limits of a bootstrap-t over clusters.

    For quantities that are summed before they are divided, such as nats per token over documents of unequal length,
    and for means of what has no upper end, such as seconds (every denominator 1).

    Args:
        numerators, denominators: (n,), the latter positive.
        samples, seed, clusters: as of `mean_ci95`.

    Raises:
        ValueError: if there are no values, one is not finite, or the lengths differ.
    """
    above, below = _checked(numerators, "numerators"), _checked(denominators, "denominators")
    if len(above) != len(below) or (below <= 0).any():
        raise ValueError("numerators and positive denominators of one length are needed")
    (sums, _), (sizes, _) = _by_cluster(above, clusters), _by_cluster(below, clusters)
    return Interval(float(above.sum() / below.sum()), *bootstrap_limits(sums, sizes, samples, seed), len(above))


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Paired:
    """Compare two systems on the same items: `mean(a) - mean(b)`.

    Args:
        a, b: scores of the system in question and of the one it is compared with, (n,), in the same order.
        clusters: one key per item, (n,); items with equal keys are dependent. None: all apart.
        samples, seed: of the bootstrap and of the sign patterns.

    Returns:
        Paired: positive where `a` is better; limits from Tango's interval or the bootstrap-t, p from sign flips.

    Raises:
        ValueError: if there are no values, one is not finite, or the lengths differ.
    """
    left, right = _checked(a, "a"), _checked(b, "b")
    if len(left) != len(right):
        raise ValueError(f"a and b must be paired: {len(left)} and {len(right)} values")
    gains = left - right
    sums, sizes = _by_cluster(gains, clusters)
    limits, p_value = _limits(sums, sizes, gains, samples, seed), sign_flip_p(sums, samples, seed)
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    return Paired(float(gains.mean()), *limits, p_value, len(gains), wins, losses)


def flip_test(gains: Sequence[float], clusters: Sequence[Hashable] | None, samples: int, seed: int) -> float:
    """Two-sided p-value of a mean gain (one per item): signs of whole clusters flipped; else as `paired_difference`."""
    return sign_flip_p(_by_cluster(_checked(gains, "gains"), clusters)[0], samples, seed)


def linear(*terms: tuple[float, Interval], plus: float = 0.0) -> Interval:
    """`plus + sum(factor * value)` of numbers that were measured apart, with 95 % limits (MOVER, Zou and Donner 2008).

    Each side's reach is the root of the summed squares of the terms' own reaches to that side, so skewness is kept.

    Args:
        terms: (factor, measured value); they must not share their data. A factor of 0 leaves its term out.
        plus: what is known exactly.

    Returns:
        Interval; `n` is the smallest of the terms' that count, 0 where none does.
    """
    counted = [(factor, each) for factor, each in terms if factor]
    down = [factor * (each.mean - (each.low if factor > 0 else each.high)) for factor, each in counted]
    up = [factor * ((each.high if factor > 0 else each.low) - each.mean) for factor, each in counted]
    total = plus + math.fsum(factor * each.mean for factor, each in counted)
    n = min((each.n for _, each in counted), default=0)
    return Interval(total, total - math.hypot(*down), total + math.hypot(*up), n)


def _checked(values: Sequence[float], name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected one or more finite numbers, got {array.size} values")
    return array


def _by_cluster(values: np.ndarray, clusters: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """Sum and size of each cluster: (clusters,), (clusters,)."""
    if clusters is None:
        return values, np.ones_like(values)
    if len(clusters) != len(values):
        raise ValueError(f"{len(values)} values but {len(clusters)} cluster keys")
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(key, len(numbers)) for key in clusters])
    return np.bincount(index, weights=values), np.bincount(index).astype(np.float64)


def _limits(sums: np.ndarray, sizes: np.ndarray, gains: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """Limits of a mean paired difference: Tango's where some items tie or all are -1, 0, 1, else the bootstrap-t's.

    Gains of other sizes are taken for as many of one size, with as many ties, as have the same mean and the same mean
    square: `size = E[g^2] / E[|g|]`, and `E[|g|] / size` of the items differ. For -1, 0, 1 that is no change.
    """
    if (gains != 0).all() and not (np.abs(gains) == 1).all():
        return bootstrap_limits(sums, sizes, samples, seed)
    typical, square = float(np.abs(gains).mean()), float((gains**2).mean())
    size = square / typical if typical > 0 else 1.0
    differing, net = typical / size, float(gains.mean()) / size
    effective = effective_n(sums, sizes, float(gains.var()))
    wins, losses = (max(0.0, (differing + sign * net) / 2) * effective for sign in (1, -1))
    low, high = tango(wins, losses, effective)
    return low * size, high * size


def as_json(value: Any) -> Any:
    """The same value with named tuples as objects, and infinities and NaN, which JSON cannot hold, as None."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if hasattr(value, "_asdict"):
        return as_json(value._asdict())
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
