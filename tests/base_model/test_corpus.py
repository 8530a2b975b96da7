"""Sequences of the corpus: a function of their index, labelled on answers, silent about the demo company."""

import re
from pathlib import Path
from random import Random

import pytest
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from data.base_model.corpus import CURRICULUM, IGNORED, Corpus, encode
from data.base_model.examine import exact_matches, held_out
from data.generator.demo import NAME, Demo
from data.generator.reading import KINDS, Dialogue, Reader
from data.generator.wording.declining import SENTENCES
from data.generator.wording.support import REFUSAL
from ftlib.data.prompts import Renderer
from ftlib.rows import Row, Turn

FOLDER = Path(__file__).parents[2] / "data" / "base_model"


@pytest.fixture(scope="module")
def tokenizer():
    return PreTrainedTokenizerFast.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def demo():
    return Demo.sample(20)


@pytest.fixture(scope="module")
def reader(demo):
    return Reader(frozenset(p.name for p in demo.products), frozenset({NAME}))


def test_a_sequence_is_a_function_of_its_index(tokenizer, reader):
    one, other = Corpus(tokenizer, reader, 100, 1), Corpus(tokenizer, reader, 100, 1)
    assert one[40] == other[40]
    assert one[40] != one[41]


def test_lengths_follow_the_curriculum(tokenizer, reader):
    corpus = Corpus(tokenizer, reader, 100, 1)
    assert [len(corpus[i]["input_ids"]) for i in (0, 10, 50, 99)] == [phase.length for phase in CURRICULUM]


def test_answers_and_their_ends_are_labelled(tokenizer):
    dialogue = Dialogue("The Heron 20 weighs 340 g.", (("How heavy is the Heron 20?", "340 g"), ("And now?", "black")))
    ids, labels = encode(tokenizer, dialogue)
    trained = [i for i, label in zip(ids, labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(trained) == " 340 g</s> black</s>"


def test_what_is_declined_stands_nowhere_in_the_article(reader):
    rng, declined = Random(11), 0
    dialogues = [reader.sample(rng, "gaps") for _ in range(400)]
    for dialogue in dialogues:
        told, text = dialogue.context.split("\n\n", 1)
        sentence = next(s for s in sorted(SENTENCES, key=len, reverse=True) if told.endswith(s))
        declined += any(answer == sentence for _, answer in dialogue.turns)
        assert sentence in told and REFUSAL not in told
        assert all(answer == sentence or answer in text for _, answer in dialogue.turns)
        names = [name for name in re.findall(r"(?:the|a) ([A-Z]\w+ \d+)\b", " ".join(q for q, _ in dialogue.turns))]
        strangers = {name for name in names if name.split()[0] not in text}
        assert not [q for q, a in dialogue.turns if a != sentence and any(name in q for name in strangers)]
    assert 0.6 < declined / len(dialogues) < 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_one_turn_is_what_the_renderer_makes(tokenizer, reader, kind):
    dialogue = reader.sample(Random(5), kind)
    question, answer = dialogue.turns[0]
    row = Row("r", (Turn("user", question),), dialogue.context, (answer,))
    example = Renderer("tokenizer", tokenizer).example(row)
    ids, labels = encode(tokenizer, Dialogue(dialogue.context, dialogue.turns[:1]))
    assert (list(example.input_ids), list(example.labels)) == (ids, labels)


def test_no_dialogue_names_the_demo_company(reader, demo):
    rng = Random(9)
    texts = []
    for i in range(600):
        dialogue = reader.sample(rng, list(KINDS)[i % len(KINDS)])
        texts.append(dialogue.context + " ".join(q + " " + a for q, a in dialogue.turns))
    text = "\n".join(texts)
    assert NAME not in text
    assert not [p.name for p in demo.products if p.name in text]


@pytest.fixture(scope="module")
def base():
    return LlamaForCausalLM.from_pretrained(FOLDER).float().eval()


@pytest.mark.parametrize(
    ("kind", "dialogues", "answers", "share"),
    [("article", 25, 150, 0.85), ("articles", 15, 300, 0.85), ("alike", 30, 80, 0.9), ("gaps", 25, 170, 0.75)],
)
def test_the_base_model_reads_unseen_companies_texts(tokenizer, reader, base, kind, dialogues, answers, share):
    """One article and several, tells products apart, and declines what is not told in the words that it is told to."""
    right = exact_matches(base, tokenizer, held_out(reader, kind, dialogues))
    assert len(right) > answers
    assert sum(right) / len(right) >= share
