"""Hit rate and mean reciprocal rank, on rankings whose values are known."""

import pytest

from ftlib.recipe import ColumnsRecipe
from ftlib.rows import row_of
from ftlib.search.retrieval import (
    Retrieved,
    all_found,
    is_hit,
    reciprocal_rank,
    retrieve,
    search_headlines,
    search_quality,
    search_text,
)

COLUMNS = ColumnsRecipe(documents="articles", fact="about")


def row(key, *documents, **meta):
    return row_of({"id": key, "question": f"q{key}", "answer": "a", "meta": {"articles": list(documents), **meta}})


ROWS = [row("1", "a"), row("2", "b"), row("3", "c", "d"), row("4", "z"), row("5")]


def whole(*ids):
    """What a search finds where no article was cut."""
    return Retrieved(ids, 0.1, ids)


FOUND = {
    "1": whole("a", "x", "y"),
    "2": whole("x", "b", "y"),
    "3": whole("x", "d", "c"),
    "4": whole("x", "y", "a"),
    "5": whole("x", "y", "a"),
}


@pytest.mark.parametrize(("k", "rate", "complete"), [(1, 1 / 4, 1 / 4), (2, 3 / 4, 2 / 4), (3, 3 / 4, 3 / 4)])
def test_rates_leave_unanswerable_questions_out(k, rate, complete):
    measured = search_quality(ROWS, FOUND, 3, COLUMNS)
    hit, every = measured.hits[k - 1], measured.complete[k - 1]
    assert (hit.mean, hit.n) == (pytest.approx(rate), 4)
    assert (every.mean, every.n) == (pytest.approx(complete), 4)
    assert hit.low < rate < hit.high


def test_mean_reciprocal_rank():
    mrr = search_quality(ROWS, FOUND, 3, COLUMNS).mrr
    assert (mrr.mean, mrr.n) == (pytest.approx((1 + 1 / 2 + 1 / 2 + 0) / 4), 4)


def test_one_question():
    assert is_hit(["x", "a"], ["a"], 1) is False and is_hit(["x", "a"], ["a"]) is True
    assert all_found(["x", "a"], ["a", "b"]) is False
    assert is_hit(["x"], []) is None and all_found(["x"], []) is None and reciprocal_rank(["x"], []) is None


def test_nothing_answerable_or_no_column_of_documents_measures_nothing():
    assert search_quality(ROWS[4:], FOUND, 3, COLUMNS) is None
    assert search_quality(ROWS, FOUND, 3, ColumnsRecipe()) is None


def test_questions_about_one_fact_are_one_cluster():
    rows = [row(str(i), "a", about=f"f{i // 2}") for i in range(8)]
    found = {each.id: whole("a" if int(each.id) < 4 else "b") for each in rows}
    apart = search_quality(rows, found, 1, ColumnsRecipe(documents="articles")).hits[0]
    together = search_quality(rows, found, 1, COLUMNS).hits[0]
    assert together.high - together.low > apart.high - apart.low


class Echo:
    def search(self, query, k):
        return [(query, 1.0), ("other", 0.5)][:k]


def test_retrieve_asks_the_index_with_each_question():
    found = retrieve(Echo(), [row("1"), row("2")], 1)
    assert {key: value.ids for key, value in found.items()} == {"1": ("q1",), "2": ("q2",)}
    assert all(value.seconds >= 0 for value in found.values())
    found = retrieve(Echo(), [row("1").asking("q#2")], 2, {"q#1": "q", "q#2": "q"})
    assert (found["1"].ids, found["1"].documents) == (("q#2", "other"), ("q", "other"))


def test_the_score_is_that_of_the_best_passage():
    class Two:
        def search(self, query, k):
            return [("a", 7.5), ("b", 7.25)][:k] if query == "q1" else []

    found = retrieve(Two(), [row("1"), row("2")], 2)
    assert (found["1"].score, found["2"].score, found["2"].ids) == (7.5, None, ())


def test_a_follow_up_is_searched_with_what_was_said_before_it():
    turns = [("system", "Be short."), ("user", "The Tarn 15?"), ("assistant", "A lamp."), ("user", "Its price?")]
    asked = row_of({"id": "1", "turns": [{"role": r, "content": c} for r, c in turns], "answer": "9"})
    assert search_text(asked) == "The Tarn 15?\nIts price?" and search_text(asked, "question") == "Its price?"
    assert retrieve(Echo(), [asked], 1)["1"].ids == ("The Tarn 15?\nIts price?",)
    assert retrieve(Echo(), [asked], 1, None, "question")["1"].ids == ("Its price?",)


def test_passages_count_as_their_article_and_an_article_once():
    rows = [row("1", "b"), row("2", "a", "b")]
    found = {each.id: Retrieved(("a#2", "a#1", "a#7", "b#1", "b#3"), 0.1, ("a", "a", "a", "b", "b")) for each in rows}
    measured = search_quality(rows, found, 5, COLUMNS)
    assert [measured.hits[k - 1].mean for k in (1, 3, 4)] == [0.5, 0.5, 1], "k counts passages"
    assert [measured.complete[k - 1].mean for k in (3, 4)] == [0, 0.5 + 0.5]
    assert measured.mrr.mean == pytest.approx((1 / 2 + 1) / 2), "b is the second article"
    assert reciprocal_rank(("a", "a", "b", "b"), ["b"]) == 1 / 2


def test_quality_is_all_of_them():
    measured = search_quality(ROWS, FOUND, 3, COLUMNS)
    assert [hit.mean for hit in measured.hits] == [0.25, 0.75, 0.75]
    assert [every.mean for every in measured.complete] == [0.25, 0.5, 0.75] and measured.mrr.mean == 0.5
    found = {h.key: (h.value, h.n) for h in search_headlines(measured, 2)}
    assert found == {"hit_rate_at_k": (0.75, 4), "hit_rate_at_1": (0.25, 4), "mrr": (0.5, 4)}
