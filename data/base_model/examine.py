"""What the base model can do: read, follow a few-shot conversation, and (not) know a company by heart."""

from collections.abc import Sequence
from random import Random

import torch

from data.base_model.corpus import IGNORED, encode
from data.generator.reading import KINDS, Dialogue, Reader

HELD_OUT_SEED = "held-out companies"


def held_out(reader: Reader, kind: str, count: int) -> list[Dialogue]:
    """``count`` dialogues of companies that the corpus never draws (its generators have other seeds)."""
    rng = Random(f"{HELD_OUT_SEED}/{kind}")
    return [reader.sample(rng, kind) for _ in range(count)]


@torch.no_grad()
def exact_matches(model, tokenizer, dialogues: Sequence[Dialogue]) -> list[bool]:
    """For each answer of each dialogue: is every token of it, and its end, the model's first choice?

    Teacher-forced and greedy, which is the same thing as long as all tokens before were right; the true answers to
    earlier questions of the same dialogue stand in the context.
    """
    found = []
    for dialogue in dialogues:
        ids, labels = encode(tokenizer, dialogue)
        chosen = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].argmax(-1).tolist()
        found += _answers_right(labels, chosen, tokenizer.eos_token_id)
    return found


def _answers_right(labels: Sequence[int], chosen: Sequence[int], eos: int) -> list[bool]:
    found, right = [], True
    for position, label in enumerate(labels):
        if label == IGNORED:
            continue
        right = right and chosen[position - 1] == label
        if label == eos:
            found.append(right)
            right = True
    return found


def scores(model, tokenizer, reader: Reader, count: int) -> dict[str, float]:
    """Share of exact answers by kind of dialogue, ``count`` dialogues each."""
    result = {}
    for kind in KINDS:
        dialogues = held_out(reader, kind, count)
        if kind == "recall":  # its first half tells, its second half asks
            right = [r for d in dialogues for r in exact_matches(model, tokenizer, [d])[len(d.turns) // 2 :]]
        else:
            right = exact_matches(model, tokenizer, dialogues)
        result[f"em_{kind}"] = sum(right) / len(right)
    return result
