"""What happens when facts change after training: who follows, and who repeats the old answer?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ftlib import jsonl, rows
from ftlib.errors import UserError
from ftlib.evaluate.metrics import exact_match
from ftlib.evaluate.scores import all_asked
from ftlib.evaluate.values import value_match
from ftlib.rag.comparison import Scenario
from ftlib.stats import Headline, Interval, Paired, mean_ci95, paired_difference

if TYPE_CHECKING:
    from ftlib.recipe import ColumnsRecipe

AFTER = "after the change"
FIELDS = ("id", "question", "old_answer", "answer")


class Staleness(NamedTuple):
    """One system on the facts that changed.

    Attributes:
        system: its name.
        before: right by the old answer, with the old articles.
        after: right by the new answer, with the new articles.
        repeats_old: share of the questions answered with the old answer after the change.
        change: after - before on the same questions.
        scores: after-change score of each question, (n,).
        by_measure: the same before and after for exact match and for the value in any form, by headline.
    """

    system: str
    before: Interval
    after: Interval
    repeats_old: Interval
    change: Paired
    scores: list[float]
    by_measure: dict[str, Interval]


def load_updates(path: str | Path, columns: ColumnsRecipe) -> list[rows.Row]:
    """Reads the facts that changed.

    Args:
        path: JSON lines `{id, question, old_answer, answer, references?, document?, context?}` and any other columns.
        columns: `data.columns`; where it names a column of documents, `document` stands there too.

    Returns:
        Rows with the new answer as their own (and as their only reference where none are given), and the old one and
        all other columns in their `meta`.

    Raises:
        UserError: no such file, a broken line, a field that is missing, or an answer that did not change.
    """
    found = []
    for number, line in enumerate(jsonl.iterate(path), start=1):
        missing = [name for name in FIELDS if not isinstance(line.get(name), str) or not line[name].strip()]
        if missing:
            fix = "add the field"
            raise UserError.of(f"{path}, row {number}", f"text in {', '.join(FIELDS)}", f"no {', '.join(missing)}", fix)
        meta = {name: value for name, value in line.items() if name not in ("id", "question", "references", "context")}
        if columns.documents and line.get("document"):
            meta.setdefault(columns.documents, line["document"])
        row = rows.row_of({**line, "meta": meta})
        if exact_match(line["old_answer"], row.references):
            fix = "remove the row or correct its answer"
            raise UserError.of(f"{path}, row {number}", "a new answer that differs from the old", line["answer"], fix)
        found.append(row)
    return found


def staleness_of(
    system: str,
    updates: Sequence[rows.Row],
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    columns: ColumnsRecipe,
    samples: int = 10_000,
    seed: int = 0,
    *,
    refusals: Collection[str] = (),
    right: Literal["value", "exact"] = "value",
) -> Staleness:
    """Scores a system's answers before and after the change; one that holds the old and the new value is neither.

    Args:
        system: its name.
        updates: from `load_updates`.
        before: question id to the answer given with the old articles.
        after: question id to the answer given with the new ones; for a system without articles the same answers.
        columns: `data.columns`, which names the column of facts.
        samples, seed: of the bootstrap.
        refusals, right: sentences that decline; `evaluate.right`.
    """
    clusters = [rows.cluster(row, columns.fact) for row in updates]
    scores, means = {}, {}
    for measure in ("exact", "value"):
        sides = [_sides(row, before[row.id] or "", measure, refusals) for row in updates]
        later = [_sides(row, after[row.id] or "", measure, refusals) for row in updates]
        scores[measure] = [[old for old, _ in sides], [new for _, new in later], [old for old, _ in later]]
        means[measure] = [mean_ci95(each, clusters, samples, seed) for each in scores[measure]]
    change = paired_difference(scores[right][1], scores[right][0], clusters, samples, seed)
    told = {"em_stale": means["exact"][1], "em_before_change": means["exact"][0]}
    told |= {"value_stale": means["value"][1], "value_before_change": means["value"][0]}
    return Staleness(system, *means[right], change, scores[right][1], told)


def _sides(row: rows.Row, said: str, measure: str, refusals: Collection[str]) -> tuple[float, float]:
    """Whether an answer gives the old value, and whether it gives the new one; both is neither."""
    answers, asked = ([row.meta["old_answer"]], row.references), all_asked(row)
    exact = tuple(exact_match(said, each) for each in answers)
    if measure == "exact" or any(exact):  # "dark red" holds "red"
        return exact
    values = tuple(value_match(said, each, asked, refusals) for each in answers)
    return (0.0, 0.0) if all(values) else values


def staleness_headlines(measured: Sequence[Staleness]) -> list[Headline]:
    """`em_stale_<system>` (after the change), `em_before_change_...`, the same of `value_`; `repeats_old_<system>`."""
    found = []
    for each in measured:
        parts = each.by_measure | {"repeats_old": each.repeats_old}
        found += [Headline.of(f"{key}_{each.system}", value) for key, value in parts.items()]
    return found


def staleness_sentence(measured: Staleness, label: str) -> str:
    """What the change did to a system, which people call `label`, as far as the data show it."""
    change, repeats = measured.change, measured.repeats_old.mean
    unmoved = change.low <= 0 <= change.high
    moved = "does not change as far as the data show" if unmoved else "falls" if change.high < 0 else "rises"
    return (
        f"{label} {moved}: {measured.before.mean:.0%} right before the change, {measured.after.mean:.0%} after it "
        f"({100 * change.difference:+.1f} points [{100 * change.low:+.1f}, {100 * change.high:+.1f}], n = {change.n}), "
        f"and the old answer to {repeats:.0%}."
    )


def changed_scenario(updates: Sequence[rows.Row], measured: Sequence[Staleness], columns: ColumnsRecipe) -> Scenario:
    """The changed facts as a scenario for `ftlib.rag.comparison.judge`: the systems' scores after the change."""
    scores = {each.system: each.scores for each in measured}
    return Scenario(AFTER, scores, [rows.cluster(row, columns.fact) for row in updates])
