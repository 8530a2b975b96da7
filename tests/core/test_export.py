from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM

from ftlib.core.export import merge
from ftlib.core.load import load_finetuned


def test_a_merged_model_is_plain_and_answers_alike(make_recipe, adapted, random_adapter, tmp_path, dtype, tolerance):
    recipe = make_recipe(model__dtype=dtype)
    model, _ = adapted(recipe)
    random_adapter(model).save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    merge(recipe, tmp_path / "adapter", tmp_path / "merged", dtype="float32")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    assert not hasattr(plain.config, "quantization_config")
    assert all(type(m) is torch.nn.Linear for n, m in plain.named_modules() if n.endswith("_proj"))
    ids = torch.tensor([[1, 20, 30, 40]])
    finetuned, _ = load_finetuned(recipe, tmp_path / "adapter")
    with torch.no_grad():
        torch.testing.assert_close(plain(ids).logits, finetuned(ids).logits.float(), **tolerance)
    assert (tmp_path / "merged" / "tokenizer.json").is_file()
