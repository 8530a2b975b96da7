"""Answers are written line by line, a kill costs one batch, and latency is measured one question at a time."""

import json

import pytest

from ftlib import jsonl
from ftlib.evaluate.answers import answer
from ftlib.evaluate.scores import score_generations
from ftlib.rag.arms import adopt, answer_fields, ask_all
from ftlib.rag.comparison import judge, scenarios
from ftlib.rag.timing import measure_latency
from ftlib.rows import row_of
from ftlib.search.documents import learn, load_documents

FIELDS = ["id", "system", "instruction", "prediction", "tokens", "prompt_tokens", "seconds", "log_probability"]
FIELDS += ["retrieved", "shown", "found", "hit", "complete", "examples", "score", "latency_s"]


@pytest.fixture
def rows(recipe):
    lines = jsonl.read(recipe.data.test_path)
    return [
        row_of({**line, "group": [], "meta": {name: line[name] for name in ("fact", "documents")}}) for line in lines
    ]


@pytest.fixture
def asked(engine, recipe, rows, five, tmp_path):
    knowledge = learn(tmp_path / "index", load_documents(recipe.rag.documents_path), recipe)
    examples = [row_of({"id": "e1", "question": "What colour is the Crane 9?", "answer": "red"})]
    return {
        name: ask_all(
            system, rows, engine.renderer, recipe, max_tokens=engine.window - 4, examples=examples, knowledge=knowledge
        )
        for name, system in five.items()
    }


def prompts(asked):
    return [each.prompt for each in asked]


def test_every_system_end_to_end(engine, recipe, rows, asked, five, tmp_path):
    path = tmp_path / "arms.jsonl"
    latency = measure_latency(engine, five, asked, tmp_path / "latency.jsonl", count=3, max_new_tokens=4, seed=1)
    for name, system in five.items():
        extra = answer_fields(asked[name], latency[name])
        made = answer(engine, system, prompts(asked[name]), path, max_new_tokens=4, batch_rows=3, extra=extra)
        assert [line["id"] for line in made] == [row.id for row in rows]
        assert sum(line["latency_s"] is not None for line in made) == 3
    written = jsonl.read(path)
    assert len(written) == len(five) * len(rows) and all(list(line) == FIELDS for line in written)
    asked_alone = {name: {r["id"] for r in written if r["system"] == name and r["latency_s"]} for name in five}
    assert len(set(map(frozenset, asked_alone.values()))) == 1, "the same questions for every system"
    assert all(line["hit"] is True for line in written if line["system"] == "rag")
    assert all((line["score"] is not None) == line["system"].startswith("rag") for line in written)
    items = score_generations(rows, written, columns=recipe.data.columns, refusal="I don't know.")
    standing = judge(scenarios(items)[:1], samples=200)[0]
    assert set(standing.means) == set(five) and standing.n == len(rows)


def test_answers_are_those_of_the_engine(engine, asked, five, tmp_path):
    made = answer(engine, five["rag"], prompts(asked["rag"]), tmp_path / "a", max_new_tokens=4, batch_rows=8)
    alone = engine.generate(five["rag"], prompts(asked["rag"]), max_new_tokens=4, batch_rows=8)
    assert [line["prediction"] for line in made] == [each.text for each in alone]
    assert [line["prompt_tokens"] for line in made] == [len(each.ids) for each in prompts(asked["rag"])]


def test_a_killed_run_goes_on_behind_the_last_whole_line(engine, asked, five, rows, tmp_path):
    path, options = tmp_path / "arms.jsonl", {"max_new_tokens": 4, "batch_rows": 2}
    whole = answer(engine, five["base"], prompts(asked["base"]), path, **options)
    lines = path.read_bytes().splitlines(keepends=True)
    marked = [json.dumps({**json.loads(line), "prediction": "kept"}).encode() + b"\n" for line in lines[:3]]
    path.write_bytes(b"".join(marked) + lines[3][:10])
    again = answer(engine, five["base"], prompts(asked["base"]), path, **options)
    assert sum(line["prediction"] == "kept" for line in again) == 3
    assert [line["prediction"] for line in again if line["prediction"] != "kept"] == [
        old["prediction"] for old, new in zip(whole, again, strict=True) if new["prediction"] != "kept"
    ]
    assert len(jsonl.read(path)) == len(rows)


def test_generations_of_notebook_03_are_taken_over_where_the_prompt_is_the_same(engine, asked, five, rows, tmp_path):
    path, said = (
        tmp_path / "arms.jsonl",
        {"instruction": "", "tokens": 2, "prompt_tokens": 9, "seconds": 0.1, "log_probability": -0.5},
    )
    given = [
        {name: ({"id": row.id, "system": system, "prediction": "said"} | said)[name] for name in FIELDS[:8]}
        for row in rows
        for system in ("base", "rag")
    ]
    extra = answer_fields(asked["base"], {rows[0].id: 0.5})
    asks = prompts(asked["base"])
    assert adopt(five["base"], asks, given[2:], path, extra) == len(rows) - 1
    assert adopt(five["base"], asks, given[2:], path, extra) == 0, "once"
    assert adopt(five["rag"], prompts(asked["rag"]), given, path, answer_fields(asked["rag"])) == 0, "another prompt"
    told = five["finetuned"]._replace(instruction="One word.")
    others = [line | {"system": "finetuned"} for line in given]
    assert adopt(told, asks, others, path, extra) == 0, "asked with another instruction"
    made = answer(engine, five["base"], asks, path, max_new_tokens=4, batch_rows=8, extra=extra)
    assert made[0]["prediction"] != "said" and made[0]["latency_s"] == 0.5, "what 03 did not ask is asked"
    assert {line["prediction"] for line in made[1:]} == {"said"} and all(list(line) == FIELDS for line in made)
    assert len(jsonl.read(path)) == len(rows)
