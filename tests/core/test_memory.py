"""What a training needs, planned from its configuration, beside what the model with weights holds."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig

from ftlib.core import memory
from ftlib.core.load import load_base
from ftlib.core.memory import TensorBytes, bytes_in_4_bits, needed, optimizer_bytes
from ftlib.core.quantize import linear_4bit

SIZES = {"rows": 4, "length": 32, "labelled": 0.25, "attention": "eager"}


def _planned(recipe, **changes):
    config = AutoConfig.from_pretrained(recipe.model.base)
    return needed(
        config, recipe, **({"dtype": torch.float32, "gemm": "cached", "checkpointing": False} | SIZES | changes)
    )


def test_bytes_are_counted_once_and_forgotten_with_their_tensor():
    with torch.device("meta"), TensorBytes() as seen:
        first = torch.empty(1000, dtype=torch.float32)
        view = first.view(10, 100)[2:]
        assert (seen.live, seen.most) == (4000, 4000)
        second = first.to(torch.bfloat16)
        assert seen.live == 6000
        del first
        assert seen.live == 6000  # its view holds it
        del view, second
        assert (seen.live, seen.most) == (0, 6000)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_lies_in_memory_is_planned_to_the_byte(make_recipe, adapted, dtype):
    recipe = make_recipe(model__dtype=dtype, quantization={"gemm": "cached", "double_quant": False})
    model, _ = adapted(recipe)
    layers = linear_4bit(model)
    planned = _planned(recipe, dtype=getattr(torch, dtype))
    scales = sum(layer.weight.quant_state.absmax.nbytes for layer in layers)
    frozen = [p.nbytes for p in model.parameters() if not p.requires_grad]
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    assert planned.weights == sum(frozen) + scales + buffers
    assert planned.unpacked == sum(layer.dequantized.nbytes for layer in layers)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert planned.trained == sum(p.nbytes for p in trained)
    assert planned.optimizer == 8 * sum(p.numel() for p in trained)


def test_an_unquantized_base_is_what_it_is(make_recipe):
    recipe = make_recipe(quantization={"load_in_4bit": False})
    model, _ = load_base(recipe)
    planned = _planned(recipe, gemm="plain")
    assert planned.unpacked == 0
    assert planned.weights == sum(t.nbytes for t in [*model.parameters(), *model.buffers()])


def test_further_layers_add_what_the_first_ones_show(make_recipe, monkeypatch):
    recipe = make_recipe(train__accumulation=2)
    config = AutoConfig.from_pretrained(recipe.model.base)
    config.num_hidden_layers = 9
    options = {"dtype": torch.bfloat16, "gemm": "streamed", "checkpointing": True} | SIZES
    quick = needed(config, recipe, **options)
    monkeypatch.setattr(memory, "DEEPEST", 9)
    whole = needed(config, recipe, **options)
    assert tuple(quick) == pytest.approx(tuple(whole), rel=0.01)


def test_activations_grow_with_the_rows_and_are_fewer_when_recomputed(make_recipe):
    recipe = make_recipe()
    four, eight = (_planned(recipe, rows=rows) for rows in (4, 8))
    assert eight.activations == pytest.approx(2 * four.activations, rel=0.02)
    assert eight.flops == pytest.approx(2 * four.flops, rel=0.01)
    again = _planned(recipe, rows=8, checkpointing=True)
    assert again.activations < 0.5 * eight.activations and again.peak < eight.peak
    assert eight.flops < again.flops < 1.5 * eight.flops


def test_bytes_of_scales_and_states():
    class Stored:
        block_size, double_quant = 64, False

    assert bytes_in_4_bits(Stored) == 0.5 + 4 / 64
    Stored.double_quant = True
    assert bytes_in_4_bits(Stored) == pytest.approx((4 + 0.127) / 8, abs=1e-3)  # 4.127 bits: QLoRA, section 3
    assert [optimizer_bytes(name) for name in ("adamw_torch_fused", "paged_adamw_8bit", "sgd")] == [8, 2, 0]
