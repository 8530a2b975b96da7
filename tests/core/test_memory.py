"""What a training needs, planned from its configuration, beside what the model with weights holds."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig

from ftlib.core import memory
from ftlib.core.device import tokens_of_forward
from ftlib.core.load import load_base
from ftlib.core.memory import bytes_in_4_bits, needed, optimizer_bytes
from ftlib.core.quantize import linear_4bit, linear_8bit
from tests.families import save_family

SIZES = {"rows": 4, "length": 32, "labelled": 0.25, "attention": "eager"}


def _planned(recipe, **changes):
    config = AutoConfig.from_pretrained(recipe.model.base)
    return needed(
        config, recipe, **({"dtype": torch.float32, "gemm": "cached", "checkpointing": False} | SIZES | changes)
    )


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


@pytest.mark.parametrize("family", ["gpt2", "t5", "gemma3", "qwen2"])
@pytest.mark.parametrize("bits", [4, 8])
def test_what_is_quantized_is_what_the_library_quantizes(make_recipe, tmp_path, family, bits):
    stored = {"load_in_4bit": bits == 4, "load_in_8bit": bits == 8, "double_quant": False, "gemm": "streamed"}
    recipe = make_recipe(model={"base": str(save_family(family, tmp_path)), "dtype": "float32"}, quantization=stored)
    model, _ = load_base(recipe)
    planned = _planned(recipe, gemm="streamed" if bits == 4 else "int8")
    scales = sum(layer.weight.quant_state.absmax.nbytes for layer in linear_4bit(model))
    scales += sum(layer.weight.SCB.nbytes for layer in linear_8bit(model))
    assert planned.weights == scales + sum(t.nbytes for t in [*model.parameters(), *model.buffers()])


def test_a_large_vocabulary_is_evaluated_in_batches_that_fit(make_recipe):
    """With 152,000 words 32 rows of 256 tokens take over nine GiB; those that are taken fit in a fourth."""
    recipe = make_recipe()
    config = AutoConfig.for_model("qwen2", vocab_size=151_936, hidden_size=896, intermediate_size=4864)
    config.update({"num_hidden_layers": 2, "num_attention_heads": 14, "num_key_value_heads": 2})
    free = 8 * 2**30
    tokens = tokens_of_forward(config, torch.bfloat16, "cuda", free)
    sizes = SIZES | {"length": 256, "labelled": 1.0, "attention": "sdpa"}
    options = {"dtype": torch.bfloat16, "gemm": "streamed", "checkpointing": False, **sizes}
    few = needed(config, recipe, **options, evaluated=tokens)
    many = needed(config, recipe, **options, evaluated=32 * 256)
    assert 256 <= tokens < 8 * 256
    assert many.evaluating > 9 * 2**30 and few.evaluating < free / 4


def test_the_peak_is_that_of_a_step_or_of_an_evaluation(make_recipe):
    recipe = make_recipe()
    alone, small, large = (_planned(recipe, evaluated=tokens, libraries=10**6) for tokens in (0, 1, 32 * 1000))
    held = alone.libraries + alone.weights + alone.unpacked + alone.trained
    assert alone.peak == small.peak == held + alone.optimizer + alone.activations + alone.working == held + alone.added
    assert large.peak == held + large.optimizer + large.evaluating > alone.peak
    assert large.stepping == alone.stepping
    holed = _planned(recipe, gaps=0.5)
    assert holed.gaps == round(0.5 * (alone.activations + alone.working)) == holed.stepping - alone.stepping


def test_recomputed_activations_leave_more_holes_and_keep_what_an_evaluation_took(make_recipe):
    recipe = make_recipe()
    again = _planned(recipe, gaps=0.5, evaluated=32 * 1000, checkpointing=True)
    assert again.gaps == pytest.approx(again.activations + again.working, abs=2)
    assert again.added == again.stepping + again.evaluating
    on_gpu = _planned(recipe, gaps=0.0, evaluated=32 * 1000, checkpointing=True)
    assert on_gpu.gaps == on_gpu.left == 0
