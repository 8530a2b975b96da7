"""Sets that nobody here made go through all five notebooks, and every page that comes out speaks of them alone."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from ftlib.stage import NOTEBOOKS

ROOT = Path(__file__).parents[1]
SECONDS = 1800
# Each as it came, cut to its first records; what a newcomer would write into a recipe, and fewer steps and questions.
SETS = {
    "bank": ("BankFAQs.csv", {"columns": {"slice": "Class"}}, 160),
    "abstracts": ("pubmedqa_flat.jsonl", {"columns": {"slice": "slice"}, "max_tokens": 1000}, 60),
    "chats": ("sharegpt_500.json", {"max_tokens": 1000, "language": None}, 60),
}
DEMO_WORDS = re.compile(
    r"Norvane|embedded company|trained_fact|untrained_fact|restocking|instrument|invented product|this company|"
    r"the company's|of another product|flow meter|pressure gauge",
    re.I,
)


def first_records(source: Path, target: Path, count: int) -> None:
    """The first so many records of a CSV, JSON or JSON lines file, in its own shape."""
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".json":
        target.write_text(json.dumps(json.loads(text)[:count]), encoding="utf-8")
        return
    lines = text.splitlines(keepends=True)[: count + (source.suffix == ".csv")]
    target.write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="session", params=SETS)
def finished(request, material: Path, tmp_path_factory, ftlib_run) -> tuple[str, Path]:
    """A set's name and its run folder, after `ftlib run`."""
    file, data, count = SETS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    first_records(material / "data" / file, folder / file, count)
    recipe = {
        "name": request.param,
        "lesson_seconds": 0,
        "data": {"path": file, **data},
        "model": {"base": str(ROOT / "data" / "base_model")},
        "train": {"epochs": 0.2, "batch_rows": 8, "max_length": 1024, "eval_every_steps": 50},
        "evaluate": {"limit": 12, "max_new_tokens": 8, "bootstrap_samples": 200, "batch_rows": 8},
        "rag": {"latency_questions": 2},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    ftlib_run(folder / "recipe.yaml", folder / "run")
    return request.param, folder / "run"


def shown_texts(notebook: Path) -> list[str]:
    """Prose, code and printed output of an executed notebook; tables of the data's own texts are left out."""
    texts = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        texts.append(cell.source)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                texts.append(output.text)
            texts += [str(output.data[kind]) for kind in ("text/markdown",) if kind in output.get("data", {})]
    return texts


@pytest.mark.notebook
@pytest.mark.timeout(SECONDS)
class TestAnyData:
    def test_every_stage_stands(self, finished):
        _, run = finished
        assert all((run / stage / "manifest.json").is_file() for stage in NOTEBOOKS)

    def test_no_page_speaks_of_the_demo(self, finished):
        name, run = finished
        for notebook in NOTEBOOKS.values():
            for text in shown_texts(run / "notebooks" / f"{notebook}.ipynb"):
                found = DEMO_WORDS.search(text)
                assert not found, f"{name}, {notebook}: {found[0]!r} in {text[:300]!r}"
        page = html.unescape(re.sub(r"<[^>]+>", " ", (run / "report.html").read_text(encoding="utf-8")))
        assert not DEMO_WORDS.search(page)

    def test_nothing_red_is_left_in_the_notebooks(self, finished):
        name, run = finished
        for notebook in NOTEBOOKS.values():
            cells = nbformat.read(run / "notebooks" / f"{notebook}.ipynb", as_version=4).cells
            red = [o.text for cell in cells for o in cell.get("outputs", []) if o.get("name") == "stderr"]
            assert not red, f"{name}, {notebook}: {red[0][:300]}"

    def test_columns_of_its_owner_are_all_kept(self, finished):
        name, run = finished
        row = json.loads((run / "01_data" / "test.jsonl").read_text(encoding="utf-8").splitlines()[0])
        owned = {"bank": {"Class"}, "abstracts": {"slice"}, "chats": set()}[name]
        assert owned <= set(row["meta"])

    def test_conversations_are_trained_and_asked_with_what_was_said_before(self, finished):
        name, run = finished
        rows = [json.loads(line) for line in (run / "01_data" / "train.jsonl").read_text(encoding="utf-8").splitlines()]
        assert (max(len(row["turns"]) for row in rows) > 2) is (name == "chats")
