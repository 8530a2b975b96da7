"""Answers are written line by line, a kill costs one batch, and latency is measured one question at a time."""

import json
from types import SimpleNamespace

import pytest

from ftlib import jsonl
from ftlib.core.generate import generate
from ftlib.core.model import load_base
from ftlib.data.prompts import Renderer
from ftlib.evaluate.scores import score_generations
from ftlib.rag.answers import adopt, answer, max_prompt_tokens, measure_latency
from ftlib.rag.arms import ARMS, build_prompts, learn
from ftlib.rag.compare import judge, scenarios
from ftlib.rag.documents import load_documents
from ftlib.recipe import ModelRecipe, QuantizationRecipe, Recipe, UserError

FIELDS = ["id", "arm", "prediction", "retrieved", "hit", "latency_s", "prompt_tokens", "tokens", "shown", "seconds"]


@pytest.fixture(scope="module")
def system(tiny_model_dir):
    sections = {"model": ModelRecipe(base=str(tiny_model_dir)), "quantization": QuantizationRecipe(load_in_4bit=False)}
    model, tokenizer = load_base(SimpleNamespace(**sections))
    return model, tokenizer, Renderer("tokenizer", tokenizer)


@pytest.fixture
def contest(system, tiny_recipe, tmp_path):
    model, tokenizer, renderer = system
    recipe = Recipe.load(tiny_recipe)
    rows = jsonl.read(recipe.data.test_path)
    knowledge = learn(tmp_path / "index", load_documents(recipe.rag.documents_path), recipe)
    examples = [("What colour is the Heron 20?", "red")]

    def prompts(arm):
        return build_prompts(
            arm, rows, renderer, recipe, max_tokens=max_prompt_tokens(model, 4), examples=examples, knowledge=knowledge
        )

    return model, tokenizer, rows, prompts


def test_five_arms_end_to_end(contest, tmp_path):
    model, tokenizer, rows, prompts = contest
    path = tmp_path / "arms.jsonl"
    for arm in ARMS:
        latency = measure_latency(
            model, tokenizer, prompts(arm), tmp_path / "latency.jsonl", arm=arm, count=3, max_new_tokens=4, seed=1
        )
        made = answer(model, tokenizer, prompts(arm), path, arm=arm, max_new_tokens=4, batch_rows=3, latency=latency)
        assert [row["id"] for row in made] == [row["id"] for row in rows]
        assert sum(row["latency_s"] is not None for row in made) == 3
    written = jsonl.read(path)
    assert len(written) == len(ARMS) * len(rows) and all(list(row) == FIELDS for row in written)
    asked_alone = {arm: {r["id"] for r in written if r["arm"] == arm and r["latency_s"]} for arm in ARMS}
    assert len(set(map(frozenset, asked_alone.values()))) == 1, "the same questions for every arm"
    assert all(row["hit"] is True for row in written if row["arm"] == "rag")
    verdict = judge(scenarios(score_generations(rows, written, "I don't know."))[0], samples=200)
    assert set(verdict.means) == set(ARMS) and verdict.n == len(rows)


def test_answers_are_those_of_generate(contest, tmp_path):
    model, tokenizer, _, prompts = contest
    made = answer(model, tokenizer, prompts("rag"), tmp_path / "a", arm="rag", max_new_tokens=4, batch_rows=8)
    alone = generate(model, tokenizer, [p.ids for p in prompts("rag")], max_new_tokens=4, batch_rows=8)
    assert [row["prediction"] for row in made] == [each.text for each in alone]
    assert [row["prompt_tokens"] for row in made] == [len(p.ids) for p in prompts("rag")]


def test_a_killed_run_goes_on_behind_the_last_whole_line(contest, tmp_path):
    model, tokenizer, rows, prompts = contest
    path = tmp_path / "arms.jsonl"
    options = {"arm": "base", "max_new_tokens": 4, "batch_rows": 2}
    whole = answer(model, tokenizer, prompts("base"), path, **options)
    lines = path.read_bytes().splitlines(keepends=True)
    marked = [json.dumps({**json.loads(line), "prediction": "kept"}).encode() + b"\n" for line in lines[:3]]
    path.write_bytes(b"".join(marked) + lines[3][:10])
    again = answer(model, tokenizer, prompts("base"), path, **options)
    assert sum(row["prediction"] == "kept" for row in again) == 3
    assert [r["prediction"] for r in again if r["prediction"] != "kept"] == [
        w["prediction"] for w, r in zip(whole, again, strict=True) if r["prediction"] != "kept"
    ]
    assert len(jsonl.read(path)) == len(rows)


def test_what_was_measured_is_not_measured_again(contest, tmp_path):
    model, tokenizer, _, prompts = contest
    options = {"arm": "rag", "count": 4, "max_new_tokens": 4}
    first = measure_latency(model, tokenizer, prompts("rag"), tmp_path / "latency", **options)
    assert len(first) == 4 and all(seconds > 0 for seconds in first.values())
    assert measure_latency(model, tokenizer, prompts("rag"), tmp_path / "latency", **options) == first


def test_generations_of_notebook_03_are_taken_over(contest, tmp_path):
    _, _, rows, prompts = contest
    given = [{"id": row["id"], "arm": "base", "prediction": row["answer"], "tokens": 2, "seconds": 0.1} for row in rows]
    made = adopt(prompts("base"), given, tmp_path / "arms.jsonl", arm="base", latency={rows[0]["id"]: 0.5})
    assert [row["prediction"] for row in made] == [row["answer"] for row in rows]
    assert [made[0]["latency_s"], made[1]["latency_s"]] == [0.5, None]
    assert adopt(prompts("base"), given, tmp_path / "arms.jsonl", arm="base") == made
    assert len(jsonl.read(tmp_path / "arms.jsonl")) == len(rows)
    with pytest.raises(UserError, match="run notebook 03 again"):
        adopt(prompts("base"), given[1:], tmp_path / "other.jsonl", arm="base")
