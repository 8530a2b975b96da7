"""Imports run one way, and importing a module costs next to nothing and changes nothing."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.generator import world
from ftlib.stage import NOTEBOOKS, ROOMS

ROOT = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "ftlib").rglob("*.py"))
# Each level may import from the levels before it; review and rag stand side by side.
LEVELS = {"corridor": 0, "data": 1, "search": 2, "core": 3, "evaluate": 4, "review": 5, "rag": 5, "cli": 6}
COMMAND_LINE = {"ask", "cli", "compare_runs", "doctor", "export", "serve"}
HEAVY = {
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "lancedb",
    "lingua",
    "lm_eval",
    "matplotlib",
    "openai",
    "pandas",
    "scipy",
    "semantic_text_splitter",
    "sentence_transformers",
    "sklearn",
    "statsmodels",
    "papermill",
    "nbconvert",
    "ipywidgets",
    "rouge_score",
    "datasketch",
    "datasets",
    "IPython",
    "jinja2",
}
# Words that only say something behind their module's name: `jsonl.read`, `rows.read`, `tables.number`.
SAID_WITH_THEIR_MODULE = {"iterate", "read", "write"}


def room(parts: tuple[str, ...]) -> str:
    """The room of `("ftlib", "data", "load")`; modules directly under ftlib are the corridor or the command line."""
    second = parts[1] if len(parts) > 1 else "__init__"
    if second in LEVELS and second != "cli":
        return second
    return "cli" if second in COMMAND_LINE else "corridor"


def is_statistics(path: Path) -> bool:
    return path.parts[:2] == ("ftlib", "stats")


def imported(path: Path, top_level_only: bool = False) -> set[tuple[str, ...]]:
    """Absolute names of what a file imports; `from ftlib.data import load` counts as ftlib.data.load."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    return {name for node in nodes for name in names_of(node, path)}


def names_of(node: ast.AST, path: Path) -> Iterator[tuple[str, ...]]:
    if isinstance(node, ast.Import):
        yield from (tuple(alias.name.split(".")) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        module = tuple(node.module.split("."))
        # what is imported from a package of ours may be one of its modules
        yield from ((*module, alias.name) for alias in node.names) if module[0] == "ftlib" else [module]
    elif isinstance(node, ast.ImportFrom):
        package = path.with_suffix("").parts[: -node.level]
        yield (*package, *(node.module or "").split("."))


def code_of(stage: str) -> str:
    """A notebook's code cells as one program."""
    notebook = json.loads((ROOT / "notebooks" / f"{NOTEBOOKS[stage]}.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return "\n".join(cell for cell in cells if not cell.startswith("%"))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_one_way(path):
    mine = room(path.with_suffix("").parts)
    for name in imported(path):
        if name[0] != "ftlib":
            continue
        theirs = room(name)
        allowed = theirs == mine or LEVELS[theirs] < LEVELS[mine]
        assert allowed, f"{path} ({mine}) imports {'.'.join(name)} ({theirs})"


@pytest.mark.parametrize("stage", NOTEBOOKS)
def test_a_notebook_imports_from_its_room_those_below_and_the_corridor(stage):
    for node in ast.walk(ast.parse(code_of(stage))):
        for name in names_of(node, Path()):
            if name[0] == "ftlib":
                assert room(name) in {"corridor", *ROOMS[stage]}, ".".join(name)
            assert name[0] not in {"tests", "benchmarks", "data"}, ".".join(name)


@pytest.mark.parametrize("stage", NOTEBOOKS)
def test_the_rooms_whose_source_a_stage_holds_are_those_that_it_imports(stage):
    """What a room imports from another room is in the stage's key, too."""
    for path in MODULES:
        if room(path.with_suffix("").parts) in ROOMS[stage]:
            rooms = {room(name) for name in imported(path) if name[0] == "ftlib"}
            assert rooms <= {"corridor", *ROOMS[stage]}, path


def test_the_direction_test_would_notice():
    assert room(("ftlib", "data", "load")) == "data"
    assert room(("ftlib", "recipe")) == room(("ftlib", "stats", "intervals")) == "corridor"
    assert room(("ftlib", "cli")) == "cli"
    assert LEVELS[room(("ftlib", "core", "train"))] > LEVELS[room(("ftlib", "data", "load"))]
    assert ("ftlib", "stage", "Stage") in imported(Path("ftlib/run.py"))


def test_no_module_is_called_utils():
    assert not [path for path in MODULES if path.stem in {"utils", "util", "helpers", "misc", "common"}]


def test_no_two_things_have_one_name():
    """A public function or class is called the same in every room, and nothing else is called so."""
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                places[node.name].append(str(path))
    twice = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert {name: paths for name, paths in twice.items() if name not in SAID_WITH_THEIR_MODULE} == {}


def words_of_the_demo() -> set[str]:
    """Names that the generator made up: companies, products and their kinds, slices of its test set."""
    lines = (ROOT / "data" / "company" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    slices = {json.loads(line)["slice"] for line in lines}
    return {*world.COMPANY_WORDS, *world.NOUNS, *world.KINDS, *(name for name in slices if "_" in name)}


def test_ftlib_and_the_notebooks_know_no_word_of_the_demo():
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, sorted(words_of_the_demo())))})\b")
    files = [*(ROOT / "ftlib").rglob("*.py"), *(ROOT / "ftlib").rglob("*.jinja"), *ROOT.glob("notebooks/*.ipynb")]
    found = {file.name: set(pattern.findall(file.read_text(encoding="utf-8"))) for file in files}
    assert {name: words for name, words in found.items() if words} == {}
    assert len(words_of_the_demo()) > 150


def test_heavy_libraries_are_loaded_where_they_are_used():
    """Only the core may need torch (and its trainer transformers), the statistics scipy, to be imported at all."""
    for path in MODULES:
        of_core = {"torch", "transformers"} if room(path.with_suffix("").parts) == "core" else set()
        allowed = {"scipy"} if is_statistics(path) else of_core
        found = {name[0] for name in imported(path, top_level_only=True)} & HEAVY
        assert found <= allowed, f"{path} imports {', '.join(found - allowed)} at its top"


def test_corridor_and_data_are_light_with_all_they_import():
    """What every notebook's first cell and every command loads, followed through ftlib's own modules."""
    light = {"corridor", "data", "cli"}
    waiting = [path for path in MODULES if room(path.with_suffix("").parts) in light and not is_statistics(path)]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imported(path, top_level_only=True):
            assert name[0] not in HEAVY, f"{path} imports {name[0]}"
            stem = Path(*name)
            files = (
                [stem.with_suffix(".py"), stem / "__init__.py", stem.parent.with_suffix(".py")] if len(name) > 1 else []
            )
            waiting += [file for file in files if file in MODULES and not is_statistics(file)]
    assert Path("ftlib/recipe/whole.py") in seen


def test_every_module_imports_silently():
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in MODULES]
    code = "\n".join(f"import {name}" for name in names)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("stage", NOTEBOOKS)
def test_a_notebooks_imports_are_silent(stage):
    """In its own order: a library that writes to stderr as it is loaded would stand there in red."""
    nodes = [node for node in ast.parse(code_of(stage)).body if isinstance(node, ast.Import | ast.ImportFrom)]
    code = "\n".join([*map(ast.unparse, nodes), "import bitsandbytes"])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
