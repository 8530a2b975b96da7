from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from ftlib.core.finetuned import load_finetuned
from ftlib.core.load import load_base
from ftlib.core.loss import log_likelihood
from ftlib.core.preference import PreferencePair, agreement, divide, prefer, read_pairs
from ftlib.data.prompts import Example, Renderer
from ftlib.errors import UserError
from tests.families import save_family


def _lines(count: int = 10) -> list[dict]:
    """People prefer the answer that names the question's own number."""
    said = {"history": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Ask me."}]}
    made = []
    for number in range(count):
        answers = {"chosen": f"It is {number}, red.", "rejected": "It is blue, or not."}
        made.append({"id": f"q{number}", "question": f"Lamp {number}?", "context": "", **said, **answers})
    return made


@pytest.fixture
def pairs_file(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in _lines()))
    return file


@pytest.fixture
def adapter(adapted, random_adapter, tmp_path, make_recipe):
    """A function: recipe -> the folder of an adapter that does something."""

    def make(recipe):
        model, _ = adapted(recipe)
        random_adapter(model, size=0.02).save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
        return tmp_path / "adapter"

    return make


def _margins(recipe, folder, file) -> list[float]:
    """log p of the chosen answer over that of the rejected one."""
    model, tokenizer = load_finetuned(recipe, folder)
    pairs = read_pairs(file, Renderer.of(recipe, tokenizer), recipe.train.max_length)
    scored = [log_likelihood(model, tokenizer, [pair[at] for pair in pairs]) for at in (1, 2)]
    return [a.sum_logprob - b.sum_logprob for a, b in zip(*scored, strict=True)]


def test_what_people_prefer_becomes_likelier_and_the_result_is_a_plain_adapter(
    make_recipe, adapter, pairs_file, tmp_path, dtype
):
    settings = {"learning_rate": 0.003, "epochs": 6, "batch_rows": 4}
    recipe = make_recipe(prefer=settings, model__dtype=dtype)
    start = adapter(recipe)
    before = load_file(start / "adapter_model.safetensors")
    result = prefer(recipe, start, pairs_file, tmp_path / "new", say=lambda text: None)
    assert (result.trained, result.held_out, result.steps) == (8, 2, 6 * 2)
    assert result.after.mean >= result.before.mean and result.after.n == 2
    assert result.change.difference == pytest.approx(result.after.mean - result.before.mean)
    old, new = _margins(recipe, start, pairs_file), _margins(recipe, tmp_path / "new", pairs_file)
    assert sum(new) / 10 > sum(old) / 10 + 1
    after = load_file(tmp_path / "new" / "adapter_model.safetensors")
    assert after.keys() == before.keys() and {t.dtype for t in after.values()} == {torch.float32}
    assert all(torch.equal(load_file(start / "adapter_model.safetensors")[name], before[name]) for name in before)
    told = json.loads((tmp_path / "new" / "preferences.json").read_text())
    # The policy begins as its own reference: the first step's loss is -log sigmoid(0).
    assert told["log"][0]["loss"] == pytest.approx(0.6931, abs=2e-3)
    assert told["log"][-1]["loss"] < told["log"][0]["loss"] and told["settings"]["beta"] == 0.1
    assert {file.name for file in (tmp_path / "new").iterdir()} >= {"adapter_config.json", "preferences.json"}
    assert not (tmp_path / "new.partial").exists()
    with pytest.raises(UserError, match="a new folder"):
        prefer(recipe, start, pairs_file, tmp_path / "new")


def test_pairs_are_rendered_with_their_history_as_questions_are(make_recipe, pairs_file):
    recipe = make_recipe()
    _, tokenizer = load_base(recipe)
    pairs = read_pairs(pairs_file, Renderer.of(recipe, tokenizer), 512)
    shown = tokenizer.decode(pairs[3].chosen.input_ids)
    assert all(text in shown for text in ("Hello.", "Ask me.", "Lamp 3?", "It is 3, red."))
    assert "It is 3" not in tokenizer.decode(pairs[3].rejected.input_ids)
    with pytest.raises(UserError, match="at most 12 tokens"):
        read_pairs(pairs_file, Renderer.of(recipe, tokenizer), 12)
    pairs_file.write_text('{"id": "a", "question": "?"}\n')
    with pytest.raises(UserError, match="chosen"):
        read_pairs(pairs_file, Renderer.of(recipe, tokenizer), 512)
    pairs_file.write_text("")
    with pytest.raises(UserError, match="at least one pair"):
        read_pairs(pairs_file, Renderer.of(recipe, tokenizer), 512)


def test_questions_are_held_out_whole():
    pairs = [PreferencePair(f"q{number // 3}", Example([1], [1]), Example([1], [1])) for number in range(30)]
    train, held_out = divide(pairs, 0.2, seed=1)
    assert len(held_out) == 6 and not {p.id for p in train} & {p.id for p in held_out}
    assert divide(pairs, 0.2, seed=1) == (train, held_out) and divide(pairs, 0.2, seed=2)[1] != held_out
    assert divide(pairs[:3], 0.9, seed=1) == (pairs[:3], []) and divide(pairs, 0.0, seed=1) == (pairs, [])


def test_without_pairs_held_out_nothing_is_claimed(make_recipe, adapted):
    model, tokenizer = adapted(make_recipe())
    assert agreement(model, tokenizer, []) == []


def test_what_has_no_adapter_or_an_encoder_is_refused(make_recipe, adapter, pairs_file, tmp_path):
    whole = save_family("llama", tmp_path / "whole")
    with pytest.raises(UserError, match=r"train\.method"):
        prefer(make_recipe(), whole, pairs_file, tmp_path / "new")
    recipe = make_recipe(model={"base": str(save_family("t5", tmp_path / "t5")), "dtype": "float32"})
    with pytest.raises(UserError, match="encoder-decoder"):
        prefer(recipe, adapter(make_recipe()), pairs_file, tmp_path / "new", say=lambda text: None)
