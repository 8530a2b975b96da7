"""The structured start does what its docstring says, and stays a plain Llama."""

import pytest
import torch

from data.base_model import architecture
from data.base_model.architecture import HEADS, LAYERS, OFFSETS, build

VOCABULARY = 300


@pytest.fixture(scope="module")
def model():
    return build(VOCABULARY, 256, seed=3).eval()


def attention_by_distance(model) -> torch.Tensor:
    """Mean attention weight, (layers, heads, distance 0..15), over random tokens at positions 32 to 63."""
    model.set_attn_implementation("eager")
    ids = torch.randint(5, VOCABULARY, (16, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        weights = torch.stack(model(input_ids=ids, output_attentions=True).attentions).mean(1)
    return torch.stack([weights.diagonal(-distance, 2, 3)[..., 32:].mean(-1) for distance in range(16)], dim=-1)


@pytest.mark.parametrize("layer", range(len(OFFSETS)))
def test_heads_of_the_first_layers_look_back_by_their_offset(model, layer):
    by_distance = attention_by_distance(model)[layer]
    assert tuple(by_distance.argmax(-1).tolist()) == OFFSETS[layer]


def test_a_plain_start_looks_everywhere():
    by_distance = attention_by_distance(build(VOCABULARY, 256, seed=3, structured=False).eval())
    assert by_distance.max() < 2 * by_distance.min()


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
