"""Counts of right answers: Wilson's and Tango's score intervals, McNemar's test, and how many items a claim needs."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

K = TypeVar("K", bound=Hashable)
Z95 = float(ndtri(0.975))


def wilson(successes: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927).

    Args:
        successes: number of successes; a fraction is allowed (effective sample sizes).
        n: number of trials, positive.
        z: normal quantile; 1.96 for 95 %.

    Returns:
        (low, high) within 0..1.

    Raises:
        ValueError: if not 0 <= successes <= n, or n is not positive.
    """
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"need 0 <= successes <= n and n > 0, got {successes} of {n}")
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, n, 2 * ndtr(-z), method="wilson")
    return (0.0 if successes == 0 else float(max(0.0, low))), (1.0 if successes == n else float(min(1.0, high)))


def tango(wins: float, losses: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Tango's score interval of the difference of two paired proportions (Tango 1998).

    The limits are the differences D at which `(wins - losses - n D)^2 = z^2 n (2 q + D (1 - D))`, with q the most
    likely share of losses if D were true.

    Args:
        wins: items that only the first system got right; a fraction is allowed (effective sample sizes).
        losses: items that only the second got right.
        n: all items, positive.
        z: normal quantile; 1.96 for 95 %.

    Returns:
        (low, high) within -1..1; not a point even where no item differs.

    Raises:
        ValueError: if the counts are negative or more than n.
    """
    if not (n > 0 and wins >= 0 and losses >= 0 and wins + losses <= n * (1 + 1e-9)):
        raise ValueError(f"need wins + losses <= n and n > 0, got {wins} + {losses} of {n}")
    low = -_upper_limit(losses, wins, n, z)
    return low, _upper_limit(wins, losses, n, z)


def effective_n(sums: np.ndarray, sizes: np.ndarray, item_variance: float) -> float:
    """How many independent items clustered ones are worth (Korn and Graubard 1998).

    `n / deff * (z / t)^2`, with `deff` the cluster-robust variance of the mean over `item_variance / n`, at least 1,
    and `t` Student's quantile with clusters - 1 degrees of freedom.

    Args:
        sums: sum of the values in each cluster, (clusters,).
        sizes: items in each cluster, (clusters,).
        item_variance: variance of one item's value; 0 where all are equal.

    Returns:
        The effective n; the number of clusters where there is no spread to estimate from.
    """
    n, count = float(sizes.sum()), len(sizes)
    if item_variance <= 0 or count < 2:
        return float(count)
    residuals = sums - sums.sum() / n * sizes
    variance = count / (count - 1) * float((residuals**2).sum()) / n**2
    design = max(1.0, variance / (item_variance / n))
    return n / design * float(Z95 / stdtrit(count - 1, 0.975)) ** 2


def mcnemar(a: Sequence[float], b: Sequence[float]) -> float:
    """McNemar's exact test for two systems' 0/1 scores on the same items, (n,) in the same order.

    Of the items that only one system got right, under the null hypothesis each is a fair coin. Returns the two-sided
    p-value; 1.0 where the systems never differ.

    Raises:
        ValueError: if a score is not 0 or 1, or the lengths differ.
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape or not np.isin([left, right], (0.0, 1.0)).all():
        raise ValueError("McNemar's test needs paired scores that are 0 or 1")
    only_a, only_b = int((left > right).sum()), int((right > left).sum())
    if only_a + only_b == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue)


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """Holm's step-down correction (1979) for several tests at once: test -> corrected p, in the order given."""
    if not p_values:
        return {}
    from statsmodels.stats.multitest import multipletests

    return dict(zip(p_values, map(float, multipletests(list(p_values.values()), method="holm")[1]), strict=True))


def needed_n(difference: float, discordant: float, power: float = 0.8) -> int:
    """Number of independent test items needed to detect a paired difference at 5 % (Connor 1987).

    Args:
        difference: true difference of the two accuracies, in 0..1.
        discordant: share of the items on which only one system is right, at least `difference`.
        power: wanted probability of detecting it.

    Raises:
        ValueError: if not 0 < difference <= discordant <= 1.
    """
    if not 0 < difference <= discordant <= 1:
        raise ValueError(f"need 0 < difference <= discordant <= 1, got {difference}, {discordant}")
    spread = np.sqrt(discordant - difference**2)
    return int(np.ceil(((Z95 * np.sqrt(discordant) + float(ndtri(power)) * spread) / difference) ** 2))


def _upper_limit(wins: float, losses: float, n: float, z: float) -> float:
    """The largest difference that a score test at z does not reject, by bisection."""
    low, high = (wins - losses) / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        q = _likeliest_losses(wins, losses, n, middle)
        variance = max(0.0, n * (2 * q + middle * (1 - middle)))
        if (wins - losses - n * middle) ** 2 > z * z * variance:
            high = middle
        else:
            low = middle
    return high


def _likeliest_losses(wins: float, losses: float, n: float, difference: float) -> float:
    """Maximum likelihood share of losses given the true difference: the larger root of 2n q^2 + B q + C."""
    b = -wins - losses + (2 * n - wins + losses) * difference
    c = -losses * difference * (1 - difference)
    return (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
