"""Every model family goes through all five notebooks: a small random model of each, made on the spot."""

from __future__ import annotations

import json
import math

import pytest

from ftlib.stage import NOTEBOOKS
from tests.families import FAMILIES, IN_EVERY_RUN, save_family

SECONDS = 1800
FAMILY = [pytest.param(name, marks=[] if name in IN_EVERY_RUN else pytest.mark.families) for name in FAMILIES]


@pytest.mark.notebook
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("family", FAMILY)
def test_all_five_notebooks_run(family, tiny_recipe, tmp_path, ftlib_run):
    base = save_family(family, tmp_path / "model")
    fields = {"model.base": base, "data.language": "null", "rag.latency_questions": 2}
    ftlib_run(
        tiny_recipe, tmp_path / "run", *(part for name, value in fields.items() for part in ("-p", f"{name}={value}"))
    )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert all(f"wall_seconds_{notebook}" in summary for notebook in NOTEBOOKS.values())
    assert math.isfinite(summary["val_loss_finetuned"]) and summary["em_finetuned_n"] > 0
    adapter = tmp_path / "run" / "02_train" / "adapter"
    assert [file.name for file in adapter.glob("*.safetensors")] == ["adapter_model.safetensors"]
