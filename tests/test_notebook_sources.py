"""How the five notebooks are built: read as files, nothing is run."""

from __future__ import annotations

import ast
import json
import re
import statistics
from pathlib import Path

import nbformat
import pytest

from ftlib.stage import NOTEBOOKS

ROOT = Path(__file__).parents[1]
FILES = {stage: ROOT / "notebooks" / f"{name}.ipynb" for stage, name in NOTEBOOKS.items()}
PARAMETERS = {"run_dir": "runs/demo", "recipe": "data/recipes/demo.yaml", "overrides": {}, "interactive": True}
MORE_PARAMETERS = {"02_train": {"wordings_facts": 0}}  # of single notebooks: what a run leaves out unless it is asked


def cells(stage: str, kind: str) -> list[nbformat.NotebookNode]:
    notebook = nbformat.read(FILES[stage], as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def sections_of(stage: str) -> dict[str, str]:
    """The code under each numbered heading (`## 1 · ...`), by heading; other headings of that level end a section."""
    found: dict[str, str] = {}
    title = ""
    for cell in nbformat.read(FILES[stage], as_version=4).cells:
        if cell.cell_type == "code" and title:
            found[title] += cell.source + "\n"
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if line.startswith("## "):
                title = line if re.match(r"## \d", line) else ""
                found |= {title: ""} if title else {}
    return found


@pytest.mark.parametrize("stage", NOTEBOOKS)
class TestStructure:
    def test_format_kernel_and_no_outputs(self, stage):
        notebook = json.loads(FILES[stage].read_text(encoding="utf-8"))
        nbformat.validate(nbformat.from_dict(notebook))
        assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
        kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        assert notebook["metadata"]["kernelspec"] == kernel
        ids = [cell["id"] for cell in notebook["cells"]]
        assert len(set(ids)) == len(ids)
        for cell in cells(stage, "code"):
            assert cell.outputs == []
            assert cell.execution_count is None

    def test_one_parameters_cell_of_literals(self, stage):
        (cell,) = [cell for cell in cells(stage, "code") if "parameters" in cell.metadata.get("tags", [])]
        values = {}
        for node in ast.parse(cell.source).body:
            assert isinstance(node, ast.Assign), cell.source
            values[node.targets[0].id] = ast.literal_eval(node.value)
        assert values == PARAMETERS | MORE_PARAMETERS.get(stage, {})

    def test_small_cells_and_more_prose_than_code(self, stage):
        lengths = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in cells(stage, "code")]
        assert 6 <= statistics.median(lengths) <= 14
        assert max(len(cell.source.splitlines()) for cell in cells(stage, "code")) <= 25
        assert 1.2 * len(lengths) <= len(cells(stage, "markdown")) <= 1.9 * len(lengths)

    def test_it_reads_like_a_lesson(self, stage):
        prose = [cell.source for cell in cells(stage, "markdown")]
        assert prose[0].startswith("# ")
        headings = " ".join(line.lower() for text in prose for line in text.splitlines() if line.startswith("#"))
        for word in ["toy", "results", "limits", "exercises"]:
            assert word in headings, f"no heading with {word!r}"
        assert any(line.startswith("assert ") for cell in cells(stage, "code") for line in cell.source.splitlines())

    def test_it_says_what_it_teaches_reads_and_writes_and_asks_before_it_tells(self, stage):
        prose = [cell.source for cell in cells(stage, "markdown")]
        for part in ["**You will learn**", "**Reads**", "**Writes**"]:
            assert sum(part in text for text in prose) == 1, part
        predictions = [text for text in prose if re.search(r"\b(predict|guess|before you|write down)\b", text, re.I)]
        assert len(predictions) >= 3
        assert any("mend" in text for text in prose), "no intended failure with its mend"

    def test_three_to_six_sections_each_with_a_check(self, stage):
        sections = sections_of(stage)
        assert 3 <= len(sections) <= 6
        for title, code in sections.items():
            assert re.search(r"^\s*(assert|except|raise)\b", code, re.M), f"no check in {title!r}"

    def test_it_reads_the_same_without_a_network(self, stage):
        """Formulas in TeX need a script from the network where the notebook is exported, so they are written out."""
        prose = "\n".join(cell.source for cell in cells(stage, "markdown"))
        assert "$$" not in prose
        assert not re.search(r"!\[[^\]]*\]\(http|<img|<script", prose)

    def test_failures_are_caught_not_let_through(self, stage):
        """papermill stops at any error output, so an intended failure is caught where it is shown."""
        tags = {tag for cell in cells(stage, "code") for tag in cell.metadata.get("tags", [])}
        assert "raises-exception" not in tags
