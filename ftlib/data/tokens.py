"""The tokenizer that lengths are measured with, and what it makes of the data."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ftlib.errors import UserError
from ftlib.recipe import ModelRecipe

_NONE_THERE = (OSError, ValueError, KeyError, TypeError)  # what transformers raises where it finds nothing it can read


def load_tokenizer(model: ModelRecipe):
    """The tokenizer of the recipe's base model, with a padding token: the end-of-sequence token where it has none.

    Raises:
        UserError: there is none under that path or name, or it has no end-of-sequence token.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = _from_hub(AutoTokenizer, model)
    except _NONE_THERE as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if os.path.isabs(model.base) and not os.path.isdir(model.base):  # which the library takes for a hub name
            reason = "no such folder"
        wanted = "a model folder (relative to the recipe: begin with ./ or ../) or hub name with a tokenizer"
        raise UserError.of(f"model.base = {model.base}", wanted, reason, "check the name") from error
    require_eos(tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def require_eos(tokenizer) -> None:
    """Raises UserError where a tokenizer has no end-of-sequence token, without which no answer would ever end."""
    if tokenizer.eos_token_id is None:
        wanted = "a tokenizer with an end-of-sequence token"
        raise UserError.of("model.base", wanted, "none", "set eos_token in its config")


def is_encoder_decoder(model: ModelRecipe) -> bool:
    """Whether the base model reads with an encoder and writes with a decoder, as T5 does, by its config.

    False where it has none that can be read (loading the model says why).
    """
    from transformers import AutoConfig

    try:
        return bool(_from_hub(AutoConfig, model).is_encoder_decoder)
    except _NONE_THERE:
        return False


def _from_hub(kind, model: ModelRecipe):
    return kind.from_pretrained(model.base, revision=model.revision, trust_remote_code=model.trust_remote_code)


def percentiles(lengths: np.ndarray) -> dict[str, float | int]:
    """Count, mean, median, 95th percentile and maximum of token lengths."""
    if not len(lengths):
        return {"rows": 0}
    median, high = np.percentile(lengths, [50, 95])
    rounded = {"mean": round(float(lengths.mean()), 1), "median": float(median), "p95": float(high)}
    return {"rows": len(lengths), "tokens": int(lengths.sum()), **rounded, "max": int(lengths.max())}


def forecast(lengths: np.ndarray, max_length: int, batch_rows: int, seed: int = 0) -> dict[str, float]:
    """Share of the computed tokens that are real ones, for three ways to form batches of rows of these lengths.

    `padded` (random batches, each padded to its longest row), `grouped` (batches of similar length) and
    `packed` (best-fit decreasing into sequences of `max_length`, the classic bin packing bound of 11/9).
    """
    lengths = np.minimum(np.asarray(lengths, dtype=np.int64), max_length)
    if not len(lengths):
        return {"padded": 0.0, "grouped": 0.0, "packed": 0.0}
    computed = {
        "padded": _padded(np.random.default_rng(seed).permutation(lengths), batch_rows),
        "grouped": _padded(np.sort(lengths), batch_rows),
        "packed": max_length * pack(lengths, max_length),
    }
    return {name: round(float(lengths.sum()) / tokens, 4) for name, tokens in computed.items()}


def _padded(lengths: np.ndarray, batch_rows: int) -> int:
    return sum(
        len(batch) * int(batch.max()) for batch in np.split(lengths, range(batch_rows, len(lengths), batch_rows))
    )


def pack(lengths: np.ndarray, max_length: int) -> int:
    """Number of sequences of `max_length` tokens that best-fit decreasing needs for rows of these lengths."""
    room = np.zeros(max_length + 1, dtype=np.int64)  # sequences by tokens that still fit
    room[max_length] = len(lengths)
    for length in np.sort(lengths)[::-1].tolist():
        fullest = length + int(np.argmax(room[length:] > 0))
        room[[fullest, fullest - length]] += -1, 1
    return len(lengths) - int(room[max_length])


def coverage(texts: Iterable[str], tokenizer) -> dict[str, Any]:
    """How the tokenizer's vocabulary fits the training texts: words, tokens a word, and shares.

    These are of the words in one token, of the vocabulary used, and of tokens that are the unknown token.
    """
    seen = Counter(word for text in texts for word in text.split())
    if not seen:
        return {"words": 0}
    pieces = tokenizer([f" {word}" for word in seen], add_special_tokens=False)["input_ids"]
    times = np.fromiter(seen.values(), dtype=np.int64)
    lengths = np.array([len(ids) for ids in pieces])
    unknown = np.array([ids.count(tokenizer.unk_token_id) for ids in pieces])
    words, tokens = int(times.sum()), int((times * lengths).sum())
    return {
        "words": words,
        "tokens_per_word": round(tokens / words, 3),
        "words_in_one_token": round(float(times[lengths == 1].sum()) / words, 4),
        "vocabulary_used": round(len({i for ids in pieces for i in ids}) / len(tokenizer), 4),
        "unknown": round(float((times * unknown).sum()) / max(tokens, 1), 6),
    }
