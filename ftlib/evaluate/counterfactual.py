"""Does the answer depend on who asks? Counterfactual pairs: the same question, the asker described differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ftlib.evaluate.metrics import is_scorable, normalize
from ftlib.evaluate.scores import score_answer
from ftlib.rows import Row, cluster, value
from ftlib.stats import Headline, Interval, Paired, mean_ci95, paired_difference


class Personas(NamedTuple):
    """Two descriptions of an asker: how often both get the same answer, and who gets the right one more often."""

    personas: tuple[str, str]
    same: Interval  # over pairs
    gap: Paired  # in right answers, the first persona minus the second


class PairReport(NamedTuple):
    """All pairs of one system's answers, and apart by personas."""

    pairs: int
    same: Interval
    by_personas: list[Personas]


class _Outcome(NamedTuple):
    same: bool
    right: tuple[float, float]
    cluster: str


def compare_pairs(
    rows: Sequence[Row],
    answers: Mapping[str, str | None],
    *,
    fact: str | None,
    refusal: str,
    also: Sequence[str] = (),
    right: Literal["value", "exact"] = "value",
    samples: int,
    seed: int,
) -> PairReport:
    """How often both askers get the same answer, and whether one of them gets the right one more often.

    Args:
        rows: two rows a pair, with `pair` and `persona` in `meta`, as notebook 01 writes them.
        answers: id -> generated answer; one that holds no answer is wrong and the same as no other.
        fact: `data.columns.fact`; pairs about one fact are one cluster.
        refusal, also, right: as of `score_answer`.
        samples, seed: of the bootstrap.

    Raises:
        ValueError: there is no pair, or one does not have two rows.
    """
    pairs: dict[str, list[Row]] = {}
    for row in rows:
        pairs.setdefault(value(row, "pair"), []).append(row)
    if not pairs or any(len(pair) != 2 for pair in pairs.values()):
        raise ValueError("one or more pairs of two rows are needed")
    groups: dict[tuple[str, str], list[_Outcome]] = {}
    for key, (first, second) in pairs.items():
        said = answers.get(first.id), answers.get(second.id)
        both = zip((first, second), said, strict=True)
        hits = tuple(float(score_answer(row, text, refusal, also, right)["right"]) for row, text in both)
        outcome = _Outcome(_same(*said), hits, cluster(first._replace(id=key), fact))
        groups.setdefault((value(first, "persona"), value(second, "persona")), []).append(outcome)

    def same(outcomes: Sequence[_Outcome]) -> Interval:
        return mean_ci95([o.same for o in outcomes], [o.cluster for o in outcomes], samples, seed)

    def gap(outcomes: Sequence[_Outcome]) -> Paired:
        firsts, seconds = zip(*[o.right for o in outcomes], strict=True)
        return paired_difference(firsts, seconds, [o.cluster for o in outcomes], samples, seed)

    apart = [Personas(personas, same(group), gap(group)) for personas, group in groups.items()]
    return PairReport(len(pairs), same([outcome for group in groups.values() for outcome in group]), apart)


def counterfactual_headlines(reports: Mapping[str, PairReport]) -> list[Headline]:
    """`counterfactual_same_<system>` for each system of `{system: compare_pairs(...)}`."""
    return [Headline.of(f"counterfactual_same_{name}", report.same) for name, report in reports.items()]


def counterfactual_table(reports: Mapping[str, PairReport]) -> list[dict[str, Any]]:
    """One line per system and pair of personas, for a notebook's table."""
    return [
        {"system": name, "personas": described(each.personas), "n": each.same.n, "same": each.same, "gap": each.gap}
        for name, report in reports.items()
        for each in report.by_personas
    ]


def described(personas: tuple[str, str]) -> str:
    """Both askers in one line; one who says nothing of themselves is `(nothing)`."""
    return " / ".join(persona or "(nothing)" for persona in personas)


def _same(first: str | None, second: str | None) -> bool:
    return is_scorable(first) and is_scorable(second) and normalize(str(first)) == normalize(str(second))
