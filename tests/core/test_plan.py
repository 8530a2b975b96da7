from __future__ import annotations

import pytest
import torch

from ftlib.core.batches import LengthGroupedBatches, PaddingCollator
from ftlib.core.device import describe
from ftlib.core.layout import Layout
from ftlib.core.loss import summed_loss
from ftlib.core.plan import (
    LargestBatch,
    choose_checkpointing,
    count_parameters,
    make_plan,
    padding_share,
    planned_memory,
    total_steps,
)
from ftlib.core.quantize import linear_4bit


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


KEPT = (False, "activation checkpointing: off")
LARGEST = LargestBatch(rows=8, length=64, labelled=0.5)


def test_the_largest_batch_is_the_one_with_most_places():
    row = lambda length, labels: {"input_ids": [1] * length, "labels": [-100] * (length - labels) + [1] * labels}
    rows = [row(4, 1), row(10, 5), row(6, 2), row(6, 4)]
    assert LargestBatch.of(rows, [[0], [1], [2, 3]], Layout()) == (2, 6, 6 / 12)
    assert LargestBatch.of(rows, [[0, 1], [2, 3]], Layout()) == (2, 10, 6 / 20)
    assert LargestBatch.of(rows, [[0, 1], [2, 3]], Layout(packed=True)) == (1, 14, 6 / 14)
    assert LargestBatch.of(rows, [[0, 1], [2, 3]], Layout(beginning=(1, 1))) == (2, 9, 6 / 18)


@pytest.mark.parametrize("gemm", ["cached", "streamed"])
def test_checkpointing_follows_what_a_step_takes_of_the_free_memory(make_recipe, adapted, dtype, gemm):
    recipe = make_recipe(model__dtype=dtype, quantization={"gemm": gemm})
    model, _ = adapted(recipe)
    taken = planned_memory(model, recipe, LARGEST, 2**40).stepping
    for free, expected in ((2 * taken, False), (taken, True), (taken // 4, True)):
        on, reason = choose_checkpointing(model, recipe, LARGEST, free)
        assert on is expected
        told = f"8 x 64 tokens take {taken / 2**20:,.0f} of {free / 2**20:,.0f} MiB free"
        assert reason == f"activation checkpointing: {'on' if on else 'off'}, because without it {told}"
    again = planned_memory(model, recipe, LARGEST, 2**40, checkpointing=True)
    assert again.stepping < taken


def test_a_larger_batch_needs_it_where_a_smaller_one_does_not(make_recipe, adapted):
    model, _ = adapted()
    free = 2 * planned_memory(model, make_recipe(), LARGEST, 2**40).stepping
    assert not choose_checkpointing(model, make_recipe(), LARGEST, free)[0]
    assert choose_checkpointing(model, make_recipe(), LARGEST._replace(rows=32), free)[0]


def test_the_recipe_has_the_last_word_on_checkpointing(make_recipe, adapted):
    model, _ = adapted()
    for wanted, free in ((False, 0), (True, 2**50)):
        recipe = make_recipe(train__activation_checkpointing=wanted)
        on, reason = choose_checkpointing(model, recipe, LARGEST, free)
        assert on is wanted and reason.endswith(f"{'on' if wanted else 'off'}, set by the recipe")


def test_a_model_that_cannot_checkpoint_is_not_asked_to(make_recipe, adapted, monkeypatch):
    model, _ = adapted()
    monkeypatch.setattr(type(model.get_base_model()), "supports_gradient_checkpointing", False)
    for wanted in ("auto", True):
        on, reason = choose_checkpointing(model, make_recipe(train__activation_checkpointing=wanted), LARGEST, 0)
        assert on is False and reason.endswith("this model has none")


def test_a_model_whose_code_needs_its_weights_is_recomputed_to_be_safe(make_recipe, adapted, caplog):
    model, _ = adapted()
    model.config.hidden_act = "no such function"
    on, reason = choose_checkpointing(model, make_recipe(), LARGEST, 2**50)
    assert on is True and "could not be found" in reason and "no such function" in caplog.text


def _fused_calls(loss: torch.Tensor) -> int:
    """Fused products in the graph that the loss was computed by."""
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return sum("LowRankLinear" in node.name() for node in seen)


@pytest.mark.parametrize(
    ("fields", "calls", "said"),
    [
        ({"lora__dropout": 0.0}, 14, "fused with the base's product in all 14 layers"),
        ({"lora__dropout": 0.2}, 14, "fused with the base's product in all 14 layers"),
        ({"lora__fused": False}, 0, "PEFT's own operations in 14 layers, set by the recipe"),
        ({"quantization__gemm": "streamed"}, 0, "PEFT's own operations in 14 layers, whose base exists in 4 bits"),
        ({"lora__target_modules": ["q_proj"], "lora__dropout": 0.2}, 2, "in all 2 layers"),
    ],
    ids=str,
)
def test_what_the_plan_says_of_the_adapter_is_what_runs(adapted, make_recipe, rows, fields, calls, said):
    recipe = make_recipe(**fields)
    model, _ = adapted(recipe)
    plan = make_plan(model, LengthGroupedBatches([5] * 20, 4, 3, 0), 40, recipe, describe(), [], KEPT)
    assert said in plan.text()
    assert _fused_calls(summed_loss(model.train(), PaddingCollator(0)(rows[:3]))) == calls


@pytest.mark.parametrize("wanted", ["float32", "bfloat16", "auto"])
def test_the_plan_says_which_dtype_runs_and_why(adapted, make_recipe, rows, wanted):
    recipe = make_recipe(model__dtype=wanted)
    model, _ = adapted(recipe)
    plan = make_plan(model, LengthGroupedBatches([5] * 20, 4, 3, 0), 40, recipe, describe(), [], KEPT)
    runs = {layer.dequantized.dtype for layer in linear_4bit(model)}
    assert runs == {getattr(torch, plan.dtype)}
    why = "set by the recipe" if wanted != "auto" else "bfloat16 hardware"
    assert plan.reasons[0].startswith(f"dtype: {plan.dtype}, ") and plan.reasons[0].endswith(why)


def test_the_plan_states_its_reasons(adapted, make_recipe, tmp_path):
    recipe = make_recipe()
    model, _ = adapted(recipe)
    plan = make_plan(
        model, LengthGroupedBatches([5] * 20, 4, 3, 0), 40, recipe, describe(), ["gemm: x", "compile: y"], KEPT
    )
    text = plan.text()
    assert "20 rows, 40 trained tokens an epoch; 10 steps of 4 x 1 rows" in text
    assert "gemm: x" in text and "fused" in text
    plan.save(tmp_path / "plan.json")
    assert '"total_steps": 10' in (tmp_path / "plan.json").read_text()
