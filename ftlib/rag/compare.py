"""Arms against each other on the same questions: accuracy by slice, and who is beaten by whom."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ftlib.evaluate.scores import Headline, interval, main_slice, number, select
from ftlib.evaluate.stats import Interval, Paired, mean_ci95, paired_difference
from ftlib.rag.arms import KEYS

LEVEL = 0.05  # two-sided, after Holm's correction
REPORTED = ("base", "finetuned")  # by notebook 03
UNANSWERABLE = "unanswerable"


class Scenario(NamedTuple):
    """Scores of several arms on the same questions, e.g. one slice.

    Attributes:
        name: the slice's, or ``all`` or ``after the change``.
        scores: arm to 0/1 scores, (n,), in the order of the questions.
        clusters: one key a question, (n,).
    """

    name: str
    scores: dict[str, list[float]]
    clusters: list[Hashable]


class Verdict(NamedTuple):
    """Who leads a scenario and which arms the data cannot tell from the leader.

    Attributes:
        scenario: its name.
        n: questions.
        means: arm to accuracy with its interval.
        leader: the arm with the highest accuracy.
        leads: every other arm to the paired difference leader - arm.
        level: the other arms the data do not separate from the leader at 5 % after Holm's correction.
    """

    scenario: str
    n: int
    means: dict[str, Interval]
    leader: str
    leads: dict[str, Paired]
    level: tuple[str, ...]

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """The leader and the arms level with it."""
        return (self.leader, *self.level)


def right(item: Mapping) -> float:
    """1.0 where an answer is right: exact match, or a refusal where the knowledge base holds no answer.

    Args:
        item: from `ftlib.evaluate.scores.score_generations`; one that could not be parsed is wrong.
    """
    return number(dict(item), "refused" if item["refusal_expected"] else "em")


def scenarios(items: Sequence[Mapping]) -> list[Scenario]:
    """All questions, then each slice, with the arms' scores side by side.

    Args:
        items: from `ftlib.evaluate.scores.score_generations`: every arm on the same rows in the same order.

    Returns:
        The scenario ``all`` and one a slice, in the order in which the slices first appear.
    """
    found = [_scenario("all", items)]
    names = dict.fromkeys(item["slice"] for item in items)
    return found + [_scenario(name, [i for i in items if i["slice"] == name]) for name in names if name != "all"]


def headlines(items: Sequence[Mapping], samples: int = 10_000, seed: int = 0) -> list[Headline]:
    """The numbers for the summary: ``em_<arm>`` on the main slice, ``em_<arm>__<slice>``, ``refusal_accuracy_<arm>``.

    What notebook 03 has written of its two systems under the same keys is not repeated.

    Args:
        items: from `ftlib.evaluate.scores.score_generations`.
        samples: bootstrap samples.
        seed: of the bootstrap.

    Returns:
        Headlines with interval and n.
    """
    main, found = main_slice(items), []
    slices = [name for name in dict.fromkeys(item["slice"] for item in items) if name not in (main, "all")]
    for arm in dict.fromkeys(item["arm"] for item in items):
        end = KEYS.get(arm, arm)
        parts = [(f"em_{end}", "em", main), (f"refusal_accuracy_{end}", "refused", UNANSWERABLE)]
        parts = [part for part in parts if arm not in REPORTED]
        parts += [(f"em_{end}__{name}", "em", name) for name in slices if name != UNANSWERABLE]
        for key, measure, which in parts:
            if chosen := select(items, arm, which):
                value = interval(chosen, measure, samples, seed)
                found.append(Headline(key, value.mean, (value.low, value.high), value.n))
    return found


def _scenario(name: str, items: Sequence[Mapping]) -> Scenario:
    scores: dict[str, list[float]] = {}
    for item in items:
        scores.setdefault(item["arm"], []).append(right(item))
    first = items[0]["arm"]
    return Scenario(name, scores, [item["cluster"] for item in items if item["arm"] == first])


def judge(scenario: Scenario, samples: int = 10_000, seed: int = 0) -> Verdict:
    """Intervals of every arm, and paired differences to the leader.

    Args:
        scenario: scores of two or more arms.
        samples: bootstrap samples.
        seed: of the bootstrap.

    Returns:
        The verdict of `decide`.
    """
    clusters = scenario.clusters
    means = {arm: mean_ci95(values, clusters, samples, seed) for arm, values in scenario.scores.items()}
    leader = max(means, key=lambda arm: means[arm].mean)
    leads = {
        arm: paired_difference(scenario.scores[leader], values, clusters, samples, seed)
        for arm, values in scenario.scores.items()
        if arm != leader
    }
    return decide(scenario.name, means, leader, leads)


def decide(name: str, means: Mapping[str, Interval], leader: str, leads: Mapping[str, Paired]) -> Verdict:
    """Separates the arms that the leader beats from those that are level with it.

    An arm is beaten where its paired interval lies above zero and its p-value, corrected by Holm for the number of
    arms compared, is below 5 %.

    Args:
        name: of the scenario.
        means: arm to accuracy with its interval.
        leader: the arm with the highest accuracy.
        leads: every other arm to leader - arm on the same questions.

    Returns:
        The verdict.
    """
    adjusted = holm({arm: lead.p_value for arm, lead in leads.items()})
    level = tuple(arm for arm, lead in leads.items() if lead.low <= 0 or adjusted[arm] >= LEVEL)
    return Verdict(name, means[leader].n, dict(means), leader, dict(leads), level)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction (1979): the i-th smallest of m p-values times m - i, never falling, at most 1.

    Args:
        p_values: name to p-value.

    Returns:
        Name to corrected p-value.
    """
    corrected, running = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        running = max(running, min(1.0, p_values[name] * (len(p_values) - rank)))
        corrected[name] = running
    return corrected


def by_hit(items: Sequence[Mapping], answers: Iterable[Mapping]) -> list[dict]:
    """Splits the arms that search by whether they found an article that holds the answer.

    Args:
        items: from `ftlib.evaluate.scores.score_generations`.
        answers: rows of arms.jsonl; those without a hit to speak of (None) are left out.

    Returns:
        One ``{arm, article, right, questions}`` for each arm and ``found`` or ``missed``, ``right`` a share.
    """
    scores = {(item["arm"], item["id"]): right(item) for item in items}
    groups: dict[tuple[str, bool], list[float]] = {}
    for row in answers:
        if row["hit"] is not None:
            groups.setdefault((row["arm"], row["hit"]), []).append(scores[row["arm"], row["id"]])
    return [
        {"arm": arm, "article": "found" if hit else "missed", "right": sum(v) / len(v), "questions": len(v)}
        for (arm, hit), v in sorted(groups.items())
    ]


def as_dict(verdict: Verdict) -> dict:
    """A verdict with every interval and difference by name, for comparison.json."""
    means = {arm: mean._asdict() for arm, mean in verdict.means.items()}
    leads = {arm: lead._asdict() for arm, lead in verdict.leads.items()}
    return verdict._asdict() | {"means": means, "leads": leads}
