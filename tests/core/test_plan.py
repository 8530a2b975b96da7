from __future__ import annotations

import pytest
import torch

from ftlib.core.batches import LengthGroupedBatches, PaddingCollator
from ftlib.core.device import describe
from ftlib.core.loss import summed_loss
from ftlib.core.plan import choose_checkpointing, count_parameters, make_plan, padding_share, total_steps
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


def test_checkpointing_follows_memory_unless_the_recipe_says(make_recipe):
    machine = describe()._replace(memory_bytes=16 * 10**9)
    assert choose_checkpointing("auto", 10**8, machine)[0] is False
    assert choose_checkpointing("auto", 7 * 10**9, machine)[0] is True
    on, reason = choose_checkpointing(False, 7 * 10**9, machine)
    assert on is False and reason.endswith("set by the recipe")


def test_a_model_that_cannot_checkpoint_is_not_asked_to():
    machine = describe()._replace(memory_bytes=10**6)
    for wanted in ("auto", True):
        on, reason = choose_checkpointing(wanted, 10**9, machine, possible=False)
        assert on is False and reason.endswith("this model has none")


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
    plan = make_plan(model, LengthGroupedBatches([5] * 20, 4, 3, 0), 40, recipe, describe(), [])
    assert said in plan.text()
    assert _fused_calls(summed_loss(model.train(), PaddingCollator(0)(rows[:3]))) == calls


@pytest.mark.parametrize("wanted", ["float32", "bfloat16", "auto"])
def test_the_plan_says_which_dtype_runs_and_why(adapted, make_recipe, rows, wanted):
    recipe = make_recipe(model__dtype=wanted)
    model, _ = adapted(recipe)
    plan = make_plan(model, LengthGroupedBatches([5] * 20, 4, 3, 0), 40, recipe, describe(), [])
    runs = {layer.dequantized.dtype for layer in linear_4bit(model)}
    assert runs == {getattr(torch, plan.dtype)}
    why = "set by the recipe" if wanted != "auto" else "bfloat16 hardware"
    assert plan.reasons[0].startswith(f"dtype: {plan.dtype}, ") and plan.reasons[0].endswith(why)


def test_the_plan_states_its_reasons(adapted, make_recipe, tmp_path):
    recipe = make_recipe()
    model, _ = adapted(recipe)
    plan = make_plan(model, LengthGroupedBatches([5] * 20, 4, 3, 0), 40, recipe, describe(), ["gemm: x", "compile: y"])
    text = plan.text()
    assert "20 rows, 40 trained tokens an epoch; 10 steps of 4 x 1 rows" in text
    assert "gemm: x" in text and "fused" in text
    plan.save(tmp_path / "plan.json")
    assert '"total_steps": 10' in (tmp_path / "plan.json").read_text()
