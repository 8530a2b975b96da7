"""`ftlib compare A B`: two runs side by side, each system paired with itself on the same questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftlib import atomic, fingerprint, rows
from ftlib.errors import UserError
from ftlib.recipe import Recipe

MEASURES = {"em": "exact match", "value": "right value", "refused": "says so when it cannot know"}
COLUMNS = ("system", "measure", "A", "B", "B - A", "95 % interval", "n", "p")


def compare_runs(a: Path, b: Path) -> str:
    """A table of the systems that were answered in both runs (in notebook 03, and in 05 where it is finished).

    A line is a system and measure, differences paired by question, intervals clustered; below, the fields in which the
    recipes differ.

    Raises:
        UserError: there is nothing to compare, or the two test sets are not the same.
    """
    for run in (a, b):
        if not (run / "03_evaluate" / "scores.json").is_file():
            fix = "run notebooks/03_evaluate.ipynb there first, or name another run"
            raise UserError.of(str(run), "a run directory with a finished notebook 03", "no scores", fix)
    if _test_set(a) != _test_set(b):
        fix = "make both runs with the same data.test_path, or the same data, seed and split"
        raise UserError.of(f"{a}\n{b}", "the same questions and references", "01_data/test.jsonl differs", fix)
    lines = [COLUMNS, *_lines(_items(a), _items(b), Recipe.load(b / "recipe.yaml"))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    told = ["", "Paired by question; p by sign flips of whole clusters, Holm's correction over the lines.", ""]
    return "\n".join([f"A: {a}", f"B: {b}", "", *shown, *told, *_recipes(a, b)])


def _test_set(run: Path) -> str:
    asked = [[row.id, row.turns, row.context, row.references] for row in rows.iterate(run / "01_data" / "test.jsonl")]
    return fingerprint.sha256_json(sorted(asked))


def _items(run: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """A run's scored answers by system and question; notebook 03's where both have them."""
    files = [run / "05_compare" / "comparison.json", run / "03_evaluate" / "scores.json"]
    items = [item for file in files for item in atomic.read_json(file).get("items", [])]
    return {(item["system"], item["id"]): item for item in items}


def _lines(a: dict, b: dict, recipe: Recipe) -> Iterator[tuple[str, ...]]:
    from ftlib.evaluate.scores import gain, mean_score
    from ftlib.stats import holm
    from ftlib.tables import interval as span
    from ftlib.tables import number

    found, bootstrap = [], (recipe.evaluate.bootstrap_samples, recipe.seed)
    common = [key for key in a if key in b]
    for system in dict.fromkeys(system for system, _ in common):
        for measure, told in MEASURES.items():
            both = [k for k in common if k[0] == system and measure in a[k] and measure in b[k]]  # an old run has fewer
            keys = [k for k in both if a[k]["refusal_expected"] == (measure == "refused")]
            if keys:
                before, after = [a[key] for key in keys], [b[key] for key in keys]
                means = [mean_score(items, measure, *bootstrap).mean for items in (before, after)]
                found.append((system, told, means, gain(after, before, measure, *bootstrap)))
    corrected = holm({place: paired.p_value for place, (*_, paired) in enumerate(found)})
    for place, (system, told, means, paired) in enumerate(found):
        cells = [system, told, *map(number, means), number(paired.difference, sign=True)]
        yield *cells, span((paired.low, paired.high), sign=True), f"{paired.n:,}", f"{corrected[place]:.3g}"


def _recipes(a: Path, b: Path) -> list[str]:
    """The fields in which the two recipes differ, one a line."""
    before, after = (fingerprint.recipe_fields(Recipe.load(run / "recipe.yaml")) for run in (a, b))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not changed:
        return ["The recipes are the same."]
    return ["Recipes:", *(f"  {name}: {before.get(name)} in A, {after.get(name)} in B" for name in changed)]
