"""The run directory: the only thing that passes between notebooks.

A stage is written into its `.partial` folder and renamed when complete. Its manifest holds the SHA-256 of all it read,
so that a complete stage with the same inputs is skipped, a killed one resumed, one whose inputs changed made again.
"""

from __future__ import annotations

import datetime
import functools
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftlib import atomic, experiment, fingerprint
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.stage import NOTEBOOKS, READS, ROOMS, Stage, read_manifest, recover


def project_root() -> Path:
    """The nearest folder at or above the working directory that holds notebooks/ and data/, else that directory."""
    here = Path.cwd()
    return next((at for at in [here, *here.parents] if (at / "notebooks").is_dir() and (at / "data").is_dir()), here)


def installed_project() -> Path:
    """The notebooks and the default data that came with the package: in a wheel inside it, in a checkout beside it."""
    inside = Path(__file__).parent / "project"
    return inside if inside.is_dir() else Path(__file__).parents[1]


def project_file(path: str | Path) -> Path:
    """A file or folder of the project: under its root, else as it was installed; it need not exist.

    It is given relative to the root, e.g. `data/recipes/demo.yaml`; an absolute one is returned as it is.
    """
    places = [project_root() / path, installed_project() / path]
    return next((place for place in places if place.exists()), places[0])


def recipe_file(recipe: str | Path) -> Path:
    """A recipe's file by its path, or by its name alone (`demo`) where it came with the project; it need not exist."""
    file, named = project_file(recipe), project_file(Path("data", "recipes", f"{recipe}.yaml"))
    return (named if named.is_file() and not file.is_file() else file).resolve()


def load_recipe(recipe: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The checked recipe; what one that came with the package names beside it (a model), may lie in the project.

    Args:
        recipe: of `recipe_file`.
        overrides: as of `Recipe.load`, relative paths as those of the project's root.

    Raises:
        UserError: the recipe is missing or wrong.
    """
    file, root, came = recipe_file(recipe), project_root(), installed_project().resolve()
    elsewhere = root / file.parent.relative_to(came) if file.is_relative_to(came / "data") else None
    return Recipe.load(file, overrides, root=root, elsewhere=elsewhere)


def notebook_file(stage: str) -> Path:
    """A stage's notebook; it need not exist."""
    return project_file(Path("notebooks", f"{NOTEBOOKS[stage]}.ipynb"))


class Run:
    """A run directory with its recipe.

    Attributes:
        path: the run directory, absolute.
        recipe: the checked recipe, overrides applied; `recipe_file` is where it came from, absolute.
        overrides: dotted recipe fields to values, those that hold in this directory.
        interactive: whether a person is watching (live bars and plots).
    """

    def __init__(self, place: experiment.Place, recipe: Recipe, recipe_file: Path, *, interactive: bool = False):
        self.path, self.overrides, self._place = place.path, place.overrides, place
        self.recipe, self.recipe_file, self.interactive = recipe, recipe_file, interactive

    @classmethod
    def open(
        cls,
        run_dir: str | Path,
        recipe: str | Path,
        overrides: Mapping[str, Any] | None = None,
        *,
        interactive: bool = False,
        make: bool = True,
    ) -> Run:
        """Open or make a run directory and note in it what is asked for.

        A directory remembers the overrides that it was made with. Where others are given and it holds a finished
        stage, the run goes to a folder of its own beside it, to which the stages that stand are copied.

        Args:
            run_dir: the directory, relative to the project's root.
            recipe: as of `load_recipe`.
            overrides: dotted recipe fields to values, e.g. `{"train.epochs": 1}`.
            interactive: True for live bars and plots.
            make: False to write nothing until `make` is called.

        Raises:
            UserError: the recipe is missing or wrong; nothing is written.
        """
        path, load = (project_root() / run_dir).resolve(), functools.partial(load_recipe, recipe)
        load(overrides)
        place = experiment.place(path, overrides or {}, load)
        run = cls(place, load(place.overrides), recipe_file(recipe), interactive=interactive)
        if make:
            run.make()
        return run

    def make(self) -> None:
        """Make the directory and note in it what is asked for."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError.of(str(self.path), "a folder for the run", "a file of this name", "choose another run_dir")
        if self._place.told:
            print(self._place.told)
        self.path.mkdir(parents=True, exist_ok=True)
        recover(self.path)
        atomic.write_text(self.path / "recipe.yaml", self.recipe.dump())
        inputs = {field: path for field, path in self.recipe.paths().items() if os.path.exists(path)}
        facts = {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "recipe_file": str(self.recipe_file),
            "recipe_sha256": fingerprint.sha256_json(self.recipe.model_dump(mode="json")),
            "overrides": self.overrides,
            "baseline": self._place.baseline,
            "inputs": {name: {"path": str(path), "sha256": fingerprint.sha256(path)} for name, path in inputs.items()},
            "opened": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        atomic.write_json(self.path / "manifest.json", facts | fingerprint.circumstances())
        if self._place.baseline:
            at = self._place._replace(path=self.path.with_name(self._place.baseline))
            experiment.copy_standing_stages(Run(at, self.recipe, self.recipe_file), self)

    def begin(self, stage: str, reads: Iterable[str | Path | None] = ()) -> Stage:
        """Make a stage's partial folder, or resume it where everything it depends on is still the same.

        Args:
            stage: "01_data", "02_train", "03_evaluate", "04_review" or "05_compare".
            reads: files and folders of earlier stages, from `need`; what the recipe names stands in `stage.READS`.

        Raises:
            UserError: something it reads is missing, or another process is writing this stage.
        """
        made = [self._label(Path(path)) for path in reads if path is not None]
        for label, digest in self._key(stage, made)["files"].items():
            if digest is None:
                raise self.missing(label)
        return Stage(self.path, stage, lambda: self._key(stage, made), self._after)

    def need(self, file: str) -> Path:
        """The path of a file that an earlier notebook made, e.g. `need("01_data/train.jsonl")`.

        Raises:
            UserError: it is not there or was made from other inputs; the message names the notebook to run.
        """
        stage, path = file.split("/", 1)[0], self.path / file
        if not path.exists():
            raise self.missing(file)
        if stage in NOTEBOOKS and (reason := self.stale_reason(stage)):
            fix = f"run notebooks/{NOTEBOOKS[stage]}.ipynb again with this recipe"
            raise UserError.of(str(path), "made from the present inputs", reason, fix)
        return path

    def is_complete(self, stage: str) -> bool:
        """Whether a stage is whole and made from inputs that are still the same."""
        return (self.path / stage).is_dir() and self.stale_reason(stage) is None

    def stale_reason(self, stage: str) -> str | None:
        """Why a stage must be made (again), or None where it stands."""
        manifest = read_manifest(self.path / stage)
        if not manifest.get("finished"):
            return "not made yet"
        made = [label for label in manifest["key"]["files"] if label.split("/", 1)[0] in NOTEBOOKS]
        for before in dict.fromkeys(label.split("/", 1)[0] for label in made):
            if reason := self.stale_reason(before):
                return f"{before}: {reason}"
        if reason := fingerprint.stage_difference(manifest["key"], self._key(stage, made)):
            return reason
        for name, digest in manifest["outputs"].items():
            if (found := fingerprint.sha256(self.path / stage / name)) != digest:
                return f"{stage}/{name} was " + ("altered" if found else "removed")
        return None

    def discard(self, stage: str, *, partial_only: bool = False) -> None:
        """Remove a stage's folders; `reviews.sqlite` is never touched."""
        for suffix in (".partial",) if partial_only else (".partial", ""):
            shutil.rmtree(self.path / f"{stage}{suffix}", ignore_errors=True)

    def record_wall(self, stage: str, seconds: float) -> None:
        """Set a finished stage's wall time to a whole notebook's, measured from outside (kernel start included)."""
        manifest = read_manifest(self.path / stage)
        manifest["wall_seconds"] = round(max(manifest["earlier_seconds"] + seconds, manifest["wall_seconds"]), 2)
        atomic.write_json(self.path / stage / "manifest.json", manifest)
        self.refresh_summary()

    def refresh_summary(self) -> dict[str, Any]:
        """Write summary.json (flat: every headline of the stages that stand) and return it."""
        summary: dict[str, Any] = {"name": self.recipe.name, "seed": self.recipe.seed}
        for stage, notebook in NOTEBOOKS.items():
            manifest = read_manifest(self.path / stage)
            if not manifest.get("finished"):
                continue
            for key, entry in manifest["headlines"].items():
                summary |= {key if part == "value" else f"{key}_{part}": each for part, each in entry.items()}
            facts = {part: manifest[part] for part in ("wall_seconds", "peak_memory_bytes")}
            summary |= {f"{part}_{notebook}": told for part, told in (facts | manifest.get("facts", {})).items()}
        atomic.write_json(self.path / "summary.json", summary)
        return summary

    def _after(self, stage: str) -> None:
        """A stage was sealed: what was made from other files of it falls, and what was made from that in turn."""
        fallen = [stage]
        for before in fallen:
            if before != stage:
                self.discard(before)
            fallen += [name for name in NOTEBOOKS if name not in fallen and self._read_otherwise(name, before)]
        self.refresh_summary()

    def _read_otherwise(self, stage: str, before: str) -> bool:
        """Whether a sealed stage has read files of an earlier one that are not what stands there now."""
        read = read_manifest(self.path / stage).get("key", {}).get("files", {})
        mine = {label: digest for label, digest in read.items() if label.startswith(f"{before}/")}
        return any(fingerprint.sha256(self.path / label) != digest for label, digest in mine.items())

    def _key(self, stage: str, made: Iterable[str]) -> dict[str, Any]:
        reads, rooms = [*READS[stage].split(), "seed"], ["corridor", *ROOMS[stage]]
        return fingerprint.stage_key(self.recipe, reads, rooms, notebook_file(stage), self.path, made)

    def _label(self, path: Path) -> str:
        """How a manifest names a file of an earlier stage: relative to the run."""
        path = path.resolve()
        if not any(path.is_relative_to(self.path / stage) for stage in NOTEBOOKS):
            raise ValueError(f"{path} is no stage's file; what the recipe names stands in ftlib.stage.READS")
        return path.relative_to(self.path).as_posix()

    def missing(self, label: str) -> UserError:
        """What to say of a file that is not there: a recipe's field, or a path relative to the run."""
        notebook = NOTEBOOKS.get(label.split("/", 1)[0])
        if not notebook:
            path = self.recipe.paths()[label]
            fix = "correct the path"
            if label == "train.replay_path":
                fix += ", or let the base write such texts: `ftlib replay` with this recipe, and the path as --out"
            elif path.parent.name == "models":
                fix += f", or `ftlib models get {path.name}` if `ftlib models` has it"
            return UserError.of(f"recipe field {label}", "an existing file or folder", f"{path} is not there", fix)
        fix = f"run notebooks/{notebook}.ipynb first, with the same run_dir"
        return UserError.of(str(self.path / label), "this file (a notebook reads it)", "it is not there", fix)
