"""Intervals and paired tests for means of scores, clustered where questions share a fact.

- A mean of 0/1 scores: Wilson's interval, a paired difference of 0/1 scores: Tango's, both on the effective sample
  size (Korn and Graubard 1998). They keep their coverage near 0 and 1, where a bootstrap has no width.
- Any other mean, ratio or difference: the cluster bootstrap, percentile limits widened for few clusters.
- A paired difference's p-value: sign flips of whole clusters. McNemar's exact test stands beside.

Clusters are drawn and flipped whole: two wordings of one fact are not two independent trials.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from ftlib.evaluate.proportions import effective_n, mcnemar, needed_n, tango, wilson
from ftlib.evaluate.resampling import bootstrap_limits, sign_flip_p

__all__ = ["Interval", "Paired", "mcnemar", "mean_ci95", "needed_n", "paired_difference", "ratio_ci95", "wilson"]

SAMPLES = 10_000


class Interval(NamedTuple):
    """A mean with its 95 % confidence limits over `n` items."""

    mean: float
    low: float
    high: float
    n: int


class Paired(NamedTuple):
    """`mean(a) - mean(b)` on the same items: 95 % limits, two-sided p, wins (a > b), losses."""

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    wins: int
    losses: int


def mean_ci95(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean and 95 % interval; for 0/1 values Wilson's, otherwise the cluster bootstrap.

    Args:
        values: one score per item, (n,).
        clusters: one key per item, (n,); items with equal keys are dependent. None: all apart.
        samples: bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        Interval with `n` items.

    Raises:
        ValueError: if there are no values, one is not finite, or the lengths differ.
    """
    scores = _checked(values, "values")
    sums, sizes = _by_cluster(scores, clusters)
    if np.isin(scores, (0.0, 1.0)).all():
        p = float(scores.mean())
        effective = effective_n(sums, sizes, p * (1 - p))
        return Interval(p, *wilson(min(p * effective, effective), effective), len(scores))
    low, high = bootstrap_limits(sums, sizes, samples, seed)
    return Interval(float(scores.mean()), low, high, len(scores))


def ratio_ci95(
    numerators: Sequence[float],
    denominators: Sequence[float],
    samples: int = SAMPLES,
    seed: int = 0,
) -> Interval:
    """`sum(numerators) / sum(denominators)` with a bootstrap interval over the items.

    For quantities that are summed before they are divided, such as nats per token over documents
    of unequal length.

    Args:
        numerators: (n,).
        denominators: (n,), positive.
        samples: bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        Interval with `n` items.

    Raises:
        ValueError: if there are no values, one is not finite, or the lengths differ.
    """
    above, below = _checked(numerators, "numerators"), _checked(denominators, "denominators")
    if len(above) != len(below) or (below <= 0).any():
        raise ValueError("numerators and positive denominators of one length are needed")
    low, high = bootstrap_limits(above, below, samples, seed)
    return Interval(float(above.sum() / below.sum()), low, high, len(above))


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Paired:
    """Compare two systems on the same items: `mean(a) - mean(b)`.

    Args:
        a: scores of the system in question, (n,).
        b: scores of the one it is compared with, (n,), in the same order.
        clusters: one key per item, (n,); items with equal keys are dependent. None: all apart.
        samples: bootstrap samples and sign patterns.
        seed: seed of both.

    Returns:
        Paired: positive where `a` is better; limits from Tango's interval or the bootstrap, p from sign flips.

    Raises:
        ValueError: if there are no values, one is not finite, or the lengths differ.
    """
    left, right = _checked(a, "a"), _checked(b, "b")
    if len(left) != len(right):
        raise ValueError(f"a and b must be paired: {len(left)} and {len(right)} values")
    gains = left - right
    sums, sizes = _by_cluster(gains, clusters)
    low, high = _limits(sums, sizes, gains, samples, seed)
    return Paired(
        float(gains.mean()),
        low,
        high,
        sign_flip_p(sums, samples, seed),
        len(gains),
        int((gains > 0).sum()),
        int((gains < 0).sum()),
    )


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
    """Limits of a mean paired difference: Tango's for -1, 0, 1, the bootstrap's for anything else."""
    constant = bool((gains == gains[0]).all())
    if not constant and not np.isin(gains, (-1.0, 0.0, 1.0)).all():
        return bootstrap_limits(sums, sizes, samples, seed)
    # A difference that is the same everywhere has no bootstrap width; it is scaled from that of 0/1 scores.
    scale = (abs(float(gains[0])) or 1.0) if constant else 1.0
    effective = effective_n(sums, sizes, float(gains.var()))
    wins, losses = (float((gains * sign > 0).mean()) * effective for sign in (1, -1))
    low, high = tango(wins, losses, effective)
    return low * scale, high * scale
