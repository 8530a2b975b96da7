"""From paired scores to a recommendation: what each system is worth to the reader, and how sure that is.

    worth of a question = (share right, by the reader's own mix of questions) * value of a right answer
                          - price of a question - seconds waited * price of a second

Scores, seconds and tokens are measured, so a worth has their uncertainty. Mix, values and prices are the recipe's, so
the text says how far each must move before the advice changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ftlib.errors import UserError
from ftlib.rag.comparison import EVERYTHING, Scenario, Standing, separated
from ftlib.stats import Interval, Paired, flip_test, linear, needed_n, paired_difference

if TYPE_CHECKING:
    from ftlib.recipe import RagRecipe

SAMPLES = 10_000  # sign patterns: enough for a p-value that survives the correction for all pairs of some 30 systems


class Recommendation(NamedTuple):
    """What to use, and what that rests on.

    Attributes:
        system: the one that is worth most; None where none is good enough.
        kind: `win`: worth more than every other, and beaten in no scenario. `tie`: there is another that none is shown
            to be worth more than. `trade-off`: another is better in some scenario. `none`: none is right often
            enough. `only`.
        headline: one or two sentences.
        conditions: one sentence a scenario: who leads, by how much, with n and the interval.
        exceptions: scenarios in which another system is better than the recommended one.
        turning: what would have to be different for another advice, one sentence a figure of the recipe's.
        worth: system to what a question is worth with it, in the recipe's currency.
    """

    system: str | None
    kind: str
    headline: str
    conditions: tuple[str, ...]
    exceptions: tuple[str, ...]
    turning: tuple[str, ...]
    worth: dict[str, float]


def recommend(
    scenarios: Sequence[Scenario],
    standings: Sequence[Standing],
    labels: Mapping[str, str],
    rag: RagRecipe,
    prices: Mapping[str, Interval],
    waits: Mapping[str, Interval],
    seed: int = 0,
) -> Recommendation:
    """Names the system that is worth most, and says how sure that is and when it would be another.

    Args:
        scenarios: scores on the same questions; the one of all questions has no weight of its own.
        standings: of these scenarios, from `ftlib.rag.comparison.judge`.
        labels: what people call the systems.
        rag: the recipe's section: `mix`, `value_right_answer`, `price_waiting_second`, `least_accuracy`.
        prices: system to price of a question, its share of the setting up included; 0 where missing.
        waits: system to seconds that a person waits; 0 where missing.
        seed: of the intervals.

    Raises:
        ValueError: no scenario is given.
        UserError: `rag.mix` names none of the scenarios.
    """
    if not scenarios:
        raise ValueError("a recommendation needs at least one scenario")
    parts = [each for each in scenarios if each.name != EVERYTHING] or list(scenarios)
    names = [name for name in parts[0].scores if all(name in each.scores for each in parts)]
    sums = _Sums(parts, names, _mix(parts, rag.mix), prices, waits, rag)
    best = max(names, key=lambda name: (sums.worth(name), sums.accuracy(name)))
    conditions = tuple(scenario_sentence(each, labels) for each in standings)
    found = Recommendation(best, "only", "", conditions, (), (), {name: sums.worth(name) for name in names})
    share = sums.accuracy(best)
    if share < rag.least_accuracy:
        told = f"None of them is good enough: {labels[best]}, worth most, is right on {share:.0%} of the questions in "
        told += f"your mix, and rag.least_accuracy asks for {rag.least_accuracy:.0%}."
        return found._replace(system=None, kind="none", headline=told)
    if len(names) == 1:
        told = f"{labels[best]} is the only system that was measured, so there is nothing to choose between."
        return found._replace(headline=told)
    level = sums.level(best, seed)
    beaten = [each for each in standings if best in each.beaten]
    exceptions = tuple(_exception(each, best, labels) for each in beaten)
    kind = "trade-off" if exceptions else "tie" if level else "win"
    told = _headline(best, level, beaten, share, labels)
    return found._replace(kind=kind, headline=told, exceptions=exceptions, turning=tuple(sums.turning(best, labels)))


class _Sums(NamedTuple):
    """Means, weights and prices, from which worths and turning points are computed."""

    parts: Sequence[Scenario]
    names: Sequence[str]
    mix: dict[str, float]
    prices: Mapping[str, Interval]
    waits: Mapping[str, Interval]
    rag: RagRecipe

    def accuracy(self, name: str, mix: Mapping[str, float] | None = None) -> float:
        mix = mix or self.mix
        return sum(mix[part.name] * _mean(part.scores[name]) for part in self.parts)

    def costs(self, name: str) -> Interval:
        known = ((1.0, self.prices.get(name)), (self.rag.price_waiting_second, self.waits.get(name)))
        return linear(*((factor, each) for factor, each in known if each is not None))

    def worth(self, name: str) -> float:
        return self.rag.value_right_answer * self.accuracy(name) - self.costs(name).mean

    def level(self, best: str, seed: int) -> list[str]:
        """The others that none is shown to be worth more than (Holm over all pairs)."""
        ranked = sorted(self.names, key=lambda name: (name != best, -self.worth(name)))
        duels = {(one, other): self._lead(one, other, seed) for one, other in itertools.combinations(ranked, 2)}
        behind = {other for _, other in separated(duels)}
        return [name for name in self.names if name != best and name not in behind]

    def _lead(self, one: str, other: str, seed: int) -> Paired:
        """How much more a question is worth with one: what is right, paired, and what it costs, each with its reach."""
        total, value = sum(len(part.clusters) for part in self.parts), self.rag.value_right_answer
        scale = {part.name: self.mix[part.name] * total / len(part.clusters) for part in self.parts}
        clusters = [cluster for part in self.parts for cluster in part.clusters]
        costs = [self.costs(name) for name in (one, other)]
        right = [[scale[p.name] * score for p in self.parts for score in p.scores[name]] for name in (one, other)]
        gain = paired_difference(*right, clusters, SAMPLES, seed)
        lead = linear((value, Interval(gain.difference, gain.low, gain.high, gain.n)), (-1, costs[0]), (1, costs[1]))
        saved = costs[1].mean - costs[0].mean
        p = flip_test([value * (a - b) + saved for a, b in zip(*right, strict=True)], clusters, SAMPLES, seed)
        return gain._replace(difference=lead.mean, low=lead.low, high=lead.high, p_value=p)

    def turning(self, best: str, labels: Mapping[str, str]) -> list[str]:
        """How far each figure must move, the others staying, before another system is worth more."""
        told = [line for part in self.parts if (line := self._turning_share(part.name, best, labels))]
        value, waiting, coin = self.rag.value_right_answer, self.rag.price_waiting_second, self.rag.currency
        gain = {name: self.accuracy(best) - self.accuracy(name) for name in self.names}
        extra = {name: self.costs(best).mean - self.costs(name).mean for name in self.names}
        waits = {name: self.waits[name].mean if name in self.waits else 0.0 for name in self.names}
        slower = {name: waits[best] - waits[name] for name in self.names}
        below = {name: extra[name] / gain[name] for name in self.names if gain[name] > 0 and extra[name] > 0}
        above = {name: extra[name] / gain[name] for name in self.names if gain[name] < 0 and extra[name] < 0}
        lead = {name: self.worth(best) - self.worth(name) for name in self.names}
        dear = {name: waiting + lead[name] / slower[name] for name in self.names if slower[name] > 0}
        for bounds, side, pick in ((below, "below", max), (above, "above", min)):
            if bounds:
                name = pick(bounds, key=bounds.__getitem__)
                told.append(f"a right answer worth {side} {bounds[name]:.3g} {coin} (now {value:.3g}): {labels[name]}")
        if dear:
            name = min(dear, key=dear.__getitem__)
            told.append(
                f"a second of waiting worth more than {dear[name]:.3g} {coin} (now {waiting:.3g}): {labels[name]}"
            )
        return told

    def _turning_share(self, which: str, best: str, labels: Mapping[str, str]) -> str:
        """The nearest shares of one scenario, the others in proportion, at which another system is worth more."""
        now, value = self.mix[which], self.rag.value_right_answer
        if now >= 1 or value <= 0:
            return ""
        rest = {name: share / (1 - now) for name, share in self.mix.items()}
        ends = ({name: float(name == which) for name in self.mix}, rest | {which: 0.0})
        at_one, at_zero = ({n: value * self.accuracy(n, end) - self.costs(n).mean for n in self.names} for end in ends)
        crossings = []
        for name in self.names:
            zero, one = at_zero[best] - at_zero[name], at_one[best] - at_one[name]
            if name != best and zero * one < 0 and 0.005 <= (share := zero / (zero - one)) < 0.995:  # not 0 or 100 %
                crossings.append((share, name))
        above = min((each for each in crossings if each[0] >= now), default=None)
        below = max((each for each in crossings if each[0] < now), default=None)
        nearest = {side: hit for side, hit in (("above", above), ("below", below)) if hit}
        sides = [f"{side} {share:.0%}: {labels[name]}" for side, (share, name) in nearest.items()]
        return f"{scenario_title(which)} ({now:.0%} of the questions now) {', '.join(sides)}" if sides else ""


def _mix(parts: Sequence[Scenario], wanted: Mapping[str, float]) -> dict[str, float]:
    """Each scenario's share of the questions: the recipe's, or as many as were measured."""
    weights = {part.name: wanted.get(part.name, 0.0) if wanted else len(part.clusters) for part in parts}
    strangers = sorted(set(wanted) - set(weights))
    if strangers or not sum(weights.values()):
        found = ", ".join(strangers) or "no weight above 0"
        raise UserError.of("rag.mix", f"weights of {', '.join(weights)}", found, "name scenarios of this comparison")
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def _headline(
    best: str, level: Sequence[str], beaten: Sequence[Standing], share: float, labels: Mapping[str, str]
) -> str:
    told = f"Use {labels[best]}: it is worth most on your mix of questions, of which it has {share:.0%} right."
    if level:
        others = _listed([labels[name] for name in level])
        told += f" The data do not separate it from {others}: the lead may be chance."
    if beaten:
        told += f" Not for: {_listed([scenario_title(each.scenario) for each in beaten])}."
    return told


def _exception(standing: Standing, best: str, labels: Mapping[str, str]) -> str:
    winner, lead = standing.beaten[best]
    return f"{scenario_title(standing.scenario)}: {labels[winner]} is better by {_points(lead)}, n = {standing.n}."


def scenario_sentence(standing: Standing, labels: Mapping[str, str]) -> str:
    """One scenario in words: the leader, its interval, whom it beats, whom others beat, whom none does."""
    best, leader = standing.means[standing.leader], labels[standing.leader]
    share = f"{best.mean:.0%} [{best.low:.0%}, {best.high:.0%}]"
    start = f"{scenario_title(standing.scenario)} (n = {standing.n}): "
    if not standing.leads:
        return f"{start}{leader} alone was measured and has {share}."
    if not standing.beaten:
        return f"{start}no arm is shown to be better than {leader}, which has {share}, nor to be worse."
    beaten = [name for name, (winner, _) in standing.beaten.items() if winner == standing.leader]
    text = f"{start}{leader} leads with {share}"
    if beaten:
        closest = min(beaten, key=lambda name: standing.leads[name].difference)
        others = [labels[name] for name in beaten if name != closest]
        text += f", ahead of {labels[closest]} by {_points(standing.leads[closest])}"
        text += f" and further ahead of {_listed(others)}" if others else ""
    for name, (winner, lead) in standing.beaten.items():
        text += f"; {labels[winner]} is ahead of {labels[name]} by {_points(lead)}" if name not in beaten else ""
    if standing.level:
        nearest = min(standing.level, key=lambda name: standing.leads[name].difference)
        lead = standing.leads[nearest]
        text += f"; the data do not separate it from {_listed([labels[name] for name in standing.level])}"
        text += f" ({labels[nearest]}: {_points(lead)}{_more_data(lead)})"
    return text + "."


def scenario_title(name: str) -> str:
    """A scenario's name as people read it."""
    return "all test questions" if name == EVERYTHING else name.replace("_", " ")


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)


def _more_data(lead: Paired) -> str:
    if lead.low > 0:
        return "; taken alone this would be told apart, among all pairs and scenarios it is not"
    discordant = (lead.wins + lead.losses) / lead.n
    if not 0 < lead.difference <= discordant:
        return ""
    return f"; about {needed_n(lead.difference, discordant):,} questions would show a difference of this size"


def _points(lead: Paired) -> str:
    return f"{100 * lead.difference:+.1f} points [{100 * lead.low:+.1f}, {100 * lead.high:+.1f}]"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
