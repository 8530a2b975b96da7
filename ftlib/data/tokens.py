"""The tokenizer that lengths are measured with, and what it makes of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ftlib.errors import UserError
from ftlib.recipe_sections import ModelRecipe


def load_tokenizer(model: ModelRecipe):
    """The tokenizer of the recipe's base model, with a padding token: the end-of-sequence token where it has none.

    Args:
        model: the recipe's section of that name: `base`, `revision` and `trust_remote_code` are read.

    Returns:
        A Hugging Face tokenizer.

    Raises:
        UserError: there is none under that path or name, or it has no end-of-sequence token.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            model.base, revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError.of(
            f"model.base = {model.base}", "a model folder or hub name with a tokenizer", reason, "check the name"
        ) from error
    require_eos(tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def require_eos(tokenizer) -> None:
    """Raises UserError where a tokenizer has no end-of-sequence token, without which no answer would ever end."""
    if tokenizer.eos_token_id is None:
        raise UserError.of(
            "model.base", "a tokenizer with an end-of-sequence token", "none", "set eos_token in its config"
        )


def is_encoder_decoder(model: ModelRecipe) -> bool:
    """Whether the base model reads with an encoder and writes with a decoder, as T5 does.

    Args:
        model: the recipe's section of that name.

    Returns:
        What its config says; False where it has none that can be read (loading the model says why).
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            model.base, revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(config.is_encoder_decoder)


def percentiles(lengths: np.ndarray) -> dict[str, float | int]:
    """Count, mean, median, 95th percentile and maximum of token lengths."""
    if not len(lengths):
        return {"rows": 0}
    low, high = np.percentile(lengths, [50, 95])
    return {
        "rows": len(lengths),
        "tokens": int(lengths.sum()),
        "mean": round(float(lengths.mean()), 1),
        "median": float(low),
        "p95": float(high),
        "max": int(lengths.max()),
    }


def forecast(lengths: np.ndarray, max_length: int, batch_rows: int, seed: int = 0) -> dict[str, float]:
    """Share of the computed tokens that are real ones, for three ways to form batches.

    Args:
        lengths: tokens of each row.
        max_length: capacity of a packed sequence in tokens.
        batch_rows: rows of a padded batch.
        seed: of the shuffle.

    Returns:
        `padded` (random batches, each padded to its longest row), `grouped` (batches of similar length),
        `packed` (first-fit decreasing into sequences of `max_length`, the classic bin packing bound of 11/9).
    """
    lengths = np.minimum(np.asarray(lengths, dtype=np.int64), max_length)
    if not len(lengths):
        return {"padded": 0.0, "grouped": 0.0, "packed": 0.0}
    shuffled = np.random.default_rng(seed).permutation(lengths)
    total = float(lengths.sum())
    return {
        "padded": round(total / _padded(shuffled, batch_rows), 4),
        "grouped": round(total / _padded(np.sort(lengths), batch_rows), 4),
        "packed": round(total / (max_length * pack(lengths, max_length)), 4),
    }


def _padded(lengths: np.ndarray, batch_rows: int) -> float:
    starts = np.arange(0, len(lengths), batch_rows)
    rows = np.diff([*starts, len(lengths)])
    return float((np.maximum.reduceat(lengths, starts) * rows).sum())


def pack(lengths: np.ndarray, max_length: int) -> int:
    """Number of sequences that best-fit decreasing needs.

    Args:
        lengths: tokens of each row, each at most `max_length`.
        max_length: capacity in tokens.
    """
    room = np.zeros(max_length + 1, dtype=np.int64)  # open sequences by remaining tokens
    sequences = 0
    for length, rows in zip(*(a[::-1] for a in np.unique(lengths, return_counts=True)), strict=True):
        while rows:
            fitting = np.flatnonzero(room[length:])
            if len(fitting):
                at = int(fitting[0]) + length
                placed = min(int(rows), int(room[at]))  # one row into each open sequence of this room
            else:
                each = max_length // int(length)
                at, placed = max_length, max(1, int(rows) // each)
                room[at] += placed
                sequences += placed
            room[at] -= placed
            room[at - length] += placed
            rows -= placed
    return sequences


def coverage(texts: Iterable[str], tokenizer) -> dict[str, Any]:
    """How the tokenizer's vocabulary fits the data.

    Args:
        texts: the training texts.
        tokenizer: a Hugging Face tokenizer.

    Returns:
        `words`, `tokens_per_word`, `words_in_one_token` (share), `vocabulary_used` (share), `unknown` (share
        of tokens that are the unknown token).
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
