"""The instruction of each system: every candidate on the same validation rows, the best one wins, nothing twice."""

from __future__ import annotations

import math

import pytest

from ftlib import jsonl
from ftlib.core.generate import Generation
from ftlib.data.prompts import Prompt
from ftlib.evaluate.instructions import (
    Choice,
    candidates,
    choice_lines,
    choose_instruction,
    read_choices,
    write_choices,
)
from ftlib.recipe import Recipe
from ftlib.rows import row_of
from ftlib.stats import Interval
from ftlib.systems import systems

REFUSAL = "I don't have that information."
ROWS = [row_of({"id": f"v{n}", "question": f"Colour of lamp {n}?", "answer": "red"}) for n in range(6)]
ROWS += [row_of({"id": f"v{n}", "question": "Who?", "answer": REFUSAL}) for n in range(6, 8)]
WORD, DECLINE = "One word.", f"One word, or: {REFUSAL}"


class Scripted:
    """A model of which is known what it says to whom; it counts the questions."""

    window = 100

    def __init__(self, says):
        self.says, self.asked = says, 0

    def is_local(self, system):
        return True

    def generate(self, system, prompts, **options):
        self.asked += len(prompts)
        return [Generation(self.says(system.told, prompt.id), 1, 0.1, None) for prompt in prompts]


def says(told, key):
    unknown = int(key[1:]) > 5
    if told == DECLINE and unknown:
        return REFUSAL
    return "red" if told else "It is red or blue, who knows."


def prompts_of(system, length=9):
    return [Prompt(row.id, [1] * (length + len(system.told)), []) for row in ROWS]


@pytest.fixture
def recipe(tiny_recipe):
    fields = {"evaluate.instructions": [WORD, "One word, or: {refusal}", "", WORD], "evaluate.bootstrap_samples": 50}
    return Recipe.load(tiny_recipe, fields)


def choose(recipe, path, engine=None, rows=ROWS, system=None, prompts=prompts_of):
    system = system or systems(recipe)["base"]
    return choose_instruction(engine or Scripted(says), system, rows, prompts, path, recipe)


def test_none_is_the_first_candidate_and_the_refusal_is_put_in(recipe, tiny_recipe):
    assert candidates(recipe) == ["", WORD, DECLINE]
    default = candidates(Recipe.load(tiny_recipe))
    assert default[0] == "" and len(default) == 4
    assert sum(REFUSAL in text for text in default) == 2 and not any("{" in text for text in default)


def test_the_best_on_validation_wins_and_every_candidate_has_its_share(recipe, tmp_path):
    choice = choose(recipe, tmp_path / "asked.jsonl")
    assert (choice.system, choice.instruction) == ("base", DECLINE)
    assert {text: (found.mean, found.n) for text, found in choice.tried.items()} == {
        "": (0.0, 8),
        WORD: (0.75, 8),
        DECLINE: (1.0, 8),
    }
    assert all(found.low <= found.mean <= found.high for found in choice.tried.values())


def test_of_equal_ones_the_earlier_wins(recipe, tmp_path):
    assert choose(recipe, tmp_path / "a", Scripted(lambda told, key: "red")).instruction == ""
    first_of_two = Scripted(lambda told, key: "red" if told else "blue")
    assert choose(recipe, tmp_path / "b", first_of_two).instruction == WORD


def test_form_counts_where_the_recipe_says_so(recipe, tmp_path):
    talks = Scripted(lambda told, key: "red" if told == DECLINE else "It is red.")
    assert choose(recipe, tmp_path / "a", talks).instruction == ""
    recipe.evaluate.right = "exact"
    assert choose(recipe, tmp_path / "b", talks).instruction == DECLINE


def test_a_killed_choice_goes_on_and_asks_nothing_twice(recipe, tmp_path):
    path, engine = tmp_path / "asked.jsonl", Scripted(says)
    whole = choose(recipe, path, engine)
    assert engine.asked == 3 * len(ROWS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:10]) + lines[10][:9])
    again = Scripted(says)
    assert choose(recipe, path, again) == whole and again.asked == 3 * len(ROWS) - 10
    assert {line["instruction"] for line in jsonl.read(path)} == {"", WORD, DECLINE}


def test_what_the_recipe_says_is_not_tried(recipe, tiny_recipe, tmp_path):
    engine = Scripted(says)
    fields = {"systems.base.instruction": "Decline with: {refusal}", "systems.finetuned.instruction": None}
    named = systems(Recipe.load(tiny_recipe, fields))
    told = choose(recipe, tmp_path / "a", engine, system=named["base"])
    assert told == Choice("base", f"Decline with: {REFUSAL}", {})
    assert choose(recipe, tmp_path / "a", engine, system=named["finetuned"]) == Choice("finetuned", "", {})
    assert choose(recipe, tmp_path / "a", engine, rows=[]) == Choice("base", "", {})
    assert engine.asked == 0 and named["rag"].instruction == "auto"


def test_a_candidate_without_room_is_left_out(recipe, tmp_path):
    length = 100 - recipe.evaluate.max_new_tokens - len(WORD)
    choice = choose(recipe, tmp_path / "a", prompts=lambda system: prompts_of(system, length))
    assert list(choice.tried) == ["", WORD] and choice.instruction == WORD


def test_choices_are_kept_and_shown(tmp_path):
    found = {"": Interval(0.25, 0.1, 0.5, 40), WORD: Interval(0.5, math.nan, math.nan, 40)}
    choices = {"base": Choice("base", WORD, found), "big": Choice("big", "Say it.", {})}
    write_choices(tmp_path / "instructions.json", choices)
    again = read_choices(tmp_path / "instructions.json")
    assert again["big"] == choices["big"] and again["base"].instruction == WORD
    assert again["base"].tried[""] == found[""] and math.isnan(again["base"].tried[WORD].low)
    assert read_choices(tmp_path / "none.json") == {}
    assert choice_lines(again, {"base": "The base", "big": "The big one"}) == [
        {"told": "(nothing)", "The base": "25% [10%, 50%]", "n": 40},
        {"told": WORD, "The base": "50% *", "n": 40},
    ]


def test_with_a_model_the_chosen_instruction_stands_in_its_prompts(two_systems, tiny_recipe, tmp_path):
    engine, both = two_systems
    recipe = Recipe.load(tiny_recipe)

    def asked(system):
        return [engine.renderer.prompt(row, instruction=system.told) for row in ROWS]

    choice = choose_instruction(engine, both["base"], ROWS, asked, tmp_path / "asked.jsonl", recipe)
    assert list(choice.tried) == candidates(recipe) and choice.instruction in choice.tried
    lengths = {line["instruction"]: line["prompt_tokens"] for line in jsonl.read(tmp_path / "asked.jsonl")}
    assert all(lengths[text] > lengths[""] for text in lengths if text)
