from __future__ import annotations

import importlib.util
import os
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftlib.core import trackers
from ftlib.core.monitor import Hardware
from ftlib.core.train import train
from ftlib.errors import UserError

# What each tracker is to receive; it puts a prefix of its own before it.
NAMES = {"loss", "learning_rate", "grad_norm", "tokens_per_second", "hardware_cpu_share"}


@pytest.fixture
def tracked(adapted, make_recipe, rows, tmp_path, monkeypatch):
    """A function: tracker -> its folder, after a training of 10 steps that reported to it."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "MLFLOW_", "TRACKIO_", "TENSORBOARD_")):
            monkeypatch.delenv(name)

    def run(name: str) -> Path:
        before = dict(os.environ)
        recipe = make_recipe(train__report_to=[name], train__monitor_every_seconds=0.02, name="proj")
        model, tokenizer = adapted(recipe)
        train(model, tokenizer, rows[:20], rows[20:], tmp_path / "run" / "02_train.partial", recipe)
        assert dict(os.environ) == before
        return tmp_path / "run" / "trackers"

    return run


def test_tensorboard_gets_everything(tracked):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tracked("tensorboard") / "tensorboard" / "run-02_train")).Reload()
    assert {f"train/{name}" for name in NAMES} | {"eval/loss", "eval/exact"} <= set(events.Tags()["scalars"])
    assert [point.step for point in events.Scalars("eval/loss")] == [0, 4, 8, 10]
    losses = events.Scalars("train/loss")
    assert losses[0].step == 1 and losses[-1].value < losses[0].value


def test_mlflow_gets_everything_in_a_local_database(tracked):
    with sqlite3.connect(tracked("mlflow") / "mlflow.db") as database:
        keys = {key for (key,) in database.execute("select distinct key from metrics")}
        evaluated = [
            step for (step,) in database.execute("select step from metrics where key='eval_loss' order by step")
        ]
        (experiment,) = database.execute("select name from experiments where experiment_id != 0").fetchone()
        (status, name) = database.execute("select status, name from runs").fetchone()
    assert keys >= NAMES and evaluated == [0, 4, 8, 10]
    assert (experiment, status, name) == ("proj", "FINISHED", "run/02_train")


def _records(file: Path) -> Iterator[bytes]:
    """The records of a W&B run file: a LevelDB log in blocks of 32 KiB; the first begins with 7 bytes of its own."""
    data, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 2**15 - at % 2**15 < 7:
            at += 2**15 - at % 2**15
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def test_wandb_writes_a_run_that_can_be_read_back_offline(tracked):
    from wandb.proto import wandb_internal_pb2

    (file,) = tracked("wandb").glob("wandb/offline-run-*/run-*.wandb")
    keys, steps = set(), []
    for data in _records(file):
        items = wandb_internal_pb2.Record.FromString(data).history.item
        values = {item.key or "/".join(item.nested_key): item.value_json for item in items}
        keys |= set(values)
        steps += [int(values["train/global_step"])] if "eval/loss" in values else []
    assert keys >= {f"train/{name}" for name in NAMES} and steps == [0, 4, 8, 10]


@pytest.mark.skipif(not importlib.util.find_spec("trackio"), reason="trackio wants an older Pillow than is pinned")
def test_trackio_gets_everything_in_a_local_database(tracked):
    import json

    (file,) = tracked("trackio").glob("trackio/*.db")
    with sqlite3.connect(file) as database:
        lines = [(step, json.loads(text)) for step, text in database.execute("select step, metrics from metrics")]
    assert {key.removeprefix("train/") for _, line in lines for key in line} >= NAMES


def test_what_is_not_installed_is_told_before_anything_is_trained(adapted, make_recipe, rows, tmp_path, monkeypatch):
    monkeypatch.setitem(trackers._MODULES, "wandb", ["a_module_that_nobody_has"])
    recipe = make_recipe(train__report_to=["wandb"])
    with pytest.raises(UserError, match="pip install a_module_that_nobody_has"):
        train(*adapted(recipe), rows[:20], rows[20:], tmp_path / "a", recipe)
    assert not (tmp_path / "a").exists()


def test_the_users_own_settings_win_and_come_back(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    with trackers.reporting(["tensorboard"], tmp_path / "t", "project", "run"):
        assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
        assert os.environ["WANDB_MODE"] == "offline"
    assert "WANDB_MODE" not in os.environ
    with trackers.reporting([], tmp_path / "none", "project", "run"):
        assert "WANDB_MODE" not in os.environ
    assert not (tmp_path / "none").exists() and Hardware().sample()["memory_share"] > 0
