"""How far reviewers agree, beyond chance, and what their ratings say.

- Cohen's kappa for two raters: (p_o - p_e) / (1 - p_e) (Cohen 1960).
- Krippendorff's alpha, nominal, for any number of raters with gaps: 1 - D_o / D_e (Krippendorff 2011).
Intervals are percentile bootstraps over items. Where every label is the same, chance agreement is 1 and neither
coefficient is defined: they are then None, never 1.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ftlib.evaluate.stats import Interval, mean_ci95
from ftlib.review.store import Rating, Shown

SAMPLES = 2000


class Coefficient(NamedTuple):
    """An agreement coefficient with its 95 % limits over ``n`` items; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable], *, samples: int = SAMPLES, seed: int = 0) -> Coefficient:
    """Cohen's kappa of two raters who labelled the same items.

    Args:
        a: labels of the first rater, (n,).
        b: labels of the second, (n,), in the same order.
        samples: bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        Coefficient over the n items.

    Raises:
        ValueError: the lengths differ.
    """
    if len(a) != len(b):
        raise ValueError(f"both raters must have labelled the same items: {len(a)} and {len(b)} labels")
    left, right = _one_hot(a, b)

    def kappa(weights: np.ndarray) -> np.ndarray:  # (B, n) -> (B,)
        total = weights.sum(axis=1)
        observed = weights @ (left * right).sum(axis=1) / total
        chance = ((weights @ left) * (weights @ right)).sum(axis=1) / total**2
        return _beyond_chance(1 - observed, 1 - chance)

    return _with_interval(kappa, len(a), samples, seed)


def krippendorff_alpha(items: Sequence[Sequence[Hashable]], *, samples: int = SAMPLES, seed: int = 0) -> Coefficient:
    """Krippendorff's alpha for nominal labels.

    Args:
        items: for each item the labels it was given, in any order; items with fewer than two are left out.
        samples: bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        Coefficient; ``n`` counts the items with two labels or more.
    """
    paired = [labels for labels in items if len(labels) >= 2]
    names = {label: place for place, label in enumerate(dict.fromkeys(itertools.chain(*paired)))}
    counts = np.zeros((len(paired), len(names)))  # (items, labels)
    for row, labels in zip(counts, paired, strict=True):
        for label in labels:
            row[names[label]] += 1
    size = counts.sum(axis=1)
    disagreeing = (size**2 - (counts**2).sum(axis=1)) / np.maximum(size - 1, 1)

    def alpha(weights: np.ndarray) -> np.ndarray:  # (B, items) -> (B,)
        total, by_label = weights @ size, weights @ counts
        expected = (total**2 - (by_label**2).sum(axis=1)) / np.maximum(total - 1, 1)
        return _beyond_chance(weights @ disagreeing, expected)

    return _with_interval(alpha, len(paired), samples, seed)


def _one_hot(*columns: Sequence[Hashable]) -> list[np.ndarray]:
    names = {label: place for place, label in enumerate(dict.fromkeys(itertools.chain(*columns)))}
    return [np.eye(len(names))[np.array([names[label] for label in column], dtype=int)] for column in columns]


def _beyond_chance(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """1 - observed / expected disagreement; NaN where chance alone cannot disagree."""
    defined = expected > 1e-12
    return np.where(defined, 1 - observed / np.where(defined, expected, 1.0), np.nan)


def _with_interval(coefficient: Callable[[np.ndarray], np.ndarray], n: int, samples: int, seed: int) -> Coefficient:
    if n == 0:
        return Coefficient(None, None, None, 0)
    value = float(coefficient(np.ones((1, n)))[0])
    if np.isnan(value):
        return Coefficient(None, None, None, n)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=samples).astype(float)
    drawn = coefficient(weights)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Coefficient(value, float(low), float(high), n)


def report(ratings: Sequence[Rating], automatic: Mapping[tuple[str, str], str]) -> dict:
    """Everything that goes into agreement.json.

    Args:
        ratings: what counts now (``store.current(...).values()``).
        automatic: (item, arm) -> category that the rules gave, "acceptable" where the metric found no error.

    Returns:
        Counts, alpha of the verdicts over all reviewers, kappa of each pair of reviewers, and people's categories
        against the rules'. "unsure" counts as no label.
    """
    decided = [rating for rating in ratings if rating.verdict != "unsure"]
    by_item = defaultdict(dict)
    for rating in decided:
        by_item[(rating.item, rating.version)][rating.reviewer] = rating.verdict
    return {
        "ratings": len(ratings),
        "items": len({rating.item for rating in ratings}),
        "reviewers": sorted({rating.reviewer for rating in ratings}),
        "unsure": len(ratings) - len(decided),
        "verdicts": dict(sorted(Counter(rating.verdict for rating in ratings).items())),
        "verdict_alpha": krippendorff_alpha([tuple(one.values()) for one in by_item.values()])._asdict(),
        "verdict_kappa_by_pair": _pairs(by_item),
        "categories": _categories(ratings, automatic),
    }


def _pairs(by_item: Mapping[tuple[str, str], Mapping[str, str]]) -> list[dict]:
    reviewers = sorted({reviewer for one in by_item.values() for reviewer in one})
    pairs = []
    for first, second in itertools.combinations(reviewers, 2):
        both = [(one[first], one[second]) for one in by_item.values() if first in one and second in one]
        if both:
            pairs.append({"reviewers": [first, second], **cohen_kappa(*zip(*both, strict=True))._asdict()})
    return pairs


def _categories(ratings: Sequence[Rating], automatic: Mapping[tuple[str, str], str]) -> dict:
    people, rules, clusters = [], [], []
    for rating in ratings:
        for arm, said in (("base", rating.category_base), ("finetuned", rating.category_finetuned)):
            if said and (rating.item, arm) in automatic:
                people.append(said)
                rules.append(automatic[(rating.item, arm)])
                clusters.append(rating.item)
    if not people:
        return {"n": 0, "agreement": None, "kappa": None}
    same = mean_ci95([float(a == b) for a, b in zip(people, rules, strict=True)], clusters)
    differing = Counter((a, b) for a, b in zip(people, rules, strict=True) if a != b)
    return {
        "n": len(people),
        "agreement": same._asdict(),
        "kappa": cohen_kappa(people, rules)._asdict(),
        "disagreements": [{"people": a, "rules": b, "count": n} for (a, b), n in differing.most_common()],
    }


def preferred(ratings: Sequence[Rating]) -> Interval | None:
    """How often reviewers who prefer one answer prefer the fine-tuned one; None where nobody prefers any.

    Args:
        ratings: what counts now; "both_right", "both_wrong" and "unsure" are no preference and left out.

    Returns:
        Interval over the preferring ratings, ratings of one question clustered.
    """
    chosen = [rating for rating in ratings if rating.verdict in ("base", "finetuned")]
    if not chosen:
        return None
    return mean_ci95([float(rating.verdict == "finetuned") for rating in chosen], [rating.item for rating in chosen])


def preferences(ratings: Sequence[Rating], shown: Mapping[str, Shown]) -> list[dict]:
    """Pairs of a chosen and a rejected answer, for preference training.

    Args:
        ratings: what counts now.
        shown: version -> the texts that were rated.

    Returns:
        One row ``{"id", "version", "question", "context", "chosen", "rejected", "chosen_arm", "votes_for",
        "votes_against"}`` for each item where more reviewers prefer one answer than the other and the two differ.
    """
    votes: dict[str, Counter] = defaultdict(Counter)
    for rating in ratings:
        if rating.verdict in ("base", "finetuned"):
            votes[rating.version][rating.verdict] += 1
    pairs = []
    for version, count in sorted(votes.items(), key=lambda item: (shown[item[0]].item, item[0])):
        texts = shown[version]
        if count["base"] == count["finetuned"] or texts.base == texts.finetuned:
            continue
        chosen, rejected = sorted(("base", "finetuned"), key=lambda arm: -count[arm])
        pairs.append({"id": texts.item, "version": version, "question": texts.question, "context": texts.context,
                      "chosen": getattr(texts, chosen), "rejected": getattr(texts, rejected), "chosen_arm": chosen,
                      "votes_for": count[chosen], "votes_against": count[rejected]})
    return pairs
