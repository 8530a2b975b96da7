"""Imports run one way, and importing a module costs next to nothing and changes nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "ftlib").rglob("*.py"))
# Each level may import from the levels before it; review and rag stand side by side.
LEVELS = {"corridor": 0, "data": 1, "core": 2, "evaluate": 3, "review": 4, "rag": 4, "cli": 5}
COMMAND_LINE = {"cli", "doctor"}
HEAVY = {
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "lancedb",
    "lingua",
    "matplotlib",
    "pandas",
    "scipy",
    "sklearn",
    "papermill",
    "nbconvert",
    "ipywidgets",
    "rouge_score",
    "datasketch",
    "datasets",
    "IPython",
}


def room(parts: tuple[str, ...]) -> str:
    """The room of `("ftlib", "data", "load")`; modules directly under ftlib are the corridor or the command line."""
    second = parts[1] if len(parts) > 1 else "__init__"
    if second in LEVELS and second != "cli":
        return second
    return "cli" if second in COMMAND_LINE else "corridor"


def imported(path: Path, top_level_only: bool = False) -> set[tuple[str, ...]]:
    """Absolute names of what a file imports; `from ftlib.data import load` counts as ftlib.data.load."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[tuple[str, ...]] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = tuple(node.module.split("."))
            # what is imported from a package of ours may be one of its modules
            names |= {(*module, alias.name) for alias in node.names} if module[0] == "ftlib" else {module}
        elif isinstance(node, ast.ImportFrom):
            package = path.with_suffix("").parts[: -node.level]
            names.add((*package, *(node.module or "").split(".")))
    return names


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_one_way(path):
    mine = room(path.with_suffix("").parts)
    for name in imported(path):
        if name[0] != "ftlib":
            continue
        theirs = room(name)
        allowed = theirs == mine or LEVELS[theirs] < LEVELS[mine]
        assert allowed, f"{path} ({mine}) imports {'.'.join(name)} ({theirs})"


def test_the_direction_test_would_notice():
    assert room(("ftlib", "data", "load")) == "data"
    assert room(("ftlib", "recipe")) == "corridor"
    assert room(("ftlib", "cli")) == "cli"
    assert LEVELS[room(("ftlib", "core", "train"))] > LEVELS[room(("ftlib", "data", "load"))]
    assert ("ftlib", "stage", "Stage") in imported(Path("ftlib/run.py"))


def test_no_module_is_called_utils():
    assert not [path for path in MODULES if path.stem in {"utils", "util", "helpers", "misc", "common"}]


def test_heavy_libraries_are_loaded_where_they_are_used():
    """Only the core may need torch (and its trainer transformers), the statistics scipy, to be imported at all."""
    for path in MODULES:
        allowed = {"core": {"torch", "transformers"}, "evaluate": {"scipy"}}.get(
            room(path.with_suffix("").parts), set()
        )
        found = {name[0] for name in imported(path, top_level_only=True)} & HEAVY
        assert found <= allowed, f"{path} imports {', '.join(found - allowed)} at its top"


def test_corridor_and_data_are_light_with_all_they_import():
    """What every notebook's first cell and every command loads, followed through ftlib's own modules."""
    waiting = [path for path in MODULES if room(path.with_suffix("").parts) in {"corridor", "data", "cli"}]
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
            waiting += [file for file in files if file in MODULES]
    assert Path("ftlib/recipe.py") in seen


def test_every_module_imports_silently():
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in MODULES]
    code = "\n".join(f"import {name}" for name in names)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
