"""Systems against each other on the same questions: accuracy by slice, and who is beaten by whom."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ftlib.evaluate.scores import UNANSWERABLE, headline_slice, is_right, mean_score, select
from ftlib.stats import Headline, Interval, Paired, holm, mean_ci95, paired_difference

K = TypeVar("K", bound=Hashable)
LEVEL = 0.05  # two-sided, after Holm's correction
EVERYTHING = "all"  # the scenario of all questions


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
    """Who leads a scenario and which systems the data cannot tell from the leader.

    Attributes:
        scenario: its name.
        n: questions.
        means: system to accuracy with its interval.
        leader: the system with the highest accuracy.
        leads: every other system to the paired difference leader - system.
        level: the other systems the data do not separate from the leader, see `judge`.
    """

    scenario: str
    n: int
    means: dict[str, Interval]
    leader: str
    leads: dict[str, Paired]
    level: tuple[str, ...]

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """The leader and the systems level with it."""
        return (self.leader, *self.level)

    def beats(self, name: str) -> bool:
        """Whether the scenario measured a system and shows it to be worse than the leader."""
        return name in self.means and name not in self.unbeaten


def scenarios(items: Sequence[Mapping]) -> list[Scenario]:
    """All questions, then each slice, with the systems' scores side by side.

    Args:
        items: from `ftlib.evaluate.scores.score_generations`: every system on the same rows in the same order.

    Returns:
        The scenario `EVERYTHING` and one a slice, in the order in which the slices first appear.
    """
    names = [name for name in dict.fromkeys(item["slice"] for item in items) if name != EVERYTHING]
    parts = [(name, [item for item in items if item["slice"] == name]) for name in names]
    return [_scenario(EVERYTHING, items), *(_scenario(name, part) for name, part in parts)]


def accuracy_headlines(
    items: Sequence[dict],
    main_slice: str | None,
    reported: Iterable[str] = (),
    samples: int = 10_000,
    seed: int = 0,
) -> list[Headline]:
    """`em_<system>` on the headline slice, `em_<system>__<slice>` on the others, `refusal_accuracy_<system>`.

    Args:
        items: from `ftlib.evaluate.scores.score_generations`.
        main_slice: `evaluate.headline_slice`.
        reported: systems whose first and last number notebook 03 has written under the same keys.
        samples: bootstrap samples.
        seed: of the bootstrap.

    Returns:
        Headlines with interval and n; each left out where there are no such questions.
    """
    answerable = [item for item in items if not item["refusal_expected"]]
    main, found = headline_slice(items, main_slice), []
    slices = [name for name in dict.fromkeys(item["slice"] for item in answerable) if name not in (main, EVERYTHING)]
    for system in dict.fromkeys(item["system"] for item in items):
        parts = [(f"em_{system}__{name}", "em", name, answerable) for name in slices]
        if system not in reported:
            parts.append((f"em_{system}", "em", main, items))
            parts.append((f"refusal_accuracy_{system}", "refused", UNANSWERABLE, items))
        for key, measure, which, pool in parts:
            if chosen := select(pool, system, which):
                found.append(Headline.of(key, mean_score(chosen, measure, samples, seed)))
    return found


def judge(scenarios: Sequence[Scenario], samples: int = 10_000, seed: int = 0) -> list[Standing]:
    """Intervals of every system, paired differences to each scenario's leader, and who is level with it.

    A system is beaten where its paired interval lies above zero and its p-value is below 5 % after Holm's correction
    for all comparisons of all scenarios: with five equal systems and seven scenarios, one in twenty runs shows any.

    Args:
        scenarios: scores of one or more systems each.
        samples: bootstrap samples.
        seed: of the bootstrap.

    Returns:
        One standing a scenario.
    """
    made = [_paired_with_leader(each, samples, seed) for each in scenarios]
    level = level_with({(at, name): lead for at, each in enumerate(made) for name, lead in each.leads.items()})
    return [each._replace(level=tuple(n for n in each.leads if (at, n) in level)) for at, each in enumerate(made)]


def level_with(leads: Mapping[K, Paired]) -> list[K]:
    """Those whose paired difference to a leader may be chance: its interval reaches 0, or p by Holm over all is 5 %."""
    adjusted = holm({key: lead.p_value for key, lead in leads.items()})
    return [key for key, lead in leads.items() if lead.low <= 0 or adjusted[key] >= LEVEL]


def _paired_with_leader(scenario: Scenario, samples: int, seed: int) -> Standing:
    scores, clusters = scenario.scores, scenario.clusters
    means = {name: mean_ci95(values, clusters, samples, seed) for name, values in scores.items()}
    leader = max(means, key=lambda name: means[name].mean)
    leads = {
        name: paired_difference(scores[leader], values, clusters, samples, seed)
        for name, values in scores.items()
        if name != leader
    }
    return Standing(scenario.name, means[leader].n, means, leader, leads, ())


def split_by_shown(items: Sequence[Mapping], answers: Iterable[Mapping]) -> list[dict[str, Any]]:
    """The reader's faults and the search's: answers split by whether an article that holds them was shown.

    Args:
        items: from `ftlib.evaluate.scores.score_generations`.
        answers: lines of arms.jsonl; those without a hit to speak of (None) are left out.

    Returns:
        One `{system, article, right}` for each system and `shown`, `found, not shown` or `missed` that occurs, `right`
        the 0/1 scores.
    """
    scores = {(item["system"], item["id"]): float(is_right(item)) for item in items}
    groups: dict[tuple[str, str], list[float]] = {}
    for line in answers:
        if line.get("hit") is not None:
            article = "shown" if line["hit"] else "found, not shown" if line["found"] else "missed"
            groups.setdefault((line["system"], article), []).append(scores[line["system"], line["id"]])
    order = ("shown", "found, not shown", "missed")
    return [
        {"system": system, "article": article, "right": right}
        for (system, article), right in sorted(groups.items(), key=lambda each: (each[0][0], order.index(each[0][1])))
    ]


def _scenario(name: str, items: Sequence[Mapping]) -> Scenario:
    scores: dict[str, list[float]] = {}
    for item in items:
        scores.setdefault(item["system"], []).append(float(is_right(item)))
    first = items[0]["system"]
    return Scenario(name, scores, [item["cluster"] for item in items if item["system"] == first])
