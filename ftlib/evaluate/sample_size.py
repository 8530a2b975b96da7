"""How much a test set of n questions can tell: what would smaller ones, drawn from this one, have said?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from ftlib.stats import paired_difference


class SizeRow(NamedTuple):
    """What test sets of about `n` items say about a paired difference.

    `half_width` is the median half width of the 95 % interval, `detected` the share of the draws whose interval
    leaves out 0, `covered` the share whose interval holds the difference of the whole test set. The draws come from
    one finite test set, so `covered` rises to 1 as n nears its size.
    """

    n: int
    clusters: int
    half_width: float
    detected: float
    covered: float


def by_size(
    after: Sequence[float],
    before: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    steps: int = 7,
    draws: int = 60,
    samples: int = 300,
    seed: int = 0,
) -> list[SizeRow]:
    """Draw smaller test sets, whole clusters at a time, and measure the paired difference on each, smallest first.

    Args:
        after, before, clusters: scores and one key per item, (n,), as of `paired_difference`.
        steps: how many sizes, spaced evenly on a logarithmic scale up to all clusters.
        draws: test sets per size.
        samples: bootstrap samples per test set.
        seed: seed of the draws.

    Raises:
        ValueError: fewer than 5 clusters, from which nothing can be drawn.
    """
    members: dict[Hashable, list[int]] = {}
    for place, key in enumerate(clusters):
        members.setdefault(key, []).append(place)
    groups = list(members.values())
    if len(groups) < 5:
        raise ValueError(f"expected 5 or more clusters to draw from, got {len(groups)}")
    a, b = np.asarray(after, dtype=np.float64), np.asarray(before, dtype=np.float64)
    whole = float((a - b).mean())
    rng = np.random.default_rng(seed)
    rows = []
    for size in np.unique(np.geomspace(5, len(groups), steps).astype(int)):
        found = []
        for _ in range(draws):
            parts = [groups[i] for i in rng.choice(len(groups), size, replace=False)]
            places = [place for part in parts for place in part]
            keys = [number for number, part in enumerate(parts) for _ in part]
            found.append(paired_difference(a[places], b[places], keys, samples, int(rng.integers(2**31))))
        rows.append(_row(found, int(size), whole))
    return rows


def _row(found: list, size: int, whole: float) -> SizeRow:
    return SizeRow(
        n=round(float(np.mean([p.n for p in found]))),
        clusters=size,
        half_width=float(np.median([(p.high - p.low) / 2 for p in found])),
        detected=float(np.mean([p.low > 0 or p.high < 0 for p in found])),
        covered=float(np.mean([p.low <= whole <= p.high for p in found])),
    )
