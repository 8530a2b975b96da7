"""Notebook 04 from end to end on small made-up runs: any pair, with ratings and without, on data that names nothing."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from ftlib import jsonl, rows
from ftlib.review.session import Session, items_of
from ftlib.review.store import Store
from ftlib.run import Run

pytestmark = pytest.mark.notebook

REPOSITORY = Path(__file__).parents[2]
NOTEBOOK = REPOSITORY / "notebooks" / "04_error_analysis.ipynb"
REFUSAL = "I don't have that information."
COLUMNS = {"slice": "topic", "subject": "machine", "fact": "about"}
PAIR = ("base", "finetuned")
SAID = {"right": lambda i: f"{i}00 g", "mixed up": lambda i: f"{i % 12 + 1}00 g", "silent": lambda i: ""}


def made_rows():
    facts = [
        {
            "id": f"t{i}",
            "question": f"What does the Heron {i} weigh?",
            "answer": f"{i}00 g",
            "meta": {"topic": "weights", "about": [f"heron-{i}/weight"], "machine": f"Heron {i}"},
        }
        for i in range(1, 13)
    ]
    unknown = {"id": "u1", "question": "Who owns Norvane?", "answer": REFUSAL, "meta": {"topic": "nobody knows"}}
    return [rows.row_of(each) for each in (*facts, unknown)]


def answers(first):
    kinds = ["silent"] * 10 + ["right"] * 2 if first else ["right"] * 9 + ["mixed up"] * 3
    said = {f"t{i}": SAID[kind](i) for i, kind in enumerate(kinds, start=1)}
    return {**said, "u1": "Ann Lee" if first else REFUSAL}


class Made:
    """A run directory as notebooks 01 and 03 (and 05) leave it, and the notebook run on it."""

    def __init__(self, folder, test, train, said, *, columns=None, **recipe):
        self.folder, self.recipe, self.pair = folder, folder / "recipe.yaml", tuple(said)
        jsonl.write(folder / "raw.jsonl", [{"question": "q", "answer": "a"}])
        (folder / "base").mkdir()
        values = {"name": "toy", "data": {"path": "raw.jsonl", "columns": columns or {}}, "model": {"base": "./base"}}
        self.recipe.write_text(yaml.safe_dump(values | {"review": {"pair": list(said)}} | recipe))
        self.run = Run.open(folder / "run", self.recipe)
        data = self.run.begin("01_data")
        rows.write(data.path / "test.jsonl", test)
        rows.write(data.path / "train.jsonl", train)
        data.finish()
        self.answered("03_evaluate", "generations.jsonl", {name: said[name] for name in said if name in PAIR})

    def answered(self, stage, file, said):
        made = self.run.begin(stage)
        texts = [
            {"id": key, "system": name, "prediction": text, "tokens": 3, "prompt_tokens": 9, "seconds": 0.1}
            for name, each in said.items()
            for key, text in each.items()
        ]
        jsonl.write(made.path / file, texts)
        made.finish()

    def parameters(self):
        return {"run_dir": str(self.run.path), "recipe": str(self.recipe), "interactive": False}

    def execute(self):
        import papermill

        out = self.folder / "out.ipynb"
        papermill.execute_notebook(NOTEBOOK, out, self.parameters(), cwd=REPOSITORY, progress_bar=False)
        return self.results()

    def results(self):
        stage = self.run.path / "04_review"
        return (
            jsonl.read(stage / "errors.jsonl"),
            json.loads((stage / "agreement.json").read_text()),
            jsonl.read(stage / "preferences.jsonl"),
            json.loads((self.run.path / "summary.json").read_text()),
        )

    def printed(self):
        cells = nbformat.read(self.folder / "out.ipynb", 4).cells
        outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
        assert not [output.text for output in outputs if output.get("name") == "stderr"]
        return "".join(output.text for output in outputs if output.output_type == "stream")

    def rate(self, test, said, reviewers=("ada", "ben")):
        """Reviewers look at every question and agree on all but the first: the second system is better."""
        predictions = {(key, name): text for name, each in said.items() for key, text in each.items()}
        items = items_of(test, predictions, {name: dict.fromkeys(said[name], False) for name in said})
        for reviewer in reviewers:
            session = Session(items, Store(self.run.path / "reviews.sqlite"), reviewer)
            for number in range(len(items)):
                better = "first" if session.order[0] == self.pair[1] else "second"
                session.rate("both_wrong" if number == 0 and reviewer == "ben" else better)


def company(folder, names=PAIR, **recipe):
    """The run of these tests, its answers by the names of the systems."""
    test = made_rows()
    train = [
        row.asking(f"How heavy is the {row.meta['machine']}?")._replace(id=f"r{row.id}")
        for row in test
        if "machine" in row.meta
    ]
    said = dict(zip(names, (answers(True), answers(False)), strict=True))
    return Made(folder, test, train, said, columns=COLUMNS, **recipe), test, said


def one_line(text):
    return " ".join(text.split())


def test_without_ratings_and_then_with_them(tmp_path):
    made, test, said = company(tmp_path)
    errors, agreed, preferences, summary = made.execute()
    assert agreed["ratings"] == 0 and preferences == [] and summary["reviews"] == 0
    assert "preferred_finetuned" not in summary
    assert summary["errors_total"] == 3 and summary["errors_total_n"] == 13
    assert summary["errors_total_base"] == 11 and summary["regressions"] == 2
    assert summary["error_share_entity_mixup"] == 1.0 and summary["error_share_entity_mixup_n"] == 3
    low, high = summary["errors_total_ci95"]
    assert 0 < low < 3 < high < 13
    categories = {(error["system"], error["id"]): error["category"] for error in errors}
    assert categories["base", "t1"] == "empty" and categories["base", "u1"] == "missed_refusal"
    assert categories["finetuned", "t12"] == "entity_mixup"
    told = made.printed()
    assert "by the facts that the column 'about' names" in told
    assert (
        "repeats training: 100% of the errors of fine-tuned, 0% of base model (never trained on these rows)"
        in one_line(told)
    )
    assert "1 of 13 questions have an answer that declines: base model declines 0, fine-tuned declines 1" in one_line(
        told
    )
    assert "The recipe names no example ratings" in told and re.search(r"\d+ s, at most \d+\.\d\d GiB of memory", told)

    made.rate(test, said)
    _, agreed, preferences, summary = made.execute()
    assert agreed["ratings"] == 26 and agreed["reviewers"] == ["ada", "ben"] and agreed["verdict_alpha"]["n"] == 13
    assert summary["reviews"] == 26 and summary["reviews_n"] == 13
    assert summary["preferred_finetuned"] == 1.0 and summary["preferred_finetuned_n"] == 25
    assert len(preferences) == 13 and {pair["chosen_system"] for pair in preferences} == {"finetuned"}
    assert len(Store(made.run.path / "reviews.sqlite").history()) == 26, "the notebook adds and removes nothing"


def test_systems_that_only_notebook_05_asks(tmp_path):
    import papermill

    made, test, said = company(tmp_path, ("few_shot", "rag"))
    with pytest.raises(papermill.PapermillExecutionError, match="05_rag_vs_ft"):
        made.execute()
    few = {key: text for key, text in said["few_shot"].items() if key != "t1"}
    made.answered("05_compare", "arms.jsonl", {"few_shot": few, "rag": said["rag"], "rag_ft": said["rag"]})
    made.rate(test, said, reviewers=["ada"])
    errors, agreed, preferences, summary = made.execute()
    assert {error["system"] for error in errors} == {"few_shot", "rag"}
    assert "12 of 13 test questions were answered by both systems" in made.printed()
    assert summary["errors_total"] == 3 and summary["errors_total_few_shot"] == 10
    assert agreed["pair"] == ["few_shot", "rag"] and summary["preferred_rag"] == 1.0
    assert {pair["chosen_system"] for pair in preferences} == {"rag"}
    assert made.run.is_complete("04_review")


def test_rating_and_running_from_there_on_in_the_same_kernel(tmp_path):
    from nbclient import NotebookClient

    made, test, said = company(tmp_path)
    notebook = nbformat.read(NOTEBOOK, 4)
    (given,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    given.source += "".join(f"\n{name} = {value!r}" for name, value in made.parameters().items())
    client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(REPOSITORY)}})
    titles = [cell.source.splitlines()[0] for cell in notebook.cells]
    rating = next(number for number, title in enumerate(titles) if title.startswith("## 5"))
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
        figures = sorted((made.run.path / "04_review" / "figures").iterdir())
        assert made.run.is_complete("04_review") and figures
        for reviewer in ("ada", "ben"):
            made.rate(test, said, reviewers=[reviewer])
            for number in range(rating, len(notebook.cells)):
                client.execute_cell(notebook.cells[number], number)
    _, agreed, preferences, summary = made.results()
    assert agreed["reviewers"] == ["ada", "ben"] and summary["reviews"] == 26 and len(preferences) == 13
    assert made.run.is_complete("04_review") and made.run.stale_reason("04_review") is None
    assert sorted((made.run.path / "04_review" / "figures").iterdir()) == figures
    assert not (made.run.path / "04_review.partial").exists()


CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "I have the <b>kettle</b>."},
    {"role": "assistant", "content": "Ask me."},
    {"role": "user", "content": "And what does it cost?"},
]


@pytest.mark.parametrize("wrong", ["both", "none"])
def test_data_that_names_nothing(tmp_path, wrong):
    """No slices, facts, subjects or refusals; conversations, a context, four questions; nothing or all is wrong."""
    test = [
        rows.row_of({"id": f"c{i}", "turns": CHAT, "context": f"manual {i}", "references": [f"{i} euros"]})
        for i in range(1, 5)
    ]
    right = {row.id: row.answer for row in test}
    said = dict.fromkeys(PAIR, right if wrong == "none" else dict.fromkeys(right, "a lot"))
    made = Made(tmp_path, test, test[:2], said)
    errors, _, _, summary = made.execute()
    assert len(errors) == (0 if wrong == "none" else 8) and summary["errors_total"] == len(errors) / 2
    printed = made.printed()
    assert "No training row names its fact or its subject" in printed
    assert "No two rules fire on one error here." in printed
    assert "These questions are alike in everything" in printed
    page = json.dumps(nbformat.read(tmp_path / "out.ipynb", 4))
    assert "I have the &lt;b&gt;kettle&lt;/b&gt;." in page and "I have the <b>kettle" not in page


def test_facts_that_only_the_truth_file_names(tmp_path):
    truth = [{"id": f"rt{i}", "about": [f"heron-{i}/weight"], "machine": f"Heron {i}"} for i in range(1, 13)]
    jsonl.write(tmp_path / "truth.jsonl", truth)
    test = made_rows()
    train = [row._replace(id=f"r{row.id}", meta={}) for row in test[:12]]
    said = dict(zip(PAIR, (answers(True), answers(False)), strict=True))
    data = {"path": "raw.jsonl", "columns": COLUMNS, "truth_path": "truth.jsonl"}
    made = Made(tmp_path, test, train, said, data=data)
    errors, *_ = made.execute()
    assert {error["category"] for error in errors if error["system"] == "finetuned"} == {"entity_mixup"}


def test_recorded_examples_are_shown_while_nobody_has_rated_and_enter_nothing(tmp_path):
    examples = REPOSITORY / "data" / "example_ratings.jsonl"
    review = {"pair": list(PAIR), "examples_path": str(examples), "leave_out_refusals": True}
    made, test, said = company(tmp_path, review=review)
    _, agreed, preferences, summary = made.execute()
    told = made.printed()
    assert "EXAMPLE, nobody's ratings: 60 by example A and example B, both invented" in told
    assert agreed["ratings"] == 0 and agreed["reviewers"] == [] and preferences == [] and summary["reviews"] == 0
    assert "example" not in json.dumps(summary)
    assert not Store(made.run.path / "reviews.sqlite").history()

    made.rate(test, said, reviewers=["ada"])
    _, agreed, *_ = made.execute()
    told = made.printed()
    assert "People have rated." in told and "EXAMPLE" not in told and agreed["reviewers"] == ["ada"]
    assert agreed["ratings"] == 12, "the question that one system declines is left out"
