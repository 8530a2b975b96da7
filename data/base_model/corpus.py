"""The pretraining corpus: sequence ``i`` is a pure function of ``i``, so a resumed training sees the same ones."""

from random import Random
from typing import NamedTuple

from data.base_model.tokenizer import ANSWER, USER
from data.generator.reading import Dialogue, Reader

IGNORED = -100


class Phase(NamedTuple):
    """A stretch of the curriculum.

    Attributes:
        until: share of the training at which it ends.
        length: tokens per sequence.
        mix: weight of each kind of dialogue.
        plain: share of sequences whose loss counts every token, not only the answers.
    """

    until: float
    length: int
    mix: dict[str, float]
    plain: float


# Loss on the answers only, and short key-value lookups dense with questions, are what teaches so small a model to look
# things up; that of several values the one beside the name is meant, only what leaves no other cue teaches (`pairs`,
# `alike`: docs/LOG.md). Whole articles follow once it can.
CURRICULUM = (
    Phase(0.08, 256, {"lookup": 6, "article": 2, "recall": 1.5, "comparison": 0.3}, 0.0),
    Phase(0.4, 320, {"lookup": 3, "article": 4, "articles": 2, "recall": 0.8, "gaps": 1.5, "comparison": 0.3}, 0.03),
    Phase(0.576, 256, {"alike": 5, "pairs": 2, "article": 2, "lookup": 2}, 0.0),
    Phase(
        1.00,
        448,
        {"pairs": 1, "alike": 5, "lookup": 2, "article": 3, "articles": 4, "recall": 1, "gaps": 2.5, "comparison": 0.5},
        0.06,
    ),
)


class Corpus:
    """Map-style data set of {"input_ids", "labels"} rows of equal length within a phase.

    Args:
        tokenizer: with the markers of a turn as single tokens.
        reader: samples the dialogues.
        n_sequences: of the whole training; places the phases.
        seed: of the corpus.
        phases: the curriculum.
    """

    def __init__(
        self, tokenizer, reader: Reader, n_sequences: int, seed: int, phases: tuple[Phase, ...] = CURRICULUM
    ) -> None:
        self.tokenizer, self.reader, self.seed, self.phases = tokenizer, reader, seed, phases
        self.n_sequences = n_sequences

    def __len__(self) -> int:
        return self.n_sequences

    def __getitem__(self, i: int) -> dict[str, list[int]]:
        phase = next((p for p in self.phases if i < p.until * self.n_sequences), self.phases[-1])
        rng = Random(f"{self.seed}/{i}")
        plain = rng.random() < phase.plain
        ids: list[int] = []
        labels: list[int] = []
        while len(ids) < phase.length:
            (kind,) = rng.choices(list(phase.mix), list(phase.mix.values()))
            new_ids, new_labels = encode(self.tokenizer, self.reader.sample(rng, kind))
            ids += new_ids
            labels += new_ids if plain else new_labels
        return {"input_ids": ids[: phase.length], "labels": labels[: phase.length]}


def encode(tokenizer, dialogue: Dialogue) -> tuple[list[int], list[int]]:
    """Token ids of the whole conversation, and labels on its answers and their ends."""
    prompts, answers = _turns(dialogue, tokenizer.eos_token)
    pieces = [piece for pair in zip(prompts, answers, strict=True) for piece in pair]
    encoded = tokenizer(pieces, add_special_tokens=False)["input_ids"]
    ids, labels = [tokenizer.bos_token_id], [IGNORED]
    for prompt, answer in zip(encoded[::2], encoded[1::2], strict=True):
        ids += prompt + answer
        labels += [IGNORED] * len(prompt) + answer
    return ids, labels


def _turns(dialogue: Dialogue, eos: str) -> tuple[list[str], list[str]]:
    """What stands before each answer (the context comes with the first question), and the answers."""
    contexts = [f"{dialogue.context}\n\n" if dialogue.context else ""] + [""] * (len(dialogue.turns) - 1)
    prompts = [f"{USER}{c}{question}{ANSWER}" for c, (question, _) in zip(contexts, dialogue.turns, strict=True)]
    return prompts, [f" {answer}{eos}" for _, answer in dialogue.turns]
