"""Declining by a threshold: exact thresholds and shares on worked examples, and what holds for any scores."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.evaluate.declining import (
    DecliningRule,
    choose_rule,
    decline,
    declining_headlines,
    declining_sentence,
    measure_declining,
    mix_weights,
)
from ftlib.evaluate.scores import is_right, score_generations
from ftlib.recipe import ColumnsRecipe
from ftlib.rows import row_of

REFUSAL = "I don't have that information."
COLUMNS = ColumnsRecipe(slice="kind")
OPTIONS = {"columns": COLUMNS, "refusal": REFUSAL}


def made(*cases, kind="facts"):
    """Rows, answers and items of (right answer, what is said, log-probability, search score) or with a slice behind."""
    rows, lines = [], []
    for at, (answer, said, likelihood, search, *rest) in enumerate(cases):
        meta = {"kind": rest[0] if rest else kind}
        rows.append(row_of({"id": f"q{at}", "question": "?", "answer": answer, "meta": meta}))
        lines.append(
            {"id": f"q{at}", "system": "x", "prediction": said, "log_probability": likelihood, "score": search}
        )
    return rows, lines, score_generations(rows, lines, **OPTIONS)


def measured(rule, rows, lines, items, **more):
    after = score_generations(rows, decline(rule, lines, REFUSAL), **OPTIONS)
    return measure_declining(rule, items, after, lines, **{"samples": 200, **more})


SURE = [
    ("red", "red", -0.1, 9.0),
    ("blue", "blue", -0.2, 2.0),
    ("grey", "green", -0.6, 5.0),
    (REFUSAL, "white", -0.5, 4.0),
    (REFUSAL, "black", -0.9, 3.0),
    (REFUSAL, REFUSAL, -0.05, 8.0),
]


def test_the_threshold_has_most_questions_right_and_is_the_lowest_of_equal_ones():
    _, lines, items = made(*SURE)
    rule = choose_rule(items, lines)
    # Below -0.2 lie two to be declined and a wrong answer; the search would lose "blue" with them.
    assert rule == DecliningRule("x", "log_probability", -0.2, pytest.approx(5 / 6), 0.5, pytest.approx(1 / 3), 6)
    wrong = [("red", "blue", -0.1, None), ("red", "blue", -0.2, None), (REFUSAL, REFUSAL, -0.3, None)]
    _, lines, items = made(*wrong)
    assert choose_rule(items, lines).threshold == -math.inf, "no threshold gains anything, so the fewest are declined"


def test_the_search_is_chosen_where_it_tells_more_and_nothing_found_is_least():
    cases = [
        ("red", "red", -0.9, 7.0),
        (REFUSAL, "x", -0.1, 6.0),
        (REFUSAL, "y", -0.2, None),
        ("red", "red", -0.3, 7.5),
    ]
    _, lines, items = made(*cases)
    assert choose_rule(items, lines) == DecliningRule("x", "score", 7.0, 1.0, 0.5, 0.0, 4)


def test_without_any_score_nothing_is_declined():
    _, lines, items = made(("red", "red", None, None), (REFUSAL, "x", None, None))
    rule = choose_rule(items, lines)
    assert (rule.threshold, rule.right, rule.before, rule.refused) == (-math.inf, 0.5, 0.5, 0.0)
    assert [line["prediction"] for line in decline(rule, lines, REFUSAL)] == ["red", "x"]


def test_below_the_threshold_is_declined_and_at_it_is_not():
    _, lines, _ = made(*SURE)
    rule = DecliningRule("x", "log_probability", -0.5, 0, 0, None, 6)
    said = [line["prediction"] for line in decline(rule, lines, REFUSAL)]
    assert said == ["red", "blue", REFUSAL, "white", REFUSAL, REFUSAL]
    assert lines[4]["prediction"] == "black", "the answers themselves stay"


def test_what_a_rule_does_by_hand():
    rows, lines, items = made(*SURE)
    found = measured(DecliningRule("x", "log_probability", -0.2, 0, 0, None, 6), rows, lines, items)
    assert found.replaced == 3
    assert (found.refused.mean, found.refused.n) == (1.0, 3)
    assert (found.over.mean, found.over.n) == (pytest.approx(1 / 3), 3)
    assert (found.right.mean, found.right.n) == (pytest.approx(5 / 6), 6)
    assert found.change[0] == pytest.approx(2 / 6) and (found.change.wins, found.change.losses) == (2, 0)
    third = pytest.approx(1 / 3)
    two = pytest.approx(2 / 3)
    # Thresholds: none, -0.9, -0.6, -0.5, -0.2, -0.1, -0.05, all.
    assert found.curve == [(third, two), (third, two), (two, two), (two, two), (1, two), (1, third), (1, 0), (1, 0)]
    assert found.point == (1, two)
    keys = ["refusal_accuracy_x_threshold", "over_refusal_x_threshold", "right_x_threshold"]
    headlines = declining_headlines([found])
    assert [each.key for each in headlines] == keys and [each.n for each in headlines] == [3, 3, 6]
    assert all(each.ci95[0] <= each.value <= each.ci95[1] for each in headlines)


def test_declining_is_no_fault_where_nothing_was_taught():
    rows, lines, items = made(("red", "red", -1, None, "untaught"), ("red", "red", 0, None), (REFUSAL, "x", -1, None))
    rule = DecliningRule("x", "log_probability", -0.5, 0, 0, None, 3)
    found = measured(rule, rows, lines, items, controls=["untaught"])
    assert (found.over.mean, found.over.n) == (0.0, 1)
    assert measured(rule, rows, lines, items).over.mean == 0.5
    assert found.right.mean == pytest.approx(2 / 3) and found.right.n == 3, "but it is not right either"


def test_where_nothing_is_to_be_declined_there_is_no_curve():
    rows, lines, items = made(("red", "red", -1, None), ("red", "blue", -2, None))
    found = measured(choose_rule(items, lines), rows, lines, items)
    assert found.refused is None and found.curve == [] and found.point is None
    assert [each.key for each in declining_headlines([found])] == ["over_refusal_x_threshold", "right_x_threshold"]


def test_the_change_is_weighed_by_the_users_mix():
    cases = [("red", "red", -2, None, "a"), ("red", "red", 0, None, "a"), (REFUSAL, "x", -2, None, "b")]
    rows, lines, items = made(*cases)
    assert mix_weights(items, {}) == [1, 1, 1] == mix_weights(items, {"after": 2})
    assert mix_weights(items, {"a": 1, "b": 3}) == pytest.approx([3 / 8, 3 / 8, 9 / 4])
    rule = DecliningRule("x", "log_probability", -1, 0, 0, None, 3)
    assert measured(rule, rows, lines, items).change.difference == pytest.approx(0.0)
    mixed = measured(rule, rows, lines, items, mix={"a": 1, "b": 3}).change
    assert mixed.difference == pytest.approx((9 / 4 - 3 / 8) / 3)


def test_the_sentence_says_whether_it_is_worth_it():
    cases = [(REFUSAL, "x", -2, None)] * 30 + [("red", "red", 0, None)] * 30
    rows, lines, items = made(*cases)
    told = declining_sentence(measured(choose_rule(items, lines), rows, lines, items), "the model")
    assert told.startswith("the model, declining below a likelihood of 0 (30 of 60 answers): worth it, +50.0 points")
    assert told.endswith("n = 60. It declines 100% of what is to be declined and 0% of the rest.")
    backwards = DecliningRule("x", "log_probability", math.inf, 0, 0, None, 60)
    rows, lines, items = made(*[("red", "red", 0, None)] * 30)
    assert "harmful, -100.0 points" in declining_sentence(measured(backwards, rows, lines, items), "m")
    none = choose_rule(items, lines)
    told = declining_sentence(measured(none, rows, lines, items), "m")
    assert told == "m: no threshold has more of the 30 validation questions right than none."
    rows, lines, items = made((REFUSAL, "x", -2, None), *[("red", "red", 0, None)] * 20)
    told = declining_sentence(measured(choose_rule(items, lines), rows, lines, items), "m")
    assert "not shown to be worth it, +4.8 points" in told


CASES = st.lists(
    st.tuples(
        st.sampled_from(["red", REFUSAL]),
        st.sampled_from(["red", "blue", REFUSAL, ""]),
        st.none() | st.floats(-5, 0),
        st.none() | st.integers(0, 3),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(CASES)
def test_the_rule_is_the_best_of_all_thresholds_tried_one_by_one(cases):
    rows, lines, items = made(*cases)
    rule = choose_rule(items, lines)

    def right(name, threshold):
        after = score_generations(
            rows, decline(rule._replace(score=name, threshold=threshold), lines, REFUSAL), **OPTIONS
        )
        return sum(map(is_right, after)) / len(after)

    tried = [
        (name, threshold)
        for name in ("log_probability", "score")
        if any(line[name] is not None for line in lines)
        for threshold in [-math.inf, *sorted(line[name] for line in lines if line[name] is not None), math.inf]
    ]
    assert rule.right == pytest.approx(right(rule.score, rule.threshold))
    assert rule.right == pytest.approx(max((right(*each) for each in tried), default=rule.before))
    lower = [t for name, t in tried if name == rule.score and t < rule.threshold]
    assert all(right(rule.score, threshold) < rule.right for threshold in lower)
    curve = measured(rule, rows, lines, items).curve
    assert curve == sorted(curve, key=lambda at: (at[0], -at[1]))
