"""Greedy generation in batches, with a KV cache and nothing computed for rows that are done."""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ftlib.core.batches import batches_that_fit
from ftlib.core.device import tokens_that_fit
from ftlib.core.loss import autocast, has_encoder
from ftlib.progress import progress

if TYPE_CHECKING:
    from transformers.generation.streamers import BaseStreamer

_SHARED_TOKENS = 16  # fewer are as quickly read in each prompt


class Generation(NamedTuple):
    """One answer."""

    text: str  # without special tokens, stripped
    tokens: int  # generated, the end-of-sequence token included
    seconds: float  # of its batch, divided by the batch's rows
    log_probability: float | None = None  # nats, the mean over these tokens; None where it is not known


class Written(NamedTuple):
    """What greedy decoding wrote after one prompt."""

    ids: list[int]  # the end token included
    log_probability: float | None  # nats, the mean over these tokens; None where there are none


@torch.no_grad()
def generate(
    model: torch.nn.Module,
    tokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_rows: int = 32,
    desc: str = "generating",
    interactive: bool = False,
) -> list[Generation]:
    """Answer each prompt greedily until its end-of-sequence token or `max_new_tokens`.

    Args:
        model: a causal model or an encoder-decoder, with or without an adapter; put into eval mode.
        tokenizer: for its end and padding tokens and for decoding.
        prompts: token ids, at least one each.
        max_new_tokens: limit per prompt.
        batch_rows: prompts per batch, fewer where the free memory holds fewer; sorted by length first.
        desc: what the progress line says. interactive: a live bar.

    Returns:
        One result per prompt, in the order given.
    """
    results: list[Generation | None] = [None] * len(prompts)
    lengths = [len(prompt) + max_new_tokens for prompt in prompts]
    with progress(total=len(prompts), desc=desc, interactive=interactive) as bar:
        for chosen in batches_that_fit(lengths, tokens_that_fit(model), batch_rows):
            batch = [prompts[i] for i in chosen]
            for i, result in zip(chosen, generate_batch(model, tokenizer, batch, max_new_tokens), strict=True):
                results[i] = result
            bar.update(len(chosen))
    return results


def end_tokens(model: torch.nn.Module, tokenizer) -> list[int]:
    """Tokens that end an answer: the tokenizer's, and those of the model's generation config."""
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ends = ends if isinstance(ends, list) else [ends]
    return sorted({tokenizer.eos_token_id, *(end for end in ends if end is not None)})


def context_window(model: torch.nn.Module) -> int | None:
    """Tokens that a model reads at most, prompt and answer together; None where its config states no limit."""
    config = model.config.get_text_config(decoder=True)
    return None if has_encoder(model) else getattr(config, "max_position_embeddings", None)


def generate_batch(
    model: torch.nn.Module,
    tokenizer,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    streamer: BaseStreamer | None = None,
) -> list[Generation]:
    """One batch of `generate`; a streamer is handed each token of a single prompt's answer as soon as it is there."""
    started = time.perf_counter()
    ends = end_tokens(model, tokenizer)
    rows = write_greedily(model, prompts, max_new_tokens, ends, tokenizer.pad_token_id, streamer)
    seconds = (time.perf_counter() - started) / len(prompts)
    texts = tokenizer.batch_decode([row.ids for row in rows], skip_special_tokens=True)
    return [
        Generation(text.strip(), len(row.ids), seconds, row.log_probability)
        for text, row in zip(texts, rows, strict=True)
    ]


def greedy(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    ends: Sequence[int],
    pad_token_id: int,
) -> list[list[int]]:
    """The token ids that `write_greedily` gives, alone."""
    return [row.ids for row in write_greedily(model, prompts, max_new_tokens, ends, pad_token_id)]


@torch.no_grad()
def write_greedily(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    ends: Sequence[int],
    pad_token_id: int,
    streamer: BaseStreamer | None = None,
) -> list[Written]:
    """Most likely next token, again and again; equal to transformers' greedy `generate`.

    Prompts are padded on the left, so that all rows continue at the same place. Rows that have ended
    leave the batch and the cache as soon as they are half of it. No answer goes on beyond the model's window.
    A streamer is for one prompt alone; as transformers does, it is handed tokens on the CPU: (1,).

    Returns:
        One a prompt, in the order given. How likely a token was is read off the logits that chose it, in float32.
    """
    model.eval()
    device = next(model.parameters()).device
    accepted = _forward_arguments(model)
    if has_encoder(model) or "past_key_values" not in accepted or getattr(_base(model), "_is_stateful", False):
        return _write_by_library(model, prompts, max_new_tokens, ends, pad_token_id, streamer)
    # The last place by its index, not as the number 1: a slice of the hidden states is not contiguous, and a product of
    # such with the output layer copies that layer's weights for each row (docs/LOG.md).
    extra = {"logits_to_keep": torch.tensor([-1], device=device)} if "logits_to_keep" in accepted else {}
    cache, shared = _read_shared(model, prompts, extra if "position_ids" in accepted else None)
    ids, mask = _padded([prompt[shared:] for prompt in prompts], pad_token_id, device)  # (batch, seq)
    positions = (mask.cumsum(1) - 1).clamp(min=0) + shared
    mask = torch.cat([mask.new_ones(len(prompts), shared), mask], 1)
    steps = min(max_new_tokens, (context_window(model) or mask.shape[1] + max_new_tokens) - mask.shape[1])
    ends_tensor = torch.tensor(ends, device=device)
    alive = torch.arange(len(prompts), device=device)  # which prompt each row of the batch is
    running = torch.ones(len(prompts), dtype=torch.bool, device=device)
    new = torch.full((len(prompts), max_new_tokens), -1, dtype=torch.long, device=device)
    likely = torch.zeros(len(prompts), max_new_tokens, device=device)
    for step in range(steps):
        if "position_ids" in accepted:
            extra["position_ids"] = positions
        with autocast(model):
            logits = model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra).logits
        token = logits[:, -1].argmax(-1)  # (batch,)
        if streamer is not None:
            streamer.put(token.cpu())
        new[alive, step] = torch.where(running, token, -1)
        likely[alive, step] = _log_probability(logits[:, -1], token)
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
    rows = [[token for token in row if token >= 0] for row in new.tolist()]
    return [_written(row, told) for row, told in zip(rows, likely.cpu(), strict=True)]


def _read_shared(model: torch.nn.Module, prompts: Sequence[Sequence[int]], extra: dict | None) -> tuple[Any, int]:
    """A cache with what all prompts begin with, such as examples and instructions, read once.

    Where models look back over so many places only, padding behind the shared part would push it out of sight.

    Args:
        prompts: of one batch. extra: further arguments of the model; None where it takes no positions.

    Returns:
        The cache, with one row a prompt where it isn't empty, and the tokens in it.
    """
    from transformers import DynamicCache

    cache, config = DynamicCache(config=model.config), model.config.get_text_config(decoder=True)
    first, last = min(prompts), max(prompts)  # whatever these two begin with, all begin with
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    shared = min(same, *(len(prompt) - 1 for prompt in prompts)) if len(prompts) > 1 else 0
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if extra is None or shared < _SHARED_TOKENS or getattr(config, "sliding_window", None) or len(kinds) > 1:
        return cache, 0
    ids = torch.tensor([list(first[:shared])], device=next(model.parameters()).device)
    with autocast(model):
        model(input_ids=ids, past_key_values=cache, use_cache=True, **extra)
    cache.batch_repeat_interleave(len(prompts))
    return cache, shared


def _log_probability(logits: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """Nats of each row's token: (batch, vocab), (batch,) -> (batch,)."""
    return logits.float().log_softmax(-1).gather(1, token.unsqueeze(1)).squeeze(1)


def _written(ids: list[int], likely: torch.Tensor) -> Written:
    """The answer with the mean of `likely`, nats of its tokens (and of some after its end): (steps,)."""
    return Written(ids, float(likely[: len(ids)].mean()) if ids else None)


def _base(model: torch.nn.Module) -> torch.nn.Module:
    """The model below PEFT's wrapper."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def _forward_arguments(model: torch.nn.Module) -> set[str]:
    return set(inspect.signature(type(_base(model)).forward).parameters)


def _write_by_library(model, prompts, max_new_tokens: int, ends, pad_token_id: int, streamer=None) -> list[Written]:
    """transformers' own loop, for encoder-decoders and for models that keep another state than a KV cache."""
    on_left = not has_encoder(model)
    ids, mask = _padded(prompts, pad_token_id, next(model.parameters()).device, on_left)
    config = copy.deepcopy(model.generation_config)
    config.update(do_sample=False, num_beams=1, temperature=None, top_p=None, top_k=None)
    config.update(max_length=None, max_new_tokens=max_new_tokens, eos_token_id=list(ends), pad_token_id=pad_token_id)
    likely: list[torch.Tensor] = []

    def note(_, logits: torch.Tensor) -> torch.Tensor:  # `output_logits` would keep every step's whole vocabulary
        likely.append(_log_probability(logits, logits.argmax(-1)))
        return logits

    with autocast(model):
        rows = model.generate(
            input_ids=ids, attention_mask=mask, generation_config=config, logits_processor=[note], streamer=streamer
        )
    written = rows[:, ids.shape[1] if on_left else 1 :].tolist()  # a decoder's first token is its start
    ended = [row[: next((at + 1 for at, t in enumerate(row) if t in ends), len(row))] for row in written]
    return [_written(row, told) for row, told in zip(ended, torch.stack(likely, 1).cpu(), strict=True)]


def _padded(prompts, pad_token_id: int, device, on_left: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad_token_id, dtype=torch.long)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for i, prompt in enumerate(prompts):
        place = slice(width - len(prompt), width) if on_left else slice(len(prompt))
        ids[i, place] = torch.as_tensor(list(prompt))
        mask[i, place] = 1
    return ids.to(device), mask.to(device)
