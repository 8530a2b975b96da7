from __future__ import annotations

import pytest
import torch

from ftlib.core.finetuned import load_finetuned
from ftlib.errors import UserError


def test_a_saved_adapter_comes_back_as_it_was(make_recipe, adapted, random_adapter, tmp_path, dtype, tolerance):
    recipe = make_recipe(model__dtype=dtype)
    model, _ = adapted(recipe)
    random_adapter(model).save_pretrained(tmp_path, save_embedding_layers=False)
    loaded, _ = load_finetuned(recipe, tmp_path)
    ids = torch.tensor([[1, 20, 30]])
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
    plain = make_recipe(model__dtype=dtype, lora={"r": 4, "alpha": 8, "fused": False})
    with torch.no_grad():
        unfused = load_finetuned(plain, tmp_path)[0](ids).logits
    torch.testing.assert_close(unfused, loaded(ids).logits, **tolerance)


def test_a_missing_adapter_names_the_notebook(make_recipe, tmp_path):
    with pytest.raises(UserError, match="notebook 02"):
        load_finetuned(make_recipe(), tmp_path)
