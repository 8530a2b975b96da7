"""Resampling of whole clusters: limits from the bootstrap-t and the sign-flip test."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, ndtr, stdtrit

_CELLS = 4_000_000  # draws held at once: 32 MB an array
_EXACT_CLUSTERS = 12  # up to 2**12 sign patterns are enumerated instead of drawn
_EXACT_TOTAL = 20_000  # whole gains up to this sum in all have a distribution that is computed instead
_NO_SPREAD = 1e-9  # a standard error below this share of the values is rounding
_NOT_KNOWN = 1e6  # a limit so many standard errors away says nothing


def bootstrap_limits(sums: np.ndarray, sizes: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """95 % limits of `r = sum(sums) / sum(sizes)` by resampling clusters: the bootstrap-t (Efron 1981, Hall 1992).

    What is resampled is `(r* - r) / se*` with the standard error of a ratio, so that the limits follow the skewness
    of the data; percentiles of `r*` itself miss the truth far too often on the side of a long tail. The levels are
    widened for few clusters: the normal quantile is replaced by `sqrt(C / (C - 1)) t(0.975, C - 1)` (Hesterberg 2015).

    Args:
        sums: sum of the values in each cluster, (clusters,).
        sizes: weight of each cluster, usually its number of items, (clusters,), positive.
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        (low, high); infinite where the data say nothing about the spread: one cluster, or all alike.
    """
    count = len(sums)
    ratio, error = _ratio_and_error(sums, sizes)
    if count == 1 or error <= _NO_SPREAD * np.abs(sums).sum() / sizes.sum():
        return float("-inf"), float("inf")
    from scipy.stats import bootstrap

    def studentized(sums: np.ndarray, sizes: np.ndarray, axis: int) -> np.ndarray:
        drawn, spread = _ratio_and_error(sums, sizes)
        return (drawn - ratio) / np.maximum(spread, _NO_SPREAD * error)

    quantiles = bootstrap(
        (sums, sizes),
        studentized,
        paired=True,
        vectorized=True,
        n_resamples=samples,
        batch=max(1, _CELLS // count),
        confidence_level=float(1 - 2 * ndtr(-np.sqrt(count / (count - 1)) * stdtrit(count - 1, 0.975))),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = (-np.inf if abs(q) > _NOT_KNOWN else q for q in (-quantiles.high, quantiles.low))
    return float(ratio + low * error), float(ratio - high * error)


def _ratio_and_error(sums: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio of the sums over the last axis and its linearised standard error."""
    count, total = sums.shape[-1], sizes.sum(axis=-1)
    ratio = sums.sum(axis=-1) / total
    residuals = sums - ratio[..., None] * sizes
    return ratio, np.sqrt(count / max(count - 1, 1) * (residuals**2).sum(axis=-1)) / total


def sign_flip_p(sums: np.ndarray, samples: int, seed: int) -> float:
    """Two-sided p-value of the summed gains when each cluster's sign is a fair coin.

    Exact where the sums are multiples of one amount, as those of 0/1 scores are, so that a correction for many
    comparisons can be met however few samples are drawn. Of other sums few patterns are enumerated and many are drawn;
    `scipy.stats.permutation_test` says the same in 25 times the time (12 ms for 100 clusters).

    Args:
        sums: sum of the paired gains in each cluster, (clusters,).
        samples: sign patterns drawn where they are.
        seed: seed of the draws.

    Returns:
        The share of the patterns whose sum is as far from 0 as the observed one; of drawn ones, itself counted.
    """
    moving = sums[sums != 0]
    if len(moving) == 0:
        return 1.0
    whole = np.round(moving / np.abs(moving).min())
    if np.abs(whole).sum() <= _EXACT_TOTAL and np.allclose(whole * np.abs(moving).min(), moving, rtol=1e-9, atol=0):
        return _exact_flip_p(np.abs(whole).astype(int), abs(int(whole.sum())))
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


def _exact_flip_p(sizes: np.ndarray, observed: int) -> float:
    """P(|sum of +-sizes| >= observed): the sizes that come up positive add up to (total + sum) / 2.

    Those of one size are binomial in number; different sizes are convolved.
    """
    chances = np.ones(1)  # of each total of the positive ones
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        ups = np.arange(count + 1)
        alone = np.zeros(size * count + 1)
        alone[::size] = np.exp(gammaln(count + 1) - gammaln(ups + 1) - gammaln(count - ups + 1) - count * np.log(2))
        chances = np.convolve(chances, alone)
    total = len(chances) - 1
    return min(1.0, float(chances[np.abs(2 * np.arange(total + 1) - total) >= observed].sum()))
