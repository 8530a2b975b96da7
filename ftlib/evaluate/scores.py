"""From generations to scores: per item, by slice, and the headline numbers.

An item is one test row answered by one arm. Systems are compared on the same rows, and rows that share a fact are one
cluster. Where no answer could be parsed the item has no score: it stays in every denominator as 0 and is counted.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.evaluate.metrics import score_row
from ftlib.evaluate.stats import Interval, Paired, mcnemar, mean_ci95, paired_difference

MEASURES = ("em", "f1", "rouge_l")
MAIN_SLICE = "trained_fact"
ALL = "answerable"  # stands for all rows with an answer, where a test set has no slices
# Questions on which a refusal is a fault; a model that was never taught a fact may say so.
_NEVER_TAUGHT = "untrained_fact"


class Headline(NamedTuple):
    """A number for the summary: its key, value, 95 % limits (None where there are none) and n."""

    key: str
    value: float
    ci95: tuple[float, float] | None
    n: int

    @classmethod
    def of(cls, key: str, interval: Mapping[str, Any]) -> "Headline":
        """From an interval as a dict (`mean` or `difference`, `low`, `high`, `n`)."""
        value = interval["mean"] if "mean" in interval else interval["difference"]
        return cls(key, value, (interval["low"], interval["high"]), interval["n"])


def choose_rows(rows: Sequence[dict], limit: int | None) -> list[dict]:
    """Take `limit` rows evenly from the slices, always the same ones, in the order of the file.

    Args:
        rows: test rows with `id` and, where given, `slice`.
        limit: how many; None or more than there are: all of them.

    Returns:
        The chosen rows. Within a slice the hash of the id decides, so new rows hardly move the choice.
    """
    if limit is None or limit >= len(rows):
        return list(rows)
    slices: dict[str, list[dict]] = {}
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest()):
        slices.setdefault(row.get("slice") or "", []).append(row)
    ranked = sorted((place, name) for name, members in slices.items() for place in range(len(members)))
    chosen = {slices[name][place]["id"] for place, name in ranked[:limit]}
    return [row for row in rows if row["id"] in chosen]


def cluster(row: dict) -> str:
    """The key of the rows that stand or fall together: their facts, else their group, else the row alone."""
    facts = row.get("fact") or []
    facts = [facts] if isinstance(facts, str) else facts
    return ",".join(sorted(map(str, facts))) or str(row.get("group") or row["id"])


def score_generations(
    rows: Sequence[dict], generations: Iterable[dict], refusal: str, also: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Score every row for every arm.

    Args:
        rows: test rows.
        generations: `{"id", "arm", "prediction", ...}`; of a repeated (id, arm) the last counts.
        refusal: the agreed refusal sentence.
        also: further sentences accepted as a refusal.

    Returns:
        One dict per arm and row, in the order of the rows: `id, arm, slice, cluster, prediction` and the fields of
        `metrics.score_row`. A row that an arm has no generation for is unscored, not left out.

    Raises:
        ValueError: a generation belongs to no row.
    """
    texts: dict[str, dict[str, Any]] = {}
    for generation in generations:
        texts.setdefault(generation["arm"], {})[generation["id"]] = generation.get("prediction")
    known = {row["id"] for row in rows}
    strangers = sorted({key for arm in texts.values() for key in arm} - known)
    if strangers:
        raise ValueError(f"{len(strangers)} generations belong to no test row, the first is {strangers[0]!r}")
    return [
        {
            "id": row["id"],
            "arm": arm,
            "slice": row.get("slice") or "all",
            "cluster": cluster(row),
            "prediction": answers.get(row["id"]),
            **score_row(row, answers.get(row["id"]), refusal, also),
        }
        for arm, answers in texts.items()
        for row in rows
    ]


def number(item: dict[str, Any], measure: str) -> float:
    """An item's score as it enters a mean: an unscored item counts 0, `refused` counts 0 or 1."""
    return float(item[measure] or 0.0)


def select(items: Iterable[dict], arm: str, which: str) -> list[dict]:
    """One arm's items of a slice; "answerable" stands for all that have an answer, "unanswerable" for the others."""
    chosen = [item for item in items if item["arm"] == arm]
    if which == ALL:
        return [item for item in chosen if not item["refusal_expected"]]
    if which == "unanswerable":
        return [item for item in chosen if item["refusal_expected"]]
    return [item for item in chosen if item["slice"] == which]


def main_slice(items: Iterable[dict]) -> str:
    """The slice of the headline numbers: `trained_fact` where the test set has it, else all answerable rows."""
    return MAIN_SLICE if any(item["slice"] == MAIN_SLICE for item in items) else ALL


def interval(items: Sequence[dict], measure: str, samples: int, seed: int) -> Interval:
    """Clustered mean of a measure over items, with its 95 % interval."""
    values = [number(item, measure) for item in items]
    return mean_ci95(values, [item["cluster"] for item in items], samples, seed)


def gain(after: Sequence[dict], before: Sequence[dict], measure: str, samples: int, seed: int) -> Paired:
    """Clustered paired difference of a measure, after - before.

    Raises:
        ValueError: the two lists are not about the same rows in the same order.
    """
    if [item["id"] for item in after] != [item["id"] for item in before]:
        raise ValueError("the two arms must have answered the same rows in the same order")
    a, b = ([number(item, measure) for item in items] for items in (after, before))
    return paired_difference(a, b, [item["cluster"] for item in after], samples, seed)


def table(items: Sequence[dict], arms: tuple[str, str], samples: int, seed: int) -> list[dict[str, Any]]:
    """Every measure of every slice, for both arms and paired.

    Args:
        items: what `score_generations` returned.
        arms: (before, after), e.g. ("base", "finetuned").
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        One dict per slice and measure: `slice, measure, n, clusters`, an interval per arm, `gain` (paired; for `em`
        with `mcnemar_p`) and `unscored` per arm. Unanswerable rows are measured by `refused` alone.
    """
    before, after = arms
    names = sorted({item["slice"] for item in items if not item["refusal_expected"]})
    unanswerable = ["unanswerable"] if any(item["refusal_expected"] for item in items) else []
    rows = []
    for name in [*names, *unanswerable]:
        old, new = (
            [item for item in select(items, arm, name) if item["refusal_expected"] == (name == "unanswerable")]
            for arm in arms
        )
        for measure in ("refused",) if name == "unanswerable" else (*MEASURES, "refused"):
            row = {"slice": name, "measure": measure, "n": len(old), "clusters": len({i["cluster"] for i in old})}
            row |= {before: interval(old, measure, samples, seed)._asdict()}
            row |= {after: interval(new, measure, samples, seed)._asdict()}
            row["gain"] = gain(new, old, measure, samples, seed)._asdict()
            if measure in ("em", "refused"):
                row["gain"]["mcnemar_p"] = mcnemar(*([number(i, measure) for i in each] for each in (new, old)))
            row["unscored"] = {
                arm: sum(not i["scored"] for i in each) for arm, each in zip(arms, (old, new), strict=True)
            }
            rows.append(row)
    return rows


def headlines(items: Sequence[dict], arms: tuple[str, str], samples: int, seed: int) -> list[Headline]:
    """The numbers for the summary: `em_*`, `f1_*`, `rouge_l_*`, gains, refusals and unscored counts.

    Args:
        items: what `score_generations` returned.
        arms: (before, after); their names end the keys.
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        Headlines. The answer measures are over `main_slice`; `refusal_accuracy_*` over the unanswerable questions,
        `over_refusal_*` over the answerable ones whose facts were taught; each left out where there are none.
    """
    found: list[Headline] = []
    main = main_slice(items)
    over = [i for i in items if not i["refusal_expected"] and i["slice"] != _NEVER_TAUGHT]
    parts = [(measure, measure, main, items) for measure in MEASURES]
    parts += [("refusal_accuracy", "refused", "unanswerable", items), ("over_refusal", "refused", ALL, over)]
    for key, measure, which, pool in parts:
        old, new = (select(pool, arm, which) for arm in arms)
        if not old:
            continue
        for arm, each in zip(arms, (old, new), strict=True):
            found.append(Headline.of(f"{key}_{arm}", interval(each, measure, samples, seed)._asdict()))
        found.append(Headline.of(f"{key}_gain", gain(new, old, measure, samples, seed)._asdict()))
    for arm in arms:
        mine = [item for item in items if item["arm"] == arm]
        found.append(Headline(f"unscored_{arm}", _unscored(mine), None, len(mine)))
    return found


def as_json(value: Any) -> Any:
    """The same value with infinities and NaN as None, which JSON can hold."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unscored(items: Sequence[dict]) -> int:
    return sum(not item["scored"] for item in items)
