"""The systems of a recipe: what each is told."""

from __future__ import annotations

from ftlib.recipe import Recipe
from ftlib.systems import AUTO, systems, with_refusal


def test_an_instruction_is_a_text_nothing_or_chosen_later(tiny_recipe):
    fields = {"systems.base.instruction": "Or say: {refusal}", "systems.finetuned.instruction": None}
    found = systems(Recipe.load(tiny_recipe, fields | {"prompt.refusal": "No idea."}))
    assert {name: found[name].instruction for name in ("base", "finetuned", "rag")} == {
        "base": "Or say: No idea.",
        "finetuned": "",
        "rag": AUTO,
    }
    assert [found[name].told for name in ("base", "finetuned", "rag")] == ["Or say: No idea.", "", ""]


def test_braces_that_are_no_refusal_stay():
    assert with_refusal('Answer as {"value": ...}', "x") == 'Answer as {"value": ...}'
