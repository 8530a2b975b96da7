"""Experiments: accepted overrides go to a run folder of their own, beside the baseline, which is never changed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib import atomic
from ftlib.recipe import Recipe
from ftlib.stage import NOTEBOOKS, read_manifest, replace_folder

if TYPE_CHECKING:
    from ftlib.run import Run

LONGEST_NAME = 80  # characters of what stands after the @


class Place(NamedTuple):
    """Where a run goes: its folder, the overrides that hold there, the baseline's name, a line to tell."""

    path: Path
    overrides: dict[str, Any]
    baseline: str | None = None
    told: str = ""


def place(path: Path, overrides: Mapping[str, Any], load: Callable[[Mapping[str, Any]], Recipe]) -> Place:
    """Find the folder that belongs to these overrides; nothing is written. `load` makes the recipe with some overrides.

    Returns:
        The folder that was asked for (`path`) where it is new, was made with the same overrides or none are given (it
        keeps its own); otherwise a folder beside it.
    """
    manifest = atomic.read_json(path / "manifest.json")
    kept, baseline = manifest.get("overrides", {}), manifest.get("baseline")
    asked = json.loads(json.dumps(dict(overrides), default=str))
    if not asked and kept:
        return Place(path, kept, baseline, f"{path.name} was made with {_words(kept)}: this holds here, too")
    begun = any(read_manifest(path / stage).get("finished") for stage in NOTEBOOKS)
    if not begun or asked == kept or load(asked) == load(kept):
        return Place(path, asked, baseline)
    baseline = baseline or path.name
    beside = path.with_name(f"{baseline}@{_name(asked)}")
    return Place(beside, asked, baseline, f"{_words(asked)}: an experiment beside {baseline}, in {beside}")


def copy_standing_stages(baseline: Run, run: Run) -> None:
    """Copy into an experiment what the baseline (its folder, the experiment's recipe) has made just the same."""
    for stage, notebook in NOTEBOOKS.items():
        if run.is_complete(stage) or not baseline.is_complete(stage):
            continue
        copy = run.path / f"{stage}.copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(baseline.path / stage, copy, ignore=shutil.ignore_patterns("checkpoints"))
        replace_folder(copy, run.path / stage)
        for executed in (baseline.path / "notebooks").glob(f"{notebook}.*"):
            (run.path / "notebooks").mkdir(exist_ok=True)
            shutil.copy2(executed, run.path / "notebooks")


def _words(overrides: Mapping[str, Any], between: str = ", ") -> str:
    short = {field: f"{value:g}" if isinstance(value, float) else value for field, value in overrides.items()}
    return between.join(f"{field}={value}" for field, value in sorted(short.items()))  # 2.0 and 2 are the same


def _name(overrides: Mapping[str, Any]) -> str:
    """A name for a folder, another one for other overrides: what cannot stand in it is told apart by a digest."""
    text = _words(overrides, between=",")
    name = re.sub(r"[^A-Za-z0-9_.,=+-]+", "-", text)
    if name == text and len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
