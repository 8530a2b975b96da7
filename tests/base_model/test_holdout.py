"""The texts beside the base model are what their scripts write, and nothing that the base has read."""

from pathlib import Path

from data.base_model import holdout, replay
from data.base_model.corpus import Corpus
from data.base_model.make import BATCH_ROWS, SEED, STEPS, others
from data.generator.demo import NAME, Demo
from data.generator.reading import Reader
from ftlib import jsonl

FOLDER = Path(__file__).parents[2] / "data" / "base_model"


def same_bytes(tmp_path, rows, name):
    jsonl.write(tmp_path / name, rows)
    return (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_the_files_are_what_the_scripts_write(tmp_path):
    assert same_bytes(tmp_path, holdout.articles(), "holdout.jsonl")
    assert same_bytes(tmp_path, replay.articles(), "replay.jsonl")


def test_held_out_is_not_replayed_and_not_the_demos():
    texts = {row["text"] for row in holdout.articles()}
    assert len(texts) == 80
    assert not texts & {row["text"] for row in replay.articles()}
    names = [NAME, *(product.name for product in Demo.sample(20).products)]
    assert not [name for name in names for text in texts if name in text]


def test_a_text_of_the_corpus_is_found(monkeypatch):
    """What a sequence holds whole is found in it, and in no other; what was cut off at its end is not."""
    seen, sample = [], Reader.sample

    def keep(reader, rng, kind):
        seen.append(sample(reader, rng, kind))
        return seen[-1]

    monkeypatch.setattr(Reader, "sample", keep)
    corpus = Corpus(holdout.tokenizer(), others(), STEPS * BATCH_ROWS, SEED)
    corpus[40_002]
    first, *_, last = [dialogue.context for dialogue in seen if dialogue.context]
    assert holdout.read_before([first, last], [40_002]) == [first]
    assert holdout.read_before([first], [40_001, 40_003]) == []
    assert holdout.read_before([row["text"] for row in holdout.articles()], range(39_990, 40_010)) == []
