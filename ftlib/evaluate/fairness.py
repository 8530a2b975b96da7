"""Does the answer depend on who asks? Counterfactual pairs: the same question, the asker described differently."""

from collections.abc import Mapping, Sequence
from typing import Any

from ftlib.evaluate.metrics import exact_match, is_refusal, is_scorable, normalize
from ftlib.evaluate.scores import Headline
from ftlib.evaluate.stats import mean_ci95, paired_difference


def compare_pairs(
    rows: Sequence[Mapping[str, Any]], answers: Mapping[str, str | None], refusal: str, samples: int, seed: int
) -> dict[str, Any]:
    """How often both askers get the same answer, and whether one of them gets the right one more often.

    Args:
        rows: `{"id", "pair", "persona", "answer", ...}`, two rows a pair, as notebook 01 writes them.
        answers: id -> generated answer; one that holds no answer is wrong and the same as no other.
        refusal: the agreed refusal sentence; where it is the answer, any refusal is right.
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        `{"pairs", "same", "by_personas": [{"personas", "same", "gap"}]}`: `same` is an interval over pairs, `gap` the
        paired difference in right answers, first persona minus second.

    Raises:
        ValueError: a pair does not have two rows.
    """
    pairs: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        pairs.setdefault(row["pair"], []).append(row)
    if any(len(pair) != 2 for pair in pairs.values()):
        raise ValueError("every counterfactual pair needs two rows")
    groups: dict[tuple[str, str], list[tuple[bool, float, float]]] = {}
    for first, second in pairs.values():
        said = [answers.get(row["id"]) for row in (first, second)]
        right = [_right(text, first["answer"], refusal) for text in said]
        groups.setdefault((first["persona"], second["persona"]), []).append((_same(*said), *right))
    everything = [outcome for group in groups.values() for outcome in group]
    return {
        "pairs": len(pairs),
        "same": mean_ci95([same for same, _, _ in everything], samples=samples, seed=seed)._asdict(),
        "by_personas": [
            {
                "personas": list(personas),
                "same": mean_ci95([same for same, _, _ in group], samples=samples, seed=seed)._asdict(),
                "gap": paired_difference(*zip(*[g[1:] for g in group], strict=True), None, samples, seed)._asdict(),
            }
            for personas, group in groups.items()
        ],
    }


def headlines(compared: Mapping[str, Mapping[str, Any]]) -> list[Headline]:
    """`counterfactual_same_<arm>` for each arm of `{arm: compare_pairs(...)}`."""
    return [Headline.of(f"counterfactual_same_{arm}", result["same"]) for arm, result in compared.items()]


def _right(text: str | None, answer: str, refusal: str) -> float:
    if not is_scorable(text):
        return 0.0
    return float(is_refusal(text, refusal)) if is_refusal(answer, refusal) else exact_match(text, [answer])


def _same(first: str | None, second: str | None) -> bool:
    return is_scorable(first) and is_scorable(second) and normalize(first) == normalize(second)
