"""Training rows that stand before a question as examples: the same ones for all, or those most like it."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ftlib.data.language import spoken
from ftlib.rows import Row, in_turn, values
from ftlib.search.index import Index
from ftlib.search.retrieval import search_text

if TYPE_CHECKING:
    from ftlib.recipe import ColumnsRecipe, Recipe
    from ftlib.systems import System


class SimilarRows(NamedTuple):
    """The training rows by id, and the index over their questions.

    What they teach is not held back: an example may hold the very fact that is asked for, as the training of an
    adapter does, so that the two start from the same rows.
    """

    rows: dict[str, Row]
    index: Index

    def like(self, row: Row, count: int) -> list[Row]:
        """The rows whose questions are most like this one's by the words in them, best first; never the row itself."""
        found = self.index.search(search_text(row), count + 1) if count else []
        return [self.rows[key] for key, _ in found if key != row.id][:count]


def learn_examples(path: str | Path, training: Sequence[Row], recipe: Recipe) -> SimilarRows:
    """Builds the index over the training questions (BM25), or opens it where it stands.

    One that stands in the folder `path` was built from the same rows (the stage sees to that). Plain texts without a
    question are left out; of the recipe `data.language` counts.
    """
    rows = {row.id: row for row in training if row.turns}
    if Index.exists(path):
        return SimilarRows(rows, Index.open(path))
    asked = [{"id": key, "text": search_text(row)} for key, row in rows.items()]
    language = spoken(recipe.data.language, (each["text"] for each in asked))
    return SimilarRows(rows, Index.build(path, asked, language=language))


class Shots(NamedTuple):
    """Examples for one question, the one to keep longest first, and how they stand in the prompt."""

    rows: tuple[Row, ...] = ()
    best_last: bool = False
    search_seconds: float = 0.0

    def first(self, count: int) -> list[Row]:
        """Those that stay when there is room for `count`, in the order in which they are shown."""
        kept = list(self.rows[:count])
        return kept[::-1] if self.best_last else kept


def shots_for(system: System, row: Row, examples: Sequence[Row], similar: SimilarRows | None, count: int) -> Shots:
    """The examples that a system is shown with a row: the fixed ones, or `count` (`rag.few_shot`) of the most alike.

    Raises:
        ValueError: the system shows similar rows, and none are given to search.
    """
    if system.examples != "similar":
        return Shots(tuple(examples) if system.examples == "fixed" else ())
    if similar is None:
        raise ValueError(f"{system.name!r} shows similar training rows: expected some to search")
    began = time.perf_counter()
    return Shots(tuple(similar.like(row, count)), True, time.perf_counter() - began)


def few_shot_examples(
    rows: Sequence[Row], count: int, columns: ColumnsRecipe, avoid: Collection[str] = ()
) -> list[Row]:
    """The fixed examples of few-shot prompts: `count` training rows, or as many as there are, slice after slice.

    Rule: rows with neither context nor history (where there are none: without history; where there are none: all),
    and without a fact in `avoid` (the test questions'), in the order of `in_turn`. `columns` (`data.columns`) names the
    columns of slices and facts.
    """
    rows = [row for row in rows if row.turns and not set(values(row, columns.fact)) & set(avoid)]
    single = [row for row in rows if not row.history] or rows
    plain = [row for row in single if not row.context] or single
    return in_turn(plain, columns.slice)[:count]
