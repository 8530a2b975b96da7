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
    """Counts, alpha of the verdicts, kappa of each pair of reviewers, people's categories against the rules'.

    Args:
        ratings: what counts now (`store.current_ratings(...).values()`); "unsure" counts as no label.
        automatic: (item, system) -> category that the rules gave, "acceptable" where the metric found no error.
    """
    decided = [rating for rating in ratings if rating.verdict != "unsure"]
    by_item = defaultdict(dict)
    for rating in decided:
        by_item[rating.rated][rating.reviewer] = rating.verdict
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
    said = [((rating.item, system), one) for rating in ratings for system, one in rating.categories.items()]
    found = [(item, one, automatic[item, system]) for (item, system), one in said if (item, system) in automatic]
    if not found:
        return {"n": 0, "agreement": None, "kappa": None}
    items, people, rules = zip(*found, strict=True)
    differing = Counter((a, b) for _, a, b in found if a != b)
    return {
        "n": len(found),
        "agreement": mean_ci95([float(a == b) for _, a, b in found], items)._asdict(),
        "kappa": cohen_kappa(people, rules)._asdict(),
        "disagreements": [{"people": a, "rules": b, "count": n} for (a, b), n in differing.most_common()],
    }


def preferred_share(ratings: Sequence[Rating], system: str) -> Interval | None:
    """How often reviewers who prefer one answer prefer this system's; None where nobody prefers any.

    Who finds both right, both wrong or is unsure prefers none. The ratings of one question are one cluster.
    """
    chosen = [rating for rating in ratings if rating.verdict not in NO_PREFERENCE]
    if not chosen:
        return None
    return mean_ci95([float(rating.verdict == system) for rating in chosen], [rating.item for rating in chosen])


def preference_pairs(ratings: Sequence[Rating], shown: Mapping[str, Shown]) -> list[dict[str, Any]]:
    """Pairs of a chosen and a rejected answer, for preference training; `shown` holds the texts of each version.

    There is one for each item where more reviewers prefer one answer than the other and the two differ.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for rating in ratings:
        if rating.verdict not in NO_PREFERENCE and not shown[rating.version].is_row:
            votes[rating.version][rating.verdict] += 1
    pairs = []
    for version, count in sorted(votes.items(), key=lambda item: (shown[item[0]].item, item[0])):
        texts = shown[version]
        chosen, rejected = sorted(texts.answers, key=lambda system: -count[system])
        if count[chosen] == count[rejected] or texts.answers[chosen] == texts.answers[rejected]:
            continue
        asked = {"id": texts.item, "version": version, "question": texts.question, "context": texts.context}
        said = {"chosen": texts.answers[chosen], "rejected": texts.answers[rejected], "chosen_system": chosen}
        votes = {"votes_for": count[chosen], "votes_against": count[rejected]}
        pairs.append(asked | {"history": [turn._asdict() for turn in texts.history]} | said | votes)
    return pairs
