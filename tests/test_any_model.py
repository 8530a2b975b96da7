"""Every model family goes through all five notebooks: a small random model of each, made on the spot."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftlib.stage import NOTEBOOKS
from tests.families import FAMILIES, IN_EVERY_RUN, save_family

ROOT = Path(__file__).parents[1]
SECONDS = 1800
FAMILY = [pytest.param(name, marks=[] if name in IN_EVERY_RUN else pytest.mark.families) for name in FAMILIES]


@pytest.mark.notebook
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("family", FAMILY)
def test_all_five_notebooks_run(family, tiny_recipe, tmp_path):
    base = save_family(family, tmp_path / "model")
    command = [sys.executable, "-m", "ftlib.cli", "run", "--recipe", str(tiny_recipe), "--out", str(tmp_path / "run")]
    fields = {"model.base": base, "data.language": "null", "rag.latency_questions": 2}
    overrides = [part for field, value in fields.items() for part in ("-p", f"{field}={value}")]
    done = subprocess.run(
        [*command, *overrides],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert all(f"wall_seconds_{notebook}" in summary for notebook in NOTEBOOKS.values())
    assert math.isfinite(summary["val_loss_finetuned"]) and summary["em_finetuned_n"] > 0
    adapter = tmp_path / "run" / "02_train" / "adapter"
    assert [file.name for file in adapter.glob("*.safetensors")] == ["adapter_model.safetensors"]
