from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ftlib.cli import parse_overrides
from ftlib.core.tuning.alone import read_space
from ftlib.core.tuning.figures import importance_figure, sweep_figure
from ftlib.core.tuning.space import check_space, with_values
from ftlib.core.tuning.sweep import open_study, sweep
from ftlib.errors import UserError
from ftlib.recipe import RangeRecipe, Recipe
from ftlib.rows import Row, Turn, row_json

SPACE = {"train.learning_rate": {"low": 1e-3, "high": 0.05, "log": True}, "lora.r": [2, 4]}
SHORT = {"train__epochs": 1, "train__eval_every_steps": 2, "train__batch_rows": 4, "train__monitor_every_seconds": 0}


def _rows() -> tuple[list[Row], list[Row]]:
    made = [Row(f"q{n}", (Turn("user", f"What is {n}?"),), "", (f"It is {n % 3}.",)) for n in range(20)]
    return made[:16], made[16:]


@pytest.fixture
def recipe(make_recipe) -> Recipe:
    return make_recipe(**SHORT, sweep=SPACE)


KILLED = """
import json, os, signal, sys
from pathlib import Path
from ftlib.core.tuning import sweep as module
from ftlib.recipe import Recipe
from ftlib.rows import row_of

folder = Path(sys.argv[1])
recipe = Recipe.model_validate_json((folder / "recipe.json").read_text())
parts = [list(map(row_of, part)) for part in json.loads((folder / "rows.json").read_text())]
begun = []

class Dying(module._Reports):
    def __call__(self, entry):
        begun.append(entry["step"]) if entry["step"] == 0 else None
        if len(begun) == 2 and entry["step"] == 2 and "eval_loss" in entry:  # the second trial, at half
            os.kill(os.getpid(), signal.SIGKILL)
        super().__call__(entry)

module._Reports = Dying
module.sweep(recipe, *parts, folder / "killed", 3)
"""


def test_a_killed_sweep_ends_as_one_that_was_not(recipe, tmp_path):
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"save_every_seconds": 1e-6})})
    parts = _rows()
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    (tmp_path / "rows.json").write_text(json.dumps([list(map(row_json, part)) for part in parts]))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    left = open_study(tmp_path / "killed").trials
    assert [trial.state.name for trial in left] == ["COMPLETE", "RUNNING"]

    told: list[str] = []
    resumed = sweep(recipe, *parts, tmp_path / "killed", 3, say=told.append)
    whole = sweep(recipe, *parts, tmp_path / "whole", 3, say=told.append)
    assert resumed._replace(folder=whole.folder) == whole
    assert whole.trials == 3 and whole.rows == 4 and set(whole.best) == set(SPACE)
    states = [trial.state.name for trial in open_study(tmp_path / "killed").trials]
    assert states[:2] == ["COMPLETE", "FAIL"] and "RUNNING" not in states and len(states) == 4
    assert told[0].startswith("trial 2 of 3: ") and len(told) == 2 + 3
    _the_end(whole, recipe, told)
    assert len(sweep_figure(tmp_path / "whole").axes) >= 3
    assert importance_figure(tmp_path / "whole") is None  # three trials say nothing


def _the_end(result, recipe: Recipe, told: list[str]) -> None:
    """What is printed can be given to `ftlib run`, and asking again trains nothing."""
    fields = parse_overrides([part for part in shlex.split(result.overrides) if part != "-p"])
    assert fields == pytest.approx(result.best)
    assert with_values(recipe, fields).lora.r == result.best["lora.r"]
    assert "of 3 trials" in result.text() and "4 validation rows" in result.text()
    assert sweep(recipe, *_rows(), result.folder, 3, say=told.append) == result and len(told) == 5
    best = min(trial.value for trial in open_study(result.folder).trials if trial.value is not None)
    assert result.best_loss == best and not list(result.folder.glob("trials/*/checkpoints"))


def test_a_trial_that_explodes_is_no_end_of_the_sweep(recipe, tmp_path):
    space = {"train.learning_rate": [1e30], "train.max_grad_norm": [1e30]}
    with pytest.raises(UserError, match="that exploded"):
        sweep(recipe, *_rows(), tmp_path, 1, space=space)
    (trial,) = open_study(tmp_path).trials
    assert trial.state.name == "PRUNED" and "training, " in trial.user_attrs["ended"]


def test_spaces_are_checked_before_anything_is_trained(make_recipe, tmp_path):
    def complaint(space) -> str:
        with pytest.raises(UserError) as caught:
            check_space(make_recipe(sweep=space), make_recipe(sweep=space).sweep)
        return str(caught.value)

    assert "fields to try" in complaint({})
    assert "can be compared" in complaint({"train.loss_on": ["all", "answers"]})
    assert "can be compared" in complaint({"data.max_tokens": [10, 20]})
    assert "learning_rat" in complaint({"train.learning_rat": [1e-3]})
    assert "lora.r" in complaint({"lora.r": [4, 0]})
    assert "greater than 0" in complaint({"train.learning_rate": {"low": -1.0, "high": 1.0}})
    check_space(make_recipe(), {"lora.r": RangeRecipe(low=2, high=8, whole=True)})


def test_a_space_can_be_a_file(tmp_path: Path):
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump({"sweep": SPACE}))
    assert read_space(path) == {"train.learning_rate": RangeRecipe(low=1e-3, high=0.05, log=True), "lora.r": [2, 4]}
    path.write_text("lora.r: {low: 8, high: 4}")
    with pytest.raises(UserError, match=r"lora\.r"):
        read_space(path)
