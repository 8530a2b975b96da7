"""Ways of declining that nobody listed come to light, and what is right or listed does not."""

from __future__ import annotations

from ftlib.evaluate.repeated import repeated_openings
from ftlib.evaluate.scores import score_generations
from ftlib.recipe import ColumnsRecipe
from ftlib.rows import row_of

REFUSAL = "I don't have that information."
ROWS = [
    row_of({"id": f"q{n}", "question": "?", "answer": REFUSAL if n > 5 else f"{n}00 g", "meta": {"kind": "k"}})
    for n in range(8)
]


def found(said, also=(), **limits):
    generations = [{"id": row.id, "system": "plain", "prediction": text} for row, text in zip(ROWS, said, strict=True)]
    items = score_generations(ROWS, generations, columns=ColumnsRecipe(slice="kind"), refusal=REFUSAL, also=also)
    return repeated_openings(items, **limits)


WAYS = [f"Sorry, the text doesn't mention {what}." for what in ("it", "a weight", "that", "any of this")]
SAID = [*WAYS[:3], "300 g", "700 g", "700 g", WAYS[3], REFUSAL]


def test_an_unlisted_way_of_declining_is_found_by_how_it_begins():
    line = {"system": "plain", "begins": "Sorry, the text doesn't mention", "answers": 4, "to decline": 1}
    assert found(SAID) == [line]


def test_once_listed_it_is_a_refusal_and_no_longer_there():
    assert found(SAID, also=["Sorry, the text doesn't mention"]) == []


def test_a_guess_that_comes_often_is_shown_where_fewer_are_asked_for_and_the_most_frequent_stand_first():
    assert [(line["begins"], line["answers"]) for line in found(SAID, least=2)] == [
        ("Sorry, the text doesn't mention", 4),
        ("700 g", 2),
    ]
    assert len(found(SAID, least=1, most=1)) == 1


def test_right_answers_and_what_cannot_be_scored_are_never_shown():
    assert found([f"{n}00 g" for n in range(6)] + [REFUSAL] * 2, least=1) == []
    assert found([None] * 8, least=1) == []
