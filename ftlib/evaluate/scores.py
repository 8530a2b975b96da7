"""From generations to scores: per item, by slice, and the headline numbers.

An item is one test row answered by one system. Systems are compared on the same rows, and rows that share a fact are
one cluster. Where no answer could be parsed the item has no score: it stays in every denominator as 0 and is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ftlib.evaluate.metrics import exact_match, is_refusal, is_scorable, rouge_l, token_f1
from ftlib.evaluate.values import value_match
from ftlib.rows import Row, cluster, in_turn, slice_of
from ftlib.stats import Headline, Interval, Paired, mcnemar, mean_ci95, paired_difference

if TYPE_CHECKING:
    from ftlib.recipe import ColumnsRecipe

MEASURES = ("em", "value", "f1", "rouge_l")
ALL = "answerable"  # stands for all rows with an answer, whatever their slice
UNANSWERABLE = "unanswerable"  # for all rows whose right answer is the refusal


def choose_rows(rows: Sequence[Row], limit: int | None, slice_column: str | None) -> list[Row]:
    """Take `limit` rows (None: all) evenly from the slices, always the same ones, in the order of the file.

    Within a slice (of `data.columns.slice`) the hash of the id decides, so new rows hardly move the choice.
    """
    if limit is None or limit >= len(rows):
        return list(rows)
    chosen = {row.id for row in in_turn(rows, slice_column)[:limit]}
    return [row for row in rows if row.id in chosen]


def expects_refusal(row: Row, refusal: str, also: Sequence[str] = ()) -> bool:
    """Whether the right answer to a row is to say that it is not known: its own answer declines, see `is_refusal`."""
    return is_refusal(row.answer, refusal, also)


def score_answer(
    row: Row, prediction: str | None, refusal: str, also: Sequence[str] = (), right: Literal["value", "exact"] = "value"
) -> dict[str, Any]:
    """Score one generated answer to one test row.

    Args:
        row: the row.
        prediction: the generated text; None where generation gave nothing.
        refusal, also: the agreed sentence (`prompt.refusal`), and further ones accepted (`evaluate.refusal_phrases`).
        right: whether the value in any form is right, or an exact match alone (`evaluate.right`).

    Returns:
        `{"scored", "em", "value", "f1", "rouge_l", "refused", "refusal_expected", "refusal_correct", "right"}`. Where
        no answer can be parsed `scored` is False and the scores are None: the row stays, means count it as 0 (see
        `item_score`) and report how many there were. `refusal_correct` says whether the system refused exactly when
        it should have, `right` what `is_right` does.
    """
    expected, scored, text = expects_refusal(row, refusal, also), is_scorable(prediction), str(prediction)
    refused = scored and is_refusal(text, refusal, also)
    measures = {"em": exact_match, "f1": token_f1, "rouge_l": rouge_l}
    found = {name: measure(text, row.references) if scored else None for name, measure in measures.items()}
    found["value"] = value_match(text, row.references, all_asked(row), (refusal, *also)) if scored else None
    return {
        "scored": scored,
        **{name: found[name] for name in MEASURES},
        "refused": refused,
        "refusal_expected": expected,
        "refusal_correct": refused == expected,
        "right": refused if expected else bool(found["value" if right == "value" else "em"]),
    }


def all_asked(row: Row) -> str:
    """All that the user said up to and with the question."""
    return "\n".join(turn.content for turn in row.turns if turn.role == "user")


def score_generations(
    rows: Sequence[Row],
    generations: Iterable[dict[str, Any]],
    *,
    columns: ColumnsRecipe,
    refusal: str,
    also: Sequence[str] = (),
    right: Literal["value", "exact"] = "value",
) -> list[dict[str, Any]]:
    """Score every row for every system.

    Args:
        rows: test rows.
        generations: `{"id", "system", "prediction", ...}`; of a repeated (id, system) the last counts.
        columns: `data.columns`, which names the columns of slices and facts.
        refusal, also, right: as of `score_answer`.

    Returns:
        One dict per system and row, in the order of the rows: `id, system, slice, cluster, prediction` and the fields
        of `score_answer`. A row that a system has no generation for is unscored, not left out.

    Raises:
        ValueError: a generation belongs to no row.
    """
    texts: dict[str, dict[str, Any]] = {}
    for generation in generations:
        texts.setdefault(generation["system"], {})[generation["id"]] = generation.get("prediction")
    strangers = sorted({key for said in texts.values() for key in said} - {row.id for row in rows})
    if strangers:
        raise ValueError(f"{len(strangers)} generations belong to no test row, the first is {strangers[0]!r}")
    return [
        {
            "id": row.id,
            "system": system,
            "slice": slice_of(row, columns.slice),
            "cluster": cluster(row, columns.fact),
            "prediction": said.get(row.id),
            **score_answer(row, said.get(row.id), refusal, also, right),
        }
        for system, said in texts.items()
        for row in rows
    ]


def is_right(item: dict[str, Any]) -> bool:
    """Whether an item is right as the recipe means it (`evaluate.right`): by its value, or by an exact match.

    Where the right answer is the refusal, a refusal is.
    """
    return bool(item["right"])


def item_score(item: dict[str, Any], measure: str) -> float:
    """An item's score as it enters a mean: an unscored item counts 0, `refused` counts 0 or 1."""
    return float(item[measure] or 0.0)


def select(items: Iterable[dict[str, Any]], system: str, which: str) -> list[dict[str, Any]]:
    """One system's items of a slice; `ALL` stands for all that have an answer, `UNANSWERABLE` for the others."""
    chosen = [item for item in items if item["system"] == system]
    if which in (ALL, UNANSWERABLE):
        return [item for item in chosen if item["refusal_expected"] == (which == UNANSWERABLE)]
    return [item for item in chosen if item["slice"] == which]


def headline_slice(items: Iterable[dict[str, Any]], wanted: str | None) -> str:
    """The slice of the headline numbers: `evaluate.headline_slice` where the test set has it, else `ALL`."""
    return wanted if wanted and any(item["slice"] == wanted for item in items) else ALL


def mean_score(items: Sequence[dict[str, Any]], measure: str, samples: int, seed: int) -> Interval:
    """Clustered mean of a measure over items, with its 95 % interval."""
    values = [item_score(item, measure) for item in items]
    return mean_ci95(values, [item["cluster"] for item in items], samples, seed)


def gain(
    after: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]], measure: str, samples: int, seed: int
) -> Paired:
    """Clustered paired difference of a measure, after - before.

    Raises:
        ValueError: the two lists are not about the same rows in the same order.
    """
    if [item["id"] for item in after] != [item["id"] for item in before]:
        raise ValueError("the two systems must have answered the same rows in the same order")
    a, b = ([item_score(item, measure) for item in items] for items in (after, before))
    return paired_difference(a, b, [item["cluster"] for item in after], samples, seed)


def score_table(items: Sequence[dict[str, Any]], names: Sequence[str], samples: int, seed: int) -> list[dict[str, Any]]:
    """Every measure of every slice, for each system and paired with the first.

    Args:
        items: what `score_generations` returned.
        names: the systems; the first is compared with.
        samples, seed: of the bootstrap.

    Returns:
        One dict per slice and measure: `slice, measure, n, clusters`, `systems` (name -> Interval), `gains` (name ->
        Paired against the first), `mcnemar_p` (name -> p, of 0/1 measures) and `unscored` (name -> count).
        Rows whose right answer is the refusal are measured by `refused` alone, together, as `UNANSWERABLE`.
    """
    parts = [(name, False) for name in sorted({item["slice"] for item in items if not item["refusal_expected"]})]
    parts += [(UNANSWERABLE, True)] if any(item["refusal_expected"] for item in items) else []
    return [
        _table_row(items, names, part, expected, measure, samples, seed)
        for part, expected in parts
        for measure in (("refused",) if expected else (*MEASURES, "refused"))
    ]


def _table_row(items, names, part: str, expected: bool, measure: str, samples: int, seed: int) -> dict[str, Any]:
    pool = [i for i in items if i["refusal_expected"] == expected and (expected or i["slice"] == part)]
    chosen = {name: [item for item in pool if item["system"] == name] for name in names}
    first, *others = names
    row: dict[str, Any] = {"slice": part, "measure": measure, "n": len(chosen[first])}
    row["clusters"] = len({item["cluster"] for item in chosen[first]})
    row["systems"] = {name: mean_score(chosen[name], measure, samples, seed) for name in names}
    row["gains"] = {name: gain(chosen[name], chosen[first], measure, samples, seed) for name in others}
    if measure in ("em", "value", "refused"):
        values = {name: [item_score(item, measure) for item in chosen[name]] for name in names}
        row["mcnemar_p"] = {name: mcnemar(values[name], values[first]) for name in others}
    return row | {"unscored": {name: unscored(chosen[name]) for name in names}}


def score_headlines(
    items: Sequence[dict[str, Any]],
    names: Sequence[str],
    *,
    wanted: str | None,
    controls: Collection[str],
    samples: int,
    seed: int,
) -> list[Headline]:
    """The numbers for the summary: `em_*`, `value_*`, `f1_*`, `rouge_l_*`, refusals, gains and unscored counts.

    Args:
        items: what `score_generations` returned.
        names: the systems; their names end the keys. The gains are over the first: `em_gain` where there are two,
            `em_gain_<system>` where there are more.
        wanted, controls: `evaluate.headline_slice` and `evaluate.control_slices`; declining is no fault in the latter.
        samples, seed: of the bootstrap.

    Returns:
        Headlines. The answer measures are over `headline_slice`; `refusal_accuracy_*` over the unanswerable questions,
        `over_refusal_*` over the answerable ones outside the control slices; each left out where there are none.
    """
    found: list[Headline] = []
    first, *others = names
    taught = [item for item in items if item["slice"] not in controls]
    parts = [(measure, measure, headline_slice(items, wanted), items) for measure in MEASURES]
    parts += [("refusal_accuracy", "refused", UNANSWERABLE, items), ("over_refusal", "refused", ALL, taught)]
    for key, measure, which, pool in parts:
        chosen = {name: select(pool, name, which) for name in names}
        if not chosen[first]:
            continue
        means = {name: mean_score(chosen[name], measure, samples, seed) for name in names}
        gains = {name: gain(chosen[name], chosen[first], measure, samples, seed) for name in others}
        found += Headline.compared(key, means, "gain", gains)
    for name in names:
        mine = [item for item in items if item["system"] == name]
        found.append(Headline(f"unscored_{name}", unscored(mine), None, len(mine)))
    return found


def unscored(items: Iterable[dict[str, Any]]) -> int:
    """How many items hold no answer that could be scored."""
    return sum(not item["scored"] for item in items)
