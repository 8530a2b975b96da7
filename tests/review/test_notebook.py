"""Notebook 04 from end to end on a small made-up run, with ratings of two reviewers and without any."""

import json
from pathlib import Path

import pytest

from ftlib import jsonl
from ftlib.review.session import Session, items_of
from ftlib.review.store import Store
from ftlib.run import Run

pytestmark = pytest.mark.notebook

REPOSITORY = Path(__file__).parents[2]
REFUSAL = "I don't have that information."
SAID = {"right": lambda i: f"{i}00 g", "mixed up": lambda i: f"{i % 12 + 1}00 g", "silent": lambda i: ""}


def made_rows():
    facts = [{"id": f"t{i}", "question": f"What does the Heron {i} weigh?", "context": "", "answer": f"{i}00 g",
              "slice": "trained_fact", "fact": [f"heron-{i}/weight"], "product": f"Heron {i}", "source": "test"}
             for i in range(1, 13)]
    return [*facts, {"id": "u1", "question": "Who owns Norvane?", "context": "", "answer": REFUSAL,
                     "slice": "unanswerable", "fact": [], "product": "", "source": "test"}]




def answers(arm):
    kinds = ["silent"] * 10 + ["right"] * 2 if arm == "base" else ["right"] * 9 + ["mixed up"] * 3
    said = {f"t{i}": SAID[kind](i) for i, kind in enumerate(kinds, start=1)}
    return {**said, "u1": "Ann Lee" if arm == "base" else REFUSAL}


@pytest.fixture
def run(tmp_path):
    """A run directory as notebooks 01 and 03 leave it."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: toy\ndata: {path: train.jsonl}\nmodel: {base: ./base}\n")
    made = Run.open(tmp_path / "run", recipe)
    data = made.begin("01_data", [], [])
    rows = made_rows()
    jsonl.write(data.path / "test.jsonl", rows)
    train = [row | {"id": f"r{row['id']}", "question": f"How heavy is the {row['product']}?"} for row in rows[:12]]
    jsonl.write(data.path / "train.jsonl", train)
    data.finish()
    evaluated = made.begin("03_evaluate", [], [])
    jsonl.write(evaluated.path / "generations.jsonl", [
        {"id": key, "arm": arm, "prediction": text, "tokens": 3, "seconds": 0.1}
        for arm in ("base", "finetuned") for key, text in answers(arm).items()])
    evaluated.finish()
    return made


def execute(run, tmp_path):
    import papermill

    notebook = REPOSITORY / "notebooks" / "04_error_analysis.ipynb"
    given = {"run_dir": str(run.path), "recipe": str(tmp_path / "recipe.yaml"), "interactive": False}
    papermill.execute_notebook(notebook, tmp_path / "out.ipynb", given, cwd=REPOSITORY, progress_bar=False)
    stage = run.path / "04_review"
    return (jsonl.read(stage / "errors.jsonl"), json.loads((stage / "agreement.json").read_text()),
            jsonl.read(stage / "preferences.jsonl"), json.loads((run.path / "summary.json").read_text()))


def rate(run):
    """Two reviewers look at every question and agree on all but the first."""
    arms = {arm: answers(arm) for arm in ("base", "finetuned")}
    rows = made_rows()
    predictions = {(key, arm): text for arm, said in arms.items() for key, text in said.items()}
    right = {arm: {row["id"]: False for row in rows} for arm in arms}
    items = items_of(rows, predictions, right)
    for reviewer in ("ada", "ben"):
        session = Session(items, Store(run.path / "reviews.sqlite"), reviewer)
        for number in range(len(items)):
            better = "first" if session.first_arm == "finetuned" else "second"
            session.rate("both_wrong" if number == 0 and reviewer == "ben" else better)


def test_without_ratings_and_then_with_them(run, tmp_path):
    errors, agreed, preferences, summary = execute(run, tmp_path)
    assert agreed["ratings"] == 0 and preferences == [] and summary["reviews"] == 0
    assert "preferred_finetuned" not in summary
    assert summary["errors_total"] == 3 and summary["errors_total_n"] == 13
    assert summary["errors_total_base"] == 11 and summary["regressions"] == 2
    assert summary["error_share_entity_mixup"] == 1.0 and summary["error_share_entity_mixup_n"] == 3
    low, high = summary["errors_total_ci95"]
    assert 0 < low < 3 < high < 13
    categories = {(error["arm"], error["id"]): error["category"] for error in errors}
    assert categories["base", "t1"] == "empty" and categories["base", "u1"] == "missed_refusal"
    assert categories["finetuned", "t12"] == "entity_mixup"

    rate(run)
    _, agreed, preferences, summary = execute(run, tmp_path)
    assert agreed["ratings"] == 26 and agreed["reviewers"] == ["ada", "ben"] and agreed["verdict_alpha"]["n"] == 13
    assert summary["reviews"] == 26 and summary["reviews_n"] == 13
    assert summary["preferred_finetuned"] == 1.0 and summary["preferred_finetuned_n"] == 25
    assert len(preferences) == 13 and {pair["chosen_arm"] for pair in preferences} == {"finetuned"}
    assert len(Store(run.path / "reviews.sqlite").history()) == 26, "the notebook adds and removes nothing"
