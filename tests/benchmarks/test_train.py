"""benchmarks/train.py: what it compares is the same, and what it writes is what it measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.training import rows, shapes, summary

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "train.py"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)


def test_stacks_compute_the_same_and_report_every_field(tmp_path):
    out = tmp_path / "train.json"
    small = ["--steps", "3", "--rounds", "1", "--rows-per-batch", "4", "--accumulation", "2", "--threads", "1"]
    done = run("--shape", "demo", "--stacks", "ftlib,recipe,plain,unsloth", *small, "--out", str(out))
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(out.read_text())
    assert [entry["stack"] for entry in found] == ["ftlib", "recipe", "plain", "unsloth"]
    ftlib, recipe, plain, unsloth = found
    for entry in (ftlib, recipe, plain):
        assert entry["tokens_per_second"] > 0 and entry["peak_memory_bytes"] > 2**27
        assert [step["step"] for step in entry["steps"]] == [1, 2, 3]
    for key in ("loss", "grad_norm"):
        ours, theirs, simple = ([step[key] for step in entry["steps"]] for entry in (ftlib, recipe, plain))
        assert ours == pytest.approx(theirs, rel=0.02)
        assert simple == pytest.approx(theirs, rel=0.02)
    assert recipe["ratio"] == 1 and ftlib["ratio_to"] == "recipe"
    if "skipped" in unsloth:
        assert "unsloth" in unsloth["skipped"] and "skipped: unsloth" in done.stdout


def test_an_unknown_stack_is_named():
    done = run("--stacks", "ftlib,axolotl")
    assert done.returncode == 2 and "axolotl" in done.stderr


def test_a_shape_that_does_not_fit_is_refused_before_anything_is_made(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from training import worker

    from ftlib.core import device

    monkeypatch.setattr(device, "available_bytes", lambda: 8 * 2**30)
    job = {"shape": "7b", "folder": str(tmp_path), "batch_rows": 4, "accumulation": 4, "steps": 2, "seed": 0}
    answer = worker.prepare(job)
    assert answer.keys() == {"too_small"} and "8.0 GiB are free" in answer["too_small"]
    assert list(tmp_path.iterdir()) == []


def test_rows_spread_like_real_ones_and_train_their_answers_only():
    made = rows.generate(400, 80, 100, 512, seed=1)
    assert made == rows.generate(400, 80, 100, 512, seed=1)
    lengths = sorted(len(row["input_ids"]) for row in made)
    assert lengths[-1] <= 512 and lengths[380] > 2 * lengths[200]
    for row in made:
        trained = [label for label in row["labels"] if label != rows.IGNORED]
        assert trained == row["input_ids"][-len(trained) :] and 1 < len(trained) < len(row["input_ids"]) - 2


def test_rows_share_a_beginning_where_they_are_asked_to():
    made = rows.generate(40, 80, 100, 512, seed=1, shared=30)
    assert (
        len({tuple(row["input_ids"][:31]) for row in made}) == 1 < len({tuple(row["input_ids"][:32]) for row in made})
    )
    assert max(len(row["input_ids"]) for row in made) <= 512
    assert all(row["labels"][:33] == [rows.IGNORED] * 33 for row in made)


def test_every_step_holds_the_rows_that_ftlib_trains_in_it():
    from ftlib.core.batches import LengthGroupedBatches

    lengths = [len(row["input_ids"]) for row in rows.generate(96, 22, 4, 512, seed=2)]
    steps = rows.steps_of(lengths, batch_rows=8, accumulation=3, seed=5)
    batches = LengthGroupedBatches(lengths, 8, 1, 5).epoch(0)
    wanted = [sorted(row for batch in batches[i : i + 3] for row in batch) for i in range(0, 12, 3)]
    assert [sorted(step) for step in steps] == wanted
    assert Counter(row for step in steps for row in step) == Counter(range(96))


@pytest.mark.parametrize(("name", "millions"), [("110m", 110), ("1b", 1100), ("7b", 6740)])
def test_shapes_have_the_parameters_that_their_names_say(name, millions):
    assert shapes.SHAPES[name].parameters / 1e6 == pytest.approx(millions, rel=0.01)
    assert shapes.memory_needed(shapes.SHAPES[name], False) > shapes.memory_needed(shapes.SHAPES[name], True)


def test_the_demo_shape_is_the_base_models():
    config, shape = json.loads((shapes.BASE_MODEL / "config.json").read_text()), shapes.SHAPES["demo"]
    fields = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    assert tuple(config[field] for field in fields) == shape[:5]


def _round(seconds: list[float], loss: float = 2.0) -> dict:
    steps = [{"step": i + 1, "loss": loss, "grad_norm": 1.0, "seconds": s} for i, s in enumerate(seconds)]
    return {"steps": steps, "peak_memory_bytes": 100}


def test_medians_and_ratios_are_taken_round_by_round_without_the_warm_up():
    runs = {
        "ftlib": [_round([9, 1, 1]), _round([9, 2, 2]), _round([9, 1, 3])],
        "recipe": [_round([9, 4, 4]), _round([9, 4, 4]), _round([9, 5, 5], loss=2.1)],
        "trl": [{"skipped": "not here"}],
    }
    ours, recipe, trl = summary.summarize(runs, [50, 100, 100], warmup=1)
    assert ours["tokens_per_second_rounds"] == [100, 50, 50] and ours["tokens_per_second"] == 50
    assert (ours["ratio_lowest"], ours["ratio"], ours["ratio_highest"]) == (2, 2.5, 4)
    assert recipe["ratio"] == 1 and trl == {"stack": "trl", "skipped": "not here"}
    assert "skipped: not here" in summary.table([ours, recipe, trl])
    assert summary.disagreement([ours, recipe, trl], "loss") == 0
    apart = summary.summarize({"a": [_round([1, 1], 2.0)], "b": [_round([1, 1], 2.5)]}, [1, 1], 0)
    assert summary.disagreement(apart, "loss") == pytest.approx(0.2) and "ratio" not in apart[0]
    assert summary.disagreement(apart, "grad_norm") == 0
