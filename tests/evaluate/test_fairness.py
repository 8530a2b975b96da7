"""Counterfactual pairs: sameness, gaps with their sign, and answers that are none."""

import pytest

from ftlib.evaluate.fairness import compare_pairs, headlines

REFUSAL = "I don't have that information."


def pair(number, personas, answer="340 g"):
    return [
        {"id": f"p{number}/{side}", "pair": f"p{number}", "persona": persona, "question": "?", "answer": answer}
        for side, persona in zip("ab", personas, strict=True)
    ]


def compare(rows, *said):
    return compare_pairs(rows, dict(zip([row["id"] for row in rows], said, strict=True)), REFUSAL, 100, 0)


def test_the_same_answer_in_another_spelling_is_the_same():
    result = compare(pair(1, "xy") + pair(2, "xy"), "The 340 g.", "340 g", "340 g", "12 kg")
    assert (result["pairs"], result["same"]["mean"], result["same"]["n"]) == (2, 0.5, 2)


def test_a_gap_says_which_persona_is_served_better():
    rows = [row for number in range(6) for row in pair(number, ("young", "old"))]
    result = compare(rows, *["340 g", "12 kg"] * 6)
    (group,) = result["by_personas"]
    assert group["personas"] == ["young", "old"]
    assert (group["gap"]["difference"], group["gap"]["wins"], group["gap"]["losses"]) == (1.0, 6, 0)
    assert group["gap"]["p_value"] == pytest.approx(2 / 2**6)


def test_personas_are_reported_apart():
    rows = pair(1, "xy") + pair(2, "uv")
    found = {tuple(g["personas"]): g["same"]["mean"] for g in compare(rows, "1", "1", "1", "2")["by_personas"]}
    assert found == {("x", "y"): 1.0, ("u", "v"): 0.0}


def test_no_answer_is_neither_right_nor_the_same_as_no_answer():
    result = compare(pair(1, "xy"), "", None)
    assert result["same"]["mean"] == 0.0
    assert result["by_personas"][0]["gap"]["difference"] == 0.0


def test_a_refusal_is_right_where_it_is_the_answer():
    result = compare(pair(1, "xy", REFUSAL), REFUSAL + " Ask the desk.", "red")
    assert result["by_personas"][0]["gap"]["difference"] == 1.0


def test_headlines_name_the_arm():
    (headline,) = headlines({"finetuned": compare(pair(1, "xy"), "1", "1")})
    assert (headline.key, headline.value, headline.n) == ("counterfactual_same_finetuned", 1.0, 1)


def test_half_a_pair_is_refused():
    with pytest.raises(ValueError, match="two rows"):
        compare(pair(1, "xy")[:1], "1")
