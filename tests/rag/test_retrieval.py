"""Hit rate and mean reciprocal rank, on rankings whose values are known."""

import pytest

from ftlib.rag.retrieval import (
    Found,
    all_found,
    complete_rate,
    headlines,
    hit_rate,
    is_hit,
    mean_reciprocal_rank,
    quality,
    reciprocal_rank,
    retrieve,
)

ROWS = [
    {"id": "1", "documents": ["a"]},
    {"id": "2", "documents": ["b"]},
    {"id": "3", "documents": ["c", "d"]},
    {"id": "4", "documents": ["z"]},
    {"id": "5", "documents": []},
]


def whole(*ids):
    """What a search finds where no article was cut."""
    return Found(ids, 0.1, ids)


FOUND = {
    "1": whole("a", "x", "y"),
    "2": whole("x", "b", "y"),
    "3": whole("x", "d", "c"),
    "4": whole("x", "y", "a"),
    "5": whole("x", "y", "a"),
}


@pytest.mark.parametrize(("k", "rate", "complete"), [(1, 1 / 4, 1 / 4), (2, 3 / 4, 2 / 4), (3, 3 / 4, 3 / 4)])
def test_rates_leave_unanswerable_questions_out(k, rate, complete):
    hit, every = hit_rate(ROWS, FOUND, k), complete_rate(ROWS, FOUND, k)
    assert (hit.mean, hit.n) == (pytest.approx(rate), 4)
    assert (every.mean, every.n) == (pytest.approx(complete), 4)
    assert hit.low < rate < hit.high


def test_mean_reciprocal_rank():
    mrr = mean_reciprocal_rank(ROWS, FOUND)
    assert (mrr.mean, mrr.n) == (pytest.approx((1 + 1 / 2 + 1 / 2 + 0) / 4), 4)


def test_one_question():
    assert is_hit(["x", "a"], ["a"], 1) is False and is_hit(["x", "a"], ["a"]) is True
    assert all_found(["x", "a"], ["a", "b"]) is False
    assert is_hit(["x"], []) is None and all_found(["x"], []) is None and reciprocal_rank(["x"], []) is None


def test_nothing_answerable_is_an_error():
    with pytest.raises(ValueError, match="names the documents"):
        hit_rate(ROWS[4:], FOUND, 1)


def test_questions_about_one_fact_are_one_cluster():
    rows = [{"id": str(i), "documents": ["a"]} for i in range(8)]
    found = {row["id"]: whole("a" if int(row["id"]) < 4 else "b") for row in rows}
    apart = hit_rate(rows, found, 1)
    together = hit_rate(rows, found, 1, {row["id"]: int(row["id"]) // 2 for row in rows})
    assert together.high - together.low > apart.high - apart.low


def test_retrieve_asks_the_index_with_each_question():
    class Echo:
        def search(self, query, k):
            return [(query, 1.0), ("other", 0.5)][:k]

    found = retrieve(Echo(), [{"id": "1", "question": "q1"}, {"id": "2", "question": "q2"}], 1)
    assert {key: value.ids for key, value in found.items()} == {"1": ("q1",), "2": ("q2",)}
    assert all(value.seconds >= 0 for value in found.values())
    found = retrieve(Echo(), [{"id": "1", "question": "q#2"}], 2, {"q#1": "q", "q#2": "q"})
    assert (found["1"].ids, found["1"].documents) == (("q#2", "other"), ("q", "other"))


def test_passages_count_as_their_article_and_an_article_once():
    rows = [{"id": "1", "documents": ["b"]}, {"id": "2", "documents": ["a", "b"]}]
    found = {row["id"]: Found(("a#2", "a#1", "a#7", "b#1", "b#3"), 0.1, ("a", "a", "a", "b", "b")) for row in rows}
    assert [hit_rate(rows, found, k).mean for k in (1, 3, 4)] == [0.5, 0.5, 1], "k counts passages"
    assert [complete_rate(rows, found, k).mean for k in (3, 4)] == [0, 0.5 + 0.5]
    assert mean_reciprocal_rank(rows, found).mean == pytest.approx((1 / 2 + 1) / 2), "b is the second article"
    assert reciprocal_rank(("a", "a", "b", "b"), ["b"]) == 1 / 2


def test_quality_is_all_of_them_or_nothing():
    measured = quality(ROWS, FOUND, 3)
    assert [hit.mean for hit in measured.hits] == [0.25, 0.75, 0.75]
    assert [every.mean for every in measured.complete] == [0.25, 0.5, 0.75] and measured.mrr.mean == 0.5
    assert quality(ROWS[4:], FOUND, 3) is None
    found = {h.key: (h.value, h.n) for h in headlines(measured, 2)}
    assert found == {"hit_rate_at_k": (0.75, 4), "hit_rate_at_1": (0.25, 4), "mrr": (0.5, 4)}
