from __future__ import annotations

import copy

import pytest
import torch

from data.base_model.muon import MuonAdamW, muon_adamw, orthogonalize


def _parameters(shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def _give_gradients(parameters, seed):
    generator = torch.Generator().manual_seed(seed)
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=generator)


@pytest.mark.parametrize("adjust_lr", ["original", "match_rms_adamw"])
def test_matrices_follow_torch_muon(adjust_lr):
    shapes = [(24, 16), (16, 24), (16, 24), (16, 16)]  # two are transposes of others' shape: batched together
    ours, theirs = _parameters(shapes), _parameters(shapes)
    options = {"weight_decay": 0.1, "momentum": 0.9}
    mine = MuonAdamW(ours, [], lr_matrix=0.05, lr_other=0, adjust_lr=adjust_lr, dtype=torch.bfloat16, **options)
    reference = torch.optim.Muon(theirs, lr=0.05, adjust_lr_fn=adjust_lr, **options)
    for step in range(4):
        _give_gradients(ours, step)
        _give_gradients(theirs, step)
        mine.step()
        reference.step()
    for p, q, start in zip(ours, theirs, _parameters(shapes), strict=True):
        moved = (q - start).norm()
        assert (p - q).norm() < 0.02 * moved  # bfloat16 sums in another order


def test_other_parameters_follow_torch_adamw():
    shapes = [(5,), (3, 4)]
    ours, theirs = _parameters(shapes), _parameters(shapes)
    mine = MuonAdamW([], ours, lr_matrix=0, lr_other=0.01)
    reference = torch.optim.AdamW(theirs, lr=0.01, betas=(0.9, 0.95), weight_decay=0)
    for step in range(5):
        _give_gradients(ours, step)
        _give_gradients(theirs, step)
        mine.step()
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-7)


def test_a_loaded_state_goes_on_as_the_saved_one():
    first, second = _parameters([(6, 4), (4,)]), _parameters([(6, 4), (4,)])
    one = MuonAdamW(first[:1], first[1:], lr_matrix=0.05, lr_other=0.01)
    other = MuonAdamW(second[:1], second[1:], lr_matrix=1.0, lr_other=1.0)
    _give_gradients(first, 0)
    one.step()
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    with torch.no_grad():
        for p, q in zip(first, second, strict=True):
            q.copy_(p)
    for parameters, optimizer in ((first, one), (second, other)):
        _give_gradients(parameters, 1)
        optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(first, second, strict=True))


def test_orthogonalized_singular_values_are_near_one():
    matrices = torch.randn(3, 12, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert values.min() > 0.6 and values.max() < 1.3


def test_only_matrices_inside_the_layers_go_to_muon():
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=False))  # fmt: skip
    matrices, others = muon_adamw(model).param_groups
    assert len(matrices["params"]) == 7 and all(p.ndim == 2 for p in matrices["params"])
    assert {p.shape for p in others["params"]} == {torch.Size([32, 16]), torch.Size([16])}
    assert len(matrices["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_vectors_are_refused_as_matrices():
    with pytest.raises(ValueError, match="two-dimensional"):
        MuonAdamW(_parameters([(3,)]), [], lr_matrix=0.1, lr_other=0.1)
    with pytest.raises(ValueError, match="adjust_lr"):
        MuonAdamW(_parameters([(3, 3)]), [], lr_matrix=0.1, lr_other=0.1, adjust_lr="none")
