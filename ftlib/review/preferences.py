"""What people's ratings say: how far reviewers agree, which system they prefer, and pairs for preference training."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ftlib.review.store import NO_PREFERENCE, Rating, Shown
from ftlib.stats import Interval, mean_ci95
from ftlib.stats.agreement import cohen_kappa, krippendorff_alpha


def ratings_report(ratings: Sequence[Rating], automatic: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Everything that goes into agreement.json.

    Args:
        ratings: what counts now (`store.current_ratings(...).values()`).
        automatic: (item, system) -> category that the rules gave, "acceptable" where the metric found no error.

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


def _pairs(by_item: Mapping[tuple[str, str], Mapping[str, str]]) -> list[dict[str, Any]]:
    reviewers = sorted({reviewer for one in by_item.values() for reviewer in one})
    pairs = []
    for first, second in itertools.combinations(reviewers, 2):
        both = [(one[first], one[second]) for one in by_item.values() if first in one and second in one]
        if both:
            pairs.append({"reviewers": [first, second], **cohen_kappa(*zip(*both, strict=True))._asdict()})
    return pairs


def _categories(ratings: Sequence[Rating], automatic: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    people, rules, clusters = [], [], []
    for rating in ratings:
        for system, said in rating.categories.items():
            if (rating.item, system) in automatic:
                people.append(said)
                rules.append(automatic[(rating.item, system)])
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


def preferred_share(ratings: Sequence[Rating], system: str) -> Interval | None:
    """How often reviewers who prefer one answer prefer this system's; None where nobody prefers any.

    Args:
        ratings: what counts now, of one pair of systems; who finds both right, both wrong or is unsure prefers none.
        system: the system.

    Returns:
        Interval over the preferring ratings, ratings of one question clustered.
    """
    chosen = [rating for rating in ratings if rating.verdict not in NO_PREFERENCE]
    if not chosen:
        return None
    return mean_ci95([float(rating.verdict == system) for rating in chosen], [rating.item for rating in chosen])


def preference_pairs(ratings: Sequence[Rating], shown: Mapping[str, Shown]) -> list[dict[str, Any]]:
    """Pairs of a chosen and a rejected answer, for preference training.

    Args:
        ratings: what counts now.
        shown: version -> the texts that were rated.

    Returns:
        One row `{"id", "version", "question", "history", "context", "chosen", "rejected", "chosen_system",
        "votes_for", "votes_against"}` for each item where more reviewers prefer one answer than the other and the two
        differ.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for rating in ratings:
        if rating.verdict not in NO_PREFERENCE:
            votes[rating.version][rating.verdict] += 1
    pairs = []
    for version, count in sorted(votes.items(), key=lambda item: (shown[item[0]].item, item[0])):
        texts = shown[version]
        chosen, rejected = sorted(texts.answers, key=lambda system: -count[system])
        if count[chosen] == count[rejected] or texts.answers[chosen] == texts.answers[rejected]:
            continue
        pairs.append(
            {
                "id": texts.item,
                "version": version,
                "question": texts.question,
                "history": [turn._asdict() for turn in texts.history],
                "context": texts.context,
                "chosen": texts.answers[chosen],
                "rejected": texts.answers[rejected],
                "chosen_system": chosen,
                "votes_for": count[chosen],
                "votes_against": count[rejected],
            }
        )
    return pairs
