from __future__ import annotations

import pytest
import torch

from ftlib.core.load import choose_attention, load_base
from ftlib.core.quantize import linear_4bit
from ftlib.errors import UserError


def test_an_unknown_model_is_one_clear_error(make_recipe, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"model\.base = .*nowhere"):
        load_base(make_recipe(model={"base": str(tmp_path / "nowhere")}))


def test_the_base_is_4_bit_frozen_and_in_eval_mode(make_recipe):
    model, tokenizer = load_base(make_recipe())
    assert len(linear_4bit(model)) == 2 * 7
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    assert all(not layer.support_avx512bf16_for_cpu for layer in linear_4bit(model))
    assert tokenizer.pad_token_id is not None


@pytest.mark.parametrize(
    ("wanted", "device", "longest", "chosen"),
    [
        ("auto", "cpu", 512, "eager"),
        ("auto", "cpu", 4096, None),
        ("auto", "cuda", 512, None),
        ("sdpa", "cpu", 512, "sdpa"),
        ("flash_attention_2", "cuda", 512, "flash_attention_2"),
    ],
)
def test_short_rows_on_a_cpu_get_plain_attention(wanted, device, longest, chosen):
    attention, reason = choose_attention(wanted, device, longest)
    assert attention == chosen and reason.startswith("attention: ")


def test_plain_and_fused_attention_give_one_loss_and_gradient(make_recipe):
    """In float32 the CPU's two attentions agree to rounding, with padding in the batch."""
    ids = torch.tensor([[5, 6, 7, 8], [9, 5, 0, 0]])
    found = []
    for name in ("eager", "sdpa"):
        recipe = make_recipe(model__attention=name, model__dtype="float32", quantization__load_in_4bit=False)
        model, _ = load_base(recipe)
        assert model.config._attn_implementation == name
        weight = model.get_input_embeddings().weight.requires_grad_()
        model(input_ids=ids, attention_mask=(ids > 0).long(), labels=ids.masked_fill(ids == 0, -100)).loss.backward()
        found.append(weight.grad)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_a_base_can_stay_unquantized(make_recipe):
    model, _ = load_base(make_recipe(quantization={"load_in_4bit": False}, model__dtype="float32"))
    assert linear_4bit(model) == [] and model.dtype == torch.float32
    assert "not quantized" in model.gemm_reason
