"""Does the search find the article that holds the answer? Hit rate and mean reciprocal rank.

The search finds passages; what counts is the article that a passage was cut from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ftlib.rows import Row, cluster, values
from ftlib.stats import Headline, Interval, mean_ci95

if TYPE_CHECKING:
    from ftlib.recipe import ColumnsRecipe
    from ftlib.search.index import Index


class Retrieved(NamedTuple):
    """What was found for one question, best first.

    Attributes:
        ids: of the passages.
        seconds: what the search took.
        documents: the article of each passage, in the same order.
        score: the search's, of the best passage; None where nothing was found. Those of different `rag.mode`s, and of
            different collections, cannot be compared.
    """

    ids: tuple[str, ...]
    seconds: float
    documents: tuple[str, ...]
    score: float | None = None


class SearchQuality(NamedTuple):
    """How good the search is: hit rate and complete rate at k = 1, 2, ..., and the mean reciprocal rank."""

    hits: list[Interval]
    complete: list[Interval]
    mrr: Interval


def search_text(row: Row, search_with: str = "conversation") -> str:
    """What a row is searched with.

    `conversation` is all that the user said, the question last; `question` the question alone.
    """
    if search_with == "question":
        return row.question
    return "\n".join(turn.content for turn in row.turns if turn.role == "user")


def retrieve(
    index: Index,
    rows: Sequence[Row],
    k: int,
    documents: Mapping[str, str] | None = None,
    search_with: str = "conversation",
) -> dict[str, Retrieved]:
    """Searches for every row.

    Args:
        index, rows: what is searched, for which questions.
        k: passages a question.
        documents: passage id to the id of its article; one that is not listed is an article itself.
        search_with: as in `search_text`.

    Returns:
        Row id to what was found.
    """
    found = {}
    for row in rows:
        began = time.perf_counter()
        hits = index.search(search_text(row, search_with), k)
        seconds, ids = time.perf_counter() - began, tuple(key for key, _ in hits)
        articles = tuple((documents or {}).get(key, key) for key in ids)
        found[row.id] = Retrieved(ids, seconds, articles, hits[0][1] if hits else None)
    return found


def is_hit(retrieved: Sequence[str], relevant: Sequence[str], k: int | None = None) -> bool | None:
    """Whether a relevant article is among those of the first `k` passages (None: of all), of which the best come first.

    None where no article holds the answer.
    """
    return bool(set(retrieved[:k]) & set(relevant)) if relevant else None


def all_found(retrieved: Sequence[str], relevant: Sequence[str], k: int | None = None) -> bool | None:
    """Whether every relevant article is among them (a comparison needs two); as `is_hit` otherwise."""
    return set(relevant) <= set(retrieved[:k]) if relevant else None


def reciprocal_rank(retrieved: Sequence[str], relevant: Sequence[str]) -> float | None:
    """1 / rank of the first relevant article, 0 where none was retrieved; None where no article holds the answer.

    Ranks are those of articles: one with several passages counts once, where its best passage stands.
    """
    if not relevant:
        return None
    articles = dict.fromkeys(retrieved)
    return next((1 / rank for rank, key in enumerate(articles, start=1) if key in set(relevant)), 0.0)


def search_quality(
    rows: Sequence[Row], found: Mapping[str, Retrieved], depth: int, columns: ColumnsRecipe
) -> SearchQuality | None:
    """All the measures at once, up to k = `depth`; None where no question names the documents that hold its answer.

    Args:
        rows: the questions; those without documents are left out.
        found: what `retrieve` gave at `depth`.
        columns: `data.columns`, which names the columns of documents and facts.

    Returns:
        Shares of the questions, with those about one fact as one cluster; a reciprocal rank beyond the depth is 0.
    """
    asked = [row for row in rows if values(row, columns.documents)]
    if not asked:
        return None
    clusters = [cluster(row, columns.fact) for row in asked]

    def mean(measure: Callable) -> Interval:
        scores = [measure(found[row.id].documents, values(row, columns.documents)) for row in asked]
        return mean_ci95([float(score) for score in scores], clusters)

    depths = range(1, depth + 1)
    return SearchQuality(
        [mean(lambda documents, relevant, k=k: is_hit(documents, relevant, k)) for k in depths],
        [mean(lambda documents, relevant, k=k: all_found(documents, relevant, k)) for k in depths],
        mean(reciprocal_rank),
    )


def search_headlines(measured: SearchQuality, top_k: int) -> list[Headline]:
    """`hit_rate_at_k` at the recipe's `top_k` (at most the depth measured), `hit_rate_at_1` and `mrr`."""
    parts = {"hit_rate_at_k": measured.hits[top_k - 1], "hit_rate_at_1": measured.hits[0], "mrr": measured.mrr}
    return [Headline.of(key, value) for key, value in parts.items()]
