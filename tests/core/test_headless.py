"""Stage 02 without Jupyter: what notebook 02 writes, so that the others go on from it."""

from __future__ import annotations

import json
import re

import pytest

from ftlib import rows
from ftlib.core.headless import train_stage
from ftlib.errors import UserError
from ftlib.run import Run, notebook_file
from ftlib.stage import read_manifest


def _notebook_code() -> str:
    cells = json.loads(notebook_file("02_train").read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.fixture
def prepared(tiny_recipe, tmp_path):
    """A run whose data are there: 32 rows to train and 8 to validate."""
    run = Run.open(tmp_path / "run", tiny_recipe)
    stage = run.begin("01_data")
    lines = [json.loads(line) for line in (tmp_path / "raw" / "alpaca.jsonl").read_text().splitlines()]
    made = [
        rows.row_of({"id": each["id"], "question": each["instruction"], "answer": each["output"]}) for each in lines
    ]
    rows.write(stage.path / "train.jsonl", made[:32])
    rows.write(stage.path / "val.jsonl", made[32:40])
    stage.finish()
    return run


def test_the_stage_stands_as_if_the_notebook_had_made_it(prepared, tiny_recipe, capsys):
    folder = train_stage(tiny_recipe, prepared.path)
    assert folder == prepared.path / "02_train" and prepared.is_complete("02_train")
    written = {path.name for path in folder.iterdir()}
    assert {"adapter", "metrics.jsonl", "plan.json", "manifest.json", "figures"} <= written
    manifest = read_manifest(folder)
    named = set(re.findall(r'Headline(?:\.of)?\(\s*"((?:val|train)_\w+)"', _notebook_code()))
    assert named and set(manifest["headlines"]) == named
    assert {"loss", "exact", "course"} <= set(manifest["figures"]) and manifest["facts"]["dtype"]
    change = manifest["headlines"]["val_loss_change"]
    assert change["n"] == 8 and change["ci95"][0] <= change["value"] <= change["ci95"][1]
    assert prepared.refresh_summary()["train_steps"] == manifest["headlines"]["train_steps"]["value"] == 4
    before = (folder / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    train_stage(tiny_recipe, prepared.path)
    assert "skipped" in capsys.readouterr().out
    assert (folder / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_without_data_it_says_which_notebook_makes_it(tiny_recipe, tmp_path):
    with pytest.raises(UserError, match="01_data_prep"):
        train_stage(tiny_recipe, tmp_path / "empty")
