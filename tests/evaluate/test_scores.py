"""Generations to scores: nothing is dropped, pairs are pairs, and the headline keys are the agreed ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.evaluate import scores
from ftlib.evaluate.scores import (
    all_asked,
    choose_rows,
    expects_refusal,
    gain,
    headline_slice,
    is_right,
    item_score,
    score_answer,
    score_generations,
    score_headlines,
    score_table,
    select,
)
from ftlib.recipe import ColumnsRecipe
from ftlib.rows import row_of

REFUSAL = "I don't have that information."
COLUMNS = ColumnsRecipe(slice="kind", fact="about")
NAMES = ("plain", "tuned")
PARTS = {"wanted": "taught", "controls": ["never_taught"], "samples": 200, "seed": 0}


def row(identity, answer, kind="taught", about=(), **more):
    meta = {"kind": kind, "about": list(about)}
    return row_of({"id": identity, "question": "?", "answer": answer, "meta": meta, **more})


ROWS = [
    row("a", "340 g", about=["weight"]),
    row("b", "340 g", about=["weight"]),
    row("c", "steel", about=["housing"]),
    row("d", "120 EUR", "never_taught", about=["price"]),
    row("e", REFUSAL, "unknown"),
    row("f", REFUSAL, "unknown"),
]
PLAIN = {"a": "12 kg", "b": "340 g", "c": "", "d": REFUSAL, "e": "red", "f": REFUSAL}
TUNED = {"a": "340 g", "b": "340 g", "c": "steel", "d": REFUSAL, "e": REFUSAL, "f": REFUSAL}


def generations(answers, system):
    return [{"id": key, "system": system, "prediction": text, "tokens": 2} for key, text in answers.items()]


def scored(rows, lines, columns=COLUMNS, also=()):
    return score_generations(rows, lines, columns=columns, refusal=REFUSAL, also=also)


@pytest.fixture
def items():
    return scored(ROWS, generations(PLAIN, "plain") + generations(TUNED, "tuned"))


def test_every_row_is_scored_for_every_system_in_order(items):
    assert [item["id"] for item in items if item["system"] == "plain"] == [row.id for row in ROWS]
    assert len(items) == 2 * len(ROWS)
    fields = "id system slice cluster prediction scored em value f1 rouge_l refused refusal_expected refusal_correct"
    assert list(items[0]) == [*fields.split(), "right"]


def test_an_empty_answer_stays_in_the_denominator_and_is_counted(items):
    empty = next(item for item in items if item["id"] == "c" and item["system"] == "plain")
    assert (empty["scored"], empty["em"], item_score(empty, "em")) == (False, None, 0.0)
    assert not is_right(empty)
    found = {h.key: h for h in score_headlines(items, NAMES, **PARTS)}
    assert (found["em_plain"].value, found["em_plain"].n) == (pytest.approx(1 / 3), 3)
    assert (found["unscored_plain"].value, found["unscored_plain"].n) == (1, 6)
    assert found["unscored_tuned"].value == 0


def test_a_row_without_a_generation_is_unscored_and_not_left_out():
    some = scored(ROWS, generations({"a": "340 g"}, "plain"))
    assert [item["scored"] for item in some] == [True] + [False] * 5


@pytest.mark.parametrize("prediction", [None, "", " \n\t", "\ufffd\ufffd", "\x00\u200b", 3])
def test_what_holds_no_answer_is_unscored_and_not_zero(prediction):
    found = score_answer(row("x", "340 g"), prediction, REFUSAL)
    assert found["scored"] is False
    assert found["em"] is found["value"] is found["f1"] is found["rouge_l"] is None
    assert found["refused"] is found["right"] is False


def test_a_row_is_scored_against_all_its_references():
    several = row("x", "340 g", references=["340 g", "0.34 kg"])
    assert score_answer(several, "0.34 kg", REFUSAL)["em"] == 1.0
    other_unit = score_answer(row("x", "340 g"), "0.34 kg", REFUSAL)
    assert (other_unit["em"], other_unit["value"]) == (0.0, 1.0)


def test_the_rows_own_answer_says_whether_to_decline_and_no_slice_does():
    assert expects_refusal(row("x", REFUSAL), REFUSAL)
    assert expects_refusal(row("x", "No idea, sorry."), REFUSAL, ["No idea"])
    assert not expects_refusal(row("x", "340 g", "unanswerable"), REFUSAL)
    assert not expects_refusal(row("x", "No idea, sorry."), REFUSAL)


def test_refusing_is_right_exactly_where_it_is_expected():
    unanswerable, answerable = row("x", REFUSAL), row("y", "340 g")
    assert score_answer(unanswerable, REFUSAL, REFUSAL)["refusal_correct"]
    assert not score_answer(unanswerable, "340 g", REFUSAL)["refusal_correct"]
    assert not score_answer(answerable, REFUSAL, REFUSAL)["refusal_correct"]
    assert score_answer(answerable, "12 kg", REFUSAL)["refusal_correct"]
    phrased = score_answer(unanswerable, "No idea.", REFUSAL, ["No idea"])
    assert is_right(phrased)
    assert not phrased["em"]


def test_the_recipe_says_whether_form_counts():
    said = "It weighs 340 g, all in all."
    assert is_right(score_answer(row("x", "340 g"), said, REFUSAL))
    assert not is_right(score_answer(row("x", "340 g"), said, REFUSAL, right="exact"))
    assert is_right(score_answer(row("x", "340 g"), "340 g", REFUSAL, right="exact"))
    assert not is_right(score_answer(row("x", "340 g"), f"{REFUSAL} 340 g", REFUSAL)), "it declines"
    lines = generations({"a": said}, "plain")
    exact = score_generations(ROWS[:1], lines, columns=COLUMNS, refusal=REFUSAL, right="exact")
    assert [is_right(item) for item in [*scored(ROWS[:1], lines), *exact]] == [True, False]


def test_numbers_and_names_of_the_conversation_are_no_competitors():
    turns = [("user", "Tell me of the Tarn 15."), ("assistant", "Gladly."), ("user", "How many lamps has it?")]
    asked = row_of({"id": "x", "turns": [{"role": r, "content": c} for r, c in turns], "answer": "6"})
    assert all_asked(asked) == "Tell me of the Tarn 15.\nHow many lamps has it?"
    assert score_answer(asked, "The Tarn 15 has 6 lamps.", REFUSAL)["value"] == 1.0
    assert score_answer(asked, "The Tarn 25 has 6 lamps.", REFUSAL)["value"] == 0.0


def test_right_is_the_value_or_a_refusal_where_it_is_asked_for(items):
    right = {item["id"]: is_right(item) for item in items if item["system"] == "plain"}
    assert right == {"a": False, "b": True, "c": False, "d": False, "e": False, "f": True}


def test_headlines_have_the_agreed_keys_values_and_limits(items):
    found = {h.key: h for h in score_headlines(items, NAMES, **PARTS)}
    measures = ("em", "value", "f1", "rouge_l", "refusal_accuracy", "over_refusal")
    assert set(found) == {f"{m}_{end}" for m in measures for end in (*NAMES, "gain")} | {f"unscored_{a}" for a in NAMES}
    assert found["em_tuned"].value == 1.0
    assert found["em_gain"].value == pytest.approx(2 / 3)
    assert (found["refusal_accuracy_plain"].value, found["refusal_accuracy_tuned"].value) == (0.5, 1.0)
    assert found["refusal_accuracy_gain"].n == 2
    for headline in found.values():
        assert headline.ci95 is None or headline.ci95[0] <= headline.value <= headline.ci95[1], headline


def test_any_number_of_systems_is_compared_with_the_first():
    lines = [line for name in ("x", "y", "z") for line in generations(TUNED if name == "z" else PLAIN, name)]
    items = scored(ROWS, lines)
    found = {h.key: h.value for h in score_headlines(items, ["x", "y", "z"], **PARTS)}
    assert (found["em_gain_y"], found["em_gain_z"]) == (0.0, pytest.approx(2 / 3))
    assert "em_gain" not in found
    (em,) = [r for r in score_table(items, ["x", "y", "z"], 99, 0) if (r["slice"], r["measure"]) == ("taught", "em")]
    assert list(em["systems"]) == ["x", "y", "z"]
    assert list(em["gains"]) == list(em["mcnemar_p"]) == ["y", "z"]
    alone = {h.key for h in score_headlines([i for i in items if i["system"] == "x"], ["x"], **PARTS)}
    assert {"em_x", "unscored_x"} <= alone
    assert not any("gain" in key for key in alone)


def test_over_refusal_forgives_what_was_never_taught(items):
    over = next(h for h in score_headlines(items, NAMES, **PARTS) if h.key == "over_refusal_tuned")
    assert (over.value, over.n) == (0.0, 3)
    assert [item["refused"] for item in select(items, "tuned", "never_taught")] == [True]
    strict = next(h for h in score_headlines(items, NAMES, **PARTS | {"controls": []}) if h.key == "over_refusal_tuned")
    assert (strict.value, strict.n) == (0.25, 4)


def test_without_slices_all_answerable_rows_are_the_headline():
    rows = [row_of({"id": str(i), "question": "?", "answer": "yes"}) for i in range(4)]
    answers = [{"id": str(i), "system": name, "prediction": "yes"} for name in NAMES for i in range(4)]
    items = scored(rows, answers, ColumnsRecipe())
    found = {h.key: h for h in score_headlines(items, NAMES, **PARTS)}
    assert (found["em_plain"].value, found["em_plain"].n) == (1.0, 4)
    assert "refusal_accuracy_plain" not in found
    assert {item["slice"] for item in items} == {"all"}
    assert headline_slice(items, "taught") == headline_slice(items, None) == scores.ALL


def test_where_every_right_answer_is_the_refusal_only_refusals_are_counted():
    items = scored(ROWS[4:], generations({"e": REFUSAL}, "plain"))
    found = {h.key: h.value for h in score_headlines(items, ["plain"], **PARTS)}
    assert found == {"refusal_accuracy_plain": 0.5, "unscored_plain": 1}
    assert [(r["slice"], r["measure"]) for r in score_table(items, ["plain"], 99, 0)] == [("unanswerable", "refused")]


def test_the_table_has_every_slice_with_paired_gains(items):
    rows = {(r["slice"], r["measure"]): r for r in score_table(items, NAMES, 200, 0)}
    em = rows["taught", "em"]
    assert (em["n"], em["clusters"], em["unscored"]) == (3, 2, {"plain": 1, "tuned": 0})
    assert (em["gains"]["tuned"].wins, em["gains"]["tuned"].losses, em["mcnemar_p"]["tuned"]) == (2, 0, 0.5)
    means = em["systems"]
    assert means["tuned"].mean - means["plain"].mean == pytest.approx(em["gains"]["tuned"].difference)
    assert [measure for name, measure in rows if name == "unanswerable"] == ["refused"]


def test_a_slice_may_be_called_like_the_computed_sets():
    rows = [row("a", "red", "unanswerable"), row("b", REFUSAL, "answerable")]
    items = scored(rows, generations({"a": "red", "b": REFUSAL}, "plain"))
    assert [item["id"] for item in select(items, "plain", scores.ALL)] == ["a"]
    table = score_table(items, ["plain"], 99, 0)
    assert [(r["measure"], r["n"]) for r in table] == [
        ("em", 1),
        ("value", 1),
        ("f1", 1),
        ("rouge_l", 1),
        ("refused", 1),
        ("refused", 1),
    ]


def test_rows_of_one_fact_are_one_cluster(items):
    keys = {item["id"]: item["cluster"] for item in items}
    assert keys["a"] == keys["b"] == "weight"
    assert keys["e"] == "e"


def test_a_generation_of_no_row_is_an_error_and_a_repeated_one_counts_last():
    with pytest.raises(ValueError, match="belong to no test row, the first is 'zz'"):
        scored(ROWS, generations({"zz": "?"}, "plain"))
    twice = generations({"a": "12 kg"}, "plain") + generations({"a": "340 g"}, "plain")
    assert scored(ROWS[:1], twice)[0]["em"] == 1.0


def test_a_gain_needs_the_same_rows(items):
    with pytest.raises(ValueError, match="same rows"):
        gain(select(items, "tuned", "taught")[1:], select(items, "plain", "taught")[:2], "em", 50, 0)


@given(st.integers(1, 80), st.permutations(range(60)))
def test_a_limit_takes_evenly_from_the_slices_whatever_the_order(limit, order):
    rows = [row(f"r{i}", "x", "big" if i % 6 else "small") for i in order]
    chosen = choose_rows(rows, limit, "kind")
    assert len(chosen) == min(limit, 60)
    assert chosen == [row for row in rows if row in chosen]
    assert {row.id for row in chosen} == {row.id for row in choose_rows(sorted(rows, key=str), limit, "kind")}
    small = sum(row.meta["kind"] == "small" for row in chosen)
    assert abs(small - (len(chosen) - small)) <= 1 or small == 10
