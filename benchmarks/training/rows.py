"""What is trained on: generated rows, and the order that gives every stack the same rows in every step."""

from __future__ import annotations

import random
from collections.abc import Sequence

IGNORED = -100
FIRST_TOKEN = 8  # below are the tokenizer's special tokens
WORDS = 3_000  # distinct tokens drawn


def generate(
    rows: int, prompt_tokens: int, answer_tokens: int, max_length: int, seed: int, shared: int = 0
) -> list[dict]:
    """Rows of random tokens whose lengths spread like those of real questions and answers.

    Lengths are log-normal; every fourth prompt also carries a context some times as long. Frequencies follow Zipf's
    law, so that there is something to learn and two stacks that drift apart show it in their losses.

    Args:
        rows: how many. prompt_tokens, answer_tokens: medians. max_length: of a whole row.
        seed: of everything drawn. shared: further tokens that all rows begin with, as those of a system prompt.

    Returns:
        Mappings with `input_ids` and `labels` (-100 on the prompt).
    """
    rng = random.Random(seed)
    tokens = range(FIRST_TOKEN, FIRST_TOKEN + WORDS)
    weights = [1 / (rank + 10) for rank in range(WORDS)]
    beginning, made = rng.choices(tokens, weights, k=shared), []
    max_length -= shared
    for number in range(rows):
        prompt = rng.lognormvariate(0, 0.5) * prompt_tokens * (5 if number % 4 == 0 else 1)
        answer = rng.lognormvariate(0, 0.7) * answer_tokens
        answer = min(max(1, round(answer)), max_length // 2)
        prompt = min(max(2, round(prompt)), max_length - answer - 2)
        ids = rng.choices(tokens, weights, k=prompt + answer)
        labels = [IGNORED] * (shared + prompt + 1) + ids[prompt:] + [2]
        made.append({"input_ids": [1, *beginning, *ids, 2], "labels": labels})
    return made


def steps_of(lengths: Sequence[int], batch_rows: int, accumulation: int, seed: int) -> list[list[int]]:
    """The rows of each optimizer step in the order of the stacks that take rows as they come.

    ftlib chooses its batches itself (`LengthGroupedBatches`). Which rows a step holds is taken from there; inside the
    step they are shuffled, so that the other stacks' micro-batches are as mixed as random batches are.

    Args:
        lengths: tokens of each row. batch_rows: rows per micro-batch. accumulation: micro-batches per step.
        seed: the training's.
    """
    from ftlib.core.batches import LengthGroupedBatches

    batches = LengthGroupedBatches(lengths, batch_rows, epochs=1, seed=seed).epoch(0)
    rng = random.Random(seed)
    steps = []
    for start in range(0, len(batches), accumulation):
        rows = sorted(row for batch in batches[start : start + accumulation] for row in batch)
        rng.shuffle(rows)
        steps.append(rows)
    return steps
