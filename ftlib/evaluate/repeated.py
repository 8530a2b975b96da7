"""Openings that a system gives its wrong answers again and again: ways of declining that nobody listed, and guesses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from ftlib.evaluate.metrics import normalize

_OPENING, _LONGEST = 5, 60  # words, and characters where a "word" goes on without end


def repeated_openings(items: Iterable[dict[str, Any]], least: int = 3, most: int = 4) -> list[dict[str, Any]]:
    """How a system's wrong answers begin, where several begin alike; none of them counts as a refusal.

    One that says it does not know is a refusal that the recipe does not list (`evaluate.refusal_phrases`, which are
    recognised at an answer's beginning): the system declines, and its scores say that it never does.

    Args:
        items: of `scores.score_generations`.
        least: answers that begin alike. most: lines of a system, the most frequent first.

    Returns:
        `{"system", "begins", "answers", "to decline"}`: the first words of such answers (all of a shorter one), how
        many there are, and of how many of these questions the right answer is the refusal.
    """
    alike: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        if item["scored"] and not item["right"] and not item["refused"]:
            alike[item["system"]][normalize(_opening(item["prediction"]))].append(item)
    return [
        {
            "system": system,
            "begins": _opening(groups[plain][0]["prediction"]),
            "answers": count,
            "to decline": sum(item["refusal_expected"] for item in groups[plain]),
        }
        for system, groups in alike.items()
        for plain, count in Counter({key: len(group) for key, group in groups.items()}).most_common(most)
        if count >= least
    ]


def _opening(text: str) -> str:
    return " ".join(text.split()[:_OPENING])[:_LONGEST]
