from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ftlib.core.batches import PaddingCollator
from ftlib.core.loss import labelled_logits, only_positions, summed_loss


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
