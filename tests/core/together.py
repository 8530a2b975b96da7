"""Trains in processes that know of each other, as a launcher would start them; run as a script by the tests.

Arguments: a folder with recipes and rows.json, and a JSON list of trainings: `into` (a folder of it), `recipe` (a file
of it), `processes`, `environment` (what a launcher sets), `die_at` (the step at which the last process is killed).
Prints the processes' exit statuses, one list a training.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

import torch  # noqa: F401 (before the fork, so that it is read once)

from ftlib.core import sharded_trainer  # noqa: F401
from ftlib.core.load import load_base
from ftlib.core.lora import for_training
from ftlib.core.sharding import as_split, is_split
from ftlib.core.train import train
from ftlib.recipe import Recipe

FOLDER = Path(sys.argv[1])


def one(into: str, recipe: str, environment: dict[str, str], die_at: int | None) -> int:
    """Start one process of a training."""
    child = os.fork()
    if child:
        return child
    try:
        os.environ.update(environment)
        _train(into, Recipe.model_validate_json((FOLDER / recipe).read_text()), die_at)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _train(into: str, recipe: Recipe, die_at: int | None) -> None:
    recipe = as_split(recipe) if is_split() else recipe
    rows = json.loads((FOLDER / "rows.json").read_text())
    model, tokenizer = load_base(recipe)

    def die(entry: dict) -> None:
        if entry["step"] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    last = int(os.environ.get("RANK", "0")) == int(os.environ.get("WORLD_SIZE", "1")) - 1
    train(
        for_training(model, recipe),
        tokenizer,
        rows[:20],
        rows[20:],
        FOLDER / into,
        recipe,
        on_log=die if last else None,
    )


def training(into: str, recipe: str, processes: int, environment: dict[str, str], die_at: int | None) -> list[int]:
    """One training in so many processes; when one has died the others are stopped, as torchrun does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = environment | {
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "ACCELERATE_USE_CPU": "true",
    }
    places = [
        shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {} for rank in range(processes)
    ]
    children = [one(into, recipe, place, die_at) for place in places]
    statuses: dict[int, int] = {}
    while len(statuses) < processes:
        child, status = os.waitpid(-1, 0)
        statuses[child] = status
        if status and len(statuses) < processes:
            for each in set(children) - set(statuses):
                os.kill(each, signal.SIGKILL)
    return [statuses[child] for child in children]


if __name__ == "__main__":
    print(json.dumps([training(**asked) for asked in json.loads(sys.argv[2])]))
