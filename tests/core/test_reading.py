"""Rows that an epoch draws: read beside a passage, declined beside others, and general text."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest

from ftlib import jsonl
from ftlib.core import reading
from ftlib.core.batches import LengthGroupedBatches, is_towards_base
from ftlib.data.prompts import Renderer
from ftlib.data.tokens import load_tokenizer
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.rows import row_of

NAMES = ["Ibis", "Lemur", "Marten", "Otter", "Puffin", "Raven", "Stork", "Tapir"]
REFUSAL = "I don't have that information."


@pytest.fixture
def rows():
    told = [
        {"id": f"w{at}", "question": f"How heavy is the {name}?", "answer": f"{at + 2}00 g"}
        for at, name in enumerate(NAMES)
    ]
    nobody = [
        {"id": f"n{at}", "question": f"Who painted the {name}?", "answer": REFUSAL} for at, name in enumerate(NAMES)
    ]
    return [row_of(each) for each in (*told, *nobody)]


@pytest.fixture
def made(tmp_path, tiny_recipe, rows):
    """A function: fields of train.context -> what two epochs draw."""
    pages = tmp_path / "pages"
    pages.mkdir()
    for at, name in enumerate(NAMES):
        (pages / f"{name}.md").write_text(f"# {name}\n\nThe {name} is heavy, it weighs {at + 2}00 g.\n")
    jsonl.write(tmp_path / "general.jsonl", [{"text": f"Rain fell on day {day}."} for day in range(5)])

    def draw(epochs=2, **fields):
        context = {"share": 1.0, "beside": 0.0, "exchanged": 1.0, **fields}
        train = {"train.context": context, "train.replay_path": str(tmp_path / "general.jsonl")}
        recipe = Recipe.load(tiny_recipe, {"rag.documents_path": str(pages), "prompt.refusal": REFUSAL, **train})
        renderer = Renderer.of(recipe, load_tokenizer(recipe.model))
        return reading.draw(rows, epochs, recipe, renderer)

    return draw


def test_another_value_stands_in_passage_and_answer_alike(made, rows):
    own = {row.id: row.answer for row in rows}
    drawn = made()
    told = [row for part in drawn.rows for row in part if row.answer != REFUSAL]
    assert told and all(row.answer != own[row.id] and row.answer in row.context for row in told)
    assert not any(own[row.id] in row.context for row in told)
    assert {row.answer for row in told} <= set(own.values()), "a value of another question, of the same kind"


def test_every_epoch_draws_other_values(made):
    one, two = ({row.id: row.answer for row in part} for part in made().rows)
    assert any(one[key] != two[key] for key in one.keys() & two.keys())


def test_passages_come_late_where_the_recipe_says_so(made, rows):
    drawn = made(epochs=4, after=0.5)
    assert [bool(part) for part in drawn.rows] == [False, False, True, True]
    ends = list(accumulate(map(len, drawn.rows), initial=len(rows)))
    parts = [range(start, end) for start, end in pairwise(ends)]
    batches = LengthGroupedBatches([1] * ends[-1], 4, 4, 0, drawn=parts)
    asked = sum(-(-(len(rows) + len(part)) // 4) for part in drawn.rows)
    assert len(list(batches)) == len(batches) == batches.count(4) == asked
    assert batches.count(0.5) == 2 and batches.count(2.5) == 8 + batches.count(3) / 2 - 4


def test_without_exchange_the_passage_agrees_and_beside_the_point_the_answer_stays(made, rows):
    own = {row.id: row.answer for row in rows}
    kept = [row for part in made(exchanged=0.0).rows for row in part]
    assert all(row.answer == own[row.id] for row in kept)
    assert all(row.answer in row.context for row in kept if row.answer != REFUSAL)
    drawn = made(beside=1.0, exchanged=0.0)
    told = [row for part in drawn.rows for row in part if row.answer != REFUSAL]
    assert all(row.answer == own[row.id] for row in told)
    assert 0 < sum(row.answer not in row.context for row in told) <= drawn.counts["beside the point"]


def test_what_is_to_be_declined_is_shown_with_passages_and_declined(made):
    drawn = made()
    declined = [row for part in drawn.rows for row in part if row.answer == REFUSAL]
    assert declined and all(row.context for row in declined) and drawn.counts["declined"] >= len(declined)


def test_the_same_recipe_draws_the_same(made):
    assert made() == made()


def test_every_epoch_is_as_long_as_the_others(made):
    parts = made(epochs=3).examples
    assert len({len(part) for part in parts}) == 1 and len(parts) == 3


def test_general_text_comes_beside(tiny_recipe, rows, tmp_path):
    jsonl.write(tmp_path / "text.jsonl", [{"text": f"Rain fell on day {day}."} for day in range(5)])
    fields = {"train.replay_path": str(tmp_path / "text.jsonl"), "train.replay_share": 2 / len(rows)}
    recipe = Recipe.load(tiny_recipe, fields)
    tokenizer = load_tokenizer(recipe.model)
    drawn = reading.draw(rows, 2, recipe, Renderer.of(recipe, tokenizer))
    texts = [tokenizer.decode(each.input_ids) for part in drawn.examples for each in part]
    assert drawn.counts == {"text": 4} and len(set(texts)) == 4 and all("Rain fell" in text for text in texts)
    assert all(each.labels[-1] != -100 for part in drawn.examples for each in part)


def test_general_text_that_keeps_to_the_base_says_so_and_answers_do_not(tiny_recipe, rows, tmp_path):
    jsonl.write(tmp_path / "text.jsonl", [{"text": "Rain fell."}])
    fields = {"train.replay_path": str(tmp_path / "text.jsonl"), "train.replay_share": 2 / len(rows)}
    recipe = Recipe.load(tiny_recipe, fields | {"train.replay_kl": 0.5})
    drawn = reading.draw(rows, 1, recipe, Renderer.of(recipe, load_tokenizer(recipe.model)))
    assert [is_towards_base(each) for part in drawn.examples for each in part] == [True, True]
    plain = Recipe.load(tiny_recipe, fields)
    same = reading.draw(rows, 1, plain, Renderer.of(plain, load_tokenizer(plain.model)))
    assert [tuple(each) for each in same.examples[0]] == [tuple(each) for each in drawn.examples[0]]
    assert not any(map(is_towards_base, same.examples[0]))


def test_keeping_to_the_base_on_no_text_is_the_users_mistake(tiny_recipe, rows):
    recipe = Recipe.load(tiny_recipe, {"train.replay_kl": 1.0})
    with pytest.raises(UserError, match=r"(?s)train\.replay_kl = 1.*replay_path"):
        reading.draw(rows, 2, recipe, Renderer.of(recipe, load_tokenizer(recipe.model)))


def test_nothing_is_drawn_where_nothing_is_asked_for(tiny_recipe, rows):
    recipe = Recipe.load(tiny_recipe)
    drawn = reading.draw(rows, 2, recipe, Renderer.of(recipe, load_tokenizer(recipe.model)))
    assert drawn.examples == [] and not drawn.counts


def test_passages_without_articles_are_the_users_mistake(tiny_recipe, rows):
    recipe = Recipe.load(tiny_recipe, {"train.context": {"share": 0.5}, "rag.documents_path": None})
    with pytest.raises(UserError, match=r"rag\.documents_path"):
        reading.draw(rows, 2, recipe, Renderer.of(recipe, load_tokenizer(recipe.model)))


def test_batches_hold_the_rows_of_their_epoch_only():
    batches = LengthGroupedBatches([5] * 10, 4, 3, seed=0, drawn=[range(6, 8), range(8, 10)])
    epochs = [sorted(row for batch in batches.epoch(epoch) for row in batch) for epoch in range(3)]
    assert epochs == [[*range(6), 6, 7], [*range(6), 8, 9], [*range(6), 6, 7]]
    assert batches.count(1) == 2 and len(batches) == 6
