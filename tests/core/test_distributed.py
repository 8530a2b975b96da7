"""Two processes on the CPU (gloo) train as one does, step by step, and go on after one of them was killed."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from ftlib.core.distributed import share_of
from ftlib.errors import UserError


@pytest.fixture(scope="module")
def trained(make_recipe, train_together):
    """Folders one/, two/ and killed/ of the same recipe in one process, in two, and in two after a kill."""
    fields = {"epochs": 2, "accumulation": 4, "eval_every_steps": 2, "save_every_seconds": 1e-6, "batch_rows": 2}
    recipe = make_recipe(train={"learning_rate": 0.01, "compile": False, "monitor_every_seconds": 0} | fields)
    asked = {"one": {}, "two": {"processes": 2}, "killed": {"processes": 2, "die_at": 3}}
    trainings = [{"into": name, "recipe": "recipe.json"} | more for name, more in asked.items()]
    trainings.append(trainings[-1] | {"die_at": None})
    folder, statuses = train_together({"recipe.json": recipe}, trainings)
    assert 9 in statuses[2]
    return folder


def _lines(folder, key):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line[key]) for line in lines if key in line]


def test_two_processes_take_the_steps_of_one(trained):
    """Rows have 2 to 4 labels: means of the processes' means would differ."""
    one, two = trained / "one", trained / "two"
    for key, allowed in (("loss", 1e-5), ("grad_norm", 1e-4), ("eval_loss", 1e-5), ("eval_exact", 0)):
        assert _lines(two, key) == [(step, pytest.approx(value, rel=allowed)) for step, value in _lines(one, key)], key
    assert len(_lines(one, "loss")) >= 4 and _lines(two, "tokens") == _lines(one, "tokens")
    expected, found = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (one, two))
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=2e-5, msg=name)  # float32, through AdamW
    assert json.loads((two / "plan.json").read_text())["total_steps"] == 5


def test_one_process_killed_the_others_stopped_and_all_go_on_to_the_same_bits(trained):
    adapters = [(trained / name / "adapter" / "adapter_model.safetensors").read_bytes() for name in ("two", "killed")]
    assert adapters[0] == adapters[1]
    assert _lines(trained / "killed", "loss") == _lines(trained / "two", "loss")
    assert (trained / "killed" / "checkpoints" / "checkpoint-5" / "rng_state_1.pth").is_file()


def test_a_step_that_cannot_be_divided_is_the_users_to_decide(monkeypatch):
    assert share_of(3) == 3
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert share_of(8) == 2
    with pytest.raises(UserError, match=r"train\.accumulation=8"):
        share_of(6)
