"""Notebook 05 from end to end on small made-up runs: with all it can use, and with nothing but questions."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from ftlib import jsonl, rows
from ftlib.evaluate.instructions import Choice, write_choices
from ftlib.recipe import SYSTEMS
from ftlib.run import Run

pytestmark = pytest.mark.notebook

REPOSITORY = Path(__file__).parents[2]
NOTEBOOK = REPOSITORY / "notebooks" / "05_rag_vs_ft.ipynb"
REFUSAL = "I don't have that information."
COLOURS = ["red", "blue", "green", "grey"]
COLUMNS = {"slice": "topic", "fact": "about", "documents": "pages"}


def made_rows(wording, key):
    asked = [
        {
            "id": f"{key}{i}",
            "question": wording.format(i),
            "answer": COLOURS[i % 4],
            "meta": {"topic": "colours", "about": [f"{key}-{i}"], "pages": [f"crane-{i}"]},
        }
        for i in range(1, 9)
    ]
    unknown = {"id": f"{key}9", "question": "Who owns the firm?", "answer": REFUSAL, "meta": {"topic": "open"}}
    return [rows.row_of(each) for each in (*asked, unknown)]


class Made:
    """A run directory as notebooks 01, 02 and 03 leave it, and the notebook run on it."""

    def __init__(self, folder, model, test, train, val, *, adapter=True, **recipe):
        self.folder, self.recipe = folder, folder / "recipe.yaml"
        jsonl.write(folder / "raw.jsonl", [{"question": "q", "answer": "a"}])
        values = {
            "name": "toy",
            "data": {"path": "raw.jsonl", **recipe.pop("data", {})},
            "model": {"base": str(model)},
            "quantization": {"load_in_4bit": False},
            "evaluate": {"max_new_tokens": 4, "bootstrap_samples": 50, **recipe.pop("evaluate", {})},
            "rag": {"latency_questions": 2, **recipe.pop("rag", {})},
        }
        self.recipe.write_text(yaml.safe_dump(values | recipe))
        self.run = Run.open(folder / "run", self.recipe)
        data = self.run.begin("01_data")
        rows.write(data.path / "test.jsonl", test)
        rows.write(data.path / "train.jsonl", train)
        rows.write(data.path / "val.jsonl", val)
        data.finish()
        if adapter:
            self.train(model)
        made = self.run.begin("03_evaluate")
        said = {"prediction": "red", "tokens": 2, "prompt_tokens": 9, "seconds": 0.1}
        systems = self.run.recipe.evaluate.systems
        jsonl.write(made.path / "generations.jsonl", [{"id": r.id, "system": s, **said} for s in systems for r in test])
        write_choices(made.path / "instructions.json", {name: Choice(name, "", {}) for name in systems})
        made.finish()

    def train(self, model):
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        from ftlib.core.lora import quiet_peft

        stage = self.run.begin("02_train")
        base = AutoModelForCausalLM.from_pretrained(model)
        with quiet_peft():
            adapted = get_peft_model(base, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
        adapted.save_pretrained(stage.path / "adapter")
        stage.finish()

    def execute(self):
        import papermill

        out = self.folder / "out.ipynb"
        values = {"run_dir": str(self.run.path), "recipe": str(self.recipe), "interactive": False}
        papermill.execute_notebook(NOTEBOOK, out, values, cwd=REPOSITORY, progress_bar=False)
        stage = self.run.path / "05_compare"
        return (
            jsonl.read(stage / "arms.jsonl"),
            json.loads((stage / "comparison.json").read_text()),
            json.loads((self.run.path / "summary.json").read_text()),
        )

    def printed(self):
        outputs = [o for cell in nbformat.read(self.folder / "out.ipynb", 4).cells for o in cell.get("outputs", [])]
        return "".join(
            output["text"] for output in outputs if output.output_type == "stream" and output.name == "stdout"
        )


def test_with_articles_updates_slices_and_an_adapter(tiny_model_dir, tmp_path):
    pages, newer = tmp_path / "pages", tmp_path / "newer"
    pages.mkdir()
    newer.mkdir()
    for i in range(1, 9):
        (pages / f"crane-{i}.md").write_text(f"# Crane {i}\n\nThe Crane {i} is {COLOURS[i % 4]}.")
    (newer / "crane-1.md").write_text("# Crane 1\n\nThe Crane 1 is white.")
    update = {"id": "u1", "question": "Which colour has the Crane 1?", "old_answer": "blue", "answer": "white"}
    jsonl.write(tmp_path / "updates.jsonl", [update | {"document": "crane-1", "topic": "colours"}])
    rag = {"documents_path": "pages", "updates_path": "updates.jsonl", "updated_documents_path": "newer"}
    test, train = made_rows("Which colour has the Crane {}?", "t"), made_rows("Name the colour of the Swan {}.", "r")
    val = made_rows("The colour of the Crane {}, please.", "v")
    made = Made(tmp_path, tiny_model_dir, test, train, val, data={"columns": COLUMNS}, rag=rag)
    answers, found, summary = made.execute()
    assert {line["system"] for line in answers} == set(SYSTEMS) and len(answers) == len(test) * len(SYSTEMS)
    assert {line["prediction"] for line in answers if line["system"] in ("base", "finetuned")} == {"red"}, "of 03"
    hits = {line["hit"] for line in answers if line["system"].startswith("rag") and line["id"] != "t9"}
    assert hits == {True} and summary["hit_rate_at_1"] == 1
    for name in SYSTEMS:
        keys = ["latency_{}_seconds", "tokens_per_question_{}", "price_per_1000_{}", "em_stale_{}"]
        assert {key.format(name) for key in [*keys, "em_before_change_{}", "repeats_old_{}"]} <= set(summary), name
    assert {"em_rag", "em_rag_ft", "em_few_shot", "refusal_accuracy_rag", "em_rag__open"} - set(summary) == {
        "em_rag__open"
    }
    assert [each["scenario"] for each in found["scenarios"]] == ["all", "colours", "open", "after the change"]
    assert found["recommendation"]["system"] in (None, *SYSTEMS) and len(found["items"]) == len(answers)
    for name in ("rag", "rag_ft"):
        kinds = {f"{name}_right_article": 8, f"{name}_wrong_article": 8, f"{name}_irrelevant": 1}
        asked = jsonl.read(made.run.path / "05_compare" / "bounds.jsonl")
        assert {kind: [line["system"] for line in asked].count(kind) for kind in kinds} == kinds
        assert {line["hit"] for line in asked if line["system"] == f"{name}_right_article"} == {True}
        assert {line["hit"] for line in asked if line["system"] == f"{name}_wrong_article"} == {False}
        assert summary[f"em_{name}_wrong_article_n"] == 8 and summary[f"refusal_accuracy_{name}_irrelevant_n"] == 1
    asked = jsonl.read(made.run.path / "05_compare" / "declining.jsonl")
    assert {(line["system"], line["id"]) for line in asked} == {(name, row.id) for name in SYSTEMS for row in val}
    assert [each["rule"]["system"] for each in found["declining"]] == list(SYSTEMS)
    assert all(summary[f"right_{name}_threshold_n"] == 9 for name in SYSTEMS)
    told = made.printed()
    assert "9 validation questions, 1 of them to be declined\n" in told
    assert "No system of the recipe shows similar rows" in told
    assert "price machine hour: 0.1 EUR (a toy figure)" in told and "(toy prices): " in told and "GiB of memory" in told
    assert "RAG + fine-tuned says " in told and "word for word in the text shown" in told, (
        "a wrong answer is followed by hand"
    )
    assert {line["complete"] for line in answers if line["system"] == "rag" and line["id"] != "t9"} == {True}


def test_with_nothing_but_questions_and_two_systems_of_its_own(tiny_model_dir, tmp_path):
    def talk(i, key):
        turns = [("user", f"Hello {i}."), ("assistant", "Yes?"), ("user", "What does the note say?")]
        turns = [{"role": role, "content": content} for role, content in turns]
        return rows.row_of({"id": f"{key}{i}", "turns": turns, "context": f"Note {i}.", "answer": f"It says {i}."})

    test, train, val = ([talk(i, key) for i in range(5)] for key in "trv")
    systems = {"plain": {}, "library": {"label": "the library", "prompt": "retrieved"}, "shots": {"prompt": "few_shot"}}
    systems["alike"] = {"examples": "similar"}
    fields = {"systems": systems, "review": {"pair": ["plain", "shots"]}, "evaluate": {"systems": ["plain"]}}
    made = Made(tmp_path, tiny_model_dir, test, train, val, adapter=False, **fields)
    answers, found, summary = made.execute()
    told = made.printed()
    assert "names no articles (rag.documents_path); left out: the library" in told
    assert "5 validation questions, 0 of them to be declined: no threshold" in told and "No passages are given" in told
    assert "names no changed facts" in told and "no slices (data.columns.slice)" in told and "Nothing to split" in told
    assert "Note 0." in told and "Hello 0." in told, "the prompt that is shown holds context and history"
    assert {line["system"] for line in answers} == {"plain", "shots", "alike"}
    alike = [line for line in answers if line["system"] == "alike"]
    assert all(line["examples"] and set(line["examples"]) <= {row.id for row in train} for line in alike)
    assert "No answer to follow" in told and "the recipe names no embedding model" in told
    assert [each["scenario"] for each in found["scenarios"]] == ["all"] and "em_shots" in summary
    assert not [key for key in summary if re.search("finetuned|base|stale|hit_rate", key)]
