"""Openings that a system gives its wrong answers again and again: ways of declining that nobody listed, and guesses."""

from __future__ import annotations

from collections import defaultdict
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
            "begins": _opening(group[0]["prediction"]),
            "answers": len(group),
            "to decline": sum(item["refusal_expected"] for item in group),
        }
        for system, groups in alike.items()
        for group in sorted(groups.values(), key=len, reverse=True)[:most]
        if len(group) >= least
    ]


def _opening(text: str) -> str:
    return " ".join(text.split()[:_OPENING])[:_LONGEST]
