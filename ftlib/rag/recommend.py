"""From paired intervals to a recommendation that says where it holds and how sure it is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ftlib.evaluate.stats import Paired, needed_n
from ftlib.rag.arms import LABELS
from ftlib.rag.compare import Verdict

USABLE = 0.5  # below this share of right answers the recommendation adds a caution


class Recommendation(NamedTuple):
    """What to use, and what that rests on.

    Attributes:
        arm: the recommended arm.
        kind: ``win``: the only arm that is beaten nowhere. ``tie``: several are beaten nowhere, so the data do not
            decide and the price does. ``trade-off``: every arm is beaten somewhere; the leader over all is named.
        headline: one sentence.
        conditions: one sentence a scenario: who leads, by how much, with n and the interval.
        exceptions: scenarios in which the recommended arm is beaten.
    """

    arm: str
    kind: str
    headline: str
    conditions: tuple[str, ...]
    exceptions: tuple[str, ...]


def recommend(verdicts: Sequence[Verdict], costs: Mapping[str, float] | None = None) -> Recommendation:
    """Turns verdicts into a recommendation.

    An arm is beaten in a scenario where the leader's paired interval against it lies above zero (see
    `ftlib.rag.compare.decide`). Of the arms that are beaten nowhere, one alone wins and several tie; where there is
    none, the first scenario names the arm and the others its exceptions.

    Args:
        verdicts: one a scenario; the first stands for the questions as they are mixed in the test set.
        costs: arm to price of a month; missing or empty where price is not to decide.

    Returns:
        The recommendation.

    Raises:
        ValueError: no verdict is given.
    """
    if not verdicts:
        raise ValueError("a recommendation needs at least one verdict")
    overall = verdicts[0]
    candidates = [arm for arm in overall.means if not any(_beaten(arm, verdict) for verdict in verdicts)]
    conditions = tuple(sentence(verdict) for verdict in verdicts)
    if not candidates:
        return _trade_off(verdicts, conditions)
    arm = min(candidates, key=lambda name: ((costs or {}).get(name, 0.0), -overall.means[name].mean))
    if len(candidates) > 1:
        headline = _tie(arm, candidates, len(verdicts), costs)
        return Recommendation(arm, "tie", headline + _caution(arm, overall), conditions, ())
    headline = f"Use {_label(arm)}: the only arm that none of the {len(verdicts)} scenarios shows to be worse."
    return Recommendation(arm, "win", headline + _caution(arm, overall), conditions, ())


def sentence(verdict: Verdict) -> str:
    """One scenario in words: the leader, its interval, whom it beats, whom the data do not separate from it."""
    best = verdict.means[verdict.leader]
    share = f"{best.mean:.0%} [{best.low:.0%}, {best.high:.0%}]"
    start = f"{_title(verdict.scenario)} (n = {verdict.n}): "
    beaten = [arm for arm in verdict.leads if arm not in verdict.level]
    if not beaten:
        return f"{start}no arm is shown to be better than {_label(verdict.leader)}, which has {share}, nor to be worse."
    closest = min(beaten, key=lambda arm: verdict.leads[arm].difference)
    text = f"{start}{_label(verdict.leader)} leads with {share}, ahead of {_label(closest)} by "
    text += _points(verdict.leads[closest])
    text += f" and further ahead of {_names([arm for arm in beaten if arm != closest])}" if len(beaten) > 1 else ""
    if verdict.level:
        nearest = min(verdict.level, key=lambda arm: verdict.leads[arm].difference)
        text += f"; the data do not separate it from {_names(verdict.level)}"
        text += f" ({_label(nearest)}: {_points(verdict.leads[nearest])}{_more_data(verdict.leads[nearest])})"
    return text + "."


def _beaten(arm: str, verdict: Verdict) -> bool:
    return arm in verdict.means and arm not in verdict.unbeaten


def _trade_off(verdicts: Sequence[Verdict], conditions: tuple[str, ...]) -> Recommendation:
    overall = verdicts[0]
    arm = overall.leader
    beaten = [verdict for verdict in verdicts if _beaten(arm, verdict)]
    exceptions = tuple(
        f"{_title(v.scenario)}: {_label(v.leader)} is better than {_label(arm)} by {_points(v.leads[arm])}, n = {v.n}."
        for v in beaten
    )
    where = _names([_title(verdict.scenario) for verdict in beaten], plain=True)
    level = f" (level with {_names(overall.level)} there)" if overall.level else ""
    headline = f"No arm is best everywhere. Over {_title(overall.scenario)} use {_label(arm)}{level}, not for: {where}."
    return Recommendation(arm, "trade-off", headline + _caution(arm, overall), conditions, exceptions)


def _tie(arm: str, candidates: Sequence[str], scenarios: int, costs: Mapping[str, float] | None) -> str:
    names = _names([arm, *(name for name in candidates if name != arm)])
    reason = "the cheapest of them at the stated prices" if costs else "the highest mean, which may be chance"
    return (
        f"The data do not decide between {names}: none of them is shown to be worse than another arm in any of the "
        f"{scenarios} scenarios. Use {_label(arm)}, {reason}, or measure on more questions."
    )


def _caution(arm: str, overall: Verdict) -> str:
    """The best of five bad systems is not a good one."""
    mean = overall.means[arm].mean
    return f" It is right on only {mean:.0%} of {_title(overall.scenario)}." if mean < USABLE else ""


def _more_data(lead: Paired) -> str:
    discordant = (lead.wins + lead.losses) / lead.n
    if not 0 < lead.difference <= discordant:
        return ""
    return f"; about {needed_n(lead.difference, discordant):,} questions would show a difference of this size"


def _points(lead: Paired) -> str:
    return f"{100 * lead.difference:+.1f} points [{100 * lead.low:+.1f}, {100 * lead.high:+.1f}]"


def _label(arm: str) -> str:
    return LABELS.get(arm, arm)


def _title(scenario: str) -> str:
    return "all test questions" if scenario == "all" else scenario.replace("_", " ")


def _names(arms: Sequence[str], plain: bool = False) -> str:
    names = list(arms) if plain else [_label(arm) for arm in arms]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
