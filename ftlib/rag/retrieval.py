"""Does the search find the article that holds the answer? Hit rate and mean reciprocal rank.

The search finds passages; what counts is the article that a passage was cut from.
"""

import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.evaluate.scores import Headline
from ftlib.evaluate.stats import Interval, mean_ci95


class Found(NamedTuple):
    """What was found for one question, best first.

    Attributes:
        ids: of the passages.
        seconds: what the search took.
        documents: the article of each passage, in the same order.
    """

    ids: tuple[str, ...]
    seconds: float
    documents: tuple[str, ...]


class Quality(NamedTuple):
    """How good the search is: hit rate and complete rate at k = 1, 2, ..., and the mean reciprocal rank."""

    hits: list[Interval]
    complete: list[Interval]
    mrr: Interval


def retrieve(
    index: Any, rows: Sequence[Mapping], k: int, documents: Mapping[str, str] | None = None
) -> dict[str, Found]:
    """Searches with every row's question.

    Args:
        index: a `ftlib.rag.index.Index`.
        rows: ``{id, question, ...}``.
        k: passages a question.
        documents: passage id to the id of its article; one that is not listed is an article itself.

    Returns:
        Row id to what was found.
    """
    found = {}
    for row in rows:
        began = time.perf_counter()
        ids = tuple(key for key, _ in index.search(row["question"], k))
        seconds = time.perf_counter() - began
        found[row["id"]] = Found(ids, seconds, tuple((documents or {}).get(key, key) for key in ids))
    return found


def is_hit(retrieved: Sequence[str], relevant: Sequence[str], k: int | None = None) -> bool | None:
    """Whether a relevant article is among those of the first ``k`` passages; None where no article holds the answer.

    Args:
        retrieved: the article of each passage, best first.
        relevant: the articles that hold the answer.
        k: cut-off; None: all.
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


def quality(
    rows: Sequence[Mapping], found: Mapping[str, Found], depth: int, clusters: Mapping[str, Hashable] | None = None
) -> Quality | None:
    """All the measures at once; None where no question names the documents that hold its answer.

    Args:
        rows: test rows with ``documents``.
        found: what `retrieve` gave at ``depth``.
        depth: the largest k.
        clusters: row id to cluster key; None: all apart.

    Returns:
        Quality.
    """
    if not any(row.get("documents") for row in rows):
        return None
    depths = range(1, depth + 1)
    return Quality(
        [hit_rate(rows, found, k, clusters) for k in depths],
        [complete_rate(rows, found, k, clusters) for k in depths],
        mean_reciprocal_rank(rows, found, clusters),
    )


def headlines(measured: Quality, top_k: int) -> list[Headline]:
    """``hit_rate_at_k`` at the recipe's ``top_k``, ``hit_rate_at_1`` and ``mrr``, each with interval and n.

    Args:
        measured: from `quality`, at ``top_k`` or deeper.
        top_k: passages shown with a question.

    Returns:
        Headlines.
    """
    values = {"hit_rate_at_k": measured.hits[top_k - 1], "hit_rate_at_1": measured.hits[0], "mrr": measured.mrr}
    return [Headline(key, v.mean, (v.low, v.high), v.n) for key, v in values.items()]


def hit_rate(
    rows: Sequence[Mapping], found: Mapping[str, Found], k: int, clusters: Mapping[str, Hashable] | None = None
) -> Interval:
    """Share of the answerable questions with a passage of a relevant article among the first ``k`` passages.

    Args:
        rows: test rows with ``documents``; those without any are left out.
        found: what `retrieve` gave, at depth ``k`` or more.
        k: cut-off, in passages.
        clusters: row id to cluster key; None: all apart.

    Returns:
        Interval over the answerable questions.

    Raises:
        ValueError: no row names a document.
    """
    return _mean(rows, clusters, lambda row: is_hit(found[row["id"]].documents, row.get("documents") or (), k))


def complete_rate(
    rows: Sequence[Mapping], found: Mapping[str, Found], k: int, clusters: Mapping[str, Hashable] | None = None
) -> Interval:
    """Share of the answerable questions with a passage of every relevant article; as `hit_rate` otherwise."""
    return _mean(rows, clusters, lambda row: all_found(found[row["id"]].documents, row.get("documents") or (), k))


def mean_reciprocal_rank(
    rows: Sequence[Mapping], found: Mapping[str, Found], clusters: Mapping[str, Hashable] | None = None
) -> Interval:
    """Mean of `reciprocal_rank` over the answerable questions, 0 beyond the depth searched; as `hit_rate` otherwise."""
    return _mean(rows, clusters, lambda row: reciprocal_rank(found[row["id"]].documents, row.get("documents") or ()))


def _mean(rows: Sequence[Mapping], clusters: Mapping[str, Hashable] | None, measure: Any) -> Interval:
    measured = [(row["id"], value) for row in rows if (value := measure(row)) is not None]
    if not measured:
        raise ValueError("no question names the documents that hold its answer")
    keys = [clusters[key] for key, _ in measured] if clusters else None
    return mean_ci95([float(value) for _, value in measured], keys)
