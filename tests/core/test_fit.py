"""`ftlib plan`: sizes as people write them, and advice that holds."""

from __future__ import annotations

import re

import pytest

from ftlib.cli import parse_overrides
from ftlib.core.fit import parse_bytes, plan_recipe
from ftlib.core.plan import HEADROOM
from ftlib.errors import UserError
from ftlib.recipe import Recipe


def test_sizes_are_read_as_people_write_them():
    assert parse_bytes("24GiB") == parse_bytes("24 G") == 24 * 2**30
    assert parse_bytes("1.5g") == 3 * 2**29 and parse_bytes("800MiB") == 800 * 2**20 and parse_bytes("4096") == 4096
    for wrong in ("", "much", "-3G", "3 apples"):
        with pytest.raises(UserError, match="--memory"):
            parse_bytes(wrong)


@pytest.fixture(scope="module")
def recipe(make_recipe):
    return make_recipe(
        train={"batch_rows": 32, "max_length": 256, "activation_checkpointing": False},
        quantization={"gemm": "cached"},
    )


@pytest.mark.parametrize("share", [0.9, 0.3])
def test_the_advice_fits_and_keeps_the_step(recipe, share):
    wide = plan_recipe(recipe, memory_bytes=2**40)
    assert wide.advice == "" and "It fits." in wide.text()
    limit = int(share * wide.chosen.memory.peak)
    plan = plan_recipe(recipe, memory_bytes=limit)
    assert plan.chosen.memory.peak > HEADROOM * limit
    changes = parse_overrides(re.findall(r"-p (\S+)", plan.advice))
    assert changes
    values = recipe.model_dump(mode="json")
    for field, value in changes.items():
        section, _, name = field.partition(".")
        values[section][name] = value
    changed = Recipe.model_validate(values)
    assert plan_recipe(changed, memory_bytes=limit).advice == ""
    rows = [each.train.batch_rows * each.train.accumulation for each in (recipe, changed)]
    assert rows[0] == rows[1]


def test_what_no_change_makes_fit_is_said(recipe):
    assert "No smaller batch fits" in plan_recipe(recipe, memory_bytes=1000).advice


def test_a_base_that_is_not_there_is_the_users_to_correct(make_recipe):
    with pytest.raises(UserError, match=r"model\.base"):
        plan_recipe(make_recipe(model={"base": "/nowhere/at/all"}))


def test_recomputing_is_planned_where_the_longest_batch_does_not_fit_without(make_recipe):
    recipe = make_recipe(train={"batch_rows": 32, "max_length": 256}, quantization={"gemm": "cached"})
    wide = plan_recipe(recipe, memory_bytes=2**40).chosen
    assert not wide.checkpointing
    tight = plan_recipe(recipe, memory_bytes=int(0.9 * wide.memory.peak)).chosen
    assert tight.checkpointing and tight.memory.stepping < wide.memory.stepping


def test_the_time_of_a_step_grows_with_its_rows(recipe):
    one, two = (
        plan_recipe(recipe.model_copy(update={"train": recipe.train.model_copy(update={"batch_rows": rows})}))
        for rows in (16, 64)
    )
    assert 0 < 2 * one.chosen.memory.seconds < two.chosen.memory.seconds
    assert f"{two.chosen.memory.seconds:.2f} s" in two.text()
