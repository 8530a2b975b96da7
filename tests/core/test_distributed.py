"""Two processes on the CPU (gloo) train as one does, step by step, and go on after one of them was killed."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from ftlib.core.distributed import share_of
from ftlib.core.headless import train_stage
from ftlib.errors import UserError

PAIRED = """
import json, os, signal, socket, sys, traceback
from pathlib import Path
import torch
from ftlib.core import trainer
from ftlib.core.distributed import launched
from ftlib.core.load import load_base
from ftlib.core.lora import for_training
from ftlib.core.train import train
from ftlib.recipe import Recipe

folder = Path(sys.argv[1])
recipe = Recipe.model_validate_json((folder / "recipe.json").read_text())
rows = json.loads((folder / "rows.json").read_text())

def one(name, environment, die_at):
    child = os.fork()
    if child:
        return child
    try:
        os.environ.update(environment)
        model, tokenizer = load_base(recipe)
        def die(entry):
            if entry["step"] == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        last = environment.get("RANK") == "1"
        train(for_training(model, recipe), tokenizer, rows[:20], rows[20:], folder / name, recipe,
              on_log=die if last else None)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)

def training(name, processes, die_at=None):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo", "ACCELERATE_USE_CPU": "true"}
    ranks = range(processes)
    environments = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {} for rank in ranks]
    children = [one(name, environment, die_at) for environment in environments]
    statuses = {}
    while len(statuses) < processes:
        child, status = os.waitpid(-1, 0)
        statuses[child] = status
        if status and len(statuses) < processes:  # as torchrun does: one has died, the others are stopped
            [os.kill(each, signal.SIGKILL) for each in children if each not in statuses]
    return [statuses[child] for child in children]

print(json.dumps({"one": training("one", 1), "two": training("two", 2), "killed": training("killed", 2, 3),
                  "resumed": training("killed", 2)}))
"""


@pytest.fixture(scope="module")
def trained(make_recipe, rows, tmp_path_factory, in_own_process):
    """Folders one/, two/ and killed/ of the same recipe in one process, in two, and in two after a kill."""
    folder = tmp_path_factory.mktemp("together")
    fields = {"epochs": 2, "accumulation": 4, "eval_every_steps": 2, "save_every_seconds": 1e-6, "batch_rows": 2}
    recipe = make_recipe(train={"learning_rate": 0.01, "compile": False, "monitor_every_seconds": 0} | fields)
    statuses, errors = in_own_process(PAIRED, recipe, rows, folder)
    assert statuses["one"] == [0] and statuses["two"] == statuses["resumed"] == [0, 0], errors
    assert 9 in statuses["killed"]
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


@pytest.mark.parametrize("variable", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_a_launch_that_would_split_the_model_is_refused_before_anything_is_read(monkeypatch, variable):
    monkeypatch.setenv(variable, "true")
    with pytest.raises(UserError, match="every process holds the whole model"):
        train_stage("nowhere.yaml", "nowhere")
