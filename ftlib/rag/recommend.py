"""From paired intervals to a recommendation that says where it holds and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ftlib.rag.comparison import EVERYTHING, Standing
from ftlib.stats import Paired, needed_n

USABLE = 0.5  # below this share of right answers the recommendation adds a caution


class Recommendation(NamedTuple):
    """What to use, and what that rests on.

    Attributes:
        system: the recommended one.
        kind: `win`: the only system that is beaten nowhere. `tie`: several are beaten nowhere, so the data do not
            decide and the price does. `trade-off`: every one is beaten somewhere; the leader over all is named.
        headline: one sentence.
        conditions: one sentence a scenario: who leads, by how much, with n and the interval.
        exceptions: scenarios in which the recommended system is beaten.
    """

    system: str
    kind: str
    headline: str
    conditions: tuple[str, ...]
    exceptions: tuple[str, ...]


def recommend(
    standings: Sequence[Standing], labels: Mapping[str, str], costs: Mapping[str, float] | None = None
) -> Recommendation:
    """Turns the standings into a recommendation.

    A system is beaten in a scenario where the leader's paired interval against it lies above zero (see
    `ftlib.rag.comparison.decide`). Of those that are beaten nowhere, one alone wins and several tie; where there is
    none, the first scenario names the system and the others its exceptions.

    Args:
        standings: one a scenario; the first stands for the questions as they are mixed in the test set.
        labels: what people call the systems.
        costs: system to price of a month; missing or empty where price is not to decide.

    Returns:
        The recommendation.

    Raises:
        ValueError: no standing is given.
    """
    if not standings:
        raise ValueError("a recommendation needs at least one scenario")
    overall = standings[0]
    candidates = [name for name in overall.means if not any(_beaten(name, each) for each in standings)]
    conditions = tuple(scenario_sentence(each, labels) for each in standings)
    if not candidates:
        return _trade_off(standings, labels, conditions)
    best = min(candidates, key=lambda name: ((costs or {}).get(name, 0.0), -overall.means[name].mean))
    kind, caution = "tie" if len(candidates) > 1 else "win", _caution(best, overall)
    if kind == "tie":
        headline = _tie(best, candidates, len(standings), bool(costs), labels)
    elif not overall.leads:
        headline = f"{labels[best]} is the only system that was measured, so there is nothing to choose between."
    else:
        headline = f"Use {labels[best]}: the only arm that {_scenarios('none', len(standings))} shows to be worse."
    return Recommendation(best, kind, headline + caution, conditions, ())


def scenario_sentence(standing: Standing, labels: Mapping[str, str]) -> str:
    """One scenario in words: the leader, its interval, whom it beats, whom the data do not separate from it."""
    best, leader = standing.means[standing.leader], labels[standing.leader]
    share = f"{best.mean:.0%} [{best.low:.0%}, {best.high:.0%}]"
    start = f"{scenario_title(standing.scenario)} (n = {standing.n}): "
    if not standing.leads:
        return f"{start}{leader} alone was measured and has {share}."
    beaten = [name for name in standing.leads if name not in standing.level]
    if not beaten:
        return f"{start}no arm is shown to be better than {leader}, which has {share}, nor to be worse."
    closest = min(beaten, key=lambda name: standing.leads[name].difference)
    others = [labels[name] for name in beaten if name != closest]
    text = f"{start}{leader} leads with {share}, ahead of {labels[closest]} by {_points(standing.leads[closest])}"
    text += f" and further ahead of {_listed(others)}" if others else ""
    if standing.level:
        nearest = min(standing.level, key=lambda name: standing.leads[name].difference)
        lead = standing.leads[nearest]
        text += f"; the data do not separate it from {_listed([labels[name] for name in standing.level])}"
        text += f" ({labels[nearest]}: {_points(lead)}{_more_data(lead)})"
    return text + "."


def scenario_title(name: str) -> str:
    """A scenario's name as people read it."""
    return "all test questions" if name == EVERYTHING else name.replace("_", " ")


def _beaten(name: str, standing: Standing) -> bool:
    return name in standing.means and name not in standing.unbeaten


def _trade_off(standings: Sequence[Standing], labels: Mapping[str, str], conditions: tuple[str, ...]) -> Recommendation:
    overall = standings[0]
    name = overall.leader
    beaten = [each for each in standings if _beaten(name, each)]
    exceptions = tuple(
        f"{scenario_title(each.scenario)}: {labels[each.leader]} is better than {labels[name]} by "
        f"{_points(each.leads[name])}, n = {each.n}."
        for each in beaten
    )
    level = f" (level with {_listed([labels[each] for each in overall.level])} there)" if overall.level else ""
    where = _listed([scenario_title(each.scenario) for each in beaten])
    headline = f"No arm is best everywhere. Over {scenario_title(overall.scenario)} use {labels[name]}{level}, "
    headline += f"not for: {where}."
    return Recommendation(name, "trade-off", headline + _caution(name, overall), conditions, exceptions)


def _tie(name: str, candidates: Sequence[str], scenarios: int, priced: bool, labels: Mapping[str, str]) -> str:
    names = _listed([labels[each] for each in (name, *(each for each in candidates if each != name))])
    reason = "the cheapest of them at the stated prices" if priced else "the highest mean, which may be chance"
    return (
        f"The data do not decide between {names}: none of them is shown to be worse than another arm in "
        f"{_scenarios('any', scenarios)}. Use {labels[name]}, {reason}, or measure on more questions."
    )


def _scenarios(which: str, count: int) -> str:
    return (
        f"{which} of the {count} scenarios" if count > 1 else {"none": "no scenario", "any": "the one scenario"}[which]
    )


def _caution(name: str, overall: Standing) -> str:
    """The best of many bad systems is not a good one."""
    mean = overall.means[name].mean
    return f" It is right on only {mean:.0%} of {scenario_title(overall.scenario)}." if mean < USABLE else ""


def _more_data(lead: Paired) -> str:
    discordant = (lead.wins + lead.losses) / lead.n
    if not 0 < lead.difference <= discordant:
        return ""
    return f"; about {needed_n(lead.difference, discordant):,} questions would show a difference of this size"


def _points(lead: Paired) -> str:
    return f"{100 * lead.difference:+.1f} points [{100 * lead.low:+.1f}, {100 * lead.high:+.1f}]"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
