from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM

from ftlib.core.finetuned import attach_adapters
from ftlib.core.load import load_base
from ftlib.core.lora import quiet_peft
from ftlib.core.quantize import dequantize
from ftlib.export.merge import merge, published_base, published_dtype
from ftlib.recipe import Recipe

IDS = torch.tensor([[1, 20, 30, 40, 50]])


@pytest.fixture
def recipe(tiny_model_dir) -> Recipe:
    model = {"base": str(tiny_model_dir), "dtype": "float32"}
    return Recipe.model_validate({"name": "t", "data": {"path": "unused"}, "model": model, "lora": {"fused": False}})


def _save_adapter(recipe: Recipe, folder, **config):
    """A random adapter of any kind that PEFT's LoRA has."""
    from peft import LoraConfig, get_peft_model

    base, _ = load_base(recipe)
    targets = config.pop("target_modules", ["q_proj", "down_proj"])
    with quiet_peft():
        model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=targets, **config))
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            with torch.no_grad():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def _logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits.float()


KINDS = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "saved": {"modules_to_save": ["input_layernorm"]},
    "ranks": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 3}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_model_is_plain_and_answers_as_peft_does(kind, recipe, tmp_path):
    adapter = _save_adapter(recipe, tmp_path / "adapter", **KINDS[kind])
    merge(recipe, adapter, tmp_path / "merged", dtype="float32")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    assert not hasattr(plain.config, "quantization_config")
    assert all(type(m) is torch.nn.Linear for n, m in plain.named_modules() if n.endswith("_proj"))
    adapted = attach_adapters(load_base(recipe)[0], {"default": adapter}, fused=False)
    torch.testing.assert_close(_logits(plain), _logits(adapted), rtol=1e-4, atol=1e-5)
    with adapted.disable_adapter():
        assert (_logits(plain) - _logits(adapted)).abs().max() > 0.01
    assert (tmp_path / "merged" / "tokenizer.json").is_file()


def test_merged_into_the_full_base_the_sum_is_that_of_the_published_weights(recipe, tmp_path):
    adapter = _save_adapter(recipe, tmp_path / "adapter")
    merge(recipe, adapter, tmp_path / "merged", dtype="float32", into="full")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    adapted = attach_adapters(published_base(recipe), {"default": adapter}, fused=False)
    torch.testing.assert_close(_logits(plain), _logits(adapted), rtol=1e-4, atol=1e-5)


def test_in_bfloat16_every_weight_is_the_float32_sum_rounded_once(recipe, tmp_path):
    adapter = _save_adapter(recipe, tmp_path / "adapter")
    for dtype in ("float32", "bfloat16"):
        merge(recipe, adapter, tmp_path / dtype, dtype=dtype)
    exact, rounded = (
        AutoModelForCausalLM.from_pretrained(tmp_path / dtype, dtype=dtype).state_dict()
        for dtype in ("float32", "bfloat16")
    )
    assert all(torch.equal(rounded[name], exact[name].bfloat16()) for name in exact)


def test_without_an_adapter_it_is_the_base_as_4_bits_hold_it_or_as_published(recipe, tmp_path):
    for into in ("stored", "full"):
        merge(recipe, None, tmp_path / into, dtype="float32", into=into)
    stored, full = (AutoModelForCausalLM.from_pretrained(tmp_path / into) for into in ("stored", "full"))
    published, in_4_bits = published_base(recipe), load_base(recipe)[0]
    name = "model.layers.1.mlp.down_proj"
    assert torch.equal(full.get_submodule(name).weight, published.get_submodule(name).weight)
    assert torch.equal(stored.get_submodule(name).weight, dequantize(in_4_bits.get_submodule(name), torch.float32))
    assert torch.equal(stored.model.norm.weight, full.model.norm.weight)
    assert stored.get_input_embeddings().weight is stored.get_output_embeddings().weight


def test_the_published_dtype_is_the_configs(recipe, tiny_model_dir):
    assert published_dtype(recipe) == json.loads((tiny_model_dir / "config.json").read_text())["dtype"] == "float32"
