"""Checkpoints: whole or not there, whatever happens while they are written; and trainings that go on from them."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest
import torch

from ftlib.core.checkpoints import STAGING, written_whole
from ftlib.core.train import train
from ftlib.errors import UserError

FORKED = """
import json, os, random, shutil, signal, sys, traceback
from pathlib import Path
import torch
from ftlib.core import trainer
from ftlib.core.load import load_base
from ftlib.core.lora import for_training
from ftlib.core.metrics_log import MetricsLog
from ftlib.core.train import train
from ftlib.recipe import Recipe

folder = Path(sys.argv[1])
recipe = Recipe.model_validate_json((folder / "recipe.json").read_text())
rows = json.loads((folder / "rows.json").read_text())

def counted(owner, name, events, die_at):
    function = getattr(owner, name)
    def wrapped(*args, **kwargs):
        events.append(name)
        if len(events) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    setattr(owner, name, wrapped)

def training(name, die_at=None):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        events = []
        for owner, function in ((torch, "save"), (os, "replace"), (shutil, "rmtree"), (os, "fsync"),
                                (trainer.TokenTrainer, "compute_loss"), (MetricsLog, "append")):
            counted(owner, function, events, die_at)
        model, tokenizer = load_base(recipe)
        train(for_training(model, recipe), tokenizer, rows[:20], rows[20:], folder / name, recipe)
        (folder / name / "events.json").write_text(json.dumps(events))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)

adapter = lambda name: (folder / name / "adapter" / "adapter_model.safetensors").read_bytes()
results = {"whole": training("whole"), "deaths": []}
events = json.loads((folder / "whole" / "events.json").read_text())
for number, at in enumerate(sorted(random.Random(8).sample(range(1, len(events)), 6))):
    name = f"killed-{number}"
    signals = [training(name, at), training(name, at // 2 + 1)]
    ended = training(name)
    results["deaths"].append([at, events[at - 1], signals[0], ended, adapter(name) == adapter("whole")])
print(json.dumps(results))
"""


def test_a_training_killed_at_any_moment_goes_on_to_the_same_bits(make_recipe, rows, tmp_path):
    """With dropout, accumulation and a choice of the best: killed twice, at moments drawn among all that it does."""
    train_fields = {"epochs": 3, "accumulation": 2, "eval_every_steps": 3, "save_every_seconds": 1e-6}
    fields = {"learning_rate": 0.01, "batch_rows": 4, "compile": False, "monitor_every_seconds": 0} | train_fields
    recipe = make_recipe(lora={"r": 4, "alpha": 8, "dropout": 0.1}, train=fields)
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FORKED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["whole"] == 0 and len(found["deaths"]) == 6
    for at, event, killed, ended, same in found["deaths"]:
        assert (killed, ended, same) == (9, 0, True), (at, event, done.stderr[-2000:])


@pytest.fixture
def full_disk(monkeypatch):
    """A function: from its n-th call on, torch.save finds the disk full (Linux' /dev/full); `None` makes room again."""
    real, calls = torch.save, []

    def fill(after: int | None) -> None:
        def save(value, file, **options):
            calls.append(file)
            full = after is not None and len(calls) > after
            return real(value, "/dev/full" if full else file, **options)

        calls.clear()
        monkeypatch.setattr(torch, "save", save)

    return fill


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_leaves_the_last_whole_checkpoint_and_says_what_is_missing(
    adapted, make_recipe, rows, tmp_path, full_disk
):
    recipe = make_recipe(train__save_every_seconds=1e-6, lora={"r": 4, "alpha": 8, "dropout": 0.1})

    def go(name):
        model, tokenizer = adapted(recipe)
        train(model, tokenizer, rows[:20], rows[20:], tmp_path / name, recipe)
        return (tmp_path / name / "adapter" / "adapter_model.safetensors").read_bytes()

    whole = go("whole")
    full_disk(after=10)  # three files a checkpoint: in the fourth one
    with pytest.raises(UserError, match=r"room for a checkpoint: about 0\.\d MiB") as caught:
        go("full")
    checkpoints = tmp_path / "full" / "checkpoints"
    assert str(checkpoints) in str(caught.value) and "goes on from checkpoint-3" in str(caught.value)
    assert {path.name for path in checkpoints.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-3"}
    assert not (checkpoints / STAGING).exists()
    full_disk(None)
    assert go("full") == whole


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_was_there_stays_where_there_is_no_room_for_the_new_one(tmp_path, number):
    (tmp_path / "best-3").mkdir()
    (tmp_path / "best-3" / "a").write_text("old")
    with pytest.raises(UserError, match=r"about 2\.0 MiB"), written_whole(tmp_path, "best-3", 2 * 2**20) as folder:
        folder.mkdir(parents=True)
        (folder / "a").write_text("half")
        raise OSError(number, os.strerror(number))
    assert (tmp_path / "best-3" / "a").read_text() == "old" and not (tmp_path / STAGING).exists()
    with pytest.raises(OSError, match="denied"), written_whole(tmp_path, "best-3", 1):
        raise OSError(errno.EACCES, "denied")  # another fault is not called a full disk
    with written_whole(tmp_path, "best-3", 1) as folder:
        folder.mkdir(parents=True)
        (folder / "a").write_text("new")
    assert (tmp_path / "best-3" / "a").read_text() == "new"
