"""Declining by a threshold: an unsure answer is replaced with the refusal, which needs no training.

Selective prediction (Geifman and El-Yaniv 2017, arXiv 1705.08500; for questions Kamath, Jia and Liang 2020, arXiv
2006.09462): a score says how sure a system is, and what lies below a threshold is not answered. Two scores cost
nothing here: the mean log-probability of the answer's tokens, which tells a model's right answers from its wrong ones
(Kadavath et al. 2022, arXiv 2207.05221), and for a system that retrieves the search's score of the best passage.

Validation questions choose both: most of them come out right, answered or declined. The test set says what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ftlib.evaluate.scores import ALL, UNANSWERABLE, is_right, mean_score, select
from ftlib.stats import Headline, Interval, Paired, mean_ci95, paired_difference

SCORES = {"log_probability": "likelihood", "score": "search score"}  # field of an answer's line to what it is called


class DecliningRule(NamedTuple):
    """When a system's answer is replaced with the refusal.

    Attributes:
        system: its name.
        score: one of `SCORES`; in nats a token, or as the search gives it.
        threshold: answers with less are replaced, those without a score too; minus infinity: none is.
        right: share of the validation questions that come out right with it.
        before: the same without it.
        refused: share that the system declines by itself of those that are to be declined, None without such. Where it
            is more than on the test set, validation is the easier, and the threshold that it chooses too low.
        n: validation questions.
    """

    system: str
    score: str
    threshold: float
    right: float
    before: float
    refused: float | None
    n: int


class Declined(NamedTuple):
    """What a rule does on the test set.

    Attributes:
        rule: from `choose_rule`.
        replaced: answers that are below its threshold.
        refused: share declined of what is to be declined; None where there is no such question.
        over: share declined of the rest without the control slices; None likewise.
        right: share of all that come out right.
        change: the same with the rule - without it, by the mix of questions.
        curve: (share declined of what is to be declined, share of the rest answered right) for every threshold, the
            lowest first; empty where one of them has no question.
        point: those of the rule's threshold; None likewise.
    """

    rule: DecliningRule
    replaced: int
    refused: Interval | None
    over: Interval | None
    right: Interval
    change: Paired
    curve: list[tuple[float, float]]
    point: tuple[float, float] | None


def choose_rule(items: Sequence[dict[str, Any]], lines: Sequence[Mapping[str, Any]]) -> DecliningRule:
    """The score and the threshold with which most questions come out right; of equal ones the lowest threshold.

    Args:
        items: one system's, from `ftlib.evaluate.scores.score_generations` on validation rows; one at least.
        lines: the answers behind them. A score that none of them has cannot be chosen.

    Returns:
        The rule. Thresholds are minus infinity, every score that occurs, and infinity.
    """
    system, found = items[0]["system"], []
    right, meant = _flags(items)
    before, refused = float(right.mean()), float(right[meant].mean()) if meant.any() else None
    for name in SCORES:
        scores = _confidence(items, lines, name)
        if np.isfinite(scores).any():
            thresholds = _thresholds(scores)
            shares = (_below(scores, thresholds, meant) + _above(scores, thresholds, right)) / len(items)
            at = int(shares.argmax())  # the first of equal ones
            best = float(thresholds[at]), float(shares[at])
            found.append(DecliningRule(system, name, *best, before, refused, len(items)))
    none = DecliningRule(system, next(iter(SCORES)), -math.inf, before, before, refused, len(items))
    return max(found, key=lambda rule: rule.right, default=none)


def decline(rule: DecliningRule, lines: Iterable[Mapping[str, Any]], refusal: str) -> list[dict[str, Any]]:
    """The system's answers as the rule leaves them, with `refusal` (`prompt.refusal`) in the place of unsure ones."""
    instead = {"prediction": refusal}
    return [{**line, **(instead if _score(line, rule.score) < rule.threshold else {})} for line in lines]


def mix_weights(items: Sequence[dict[str, Any]], mix: Mapping[str, float]) -> list[float]:
    """What each question counts, 1 on average, where slices are asked in the proportions of `mix` (`rag.mix`).

    A slice that the mix does not name counts 0; where it names none of theirs every question counts 1.
    """
    sizes: dict[str, int] = {}
    for item in items:
        sizes[item["slice"]] = sizes.get(item["slice"], 0) + 1
    total = sum(mix.get(name, 0.0) for name in sizes)
    if not total:
        return [1.0] * len(items)
    return [mix.get(item["slice"], 0.0) / total * len(items) / sizes[item["slice"]] for item in items]


def measure_declining(
    rule: DecliningRule,
    before: Sequence[dict[str, Any]],
    after: Sequence[dict[str, Any]],
    lines: Iterable[Mapping[str, Any]],
    *,
    controls: Collection[str] = (),
    mix: Mapping[str, float] | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Declined:
    """What a rule from `choose_rule` does on questions that it was not chosen on.

    Args:
        before, after: the system's items on the test set, and the same with the answers that `decline` leaves.
        lines: the system's own answers.
        controls: `evaluate.control_slices`: declining is no fault there.
        mix: `rag.mix`.
        samples, seed: of the bootstrap.
    """
    scores, clusters = _confidence(before, lines, rule.score), [item["cluster"] for item in before]
    shares = [[float(is_right(item)) for item in items] for items in (after, before)]
    weights = mix_weights(before, mix or {})
    weighed = [[w * share for w, share in zip(weights, each, strict=True)] for each in shares]
    meant = select(after, rule.system, UNANSWERABLE)
    taught = [item for item in select(after, rule.system, ALL) if item["slice"] not in controls]
    curve = _curve(scores, before, _thresholds(scores))
    point = _curve(scores, before, np.array([rule.threshold]))
    return Declined(
        rule,
        int((scores < rule.threshold).sum()),
        mean_score(meant, "refused", samples, seed) if meant else None,
        mean_score(taught, "refused", samples, seed) if taught else None,
        mean_ci95(shares[0], clusters, samples, seed),
        paired_difference(*weighed, clusters, samples, seed),
        curve,
        point[0] if point else None,
    )


def declining_headlines(measured: Iterable[Declined]) -> list[Headline]:
    """`refusal_accuracy_<system>_threshold`, `over_refusal_<system>_threshold` and `right_<system>_threshold`.

    Each left out where there are no such questions.
    """
    found = []
    for each in measured:
        parts = {"refusal_accuracy": each.refused, "over_refusal": each.over, "right": each.right}
        found += [Headline.of(f"{key}_{each.rule.system}_threshold", value) for key, value in parts.items() if value]
    return found


def declining_sentence(measured: Declined, label: str) -> str:
    """Whether declining by a threshold is worth it for a system, called `label`, as far as the data show it."""
    rule, change = measured.rule, measured.change
    if rule.threshold == -math.inf:
        return f"{label}: no threshold has more of the {rule.n} validation questions right than none."
    verdict = "worth it" if change.low > 0 else "harmful" if change.high < 0 else "not shown to be worth it"
    parts = ((measured.refused, "what is to be declined"), (measured.over, "the rest"))
    shares = " and ".join(f"{share.mean:.0%} of {what}" for share, what in parts if share)
    return (
        f"{label}, declining below a {SCORES[rule.score]} of {rule.threshold:.3g} ({measured.replaced} of "
        f"{measured.right.n} answers): {verdict}, {100 * change.difference:+.1f} points right on your mix "
        f"[{100 * change.low:+.1f}, {100 * change.high:+.1f}], n = {change.n}. It declines {shares}."
    )


def _confidence(items: Iterable[Mapping[str, Any]], lines: Iterable[Mapping[str, Any]], name: str) -> np.ndarray:
    """How sure a system was of each item: (n,); minus infinity where its line has no such score."""
    known = {line["id"]: _score(line, name) for line in lines}
    return np.array([known.get(item["id"], -math.inf) for item in items])


def _score(line: Mapping[str, Any], name: str) -> float:
    found = line.get(name)
    return -math.inf if found is None else float(found)


def _flags(items: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Whether each answer is right, and whether declining would be: (n,), (n,)."""
    return np.array([is_right(item) for item in items]), np.array([item["refusal_expected"] for item in items])


def _thresholds(scores: np.ndarray) -> np.ndarray:
    return np.unique(np.concatenate([[-np.inf], scores, [np.inf]]))


def _below(scores: np.ndarray, thresholds: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """How many flags are set among the scores below each threshold: (thresholds,)."""
    order = np.argsort(scores, kind="stable")
    sums = np.concatenate([[0], np.cumsum(flags[order])])
    return sums[np.searchsorted(scores[order], thresholds, side="left")]


def _above(scores: np.ndarray, thresholds: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """How many are set among the others."""
    return flags.sum() - _below(scores, thresholds, flags)


def _curve(scores: np.ndarray, items: Sequence[dict[str, Any]], thresholds: np.ndarray) -> list[tuple[float, float]]:
    """(share declined of what is to be declined, share of the rest answered right) at each threshold."""
    right, meant = _flags(items)
    if meant.all() or not meant.any():
        return []
    declined = _below(scores, thresholds, meant) + _above(scores, thresholds, meant & right)
    answered = _above(scores, thresholds, ~meant & right)
    shares = (declined / meant.sum()).tolist(), (answered / (~meant).sum()).tolist()
    return list(zip(*shares, strict=True))
