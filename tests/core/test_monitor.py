from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from ftlib.core.monitor import KIND, Hardware, Monitor
from ftlib.core.train import train


def test_a_sample_says_what_this_process_does():
    hardware = Hardware()
    held, until = torch.ones(2**25), time.perf_counter() + 0.3  # 128 MiB in float32
    while time.perf_counter() < until:
        held.sum()
    sample = hardware.sample()
    assert {"cpu_share", "memory_share", "process_cores", "process_memory_bytes"} <= set(sample)
    assert 0 <= sample["cpu_share"] <= 1 and 0 < sample["memory_share"] < 1
    assert sample["process_cores"] > 0.05 and sample["process_memory_bytes"] > 2**27
    assert torch.cuda.is_available() or not any(name.startswith("gpu_") for name in sample)


def test_samples_come_at_their_pace_and_once_more_at_the_end():
    lines = []
    with Monitor(lines.append, every_seconds=0.05) as monitor:
        time.sleep(0.4)
    assert 3 <= len(lines) <= 9 and {line["kind"] for line in lines} == {KIND}
    assert monitor.latest == {name: lines[-1][name] for name in monitor.latest}
    with monitor:  # it can be entered again
        pass
    assert lines[-1]["time_unix"] >= lines[-2]["time_unix"]
    count = len(lines)
    with Monitor(lines.append, every_seconds=0):
        time.sleep(0.1)
    assert len(lines) == count


def test_the_first_sample_is_of_the_time_since_the_beginning():
    """psutil counts in each thread apart, and a thread's first call gives 0."""
    lines = []
    with Monitor(lines.append, every_seconds=60):
        until = time.perf_counter() + 0.3
        while time.perf_counter() < until:
            pass
    assert len(lines) == 1 and lines[0]["cpu_share"] > 0


def test_the_thread_ends_where_the_training_fails():
    lines = []
    with pytest.raises(ZeroDivisionError), Monitor(lines.append, every_seconds=60):
        1 / 0  # noqa: B018
    assert len(lines) == 1


def test_a_training_writes_samples_between_its_own_lines(adapted, make_recipe, rows, tmp_path):
    logged = []
    recipe = make_recipe(train__monitor_every_seconds=0.02)
    model, tokenizer = adapted(recipe)
    train(model, tokenizer, rows[:20], rows[20:], tmp_path / "a", recipe, on_log=logged.append)
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    samples = [line for line in lines if line.get("kind") == KIND]
    assert samples and [line for line in lines if "kind" not in line] == logged
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert not {"loss", "eval_loss", "tokens_per_second"} & set(samples[0])


KILLED = """
import json, os, signal, sys
from pathlib import Path
from ftlib.core.load import load_base
from ftlib.core.lora import add_lora
from ftlib.core.train import train
from ftlib.recipe import Recipe

folder = Path(sys.argv[1])
recipe = Recipe.model_validate_json((folder / "recipe.json").read_text())
rows = json.loads((folder / "rows.json").read_text())
model, tokenizer = load_base(recipe)
model = add_lora(model, recipe.lora, recipe.seed)
die = lambda entry: os.kill(os.getpid(), signal.SIGKILL) if entry["step"] >= 7 and "loss" in entry else None
train(model, tokenizer, rows[:20], rows[20:], folder / "killed", recipe, on_log=die)
"""


def test_samples_survive_a_kill_whole(adapted, make_recipe, rows, tmp_path):
    recipe = make_recipe(train__monitor_every_seconds=0.005, train__save_every_seconds=1e-6)
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    path = tmp_path / "killed" / "metrics.jsonl"
    with path.open("a") as file:
        file.write('{"step": 7, "kind": "hard')  # as a kill in the middle of a line leaves it
    model, tokenizer = adapted(recipe)
    train(model, tokenizer, rows[:20], rows[20:], tmp_path / "killed", recipe)
    lines = [json.loads(line) for line in path.read_text().splitlines()]  # none is torn
    steps = [line["step"] for line in lines if line.get("kind") == KIND]
    assert steps == sorted(steps) and min(steps) < 6 and max(steps) >= 7  # of before the kill and of after it
