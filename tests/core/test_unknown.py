"""Questions about subjects that do not exist: made up anew in every epoch, and declined."""

from __future__ import annotations

import pytest

from ftlib.core import reading
from ftlib.core.unknown import unknown_questions
from ftlib.data.prompts import Renderer
from ftlib.data.tokens import load_tokenizer
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.rows import row_of

REFUSAL = "I don't have that information."
NAMES = ["Ibis 20", "Lemur XL", "Gustav Adolf II.", "RFC 793", "iPhone", "小米手机"]
PATTERNS = ["How heavy is the {}?", "Is the {} painted by hand?", "重量多少 {}"]


@pytest.fixture
def rows():
    asked = [(pattern.format(name), name) for pattern in PATTERNS for name in NAMES]
    told = [
        {"id": f"t{at}", "question": question, "answer": f"{at} g", "meta": {"about": name}}
        for at, (question, name) in enumerate(asked)
    ]
    declined = {"id": "n", "question": "Who owns the Dodo 10?", "answer": REFUSAL, "meta": {"about": "Dodo 10"}}
    return [row_of(each) for each in (*told, declined)]


@pytest.fixture
def recipe(tiny_recipe):
    """A function: overrides -> the recipe, which asks for as many such questions as there are rows."""

    def made(**fields):
        about = {"prompt.refusal": REFUSAL, "data.columns.subject": "about", "train.unknown_share": 1.0}
        return Recipe.load(tiny_recipe, about | {name.replace("__", "."): value for name, value in fields.items()})

    return made


def test_only_the_name_differs_and_nobody_has_it(recipe, rows):
    starts = {pattern.split("{}")[0] for pattern in PATTERNS}
    for row in (row for part in unknown_questions(rows, 3, recipe()) for row in part):
        assert any(row.question.startswith(start) for start in starts)
        assert row.answer == REFUSAL and not any(name in row.question for name in NAMES)
        assert "Dodo" not in row.question, "what is declined already is no pattern"


def test_names_keep_their_shape(recipe, rows):
    questions = {row.question for part in unknown_questions(rows, 20, recipe()) for row in part}
    numbered = [q for q in questions if q.startswith("How heavy is the ") and q.rstrip("?")[-2:].isdigit()]
    assert numbered and any(q.endswith(" II.?") for q in questions)
    assert any(q.split(" the ")[1].split()[0].isupper() for q in questions if " the " in q), "as RFC is"


def test_every_epoch_makes_up_other_ones(recipe, rows):
    parts = [{row.question for row in part} for part in unknown_questions(rows, 2, recipe())]
    assert len(parts[0] & parts[1]) < len(parts[0]) / 4
    assert unknown_questions(rows, 2, recipe()) == unknown_questions(rows, 2, recipe())
    ids = [row.id for part in unknown_questions(rows, 2, recipe()) for row in part]
    assert len(set(ids)) == len(ids) == 2 * len(rows)


def test_a_name_that_somebody_has_is_never_declined(recipe):
    told = [
        {"id": str(n), "question": f"Who won race {n}?", "answer": "Ada", "meta": {"about": f"{n}"}} for n in range(10)
    ]
    assert unknown_questions([row_of(each) for each in told], 2, recipe()) == [[], []], "no other digit is left"
    unasked = [each | {"question": "Who won it?"} for each in told[1:]]
    assert unknown_questions([row_of(each) for each in (told[0], *unasked)], 2, recipe()) == [[], []], "nor here"


def test_later_turns_and_rows_with_a_passage_are_no_pattern(recipe, rows):
    later = [row._replace(turns=(*row.turns, *row.turns)) for row in rows]
    beside = [row._replace(context="It is known.") for row in rows]
    for each in (later, beside):
        with pytest.raises(UserError, match="none in the column 'about'"):
            unknown_questions(each, 1, recipe())


def test_without_a_column_of_subjects_the_error_says_what_to_do(recipe, rows):
    with pytest.raises(UserError, match=r"(?s)train.unknown_share = 1.*data.columns.subject.*train.unknown_share: 0"):
        unknown_questions(rows, 1, recipe(data__columns__subject=None))
    assert unknown_questions(rows, 2, recipe(data__columns__subject=None, train__unknown_share=0)) == [[], []]


def test_they_are_drawn_alone_and_beside_passages(recipe, rows, tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    for at, name in enumerate(NAMES):
        (pages / f"{at}.md").write_text(f"# {name}\n\nThe {name} is heavy, it weighs {at} g.\n", encoding="utf-8")
    chosen = recipe(rag__documents_path=str(pages), train__context={"share": 1.0, "nearest": 1.0})
    drawn = reading.draw(rows, 2, chosen, Renderer.of(chosen, load_tokenizer(chosen.model)))
    made = [row for part in drawn.rows for row in part if row.id.startswith("unknown")]
    alone, beside = ([row for row in made if bool(row.context) is wanted] for wanted in (False, True))
    assert len(alone) == drawn.counts["unknown subject"] == 2 * len(rows)
    assert beside and all(row.answer == REFUSAL for row in made)
    assert {row.id for row in beside} <= {row.id for row in alone}
