"""Intervals and paired tests for means of scores, clustered where questions share a fact.

- A mean of 0/1 scores: Wilson's interval on the effective sample size (Korn and Graubard 1998;
  Dean and Pagano 2015), which keeps its coverage near 0 and 1, where a bootstrap has no width.
- Any other mean, ratio or difference: the cluster bootstrap, percentile limits widened for few
  clusters (Hesterberg 2015, "expanded percentile").
- A paired difference's p-value: sign flips of whole clusters. McNemar's exact test stands beside.

Clusters are drawn and flipped whole: two wordings of one fact are not two independent trials.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr, ndtri, stdtrit

from ftlib.evaluate.resampling import bootstrap_limits, sign_flip_p

SAMPLES = 10_000
_Z95 = float(ndtri(0.975))


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
        return _binary(sums, sizes)
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
        Paired: positive where `a` is better; limits from the cluster bootstrap, p from sign flips.

    Raises:
        ValueError: if there are no values, one is not finite, or the lengths differ.
    """
    left, right = _checked(a, "a"), _checked(b, "b")
    if len(left) != len(right):
        raise ValueError(f"a and b must be paired: {len(left)} and {len(right)} values")
    gains = left - right
    sums, sizes = _by_cluster(gains, clusters)
    if (gains == gains[0]).all():
        low, high = _constant_limits(float(gains[0]), len(sums))
    else:
        low, high = bootstrap_limits(sums, sizes, samples, seed)
    return Paired(
        float(gains.mean()),
        low,
        high,
        sign_flip_p(sums, samples, seed),
        len(gains),
        int((gains > 0).sum()),
        int((gains < 0).sum()),
    )


def wilson(successes: float, n: float, z: float | None = None) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927).

    Args:
        successes: number of successes; a fraction is allowed (effective sample sizes).
        n: number of trials, positive.
        z: normal quantile; None for 95 %.

    Returns:
        (low, high) within 0..1.

    Raises:
        ValueError: if not 0 <= successes <= n, or n is not positive.
    """
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"need 0 <= successes <= n and n > 0, got {successes} of {n}")
    z = _Z95 if z is None else z
    p, square = successes / n, z * z
    center = (p + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * np.sqrt(p * (1 - p) / n + square / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return float(low), float(high)


def mcnemar(a: Sequence[float], b: Sequence[float]) -> float:
    """McNemar's exact test for two systems' 0/1 scores on the same items.

    Of the items that only one system got right, under the null hypothesis each is a fair coin.

    Args:
        a: 0/1 scores, (n,).
        b: 0/1 scores, (n,), in the same order.

    Returns:
        The two-sided p-value; 1.0 where the systems never differ.

    Raises:
        ValueError: if a score is not 0 or 1, or the lengths differ.
    """
    left, right = _checked(a, "a"), _checked(b, "b")
    if len(left) != len(right) or not np.isin([left, right], (0.0, 1.0)).all():
        raise ValueError("McNemar's test needs paired scores that are 0 or 1")
    only_a, only_b = int((left > right).sum()), int((right > left).sum())
    return min(1.0, float(2 * bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def needed_n(difference: float, discordant: float, power: float = 0.8) -> int:
    """Test items needed to detect a paired difference at 5 % (Connor 1987).

    Args:
        difference: true difference of the two accuracies, in 0..1.
        discordant: share of the items on which only one system is right, at least `difference`.
        power: wanted probability of detecting it.

    Returns:
        Number of independent items.

    Raises:
        ValueError: if not 0 < difference <= discordant <= 1.
    """
    if not 0 < difference <= discordant <= 1:
        raise ValueError(f"need 0 < difference <= discordant <= 1, got {difference}, {discordant}")
    alpha, beta = _Z95, float(ndtri(power))
    spread = np.sqrt(discordant - difference**2)
    return int(np.ceil(((alpha * np.sqrt(discordant) + beta * spread) / difference) ** 2))


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


def _binary(sums: np.ndarray, sizes: np.ndarray) -> Interval:
    """Wilson's interval with n divided by the design effect of the clusters."""
    n, count = sizes.sum(), len(sizes)
    p = sums.sum() / n
    if 0 < p < 1 and count > 1:
        residuals = sums - p * sizes
        variance = count / (count - 1) * (residuals**2).sum() / n**2
        design = max(1.0, variance / (p * (1 - p) / n))
        few = _Z95 / stdtrit(count - 1, 0.975)
        effective = n / design * few**2
    else:
        # No spread to estimate the design effect from: count each cluster once.
        effective = float(count)
    low, high = wilson(min(p * effective, effective), effective)
    return Interval(float(p), low, high, int(n))


def _constant_limits(gain: float, count: int) -> tuple[float, float]:
    """Limits where every item differs alike: how many that don't could have stayed unseen?"""
    unseen = wilson(0, count)[1]
    if gain > 0:
        return gain - unseen * gain, gain
    if gain < 0:
        return gain, gain - unseen * gain
    return -unseen, unseen
