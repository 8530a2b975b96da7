"""Systems against each other on the same questions: accuracy by slice, and who is beaten by whom."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ftlib.evaluate.scores import UNANSWERABLE, headline_slice, is_right, mean_score, select
from ftlib.rows import NO_VALUE
from ftlib.stats import Headline, Interval, Paired, holm, mean_ci95, paired_difference

K = TypeVar("K", bound=Hashable)
LEVEL = 0.05  # two-sided, after Holm's correction
EVERYTHING = "all"  # the scenario of all questions
SHOWN = ("all of it", "a part of it", "found, not shown", "missed")  # what a prompt held of what an answer takes


class Scenario(NamedTuple):
    """Scores of several systems on the same questions, e.g. one slice.

    Attributes:
        name: the slice's, or that of `EVERYTHING` or `ftlib.rag.staleness.AFTER`.
        scores: system to 0/1 scores, (n,), in the order of the questions.
        clusters: one key a question, (n,).
    """

    name: str
    scores: dict[str, list[float]]
    clusters: list[Hashable]


class Standing(NamedTuple):
    """Who leads a scenario and who is beaten in it, by whom.

    Attributes:
        scenario, n: its name, and questions.
        means: system to accuracy with its interval.
        leader: the system with the highest accuracy.
        leads: every other system to the paired difference leader - system.
        beaten: systems that another is shown to be better than, see `judge`: who that is (the leader, if it is one of
            several) and the paired difference.
    """

    scenario: str
    n: int
    means: dict[str, Interval]
    leader: str
    leads: dict[str, Paired]
    beaten: dict[str, tuple[str, Paired]]

    @property
    def level(self) -> tuple[str, ...]:
        """The systems beside the leader that none is shown to be better than."""
        return tuple(name for name in self.leads if name not in self.beaten)

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """The leader and the systems level with it."""
        return (self.leader, *self.level)


def scenarios(items: Sequence[Mapping]) -> list[Scenario]:
    """The scenario `EVERYTHING` and one a slice, as the slices first appear, with the systems' scores side by side.

    Of `items`, from `ftlib.evaluate.scores.score_generations`, every system has the same rows in the same order.
    """
    names = [name for name in dict.fromkeys(item["slice"] for item in items) if name != EVERYTHING]
    names = [] if names == [NO_VALUE] else names
    parts = [(name, [item for item in items if item["slice"] == name]) for name in names]
    return [_scenario(EVERYTHING, items), *(_scenario(name, part) for name, part in parts)]


def accuracy_headlines(
    items: Sequence[dict], main_slice: str | None, reported: Iterable[str] = (), samples: int = 10_000, seed: int = 0
) -> list[Headline]:
    """`em_<system>`, `value_<system>` on the headline slice, `..._<system>__<slice>` on others, `refusal_accuracy_...`.

    Args:
        items: from `ftlib.evaluate.scores.score_generations`.
        main_slice: `evaluate.headline_slice`.
        reported: systems whose numbers on the headline slice and of refusals notebook 03 has written under the same
            keys.
        samples, seed: of the bootstrap.

    Returns:
        Headlines with interval and n; each left out where there are no such questions.
    """
    answerable = [item for item in items if not item["refusal_expected"]]
    main, found = headline_slice(items, main_slice), []
    slices = [name for name in dict.fromkeys(item["slice"] for item in answerable) if name not in (main, EVERYTHING)]
    for system in dict.fromkeys(item["system"] for item in items):
        measures = ("em", "value")
        parts = [(f"{each}_{system}__{name}", each, name, answerable) for name in slices for each in measures]
        if system not in reported:
            parts += [(f"{each}_{system}", each, main, items) for each in measures]
            parts.append((f"refusal_accuracy_{system}", "refused", UNANSWERABLE, items))
        for key, measure, which, pool in parts:
            if chosen := select(pool, system, which):
                found.append(Headline.of(key, mean_score(chosen, measure, samples, seed)))
    return found


def judge(scenarios: Sequence[Scenario], samples: int = 10_000, seed: int = 0) -> list[Standing]:
    """Intervals of every system, paired differences of all pairs, and who is beaten by whom: one standing a scenario.

    A system is beaten by another where the paired interval of the two lies above zero and its p-value is below 5 %
    after Holm's correction for all pairs of all scenarios, so that among equal systems no more than one comparison in
    twenty shows any, whoever happens to lead. `samples` and `seed` are those of the bootstrap.
    """
    ranked = [_means(each, samples, seed) for each in scenarios]
    duels = {
        (at, one, other): paired_difference(each.scores[one], each.scores[other], each.clusters, samples, seed)
        for at, (each, means) in enumerate(zip(scenarios, ranked, strict=True))
        for one, other in itertools.combinations(means, 2)
    }
    shown = separated(duels)
    standings = []
    for at, (each, means) in enumerate(zip(scenarios, ranked, strict=True)):
        leader, *others = means
        won = {(one, other): shown[found, one, other] for found, one, other in shown if found == at}
        beaten = {name: _winner(name, leader, won) for name in each.scores if any(name == other for _, other in won)}
        leads = {name: duels[at, leader, name] for name in each.scores if name in others}
        ordered = {name: means[name] for name in each.scores}
        standings.append(Standing(each.name, means[leader].n, ordered, leader, leads, beaten))
    return standings


def separated(duels: Mapping[K, Paired]) -> dict[K, Paired]:
    """Those of all paired differences that show the first to be better: interval above 0, p by Holm below 5 %."""
    adjusted = holm({key: duel.p_value for key, duel in duels.items()})
    return {key: duel for key, duel in duels.items() if duel.low > 0 and adjusted[key] < LEVEL}


def _means(scenario: Scenario, samples: int, seed: int) -> dict[str, Interval]:
    """Every system's accuracy, the highest first."""
    found = {name: mean_ci95(each, scenario.clusters, samples, seed) for name, each in scenario.scores.items()}
    return dict(sorted(found.items(), key=lambda each: -each[1].mean))


def _winner(name: str, leader: str, won: Mapping[tuple[str, str], Paired]) -> tuple[str, Paired]:
    """Who beats a system: the leader, else the one that is surest to."""
    winners = {one: duel for (one, other), duel in won.items() if other == name}
    best = leader if leader in winners else min(winners, key=lambda one: winners[one].p_value)
    return best, winners[best]


def split_by_shown(items: Sequence[Mapping], answers: Iterable[Mapping]) -> list[dict[str, Any]]:
    """The reader's faults and the search's: answers split by whether all that they take was shown.

    Args:
        items: from `ftlib.evaluate.scores.score_generations`.
        answers: lines of arms.jsonl; those without a hit to speak of (None) are left out.

    Returns:
        One `{system, article, right}` for each system and place of `SHOWN` that occurs, `right` the 0/1 scores. `all of
        it` stands in the prompt where every article that the answer takes does, whole; `a part of it` where one of
        several does, or a passage of one.
    """
    scores = {(item["system"], item["id"]): float(is_right(item)) for item in items}
    groups: dict[tuple[str, str], list[float]] = {}
    for line in answers:
        if line.get("hit") is not None:
            whole, part, unshown, missed = SHOWN
            article = whole if line.get("complete") else part if line["hit"] else unshown if line["found"] else missed
            groups.setdefault((line["system"], article), []).append(scores[line["system"], line["id"]])
    return [
        {"system": system, "article": article, "right": right}
        for (system, article), right in sorted(groups.items(), key=lambda each: (each[0][0], SHOWN.index(each[0][1])))
    ]


def _scenario(name: str, items: Sequence[Mapping]) -> Scenario:
    scores: dict[str, list[float]] = {}
    for item in items:
        scores.setdefault(item["system"], []).append(float(is_right(item)))
    first = items[0]["system"]
    return Scenario(name, scores, [item["cluster"] for item in items if item["system"] == first])
