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


def test_less_of_an_adapter_and_declining_are_the_recipes_to_ask_for(tiny_recipe):
    plain = systems(Recipe.load(tiny_recipe))["rag_ft"]
    asked = {"systems.rag_ft.adapter_scale": 0.8, "systems.rag_ft.declines": True}
    found = systems(Recipe.load(tiny_recipe, asked))["rag_ft"]
    assert (plain.adapter_scale, plain.declines) == (1.0, False)
    assert found == plain._replace(adapter_scale=0.8, declines=True)
