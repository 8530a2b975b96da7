"""A base's own texts: so many, no two alike, the same again by the same seed, and what replay makes of them."""

from __future__ import annotations

import pytest

from ftlib import jsonl, rows
from ftlib.cli import main
from ftlib.core import own_texts as module
from ftlib.core.load import load_base
from ftlib.core.own_texts import own_texts, write_own_texts
from ftlib.core.reading import draw
from ftlib.data.prompts import Renderer
from ftlib.errors import UserError


@pytest.fixture(scope="module")
def base(make_recipe):
    return load_base(make_recipe())


def test_as_many_as_asked_for_no_two_alike_and_the_same_by_the_same_seed(base):
    texts = own_texts(*base, 60, tokens=24)
    assert len(texts) == len(set(texts)) == 60  # more than one batch
    assert all(text == text.strip() and len(text) >= 20 for text in texts)
    assert own_texts(*base, 60, tokens=24) == texts
    assert set(own_texts(*base, 60, tokens=24, seed=1)).isdisjoint(texts)


def test_a_model_that_writes_one_text_only_is_no_endless_loop(base, monkeypatch):
    monkeypatch.setattr(module, "_LEAST", 10**6)
    with pytest.raises(UserError, match="0, and no others in 48 more"):
        own_texts(*base, 5, tokens=8)


def test_the_command_writes_what_replay_takes_and_never_over_a_file(make_recipe, tiny_recipe, tmp_path, capsys):
    file = tmp_path / "a folder" / "own.jsonl"
    options = ["replay", "--recipe", str(tiny_recipe), "--out", str(file), "--texts", "6", "--tokens", "24"]
    assert main(options) == 0
    assert "6 texts of the base's own" in capsys.readouterr().out
    assert len(jsonl.read(file)) == 6
    known = [rows.row_of({"id": str(n), "question": "How heavy is it?", "answer": f"{n} g"}) for n in range(10)]
    recipe = make_recipe(train__replay_path=str(file), train__replay_share=0.3, train__replay_kl=1.0)
    drawn = draw(known, 2, recipe, Renderer.of(recipe, load_base(recipe)[1]))
    assert drawn.counts["text"] == 6  # three in each of two epochs
    before = file.read_bytes()
    assert main(options) == 2
    assert "a new file" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_an_encoder_decoder_begins_nothing_by_itself(base, make_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "has_encoder", lambda model: True)
    with pytest.raises(UserError, match="encoder-decoder"):
        write_own_texts(make_recipe(), tmp_path / "own.jsonl", 3, 8, print)
    assert not (tmp_path / "own.jsonl").exists()
