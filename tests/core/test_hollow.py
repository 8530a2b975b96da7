"""The step without content beside the real one: the same bytes live at once."""

from __future__ import annotations

import gc

import pytest
import torch
from transformers import AutoConfig

from ftlib.core import load
from ftlib.core.batches import PaddingCollator
from ftlib.core.hollow import TensorBytes, hollow_model, hollow_step, nowhere
from ftlib.core.lora import for_training
from ftlib.core.loss import autocast, summed_loss
from ftlib.core.speed import Speed
from tests.families import save_family

SIZES = {"rows": 3, "length": 24, "labelled": 0.25}


def _hollow(recipe, dtype: str, attention: str | None, checkpointing: bool, fused: bool = True, **sizes):
    config = AutoConfig.from_pretrained(recipe.model.base)
    with nowhere() as mode:
        model = hollow_model(config, recipe, getattr(torch, dtype), attention, fused)
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
        return hollow_step(model.train(), mode, getattr(torch, dtype), **SIZES | sizes)


def _real(recipe, checkpointing: bool, encoder: bool = False) -> TensorBytes:
    """The same step with content, as the trainer takes it."""
    model, _ = load.load_base(recipe)
    model = for_training(model, recipe).train()
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    labels = [5] * 6 if encoder else [-100] * 18 + [5] * 6
    batch = PaddingCollator(0, encoder_decoder=encoder)([{"input_ids": [5] * 24, "labels": labels}] * 3)
    unpacked = [layer.dequantized for layer in model.modules() if hasattr(layer, "dequantized")]
    gc.collect()
    with TensorBytes([*model.parameters(), *model.buffers(), *unpacked, *batch.values()]) as seen:
        with autocast(model):
            loss = summed_loss(model, batch)
        loss.backward()
    return seen


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


def test_an_operation_takes_as_long_as_its_products_or_its_bytes():
    with torch.device("meta"):
        a, b = torch.empty(8, 16), torch.empty(16, 4)
        for speed, seconds in ((Speed(1024, 1e9), 1.0), (Speed(1e9, 4 * (8 * 16 + 16 * 4 + 8 * 4)), 1.0), (Speed(), 0)):
            with TensorBytes((a, b), speed) as seen:
                (a @ b).view(-1)
            assert seen.flops == 2 * 8 * 16 * 4 and seen.seconds == pytest.approx(seconds, rel=1e-6)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_without_content_as_many_bytes_live_as_with_it(make_recipe, dtype, attention, checkpointing):
    recipe = make_recipe(model__dtype=dtype, model__attention=attention, quantization={"gemm": "cached"})
    found = _hollow(recipe, dtype, attention, checkpointing)
    seen = _real(recipe, checkpointing)
    assert (found.most, found.flops) == (seen.most, seen.flops)
    assert 0 < found.kept < found.most


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_other_families_and_whole_models_are_counted_alike(make_recipe, tmp_path, dtype, family, method):
    base = {"base": str(save_family(family, tmp_path)), "dtype": dtype, "attention": "eager"}
    recipe = make_recipe(model=base, quantization={"load_in_4bit": False}, train__method=method)
    found, seen = _hollow(recipe, dtype, "eager", False), _real(recipe, False, family == "t5")
    assert found.most == pytest.approx(seen.most, rel=0.01)


def test_random_numbers_go_on_as_if_nothing_had_been_planned(make_recipe):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    _hollow(make_recipe(lora__dropout=0.1), "float32", None, True, evaluated=100)
    assert torch.equal(torch.rand(3), expected)


def test_an_evaluation_keeps_no_activations_and_grows_with_its_tokens(make_recipe):
    some, more = (_hollow(make_recipe(), "float32", "eager", False, evaluated=24 * rows) for rows in (3, 300))
    assert 0 < some.evaluating < some.most  # of as many rows as a step's
    none = _hollow(make_recipe(), "float32", "eager", False)
    assert none.evaluating == 0 and more.evaluating > 50 * some.evaluating / 2 > 0
