"""Error rates by slice, the worst ones, and regressions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.recipe import ColumnsRecipe
from ftlib.review.slices import SliceRate, answer_type, band, dimensions, error_rates, transitions, worst_slices
from ftlib.review.training_index import TrainingIndex
from ftlib.rows import Turn, row_of, value
from ftlib.stats import wilson

REFUSAL = "I don't have that information."
COLUMNS = ColumnsRecipe(slice="topic", fact="about")


def rows_of(*slices):
    values = ({"topic": name, "about": [f"p{i}/weight"]} for i, name in enumerate(slices))
    return [
        row_of({"id": f"t{i}", "question": "How heavy?", "answer": "340 g", "meta": meta})
        for i, meta in enumerate(values)
    ]


def topic(row):
    return value(row, "topic")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("340 g", "quantity"),
        ("Yes.", "yes/no"),
        ("IP67", "code"),
        ("blue", "word"),
        (REFUSAL, "refusal"),
        ("restart the gateway", "phrase (2-4 words)"),
        ("wait until the lamp turns green", "sentence (5+ words)"),
    ],
)
def test_answer_type(answer, expected):
    assert answer_type(row_of({"id": "t", "question": "q", "answer": answer}), REFUSAL) == expected


@pytest.mark.parametrize(("count", "expected"), [(0, "0"), (1, "1-2"), (2, "1-2"), (3, "3"), (4, "4+"), (99, "4+")])
def test_band(count, expected):
    assert band(count, (1, 3, 4)) == expected


def test_rates_have_wilson_limits_where_rows_are_apart():
    rows = rows_of(*["a"] * 40)
    wrong = {row.id: i < 10 for i, row in enumerate(rows)}
    found = error_rates(rows, wrong, {"slice": topic})
    assert len(found) == 1
    assert (found[0].n, found[0].errors, found[0].rate) == (40, 10, 0.25)
    low, high = wilson(10, 40)
    # The effective sample is a little smaller than 40: t instead of normal quantiles.
    assert low - 0.02 < found[0].low <= low and high <= found[0].high < high + 0.02


def test_every_dimension_divides_all_rows():
    rows = rows_of("a", "b", "b", "")
    ways = dimensions(rows, TrainingIndex.of([], COLUMNS, REFUSAL), ["about"], REFUSAL)
    found = error_rates(rows, {row.id: False for row in rows}, ways)
    assert list(ways) == ["topic", "about"], "what is the same for all rows divides nothing"
    for name in ways:
        assert sum(rate.n for rate in found if rate.dimension == name) == 4
    assert all(rate.errors == 0 and rate.low == 0 for rate in found)


def test_dimensions_are_those_of_the_data():
    plain = row_of({"id": "a", "question": "How heavy is the kettle?", "answer": "340 g", "meta": {"desk": "north"}})
    follow_up = row_of({"id": "b", "question": "And its colour?", "answer": "blue", "meta": {"desk": "south"}})
    follow_up = follow_up._replace(turns=(*plain.turns, Turn("assistant", "340 g"), *follow_up.turns))
    index = TrainingIndex.of([], ColumnsRecipe(), REFUSAL)
    ways = dimensions([plain, follow_up], index, ["desk"], REFUSAL)
    assert list(ways) == ["desk", "answer type", "answer words", "turns before the question"]
    assert [ways["turns before the question"](row) for row in (plain, follow_up)] == ["0", "2"]
    assert [ways["desk"](row) for row in (plain, follow_up)] == ["north", "south"]
    facts = dimensions(rows_of("a", "a"), TrainingIndex.of(rows_of("a"), COLUMNS, REFUSAL), [], REFUSAL)
    assert [facts["training wordings"](row) for row in rows_of("a", "a")] == ["1-2", "0"]
    assert dimensions([plain], index, ["desk", "slice"], REFUSAL) == {}, "nothing to cut by is no error"


def test_rows_of_one_fact_are_one_cluster():
    rows = [row._replace(meta={"about": "p/weight"}) for row in rows_of(*["a"] * 40)]
    wrong = {row.id: i < 10 for i, row in enumerate(rows)}
    apart, together = (error_rates(rows, wrong, {"slice": topic}, fact)[0] for fact in (None, "about"))
    assert together.high - together.low > apart.high - apart.low


def test_values_are_in_natural_order():
    rows = rows_of("10+", "2-9", "0")
    found = error_rates(rows, {row.id: False for row in rows}, {"slice": topic})
    assert [rate.value for rate in found] == ["0", "2-9", "10+"]


def test_worst_ranks_by_lower_limit_and_leaves_small_slices_out():
    small = SliceRate("d", "small", 5, 3, 0.6, 0.2, 0.9)
    tiny = SliceRate("d", "tiny", 3, 3, 1.0, 0.4, 1.0)
    large = SliceRate("d", "large", 100, 50, 0.5, 0.4, 0.6)
    usual = SliceRate("d", "usual", 100, 12, 0.12, 0.07, 0.2)
    found = worst_slices([small, tiny, large, usual], overall=0.1, min_rows=5)
    assert [rate.value for rate in found] == ["large", "small"]
    assert worst_slices([usual], overall=0.1, min_rows=5) == []


def test_transitions():
    before = {"a": True, "b": True, "c": False, "d": False}
    after = {"a": True, "b": False, "c": True, "d": False}
    found = transitions(before, after)
    assert (found.kept_right, found.regressed, found.fixed, found.kept_wrong) == (("a",), ("b",), ("c",), ("d",))
    assert found.n == 4 and found.p_value == 1.0


def test_transitions_refuse_rows_that_one_system_lacks():
    with pytest.raises(ValueError, match=r"1 row\(s\), such as 'b'"):
        transitions({"a": True, "b": True}, {"a": True})


@settings(deadline=None)  # the first call of SciPy's binomial test is slow
@given(st.dictionaries(st.text(max_size=3), st.tuples(st.booleans(), st.booleans())))
def test_transitions_lose_no_row(pairs):
    found = transitions({k: a for k, (a, _) in pairs.items()}, {k: b for k, (_, b) in pairs.items()})
    together = [*found.kept_right, *found.fixed, *found.regressed, *found.kept_wrong]
    assert sorted(together) == sorted(pairs) and found.n == len(pairs)
    assert 0 <= found.p_value <= 1
