"""Answering the test set: resumable, one file for both arms, and the base is the adapter switched off."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data.prompts import Renderer
from ftlib.evaluate.answers import answer_questions, read_answers

ROWS = [{"id": f"t{i}", "question": f"What colour is product {i}?", "answer": "red"} for i in range(7)]
OPTIONS = {"max_new_tokens": 4, "batch_rows": 1}


@pytest.fixture
def ask(tiny_model, tmp_path):
    model, tokenizer = tiny_model
    renderer = Renderer("tokenizer", tokenizer)
    path = tmp_path / "generations.jsonl"
    return path, lambda arm, rows=ROWS: answer_questions(model, tokenizer, renderer, rows, path, arm, **OPTIONS)


def test_every_row_gets_one_line_with_the_agreed_fields(ask):
    path, run = ask
    assert run("base") == 7
    lines = read_answers(path)
    assert [line["id"] for line in lines] == [row["id"] for row in ROWS]
    assert all(list(line) == ["id", "arm", "prediction", "tokens", "seconds"] for line in lines)
    assert all(0 < line["tokens"] <= 4 and line["seconds"] > 0 for line in lines)


def test_a_killed_run_goes_on_after_its_last_whole_line(ask):
    path, run = ask
    run("base")
    whole = read_answers(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # the fourth was being written
    assert run("base") == 4
    again = read_answers(path)
    assert [(line["id"], line["prediction"]) for line in again] == [(line["id"], line["prediction"]) for line in whole]


def test_two_arms_share_a_file_and_neither_hides_the_other(ask):
    path, run = ask
    assert (run("base", ROWS[:2]), run("finetuned"), run("base")) == (2, 7, 5)
    arms = [line["arm"] for line in read_answers(path)]
    assert (arms.count("base"), arms.count("finetuned")) == (7, 7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200))
def test_a_file_cut_anywhere_reads_as_its_whole_lines(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "generations.jsonl"
    text = b"".join(json.dumps({"id": str(i), "prediction": "é\u2028"}).encode() + b"\n" for i in range(5))
    path.write_bytes(text[:cut])
    found = read_answers(path)
    assert len(found) == text[:cut].count(b"\n")
    assert path.read_bytes() == text[: text.rfind(b"\n", 0, cut) + 1]


# peft 0.21 still reads a property that transformers 5.23 renamed.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_the_adapter_switched_off_answers_as_the_base_does(tiny_model_dir, tiny_recipe, tmp_path):
    import torch

    from ftlib.core.lora import add_lora
    from ftlib.core.model import load_base, load_finetuned
    from ftlib.recipe import Recipe

    recipe = Recipe.load(tiny_recipe)
    trained = add_lora(load_base(recipe)[0], recipe.lora, seed=1)
    torch.manual_seed(1)
    for name, parameter in trained.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    trained.save_pretrained(tmp_path / "adapter")

    base, tokenizer = load_base(recipe)
    tuned, _ = load_finetuned(recipe, tmp_path / "adapter")
    ids = torch.tensor([Renderer.of(recipe, tokenizer).prompt_ids("What colour is the Heron 20?")])
    with torch.no_grad():
        expected = base(ids).logits
        with tuned.disable_adapter():
            switched_off = tuned(ids).logits
        assert torch.equal(switched_off, expected)
        assert not torch.allclose(tuned(ids).logits, expected)  # the adapter is back, and it does something
