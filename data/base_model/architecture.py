"""The base model's shape, and an initialization that already attends where a reader has to.

From a usual random start so small a model needs many millions of tokens before its first in-context lookup, because
two things must arise together: heads that gather a word's neighbours, and heads that match a question with a place
in the text and copy from there. Both are given at the start, as noise-level structure that training is free to undo
(the idea of Trockman & Kolter's mimetic initialization, https://arxiv.org/abs/2305.09828, extended to rotary
offsets):

- the embeddings share a common direction, and in the first ``len(OFFSETS)`` layers each head maps it to a query and
  a key that rotary embedding turns into a peak at a fixed distance, so head h looks OFFSETS[layer][h] tokens back;
- in the later layers queries equal keys, so a position attends to positions with similar content, and the output
  matrix is the transposed value matrix, so what is attended to is copied.
"""

import math

import torch
from transformers import LlamaConfig, LlamaForCausalLM

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FEED_FORWARD = 256, 5, 4, 2, 64, 832
ROPE_THETA = 500_000.0  # slow rotation for most pairs: content can be matched over hundreds of tokens
OFFSETS = ((1, 2, 3, 4), (1, 2, 3, 5))  # tokens back, per layer and head
EMBEDDING_STD = 0.04
COMMON_SHARE = 0.7  # length of the common direction relative to the rest of an embedding
PEAK = 8.0  # attention logit at the favoured distance
NOISE = 0.3  # relative to a unit-variance projection
OUTPUT_SCALE = 0.5


def build(vocabulary: int, max_positions: int, seed: int, *, structured: bool = True) -> LlamaForCausalLM:
    """The untrained model in float32; ``structured=False`` gives transformers' own initialization."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=math.ceil(vocabulary / 64) * 64,
        hidden_size=HIDDEN,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=max_positions,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    if structured:
        with torch.no_grad():
            _structure(model)
    return model


def _structure(model: LlamaForCausalLM) -> None:
    common = _embed(model.model.embed_tokens.weight)
    for index, layer in enumerate(model.model.layers):
        attention = layer.self_attn
        q = attention.q_proj.weight.view(HEADS, HEAD_DIM, HIDDEN)
        k = attention.k_proj.weight.view(KV_HEADS, HEAD_DIM, HIDDEN)
        if index < len(OFFSETS):
            _look_back(q, k, common, OFFSETS[index])
        else:
            _match(q, k)
        _copy(
            attention.v_proj.weight.view(KV_HEADS, HEAD_DIM, HIDDEN),
            attention.o_proj.weight.view(HIDDEN, HEADS, HEAD_DIM),
        )


def _embed(table: torch.Tensor) -> torch.Tensor:
    """Fills (vocabulary, hidden) ``table``; returns the unit vector that all of its rows share."""
    common = torch.nn.functional.normalize(torch.randn(HIDDEN), dim=0)
    table.normal_(0, EMBEDDING_STD).add_(COMMON_SHARE * EMBEDDING_STD * math.sqrt(HIDDEN) * common)
    return common


def _look_back(q: torch.Tensor, k: torch.Tensor, common: torch.Tensor, offsets: tuple[int, ...]) -> None:
    """Queries and keys, (heads, head_dim, hidden), whose rotated product peaks ``offsets[head]`` tokens back.

    With the key (1, 0) and the query (cos(w d), -sin(w d)) in each rotary pair of frequency w, the product at
    distance x is the sum of cos(w (x - d)) over the pairs: largest at x = d.
    """
    pairs = HEAD_DIM // 2
    frequency = ROPE_THETA ** (-torch.arange(pairs) / pairs)
    # After RMSNorm the common direction has this coordinate.
    coordinate = COMMON_SHARE / math.sqrt(1 + COMMON_SHARE**2) * math.sqrt(HIDDEN)
    gain = math.sqrt(PEAK * math.sqrt(HEAD_DIM) / pairs) / coordinate
    for weight in (q, k):
        weight.normal_(0, NOISE / math.sqrt(HIDDEN))
    key = torch.cat([torch.ones(pairs), torch.zeros(pairs)])
    k += gain * torch.outer(key, common)
    for head, offset in enumerate(offsets):
        query = torch.cat([torch.cos(frequency * offset), -torch.sin(frequency * offset)])
        q[head] += gain * torch.outer(query, common)


def _match(q: torch.Tensor, k: torch.Tensor) -> None:
    """Queries equal to the keys of their group, up to noise."""
    k.normal_(0, 1 / math.sqrt(HIDDEN))
    q.copy_(k.repeat_interleave(HEADS // KV_HEADS, dim=0))
    q.add_(torch.randn_like(q), alpha=NOISE / math.sqrt(HIDDEN))


def _copy(v: torch.Tensor, o: torch.Tensor) -> None:
    """Outputs, (hidden, heads, head_dim), that undo the values of their group, up to noise."""
    v.normal_(0, 1 / math.sqrt(HIDDEN))
    o.copy_(v.repeat_interleave(HEADS // KV_HEADS, dim=0).permute(2, 0, 1))
    o.add_(torch.randn_like(o), alpha=NOISE / math.sqrt(HIDDEN)).mul_(OUTPUT_SCALE)
