"""How far people agree, beyond chance.

- Cohen's kappa of two raters: 1 - D_o / D_e, with D_o the share of items on which they differ and D_e the share
  expected of two who label at random with these raters' own frequencies (Cohen 1960).
- Krippendorff's alpha, nominal, for any number of raters with gaps, of the same form (Krippendorff 2011).

Limits are those of D_o over D_e: Wilson's, on the number of items at which a proportion would have the jackknife's
variance of the coefficient. Bootstraps, BCa included, cover .4-.8 where raters nearly always agree; these cover
.93-.97, but for coefficients near 0 where a label is rarer than one in ten (`docs/METHODS.md`). Where every label is
the same nobody could have disagreed by chance, and no coefficient is defined: None, never 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

from ftlib.stats.proportions import wilson

LEAST_ITEMS = 30  # fewer items, or fewer labels besides the commonest, have no interval that covers
LEAST_OTHER_LABELS = 15


class Coefficient(NamedTuple):
    """An agreement coefficient with its 95 % limits over `n` items; None where it, or they, are not known."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> Coefficient:
    """Cohen's kappa of two raters, whose labels (n,) of the same items are given in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    if len(a) != len(b):
        raise ValueError(f"both raters must have labelled the same items: {len(a)} and {len(b)} labels")
    firsts, seconds = Counter(a), Counter(b)
    expected = 1 - sum(firsts[label] * seconds[label] for label in firsts) / max(len(a), 1) ** 2
    return _coefficient(list(zip(a, b, strict=True)), _kappa, expected)


def krippendorff_alpha(items: Sequence[Sequence[Hashable]]) -> Coefficient:
    """Krippendorff's alpha for nominal labels, those that each item was given, in any order.

    Items with fewer than two are left out, and `n` counts the others.
    """
    paired = [tuple(sorted(labels, key=repr)) for labels in items if len(labels) >= 2]
    counts = Counter(label for labels in paired for label in labels)
    pairs = counts.total() * (counts.total() - 1)
    expected = 1 - sum(count * (count - 1) for count in counts.values()) / max(pairs, 1)
    return _coefficient(paired, _alpha, expected)


def _kappa(items: Sequence[tuple[Hashable, ...]]) -> float:
    from sklearn.metrics import cohen_kappa_score

    numbers = {label: place for place, label in enumerate(dict.fromkeys(label for each in items for label in each))}
    left, right = np.array([[numbers[label] for label in each] for each in items]).T
    return float(cohen_kappa_score(left, right)) if len(numbers) > 1 else np.nan


def _alpha(items: Sequence[tuple[Hashable, ...]]) -> float:
    from nltk.metrics.agreement import AnnotationTask

    if len({label for each in items for label in each}) < 2:
        return np.nan
    return float(
        AnnotationTask([(rater, n, label) for n, each in enumerate(items) for rater, label in enumerate(each)]).alpha()
    )


def _coefficient(
    items: list[tuple[Hashable, ...]], measure: Callable[[Sequence[tuple[Hashable, ...]]], float], expected: float
) -> Coefficient:
    """The coefficient of all items with its limits; `expected` is the disagreement that chance makes, 0..1."""
    n, labels = len(items), Counter(label for each in items for label in each)
    if len(labels) < 2:
        return Coefficient(None, None, None, n)
    value = measure(items)
    if n < LEAST_ITEMS or labels.total() - max(labels.values()) < LEAST_OTHER_LABELS:
        return Coefficient(value, None, None, n)
    places = {
        each: place for place, each in enumerate(items)
    }  # items with the same labels are left out with one result
    without = {each: measure(items[:place] + items[place + 1 :]) for each, place in places.items()}
    left_out = np.array([without[each] for each in items])
    variance = (n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum())
    observed = min(1.0, max(0.0, (1 - value) * expected))
    spread = observed * (1 - observed) / expected**2
    effective = spread / variance if spread > 0 and variance > 0 else n
    low, high = wilson(observed * effective, effective)
    return Coefficient(value, 1 - high / expected, 1 - low / expected, n)
