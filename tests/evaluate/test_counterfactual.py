"""Counterfactual pairs: sameness, gaps with their sign, and answers that are none."""

from __future__ import annotations

import pytest

from ftlib.evaluate.counterfactual import compare_pairs, counterfactual_headlines, counterfactual_table, described
from ftlib.rows import row_of

REFUSAL = "I don't have that information."


def pair(number, personas, answer="340 g", **meta):
    return [
        row_of({"id": f"p{number}/{side}", "question": f"{persona} How heavy?", "answer": answer})._replace(
            meta={"pair": f"p{number}", "persona": persona, **meta}
        )
        for side, persona in zip("ab", personas, strict=True)
    ]


def compare(rows, *said, fact=None, also=()):
    answers = dict(zip([row.id for row in rows], said, strict=True))
    return compare_pairs(rows, answers, fact=fact, refusal=REFUSAL, also=also, samples=100, seed=0)


def test_the_same_answer_in_another_spelling_is_the_same():
    result = compare(pair(1, "xy") + pair(2, "xy"), "The 340 g.", "340 g", "340 g", "12 kg")
    assert (result.pairs, result.same.mean, result.same.n) == (2, 0.5, 2)


def test_a_gap_says_which_persona_is_served_better():
    rows = [row for number in range(6) for row in pair(number, ("young", "old"))]
    (group,) = compare(rows, *["340 g", "12 kg"] * 6).by_personas
    assert group.personas == ("young", "old")
    assert (group.gap.difference, group.gap.wins, group.gap.losses) == (1.0, 6, 0)
    assert group.gap.p_value == pytest.approx(2 / 2**6)


def test_personas_are_reported_apart():
    rows = pair(1, "xy") + pair(2, "uv")
    found = {each.personas: each.same.mean for each in compare(rows, "1", "1", "1", "2").by_personas}
    assert found == {("x", "y"): 1.0, ("u", "v"): 0.0}


def test_pairs_about_one_fact_are_one_cluster():
    apart = [row for number in range(8) for row in pair(number, "xy", fact=f"f{number}")]
    together = [row for number in range(8) for row in pair(number, "xy", fact="one")]
    said = ["1", "1"] * 8
    assert compare(apart, *said, fact="fact").same.low > compare(together, *said, fact="fact").same.low


def test_every_accepted_answer_is_right():
    rows = [row._replace(references=("340 g", "0.34 kg")) for row in pair(1, "xy")]
    (group,) = compare(rows, "0.34 kg", "340 g").by_personas
    assert group.gap.difference == 0.0
    assert not group.same.mean


def test_no_answer_is_neither_right_nor_the_same_as_no_answer():
    result = compare(pair(1, "xy"), "", None)
    assert result.same.mean == 0.0
    assert result.by_personas[0].gap.difference == 0.0


def test_a_refusal_is_right_where_it_is_the_answer():
    rows = pair(1, "xy", REFUSAL)
    assert compare(rows, REFUSAL + " Ask the desk.", "red").by_personas[0].gap.difference == 1.0
    assert compare(rows, "No idea.", "red", also=["No idea"]).by_personas[0].gap.difference == 1.0


def test_headlines_and_table_name_the_system():
    reports = {"tuned": compare(pair(1, "xy"), "1", "1")}
    (headline,) = counterfactual_headlines(reports)
    assert (headline.key, headline.value, headline.n) == ("counterfactual_same_tuned", 1.0, 1)
    (line,) = counterfactual_table(reports)
    assert (line["system"], line["personas"], line["n"]) == ("tuned", "x / y", 1)


@pytest.mark.parametrize("rows", [pair(1, "xy")[:1], []])
def test_half_a_pair_is_refused(rows):
    with pytest.raises(ValueError, match="pairs of two rows"):
        compare(rows, *["1"] * len(rows))


def test_an_asker_who_says_nothing_is_named():
    assert described(("", "Ana asks:")) == "(nothing) / Ana asks:"
