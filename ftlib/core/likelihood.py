"""How likely a model finds given answers."""
from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from ftlib.core.batches import PaddingCollator
from ftlib.core.loss import labelled_logits


class LogLikelihood(NamedTuple):
    """Of one example's labelled tokens, in nats."""

    sum_logprob: float
    tokens: int
    is_greedy: bool = True  # each labelled token is the most likely one: greedy decoding would write them all


@torch.no_grad()
def log_likelihood(model: torch.nn.Module, tokenizer, examples: Sequence, *,
                   batch_rows: int = 32) -> list[LogLikelihood]:
    """log p(labelled tokens | everything before them) of each example.

    Args:
        model: a causal language model; put into eval mode.
        tokenizer: for its padding token.
        examples: `Example`s or mappings with `input_ids` and `labels` (-100: not scored).
        batch_rows: examples per forward; they are sorted by length first.

    Returns:
        One result per example, in the order given. exp(-sum / tokens) is the perplexity.
    """
    model.eval()
    collate = PaddingCollator(tokenizer.pad_token_id)
    rows = [_mapping(example) for example in examples]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    results: list[LogLikelihood | None] = [None] * len(rows)
    for start in range(0, len(order), batch_rows):
        chosen = order[start : start + batch_rows]
        for i, result in zip(chosen, _score(model, collate([rows[i] for i in chosen])), strict=True):
            results[i] = result
    return results


def _mapping(example) -> dict:
    return example if isinstance(example, dict) else {"input_ids": example.input_ids, "labels": example.labels}


def _score(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> list[LogLikelihood]:
    device = next(model.parameters()).device
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    rows, width = batch["input_ids"].shape
    with autocast(model):
        logits = labelled_logits(model, batch)  # (labelled, vocabulary)
    logprobs = -F.cross_entropy(logits, batch["targets"], reduction="none").double()
    row_of = batch["positions"] // width
    sums = torch.zeros(rows, dtype=torch.double, device=device).index_add_(0, row_of, logprobs).tolist()
    counts = torch.bincount(row_of, minlength=rows).tolist()
    missed = torch.bincount(row_of, weights=(logits.argmax(-1) != batch["targets"]).float(), minlength=rows).tolist()
    return [LogLikelihood(*scores) for scores in zip(sums, counts, [miss == 0 for miss in missed], strict=True)]


def autocast(model: torch.nn.Module):
    """Mixed precision as in training, where adapters are float32 and the base is not."""
    if model.dtype == torch.bfloat16:
        return torch.autocast(next(model.parameters()).device.type, torch.bfloat16)
    return contextlib.nullcontext()


def mean_loss(model: torch.nn.Module, tokenizer, examples: Sequence, batch_rows: int = 32) -> dict[str, float]:
    """Loss per labelled token over all examples: every token counts the same, whatever its batch.

    Returns:
        `eval_loss` in nats per token, `eval_tokens`, and `eval_exact`: the share of examples whose labelled
        tokens greedy decoding would write exactly, which the same forward pass tells.
    """
    scored = log_likelihood(model, tokenizer, examples, batch_rows=batch_rows)
    tokens = sum(score.tokens for score in scored)
    loss = -sum(score.sum_logprob for score in scored) / max(tokens, 1)
    return {"eval_loss": loss, "eval_exact": sum(s.is_greedy for s in scored) / len(scored), "eval_tokens": tokens}


class LossInterval(NamedTuple):
    """Loss per labelled token with its 95 % interval; exp of each is the perplexity."""

    mean: float
    low: float
    high: float
    n: int  # rows


def loss_interval(scored: Sequence[LogLikelihood], *, minus: Sequence[LogLikelihood] | None = None,
                  samples: int = 2000, seed: int = 0) -> LossInterval:
    """Bootstrap over rows, because the tokens of one answer are not independent.

    Args:
        scored: results of `log_likelihood`. minus: of another model on the same rows; then the interval is
            of the paired difference.
        samples: bootstrap samples. seed: of the drawing.

    Returns:
        Loss (or difference) in nats per token.
    """
    import numpy as np

    sums = -np.array([score.sum_logprob for score in scored])
    if minus is not None:
        sums = sums + np.array([score.sum_logprob for score in minus])
    tokens = np.array([score.tokens for score in scored])
    drawn = np.random.default_rng(seed).integers(0, len(sums), (samples, len(sums)))
    means = sums[drawn].sum(1) / np.maximum(tokens[drawn].sum(1), 1)
    low, high = np.quantile(means, [0.025, 0.975])
    return LossInterval(float(sums.sum() / max(tokens.sum(), 1)), float(low), float(high), len(sums))
