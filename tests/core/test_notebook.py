"""Notebook 02 from end to end on small made-up runs: what it builds by hand equals what it calls, on any base."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from ftlib import rows
from ftlib.run import Run
from tests.families import save_family

pytestmark = [pytest.mark.notebook, pytest.mark.timeout(1800)]

REPOSITORY = Path(__file__).parents[2]
NOTEBOOK = REPOSITORY / "notebooks" / "02_train_qlora.ipynb"
COLOURS = ["red", "blue", "green", "grey"]


def made_rows(wording: str, key: str, count: int) -> list[rows.Row]:
    asked = [(f"{key}{i}", wording.format(i), COLOURS[i % 4]) for i in range(count)]
    return [rows.row_of({"id": name, "question": question, "answer": answer}) for name, question, answer in asked]


def execute(folder: Path, model: Path, train_rows: int, **fields) -> tuple[str, Path, dict]:
    """Run the notebook on a run directory as notebook 01 leaves it: what it printed, its stage, summary.json."""
    import papermill

    (folder / "raw.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    (folder / "holdout.jsonl").write_text(json.dumps({"text": "A heron stands in the water and waits."}) + "\n")
    values = {
        "name": "toy",
        "data": {"path": "raw.jsonl"},
        "model": {"base": str(model), "dtype": "float32"},
        "lora": {"r": 4, "alpha": 8},
        "train": {"epochs": 1, "learning_rate": 0.005, "batch_rows": 8, "eval_every_steps": 4, "compile": False},
        "evaluate": {"holdout_path": "holdout.jsonl"},
    }
    for name, section in fields.items():
        values[name] = values.get(name, {}) | section
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values))
    run = Run.open(folder / "run", folder / "recipe.yaml")
    data = run.begin("01_data")
    rows.write(data.path / "train.jsonl", made_rows("Name the colour of the Swan {}.", "r", train_rows))
    rows.write(data.path / "val.jsonl", made_rows("The colour of the Crane {}, please.", "v", 12))
    data.finish()
    given = {"run_dir": str(run.path), "recipe": str(folder / "recipe.yaml"), "interactive": False}
    papermill.execute_notebook(NOTEBOOK, folder / "out.ipynb", given, cwd=REPOSITORY, progress_bar=False)
    outputs = [o for cell in nbformat.read(folder / "out.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"], "nothing red"
    told = "".join(output.text for output in outputs if output.output_type == "stream")
    return told, run.path / "02_train", json.loads((run.path / "summary.json").read_text())


def test_what_is_built_by_hand_gives_the_same_numbers(tiny_model_dir, tmp_path):
    told, stage, summary = execute(tmp_path, tiny_model_dir, 120)
    same = re.search(r"by hand and bitsandbytes: ([\d.]+)% of the weights", told)
    assert float(same[1]) > 99.9
    paper, counted = re.search(r"([\d,]+) on paper; ([\d,]+) train", told).groups()
    assert paper == counted != "0"
    curves = re.search(r"the two curves differ by at most ([\d.]+)% of the loss", told)
    assert float(curves[1]) < 1, "float32"
    differ = re.search(r"PEFT and our class differ by ([\d.]+)% of what the adapter does", told)
    assert float(differ[1]) < 0.1, "float32"
    assert re.search(r"The plain step keeps [\d.]+ times as much", told)
    assert re.search(r"Early stopping \(patience: 2 evaluations\) ends at step \d+ of \d+", told)
    figures = {file.stem for file in (stage / "figures").glob("*.png")}
    assert {"nf4", "lora", "schedule", "by_hand", "overfitting", "remedies", "loss"} <= figures
    assert summary["train_steps"] == 15


def test_an_encoder_decoder_without_4_bits_and_no_time_for_demonstrations(tmp_path):
    base = save_family("t5", tmp_path / "model")
    slow = {"epochs": 0.5, "max_length": 256}
    told, stage, summary = execute(tmp_path, base, 24, quantization={"load_in_4bit": False}, train=slow)
    assert "An encoder-decoder writes the answer alone" in told
    assert "reads whole, then writes (encoder and decoder)" in told
    assert (stage / "adapter" / "adapter_model.safetensors").is_file() and summary["train_steps"] >= 1


def test_a_base_that_is_trained_as_a_whole_has_no_adapter_to_take_apart(tiny_model_dir, tmp_path):
    whole = {"method": "full", "learning_rate": 0.001}
    told, stage, _ = execute(tmp_path, tiny_model_dir, 24, quantization={"load_in_4bit": False}, train=whole)
    assert "All weights train (train.method: full)" in told and "No plain adapter here" in told
    assert (stage / "adapter" / "model.safetensors").is_file()
