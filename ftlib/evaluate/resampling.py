"""Resampling of whole clusters: the bootstrap's limits and the sign-flip test."""

import numpy as np
from scipy.special import ndtr, stdtrit

_CELLS = 4_000_000  # draws held at once: 32 MB an array
_EXACT_CLUSTERS = 12  # up to 2**12 sign patterns are enumerated instead of drawn


def bootstrap_limits(sums: np.ndarray, sizes: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """95 % limits of `sum(sums) / sum(sizes)` by resampling clusters.

    Percentiles of the bootstrap, at levels widened for few clusters: the normal quantile is
    replaced by `sqrt(C / (C - 1)) t(0.975, C - 1)` (Hesterberg 2015, "expanded percentile").

    Args:
        sums: sum of the values in each cluster, (clusters,).
        sizes: weight of each cluster, usually its number of items, (clusters,), positive.
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        (low, high); infinite where one cluster says nothing about the spread.
    """
    count = len(sums)
    if count == 1:
        return float("-inf"), float("inf")
    rng = np.random.default_rng(seed)
    chunk = max(1, min(samples, _CELLS // count))
    ratios = []
    for start in range(0, samples, chunk):
        rows = min(chunk, samples - start)
        drawn = rng.integers(count, size=(rows, count))
        ratios.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    tail = ndtr(-np.sqrt(count / (count - 1)) * stdtrit(count - 1, 0.975))
    low, high = np.quantile(np.concatenate(ratios), [tail, 1 - tail])
    return float(low), float(high)


def sign_flip_p(sums: np.ndarray, samples: int, seed: int) -> float:
    """Two-sided p-value of the summed gains when each cluster's sign is a fair coin.

    Args:
        sums: sum of the paired gains in each cluster, (clusters,).
        samples: sign patterns drawn; with few clusters all patterns are enumerated instead.
        seed: seed of the draws.

    Returns:
        The share of the patterns whose sum is as far from 0 as the observed one, itself counted.
    """
    moving = sums[sums != 0]
    if len(moving) == 0:
        return 1.0
    observed = abs(moving.sum()) - 1e-9 * np.abs(moving).sum()  # ties must count despite rounding
    if len(moving) <= _EXACT_CLUSTERS:
        patterns = np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving)) & 1
        return float((np.abs((1 - 2 * patterns) @ moving) >= observed).mean())
    rng = np.random.default_rng(seed)
    hits, chunk = 0, max(1, min(samples, _CELLS // len(moving)))
    for start in range(0, samples, chunk):
        rows = min(chunk, samples - start)
        signs = 1 - 2 * rng.integers(2, size=(rows, len(moving)), dtype=np.int8)
        hits += int((np.abs(signs @ moving) >= observed).sum())
    return (hits + 1) / (samples + 1)
