"""The structured start does what its docstring says, and stays a plain Llama."""

import pytest
import torch

from data.base_model import architecture
from data.base_model.architecture import HEADS, LAYERS, OFFSETS, build

VOCABULARY = 300


@pytest.fixture(scope="module")
def model():
    return build(VOCABULARY, 256, seed=3).eval()


@pytest.fixture(scope="module")
def attentions(model):
    model.set_attn_implementation("eager")
    ids = torch.randint(5, VOCABULARY, (4, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(input_ids=ids, output_attentions=True).attentions


@pytest.mark.parametrize("layer", range(len(OFFSETS)))
def test_heads_of_the_first_layers_look_back_by_their_offset(attentions, layer):
    for head in range(HEADS):
        rows = attentions[layer][:, head, 32:]  # (batch, queries, keys)
        favoured = rows.mean(0).argmax(-1)
        expected = torch.arange(32, 64) - OFFSETS[layer][head]
        assert (favoured == expected).float().mean() > 0.9


def test_a_plain_start_does_not_look_back():
    plain = build(VOCABULARY, 256, seed=3, structured=False).eval()
    plain.set_attn_implementation("eager")
    ids = torch.randint(5, VOCABULARY, (4, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        rows = plain(input_ids=ids, output_attentions=True).attentions[0][:, 0, 32:]
    expected = torch.arange(32, 64) - OFFSETS[0][0]
    assert (rows.mean(0).argmax(-1) == expected).float().mean() < 0.5


def test_outputs_of_all_layers_copy(model):
    attention = model.model.layers[LAYERS - 1].self_attn
    v = attention.v_proj.weight.view(-1, architecture.HEAD_DIM, architecture.HIDDEN)
    o = attention.o_proj.weight.view(architecture.HIDDEN, HEADS, architecture.HEAD_DIM)
    for head in range(HEADS):
        circuit = o[:, head] @ v[head // (HEADS // len(v))]
        assert circuit.trace() > 5 * circuit.std()


def test_the_same_seed_gives_the_same_start():
    first, second = build(VOCABULARY, 256, seed=4), build(VOCABULARY, 256, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
