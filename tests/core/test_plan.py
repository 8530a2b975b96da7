from __future__ import annotations

import pytest

from ftlib.core.batches import LengthGroupedBatches
from ftlib.core.device import describe
from ftlib.core.plan import choose_checkpointing, count_parameters, make_plan, padding_share, total_steps


@pytest.mark.parametrize(
    ("epochs", "batch_rows", "accumulation", "steps"),
    [(1, 4, 1, 5), (2, 4, 2, 5), (0.1, 4, 1, 1), (0.5, 8, 1, 2), (3, 32, 1, 3)],
)
def test_steps_cover_the_epochs_asked_for(make_recipe, epochs, batch_rows, accumulation, steps):
    recipe = make_recipe(train={"epochs": epochs, "batch_rows": batch_rows, "accumulation": accumulation})
    assert total_steps(LengthGroupedBatches([5] * 20, batch_rows, 4, 0), recipe) == steps


def test_padding_is_counted_by_place():
    assert padding_share(LengthGroupedBatches([4, 4, 8, 8], 4, 1, 0)) == pytest.approx(8 / 32)
    assert padding_share(LengthGroupedBatches([4, 4, 8, 8], 2, 1, 0)) == 0


def test_weights_in_4_bits_count_as_what_they_stand_for(adapted):
    from transformers import AutoConfig, AutoModelForCausalLM

    model, _ = adapted()
    trainable, total = count_parameters(model)
    plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model.get_base_model().name_or_path))
    assert total - trainable == plain.num_parameters()
    assert trainable == sum(p.numel() for n, p in model.named_parameters() if "lora_" in n)


def test_checkpointing_follows_memory_unless_the_recipe_says(make_recipe):
    machine = describe()._replace(memory_bytes=16 * 10**9)
    assert choose_checkpointing("auto", 10**8, machine)[0] is False
    assert choose_checkpointing("auto", 7 * 10**9, machine)[0] is True
    on, reason = choose_checkpointing(False, 7 * 10**9, machine)
    assert on is False and reason.endswith("set by the recipe")


def test_the_plan_states_its_reasons(adapted, make_recipe, tmp_path):
    recipe = make_recipe()
    model, _ = adapted(recipe)
    plan = make_plan(model, LengthGroupedBatches([5] * 20, 4, 3, 0), 40, recipe, describe(), ["gemm: x", "compile: y"])
    text = plan.text()
    assert "20 rows, 40 trained tokens an epoch; 10 steps of 4 x 1 rows" in text
    assert "gemm: x" in text and "fused" in text
    plan.save(tmp_path / "plan.json")
    assert '"total_steps": 10' in (tmp_path / "plan.json").read_text()
