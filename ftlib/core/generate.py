"""Greedy generation in batches, with a KV cache and nothing computed for rows that are done."""
from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ftlib.core.likelihood import autocast
from ftlib.progress import progress


class Generation(NamedTuple):
    """One answer."""

    text: str  # without special tokens, stripped
    tokens: int  # generated, the end-of-sequence token included
    seconds: float  # of its batch, divided by the batch's rows


@torch.no_grad()
def generate(model: torch.nn.Module, tokenizer, prompts: Sequence[Sequence[int]], *, max_new_tokens: int,
             batch_rows: int = 32, progress_desc: str = "generating", interactive: bool = False) -> list[Generation]:
    """Continue each prompt greedily until its end-of-sequence token or `max_new_tokens`.

    Args:
        model: a causal language model, with or without an adapter; put into eval mode.
        tokenizer: for its end and padding tokens and for decoding.
        prompts: token ids, at least one each.
        max_new_tokens: limit per prompt. batch_rows: prompts per batch; sorted by length first.
        progress_desc: what the progress line says. interactive: a live bar.

    Returns:
        One result per prompt, in the order given.
    """
    results: list[Generation | None] = [None] * len(prompts)
    with progress(total=len(prompts), desc=progress_desc, interactive=interactive) as bar:
        for chosen in batches_by_length(prompts, batch_rows):
            batch = [prompts[i] for i in chosen]
            for i, result in zip(chosen, _generate_batch(model, tokenizer, batch, max_new_tokens), strict=True):
                results[i] = result
            bar.update(len(chosen))
    return results


def batches_by_length(prompts: Sequence[Sequence[int]], batch_rows: int) -> list[list[int]]:
    """Indices of prompts of similar length, longest first: what needs most memory fails at once."""
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    return [order[i : i + batch_rows] for i in range(0, len(order), batch_rows)]


def end_tokens(model: torch.nn.Module, tokenizer) -> list[int]:
    """Tokens that end an answer: the tokenizer's, and those of the model's generation config."""
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ends = ends if isinstance(ends, list) else [ends]
    return sorted({tokenizer.eos_token_id, *(end for end in ends if end is not None)})


def _generate_batch(model, tokenizer, prompts, max_new_tokens: int) -> list[Generation]:
    started = time.perf_counter()
    rows = greedy(model, prompts, max_new_tokens, end_tokens(model, tokenizer), tokenizer.pad_token_id)
    seconds = (time.perf_counter() - started) / len(prompts)
    texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
    return [Generation(text.strip(), len(row), seconds) for text, row in zip(texts, rows, strict=True)]


@torch.no_grad()
def greedy(model: torch.nn.Module, prompts: Sequence[Sequence[int]], max_new_tokens: int, ends: Sequence[int],
           pad_token_id: int) -> list[list[int]]:
    """Most likely next token, again and again; equal to transformers' greedy `generate`.

    Prompts are padded on the left, so that all rows continue at the same place. Rows that have ended
    leave the batch and the cache as soon as they are half of it.

    Returns:
        The new token ids of each prompt, its end token included.
    """
    from transformers import DynamicCache

    model.eval()
    device = next(model.parameters()).device
    ids, mask = _pad_left(prompts, pad_token_id, device)  # (batch, seq)
    ends_tensor = torch.tensor(ends, device=device)
    alive = torch.arange(len(prompts), device=device)  # which prompt each row of the batch is
    running = torch.ones(len(prompts), dtype=torch.bool, device=device)
    new = torch.full((len(prompts), max_new_tokens), -1, dtype=torch.long, device=device)
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    for step in range(max_new_tokens):
        with autocast(model):
            logits = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
                           use_cache=True, logits_to_keep=1).logits[:, -1]
        token = logits.argmax(-1)  # (batch,)
        new[alive, step] = torch.where(running, token, -1)
        running = running & ~torch.isin(token, ends_tensor)
        left = int(running.sum())
        if left == 0:
            break
        positions, mask = positions[:, -1:] + 1, torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        if left <= len(running) // 2:
            keep = running.nonzero().squeeze(1)
            cache.batch_select_indices(keep)
            token, positions, mask, alive, running = (x[keep] for x in (token, positions, mask, alive, running))
        ids = token.unsqueeze(1)
    return [[token for token in row if token >= 0] for row in new.tolist()]


def _pad_left(prompts, pad_token_id: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad_token_id, dtype=torch.long)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for i, prompt in enumerate(prompts):
        ids[i, width - len(prompt) :] = torch.as_tensor(list(prompt))
        mask[i, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)
