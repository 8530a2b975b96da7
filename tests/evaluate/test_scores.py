"""Generations to scores: nothing is dropped, pairs are pairs, and the headline keys are the agreed ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.evaluate.scores import (
    as_json,
    choose_rows,
    cluster,
    gain,
    headlines,
    number,
    score_generations,
    select,
    table,
)

REFUSAL = "I don't have that information."
ARMS = ("base", "finetuned")


def row(identity, answer, kind="trained_fact", fact=()):
    return {"id": identity, "question": "?", "answer": answer, "slice": kind, "fact": list(fact)}


ROWS = [
    row("a", "340 g", fact=["weight"]),
    row("b", "340 g", fact=["weight"]),
    row("c", "steel", fact=["housing"]),
    row("d", "120 EUR", "untrained_fact", fact=["price"]),
    row("e", REFUSAL, "unanswerable"),
    row("f", REFUSAL, "unanswerable"),
]
BASE = {"a": "12 kg", "b": "340 g", "c": "", "d": REFUSAL, "e": "red", "f": REFUSAL}
TUNED = {"a": "340 g", "b": "340 g", "c": "steel", "d": REFUSAL, "e": REFUSAL, "f": REFUSAL}


def generations(answers, arm):
    return [{"id": key, "arm": arm, "prediction": text, "tokens": 2, "seconds": 0.1} for key, text in answers.items()]


@pytest.fixture
def items():
    return score_generations(ROWS, generations(BASE, "base") + generations(TUNED, "finetuned"), REFUSAL)


def test_every_row_is_scored_for_every_arm_in_order(items):
    assert [item["id"] for item in items if item["arm"] == "base"] == [row["id"] for row in ROWS]
    assert len(items) == 2 * len(ROWS)


def test_an_empty_answer_stays_in_the_denominator_and_is_counted(items):
    empty = next(item for item in items if item["id"] == "c" and item["arm"] == "base")
    assert (empty["scored"], empty["em"], number(empty, "em")) == (False, None, 0.0)
    found = {h.key: h for h in headlines(items, ARMS, 200, 0)}
    assert (found["em_base"].value, found["em_base"].n) == (pytest.approx(1 / 3), 3)
    assert (found["unscored_base"].value, found["unscored_base"].n) == (1, 6)
    assert found["unscored_finetuned"].value == 0


def test_a_row_without_a_generation_is_unscored_and_not_left_out():
    some = score_generations(ROWS, generations({"a": "340 g"}, "base"), REFUSAL)
    assert [item["scored"] for item in some] == [True] + [False] * 5


def test_headlines_have_the_agreed_keys_values_and_limits(items):
    found = {h.key: h for h in headlines(items, ARMS, 200, 0)}
    measures = ("em", "f1", "rouge_l", "refusal_accuracy", "over_refusal")
    assert set(found) == {f"{m}_{end}" for m in measures for end in (*ARMS, "gain")} | {f"unscored_{a}" for a in ARMS}
    assert found["em_finetuned"].value == 1.0
    assert found["em_gain"].value == pytest.approx(2 / 3)
    assert (found["refusal_accuracy_base"].value, found["refusal_accuracy_finetuned"].value) == (0.5, 1.0)
    assert found["refusal_accuracy_gain"].n == 2
    for headline in found.values():
        assert headline.ci95 is None or headline.ci95[0] <= headline.value <= headline.ci95[1], headline


def test_over_refusal_forgives_what_was_never_taught(items):
    over = next(h for h in headlines(items, ARMS, 200, 0) if h.key == "over_refusal_finetuned")
    assert (over.value, over.n) == (0.0, 3)
    untaught = select(items, "finetuned", "untrained_fact")
    assert [item["refused"] for item in untaught] == [True]


def test_without_slices_all_answerable_rows_are_the_headline():
    rows = [{"id": str(i), "question": "?", "answer": "yes"} for i in range(4)]
    answers = [{"id": str(i), "arm": arm, "prediction": "yes"} for arm in ARMS for i in range(4)]
    found = {h.key: h for h in headlines(score_generations(rows, answers, REFUSAL), ARMS, 100, 0)}
    assert (found["em_base"].value, found["em_base"].n) == (1.0, 4)
    assert "refusal_accuracy_base" not in found


def test_the_table_has_every_slice_with_paired_gains(items):
    rows = {(r["slice"], r["measure"]): r for r in table(items, ARMS, 200, 0)}
    em = rows["trained_fact", "em"]
    assert (em["n"], em["clusters"], em["unscored"]) == (3, 2, {"base": 1, "finetuned": 0})
    assert (em["gain"]["wins"], em["gain"]["losses"], em["gain"]["mcnemar_p"]) == (2, 0, 0.5)
    assert em["finetuned"]["mean"] - em["base"]["mean"] == pytest.approx(em["gain"]["difference"])
    assert [measure for name, measure in rows if name == "unanswerable"] == ["refused"]


def test_rows_of_one_fact_are_one_cluster():
    assert cluster(ROWS[0]) == cluster(ROWS[1]) == "weight"
    assert cluster({"id": "x", "fact": ["q", "p"]}) == "p,q"
    assert cluster({"id": "x", "fact": [], "group": "g7"}) == "g7"
    assert cluster({"id": "x"}) == "x"


def test_a_generation_of_no_row_is_an_error_and_a_repeated_one_counts_last():
    with pytest.raises(ValueError, match="belong to no test row, the first is 'zz'"):
        score_generations(ROWS, generations({"zz": "?"}, "base"), REFUSAL)
    twice = generations({"a": "12 kg"}, "base") + generations({"a": "340 g"}, "base")
    assert score_generations(ROWS[:1], twice, REFUSAL)[0]["em"] == 1.0


def test_a_gain_needs_the_same_rows(items):
    with pytest.raises(ValueError, match="same rows"):
        gain(select(items, "finetuned", "trained_fact")[1:], select(items, "base", "trained_fact")[:2], "em", 50, 0)


@given(st.integers(1, 80), st.permutations(range(60)))
def test_a_limit_takes_evenly_from_the_slices_whatever_the_order(limit, order):
    rows = [{"id": f"r{i}", "slice": "big" if i % 6 else "small"} for i in order]
    chosen = choose_rows(rows, limit)
    assert len(chosen) == min(limit, 60)
    assert chosen == [row for row in rows if row in chosen]
    assert {row["id"] for row in chosen} == {row["id"] for row in choose_rows(sorted(rows, key=str), limit)}
    small = sum(row["slice"] == "small" for row in chosen)
    assert abs(small - (len(chosen) - small)) <= 1 or small == 10


def test_what_json_can_not_hold_becomes_null():
    assert as_json({"a": [float("inf"), 1.5], "b": (float("nan"), None, True)}) == {
        "a": [None, 1.5],
        "b": [None, None, True],
    }
