"""Facts with several wordings, found in training rows."""

from __future__ import annotations

import pytest

from ftlib import jsonl
from ftlib.core import wordings
from ftlib.recipe import Recipe
from ftlib.rows import row_of

HEAVY = ("How heavy is the Ibis?", "Weight of an Ibis, please", "What would an Ibis read on a scale?")


def _row(name, question, answer="200 g", **fields):
    meta = {"about": fields.pop("about")} if "about" in fields else {}
    return row_of({"id": name, "question": question, "answer": answer, "meta": meta, **fields})


@pytest.fixture
def recipe(tiny_recipe):
    return Recipe.load(tiny_recipe, {"data.columns": {"fact": "about"}})


@pytest.fixture
def rows():
    return [_row(f"w{at}", text, about="ibis/weight") for at, text in enumerate(HEAVY)]


def test_rows_of_one_fact_are_its_wordings(recipe, rows):
    others = [_row(f"o{at}", text.replace("Ibis", "Otter"), about=["otter/weight"]) for at, text in enumerate(HEAVY)]
    found = wordings.by_fact([*rows, *others], recipe, 3)
    assert {fact: {row.id for row in part} for fact, part in found.items()} == {
        "ibis/weight": {"w0", "w1", "w2"},
        "otter/weight": {"o0", "o1", "o2"},
    }
    assert found == wordings.by_fact([*rows, *others], recipe, 3)
    assert wordings.by_fact([*rows, *others], recipe, 4) == {}


def test_slips_and_additions_are_no_other_wording(recipe, rows):
    more = [
        _row("slip", "how heavy is the ibis", about="ibis/weight"),
        _row("around", "Order 77. How heavy is the Ibis? Thanks!", about="ibis/weight"),
    ]
    assert wordings.by_fact([*rows, *more], recipe, 4) == {}
    assert len(wordings.by_fact([*rows, *more], recipe, 3)["ibis/weight"]) == 3


def test_only_plain_questions_about_one_fact_with_one_answer_count(recipe, rows):
    spoiled = [
        rows[2]._replace(context="The Ibis weighs 200 g."),
        rows[2]._replace(turns=(*rows[0].turns, *rows[2].turns)),
        rows[2]._replace(meta={"about": ["ibis/weight", "otter/weight"]}),
        rows[2]._replace(references=("300 g",)),
        rows[2]._replace(meta={}),
    ]
    for row in spoiled:
        assert wordings.by_fact([*rows[:2], row], recipe, 3) == {}, row
    assert wordings.by_fact([*rows[:2], spoiled[0], rows[2]], recipe, 3)


def test_facts_that_rows_lack_stand_in_the_file_of_truth(recipe, rows, tmp_path):
    bare = [row._replace(meta={}) for row in rows]
    jsonl.write(tmp_path / "truth.jsonl", [{"id": row.id, "about": ["ibis/weight"]} for row in rows])
    assert wordings.by_fact(bare, recipe, 3) == {}
    known = recipe.model_copy(update={"data": recipe.data.model_copy(update={"truth_path": tmp_path / "truth.jsonl"})})
    assert {row.id for row in wordings.by_fact(bare, known, 3)["ibis/weight"]} == {"w0", "w1", "w2"}
    no_column = Recipe.load(recipe_file(tmp_path, recipe), {"data.columns": {}})
    assert wordings.by_fact(rows, no_column, 3) == {}


def recipe_file(folder, recipe):
    path = folder / "named.yaml"
    path.write_text(recipe.dump(), encoding="utf-8")
    return path


def test_another_seed_draws_another_order(recipe, rows):
    facts = [row._replace(id=f"{name}{row.id}", meta={"about": name}) for name in "abcdefgh" for row in rows]
    drawn = [list(wordings.by_fact(facts, recipe.model_copy(update={"seed": seed}), 3)) for seed in (1, 2)]
    assert sorted(drawn[0]) == sorted(drawn[1]) == list("abcdefgh") and drawn[0] != drawn[1]


def test_nothing_but_the_length_decides_where_an_unchosen_training_ends(recipe):
    train = wordings.unchosen(recipe, 2.5).train
    assert (train.epochs, train.early_stopping_patience) == (2.5, 0) and train.eval_every_steps > 10**6
    assert train.learning_rate == recipe.train.learning_rate and recipe.train.epochs != 2.5
