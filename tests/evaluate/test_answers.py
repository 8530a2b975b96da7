"""Answering the test set: resumable, one file for all systems, and the base is the adapter switched off."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.evaluate.answers import answer, read_answers
from ftlib.rows import row_of

ROWS = [row_of({"id": f"t{i}", "question": f"What colour is lamp {i}?", "answer": "red"}) for i in range(7)]
OPTIONS = {"max_new_tokens": 4, "batch_rows": 2}

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft reads it


@pytest.fixture
def ask(two_systems, tmp_path):
    engine, systems = two_systems
    path = tmp_path / "generations.jsonl"

    def run(system, rows=ROWS, **more):
        return answer(engine, systems[system], [engine.renderer.prompt(row) for row in rows], path, **OPTIONS, **more)

    return path, run


def test_every_row_gets_one_line_with_the_agreed_fields(ask):
    path, run = ask
    lines = run("base")
    assert [line["id"] for line in lines] == [row.id for row in ROWS]
    assert sorted(map(str, read_answers(path))) == sorted(map(str, lines))
    fields = ["id", "system", "instruction", "prediction", "tokens", "prompt_tokens", "seconds", "log_probability"]
    assert all(list(line) == fields for line in lines)
    assert all(0 < line["tokens"] <= 4 and line["seconds"] > 0 and line["prompt_tokens"] > 10 for line in lines)
    assert all(line["log_probability"] < 0 for line in lines)


def test_a_killed_run_goes_on_after_its_last_whole_line(ask):
    path, run = ask
    whole = run("base")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # the fourth was being written
    again = run("base")
    assert path.read_bytes().startswith(b"".join(lines[:3]))
    assert len(read_answers(path)) == 7
    assert [(line["id"], line["prediction"]) for line in again] == [(line["id"], line["prediction"]) for line in whole]


def test_what_is_written_is_not_asked_again(ask):
    path, run = ask
    run("base")
    before = path.read_bytes()
    assert len(run("base")) == 7
    assert path.read_bytes() == before


def test_systems_share_a_file_and_none_hides_another(ask):
    path, run = ask
    run("base", ROWS[:2])
    run("finetuned")
    run("base")
    names = [line["system"] for line in read_answers(path)]
    assert (names.count("base"), names.count("finetuned")) == (7, 7)


def test_one_system_asked_twice_has_two_names_and_further_fields(ask):
    path, run = ask
    run("base")
    lines = run("base", name="base_later", extra=lambda prompt: {"shown": [prompt.id]})
    assert len(read_answers(path)) == 14
    assert {line["system"] for line in lines} == {"base_later"}
    assert lines[3]["shown"] == ["t3"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200))
def test_a_file_cut_anywhere_reads_as_its_whole_lines(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "generations.jsonl"
    text = b"".join(json.dumps({"id": str(i), "prediction": "é\u2028"}).encode() + b"\n" for i in range(5))
    path.write_bytes(text[:cut])
    found = read_answers(path)
    assert len(found) == text[:cut].count(b"\n")
    assert path.read_bytes() == text[: text.rfind(b"\n", 0, cut) + 1]


def test_the_adapter_switched_off_answers_as_the_base_does(two_systems, tiny_recipe):
    import torch

    from ftlib.core.load import load_base
    from ftlib.recipe import Recipe

    engine, systems = two_systems
    base, _ = load_base(Recipe.load(tiny_recipe))
    ids = torch.tensor([engine.renderer.prompt(ROWS[0]).ids])
    with torch.no_grad():
        expected = base(ids).logits
        with engine.using(systems["base"]) as model:
            assert torch.equal(model(ids).logits, expected)
        with engine.using(systems["finetuned"]) as model:
            assert not torch.allclose(model(ids).logits, expected)  # the adapter is back, and it does something
