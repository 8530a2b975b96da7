from __future__ import annotations

import torch
from safetensors.torch import load_file

from ftlib.core.published import read_weight


def test_one_weight_is_read_as_published(make_recipe):
    recipe = make_recipe()
    name, weight = read_weight(recipe)
    assert torch.equal(weight, load_file(f"{recipe.model.base}/model.safetensors")[name].float())
    assert weight.numel() == 64 * 128 and ".layers.0." in name  # one of the first layer's largest
