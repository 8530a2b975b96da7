from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ftlib.core.batches import PaddingCollator
from ftlib.core.loss import base_logits, divergence, labelled_logits, only_positions, summed_loss


def _gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_labelled_positions_give_the_loss_and_gradients_of_the_plain_path(
    make_recipe, adapted, rows, random_adapter, dtype, tolerance
):
    model, _ = adapted(make_recipe(model__dtype=dtype))
    random_adapter(model).train()
    batch = PaddingCollator(0)(rows[:6])
    plain = model(**{k: batch[k] for k in ("input_ids", "attention_mask", "labels")}, use_cache=False).loss
    ours = summed_loss(model, batch) / len(batch["targets"])
    torch.testing.assert_close(ours, plain.float(), **tolerance)
    expected, got = _gradients(model, plain), _gradients(model, ours)
    assert expected.keys() == got.keys() and len(got) == 2 * 2 * 7
    for name in expected:
        apart = (got[name] - expected[name]).norm() / expected[name].norm()
        assert apart < 20 * tolerance["rtol"] ** 1.5, name  # a matrix as a whole: single gradients may be near 0


def test_padding_on_the_right_needs_no_mask(make_recipe, adapted, rows, dtype, tolerance):
    model, _ = adapted(make_recipe(model__dtype=dtype))
    batch = PaddingCollator(0)(rows[:6])
    assert 0 in batch["attention_mask"]
    with torch.no_grad():
        plain, masked = labelled_logits(model, batch), labelled_logits(model, batch, masked=True)
    torch.testing.assert_close(plain, masked, **tolerance)


def test_each_logit_belongs_to_its_own_position(make_recipe, adapted, rows, dtype, tolerance):
    model, _ = adapted(make_recipe(model__dtype=dtype))
    batch = PaddingCollator(0)(rows[:4])
    with torch.no_grad():
        everywhere = model(input_ids=batch["input_ids"], use_cache=False).logits.flatten(0, 1)
        chosen = labelled_logits(model, batch)
    torch.testing.assert_close(chosen, everywhere[batch["positions"]].float(), **tolerance)
    loss = F.cross_entropy(everywhere[batch["positions"]].double(), batch["targets"], reduction="sum")
    assert summed_loss(model, batch).item() == pytest.approx(loss.item(), rel=tolerance["rtol"])


def test_the_hook_is_gone_afterwards_even_after_an_error(adapted):
    model, _ = adapted()
    ids = torch.tensor([[1, 5, 6]])
    try:
        with only_positions(model, torch.tensor([0])):
            raise KeyError
    except KeyError:
        pass
    assert model(input_ids=ids).logits.shape[:2] == (1, 3)


# -- keeping to the base -------------------------------------------------------------------
def _text(row):
    """The same row as general text: all its tokens count."""
    return {"input_ids": row["input_ids"], "labels": row["input_ids"], "towards_base": True}


def _plain_logits(model, batch):
    """(labelled, vocabulary) in float64, from a forward pass without any of this module's shortcuts."""
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "use_cache": False}
    return model(**inputs).logits.flatten(0, 1)[batch["positions"]].double()


def test_a_fresh_adapter_is_not_apart_from_the_base_and_nothing_pulls_at_it(make_recipe, adapted, rows, dtype):
    model, _ = adapted(make_recipe(model__dtype=dtype))
    batch = PaddingCollator(0)([_text(row) for row in rows[:4]])
    loss = summed_loss(model.train(), batch, kl_weight=3.0)
    assert loss.item() == 0
    assert max(gradient.abs().max() for gradient in _gradients(model, loss).values()) < 1e-4


def test_the_divergence_is_torchs_on_all_logits_in_float64(adapted, rows, random_adapter):
    model, _ = adapted()
    random_adapter(model, size=0.5).train()
    mixed = [rows[0], _text(rows[1]), rows[2], _text(rows[3])]
    together, alone = PaddingCollator(0)(mixed), PaddingCollator(0)([mixed[1], mixed[3]])
    answers = PaddingCollator(0)([mixed[0], mixed[2]])
    with torch.no_grad():
        student = _plain_logits(model, alone).log_softmax(-1)
        with model.disable_adapter():
            base = _plain_logits(model, alone).log_softmax(-1)
        said = F.cross_entropy(_plain_logits(model, answers), answers["targets"], reduction="sum")
    expected = F.kl_div(student, base, reduction="sum", log_target=True)
    by_hand = (base.exp() * (base - student)).sum()
    assert expected.item() == pytest.approx(by_hand.item(), rel=1e-12) and expected > 0.1
    torch.testing.assert_close(divergence(base, student), expected)  # log p are logits, too
    for weight in (1.0, 0.25):
        loss = summed_loss(model, together, kl_weight=weight)
        assert loss.item() == pytest.approx((said + weight * expected).item(), rel=1e-5)


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
@pytest.mark.parametrize("gemm", ["cached", "streamed"])
def test_the_gradient_of_the_divergence_is_autograds(make_recipe, adapted, rows, random_adapter, fused, gemm):
    """Streamed, the teacher's pass in eval mode is the one after which bitsandbytes could lose gradients."""
    model, _ = adapted(make_recipe(lora={"r": 4, "alpha": 8, "fused": fused}, quantization={"gemm": gemm}))
    random_adapter(model, size=0.5).train()
    batch = PaddingCollator(0)([_text(row) for row in rows[:4]])
    with torch.no_grad(), model.disable_adapter():
        base = _plain_logits(model, batch).log_softmax(-1)
    plain = F.kl_div(_plain_logits(model, batch).log_softmax(-1), base, reduction="sum", log_target=True)
    expected, got = _gradients(model, plain), _gradients(model, summed_loss(model, batch))
    assert expected.keys() == got.keys() and len(got) == 2 * 2 * 7
    for name, gradient in expected.items():
        assert (got[name] - gradient).norm() < 1e-3 * gradient.norm(), name


def test_the_teacher_has_no_dropout_and_leaves_the_model_as_it_was(make_recipe, adapted, rows, random_adapter):
    model, _ = adapted(make_recipe(lora={"r": 4, "alpha": 8, "dropout": 0.5}))
    random_adapter(model).train()
    batch = PaddingCollator(0)([_text(row) for row in rows[:4]])
    with torch.no_grad(), model.disable_adapter():
        base = labelled_logits(model.eval(), batch)
    model.train()
    before = torch.get_rng_state()
    assert torch.equal(base_logits(model, batch), base)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(module.training for module in model.modules())
    trained = [p for name, p in model.named_parameters() if "lora_" in name]
    assert trained and all(parameter.requires_grad for parameter in trained)


def test_a_model_without_an_adapter_has_no_base_to_keep_to(adapted, rows):
    model, _ = adapted()
    with pytest.raises(ValueError, match="adapter"):
        summed_loss(model.get_base_model(), PaddingCollator(0)([_text(rows[0])]))
