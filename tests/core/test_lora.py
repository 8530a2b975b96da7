from __future__ import annotations

import pytest
import torch

from ftlib.core.batches import PaddingCollator
from ftlib.core.load import load_base
from ftlib.core.lora import FusedLora, LowRankLinear, add_lora, for_training, fuse, fused_adapter, lora_layers, scaled
from ftlib.core.loss import autocast, computed_in, summed_loss
from ftlib.errors import UserError


def test_low_rank_linear_has_the_gradients_of_its_formula():
    generator = torch.Generator().manual_seed(0)
    x, w, bias, a, b = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((5, 6), (4, 6), (4,), (2, 6), (4, 2))
    )
    for tensor in (x, a, b):
        tensor.requires_grad_()
    y = LowRankLinear.apply(x, None, w, bias, a, b, 0.5)
    torch.testing.assert_close(y, x @ w.T + bias + 0.5 * (x @ a.T) @ b.T)
    assert torch.autograd.gradcheck(lambda x, a, b: LowRankLinear.apply(x, None, w, bias, a, b, 0.5), (x, a, b))
    d = (2 * x.detach()).requires_grad_()
    y = LowRankLinear.apply(x, d, w, bias, a, b, 0.5)
    torch.testing.assert_close(y, x @ w.T + bias + 0.5 * (d @ a.T) @ b.T)
    assert torch.autograd.gradcheck(lambda x, d, a, b: LowRankLinear.apply(x, d, w, bias, a, b, 0.5), (x, d, a, b))


def _is_fused(model) -> bool:
    return all(fused_adapter(layer) is not None for layer in lora_layers(model))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("in_4bit", [True, False])
def test_fused_equals_peft(make_recipe, rows, random_adapter, in_4bit, dropout, dtype, tolerance):
    quantization = {"load_in_4bit": in_4bit, "gemm": "cached"}
    models = []
    for fused in (True, False):
        adapter = {"r": 4, "alpha": 8, "fused": fused, "dropout": dropout}
        recipe = make_recipe(quantization=quantization, lora=adapter, model__dtype=dtype)
        model = random_adapter(add_lora(load_base(recipe)[0], recipe.lora, 0))
        assert _is_fused(model) is fused
        models.append(model)
    batch = PaddingCollator(0)(rows[:5])
    losses = []
    for model in models:
        torch.manual_seed(0)  # of the dropout
        with autocast(model):
            losses.append(summed_loss(model.train(), batch))
    torch.testing.assert_close(losses[0], losses[1], **tolerance)
    for loss in losses:
        loss.backward()
    for (name, p), (other, q) in zip(*(model.named_parameters() for model in models), strict=True):
        assert name == other
        if p.requires_grad:
            assert (p.grad - q.grad).norm() <= 10 * tolerance["rtol"] ** 1.5 * q.grad.norm() + 1e-6, name
    states = [model.state_dict() for model in models]
    assert states[0].keys() == states[1].keys()
    with torch.no_grad(), autocast(models[0]):
        logits = [model.eval()(batch["input_ids"]).logits for model in models]
    torch.testing.assert_close(*logits, **tolerance)


def test_the_merged_copy_follows_the_adapter(adapted, random_adapter):
    model, _ = adapted()
    ids = torch.tensor([[1, 20, 30]])
    model.eval()
    with torch.no_grad():
        at_first = model(ids).logits
        random_adapter(model)
        after = model(ids).logits
        with model.disable_adapter():
            without = model(ids).logits
    assert not torch.allclose(at_first, after)
    torch.testing.assert_close(without, at_first, rtol=1e-4, atol=1e-5)
    layers = [m for m in model.modules() if isinstance(m, FusedLora)]
    assert all("_merged" in layer.__dict__ for layer in layers)
    model.train()
    assert not any("_merged" in layer.__dict__ for layer in layers)


def test_dropout_acts_in_training_only(make_recipe):
    recipe = make_recipe(lora={"r": 4, "alpha": 8, "dropout": 0.5})
    model = add_lora(load_base(recipe)[0], recipe.lora, 0)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data.fill_(0.05)
    ids = torch.tensor([[1, 20, 30]])
    model.train()
    assert _is_fused(model) and not torch.equal(model(ids).logits, model(ids).logits)
    model.eval()
    assert torch.equal(model(ids).logits, model(ids).logits)


def test_the_seed_makes_the_adapter_whatever_ran_before(make_recipe):
    recipe = make_recipe()
    weights = []
    for noise, seed in ((1, 0), (2, 0), (1, 9)):
        torch.manual_seed(noise)
        model = add_lora(load_base(recipe)[0], recipe.lora, seed)
        weights.append(torch.cat([p.flatten() for n, p in model.named_parameters() if "lora_A" in n]))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_streamed_base_keeps_pefts_layers(make_recipe):
    recipe = make_recipe(quantization={"gemm": "streamed"})
    model = add_lora(load_base(recipe)[0], recipe.lora, 0)
    assert not _is_fused(model) and fuse(model) == 0


def test_all_linear_layers_but_the_output_get_an_adapter(adapted):
    model, _ = adapted()
    names = {name.split(".lora_A")[0].rsplit(".", 1)[1] for name, _ in model.named_parameters() if "lora_A" in name}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert all(p.dtype == torch.float32 for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("fused", [True, False])
def test_a_scaled_adapter_is_one_with_that_much_less_alpha(make_recipe, random_adapter, fused, dtype):
    def logits(alpha: float, factor: float) -> torch.Tensor:
        recipe = make_recipe(lora={"r": 4, "alpha": alpha, "fused": fused}, model__dtype=dtype)
        model = random_adapter(add_lora(load_base(recipe)[0], recipe.lora, 0), size=0.3).eval()
        with torch.no_grad(), scaled(model, "default", factor):
            found = model(input_ids=ids).logits
        with torch.no_grad():
            assert factor == 1 or not torch.equal(found, model(input_ids=ids).logits), "outside nothing is scaled"
        return found

    ids = torch.tensor([[5, 6, 7, 8]])
    torch.testing.assert_close(logits(8.0, 0.75), logits(6.0, 1.0), rtol=0, atol=0)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_fused_dora_equals_peft(make_recipe, rows, random_adapter, dropout, dtype, tolerance):
    """The same loss and gradients, of the magnitudes too; and one merged product in eval mode."""
    models = []
    for fused in (True, False):
        adapter = {"r": 4, "alpha": 8, "fused": fused, "use_dora": True, "dropout": dropout}
        recipe = make_recipe(lora=adapter, model__dtype=dtype)
        model = random_adapter(add_lora(load_base(recipe)[0], recipe.lora, 0))
        for layer in lora_layers(model):
            layer.lora_magnitude_vector["default"].weight.data *= 1.1
        assert _is_fused(model) is fused
        models.append(model)
    batch, losses = PaddingCollator(0)(rows[:5]), []
    for model in models:
        torch.manual_seed(0)  # of the dropout
        with autocast(model):
            losses.append(summed_loss(model.train(), batch))
        losses[-1].backward()
    torch.testing.assert_close(losses[0], losses[1], **tolerance)
    gradients = [{n: p.grad for n, p in model.named_parameters() if p.requires_grad} for model in models]
    assert sum("magnitude" in name for name in gradients[0]) == 2 * 7
    for name, wanted in gradients[1].items():
        apart = (gradients[0][name] - wanted).norm()
        assert apart <= 10 * tolerance["rtol"] ** 1.5 * wanted.norm() + 1e-6, name
    with torch.no_grad(), autocast(models[0]):
        logits = [model.eval()(batch["input_ids"]).logits for model in models]
        torch.testing.assert_close(*logits, **tolerance)
        for layer in lora_layers(models[0]):  # the merged copy follows the magnitudes, too
            layer.lora_magnitude_vector["default"].weight.data.mul_(2.0)
            layer.lora_magnitude_vector["default"].weight.add_(0.0)
        assert not torch.allclose(models[0](batch["input_ids"]).logits, logits[0])


def test_fresh_dora_is_the_base_whatever_its_width(narrow_model_dir, make_recipe):
    """Rows of 96 and 160 weights, which bitsandbytes reads wrong in blocks of 64 on a CPU."""
    fields = {"model": {"base": str(narrow_model_dir), "dtype": "float32"}}
    recipe = make_recipe(**fields, lora={"r": 4, "use_dora": True})
    base, _ = load_base(recipe)
    ids = torch.tensor([[1, 20, 30]])
    with torch.no_grad():
        wanted = base(ids).logits
    model = add_lora(base, recipe.lora, 0)
    torch.testing.assert_close(model.train()(ids).logits, wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match=r"lora\.fused"):
        plain = make_recipe(**fields, lora={"r": 4, "use_dora": True, "fused": False})
        add_lora(load_base(plain)[0], plain.lora, 0)


@pytest.mark.parametrize("fused", [True, False])
def test_rank_stabilized_is_alpha_over_the_root_of_r(make_recipe, random_adapter, fused, dtype):
    logits = []
    for lora in ({"alpha": 8.0, "use_rslora": True}, {"alpha": 16.0}):  # 8 / sqrt(4) = 16 / 4
        recipe = make_recipe(lora={"r": 4, "fused": fused} | lora, model__dtype=dtype)
        model = random_adapter(add_lora(load_base(recipe)[0], recipe.lora, 0)).eval()
        with torch.no_grad():
            logits.append(model(input_ids=torch.tensor([[5, 6, 7, 8]])).logits)
    torch.testing.assert_close(*logits, rtol=0, atol=0)


def test_a_model_trained_as_a_whole_keeps_float32_weights_and_multiplies_in_its_dtype(make_recipe, dtype):
    recipe = make_recipe(model__dtype=dtype, quantization={"load_in_4bit": False}, train__method="full")
    base, _ = load_base(recipe)
    model = for_training(base, recipe)
    assert model is base and computed_in(model) == getattr(torch, dtype)
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())
    with autocast(model):
        assert model(torch.tensor([[1, 20]])).logits.dtype == getattr(torch, dtype)
    recipe = make_recipe(model__dtype=dtype)
    assert lora_layers(for_training(load_base(recipe)[0], recipe))
