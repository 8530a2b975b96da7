"""The run directory: the only thing that passes between notebooks.

A stage is written into its `.partial` folder and renamed when complete. Its manifest
holds the SHA-256 of all it read, so that a complete stage with the same inputs can be
skipped, a killed one resumed, and one whose inputs changed is made again.
"""

from __future__ import annotations

import datetime
import functools
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftlib import atomic, experiment, fingerprint, machine
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.stage import NOTEBOOKS, READS, ROOMS, Stage, read_manifest, recover


def project_root() -> Path:
    """The nearest folder at or above the working directory that holds notebooks/ and data/, else that directory."""
    here = Path.cwd()
    return next((at for at in [here, *here.parents] if (at / "notebooks").is_dir() and (at / "data").is_dir()), here)


def notebook_file(stage: str) -> Path:
    """A stage's notebook: in the project's root, else beside the package; it need not exist."""
    folders = [project_root() / "notebooks", Path(__file__).parents[1] / "notebooks"]
    files = [folder / f"{NOTEBOOKS[stage]}.ipynb" for folder in folders]
    return next((file for file in files if file.is_file()), files[0])


class Run:
    """A run directory with its recipe.

    Attributes:
        path: the run directory, absolute.
        recipe: the checked recipe, overrides applied.
        recipe_file: where it came from, absolute.
        overrides: dotted recipe fields to values, those that hold in this directory.
        interactive: whether a person is watching (live bars and plots).
    """

    def __init__(self, place: experiment.Place, recipe: Recipe, recipe_file: Path, *, interactive: bool = False):
        self.path, self.overrides, self._place = place.path, place.overrides, place
        self.recipe, self.recipe_file, self.interactive = recipe, recipe_file, interactive

    @classmethod
    def find(
        cls,
        run_dir: str | Path,
        recipe: str | Path,
        overrides: Mapping[str, Any] | None = None,
        *,
        interactive: bool = False,
    ) -> Run:
        """The run that `open` would open; nothing is written.

        Args:
            run_dir: the directory, relative to the project's root.
            recipe: the recipe file, relative to the project's root.
            overrides: dotted recipe fields to values, e.g. `{"train.epochs": 1}`.
            interactive: True for live bars and plots.

        Raises:
            UserError: the recipe is missing or wrong.
        """
        root = project_root()
        path, file = (root / run_dir).resolve(), (root / recipe).resolve()
        load = functools.partial(Recipe.load, file, root=root)
        load(overrides)
        place = experiment.place(path, overrides or {}, load)
        return cls(place, load(place.overrides), file, interactive=interactive)

    @classmethod
    def open(
        cls,
        run_dir: str | Path,
        recipe: str | Path,
        overrides: Mapping[str, Any] | None = None,
        *,
        interactive: bool = False,
    ) -> Run:
        """Open or make a run directory and note in it what is asked for.

        A directory remembers the overrides that it was made with. Where others are given and it holds a finished
        stage, the run goes to a folder of its own beside it, to which the stages that stand are copied.

        Args, Raises: as of `find`; where the recipe is wrong, nothing is written.
        """
        run = cls.find(run_dir, recipe, overrides, interactive=interactive)
        run.make()
        return run

    def make(self) -> None:
        """Make the directory that `find` found, and note in it what is asked for."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError.of(str(self.path), "a folder for the run", "a file of this name", "choose another run_dir")
        if self._place.told:
            print(self._place.told)
        self.path.mkdir(parents=True, exist_ok=True)
        recover(self.path)
        atomic.write_text(self.path / "recipe.yaml", self.recipe.dump())
        atomic.write_json(self.path / "manifest.json", self._facts())
        if self._place.baseline:
            at = self._place._replace(path=self.path.with_name(self._place.baseline))
            experiment.copy_standing_stages(Run(at, self.recipe, self.recipe_file), self)

    def begin(self, stage: str, reads: Iterable[str | Path | None] = ()) -> Stage:
        """Make a stage's partial folder, or resume it where everything it depends on is still the same.

        The recipe's fields and the files they name need not be given: `ftlib.stage.READS` has them.

        Args:
            stage: "01_data", "02_train", "03_evaluate", "04_review" or "05_compare".
            reads: files and folders of earlier stages, from `need`.

        Raises:
            UserError: something it reads is missing, or another process is writing this stage.
        """
        if stage not in NOTEBOOKS:
            raise ValueError(f"stage is one of {', '.join(NOTEBOOKS)}, not {stage!r}")
        made = [self._label(Path(path)) for path in reads if path is not None]
        for label, digest in self._key(stage, made)["files"].items():
            if digest is None:
                raise self._missing(label)
        return Stage(self.path, stage, lambda: self._key(stage, made), self._after)

    def need(self, file: str) -> Path:
        """The path of a file that an earlier notebook made, e.g. `need("01_data/train.jsonl")`.

        Raises:
            UserError: it is not there or was made from other inputs; the message names the notebook to run.
        """
        stage = file.split("/", 1)[0]
        path = self.path / file
        if not path.exists():
            raise self._missing(file)
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
        made = _made_files(manifest)
        for before in dict.fromkeys(label.split("/", 1)[0] for label in made):
            if reason := self.stale_reason(before):
                return f"{before}: {reason}"
        if reason := fingerprint.stage_difference(manifest["key"], self._key(stage, made)):
            return reason
        for name, digest in manifest["outputs"].items():
            path = self.path / stage / name
            if not path.exists() or fingerprint.sha256(path) != digest:
                return f"{stage}/{name} was " + ("altered" if path.exists() else "removed")
        return None

    def discard(self, stage: str, *, partial_only: bool = False) -> None:
        """Remove a stage's folders; `reviews.sqlite` is never touched."""
        for suffix in (".partial",) if partial_only else (".partial", ""):
            shutil.rmtree(self.path / f"{stage}{suffix}", ignore_errors=True)

    def record_wall(self, stage: str, seconds: float) -> None:
        """Set a finished stage's wall time to a whole notebook's, measured from outside (kernel start included)."""
        manifest = read_manifest(self.path / stage)
        if manifest.get("finished"):
            total = manifest["earlier_seconds"] + seconds
            manifest["wall_seconds"] = round(max(total, manifest["wall_seconds"]), 2)
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
                summary[key] = entry["value"]
                summary |= {f"{key}_{extra}": entry[extra] for extra in ("ci95", "n") if extra in entry}
            summary[f"wall_seconds_{notebook}"] = manifest["wall_seconds"]
            summary[f"peak_memory_bytes_{notebook}"] = manifest["peak_memory_bytes"]
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
        manifest = read_manifest(self.path / stage)
        paths = {label: self.path / label for label in _made_files(manifest) if label.startswith(f"{before}/")}
        digests = manifest["key"]["files"] if paths else {}
        return any(not path.exists() or fingerprint.sha256(path) != digests[label] for label, path in paths.items())

    def _key(self, stage: str, made: Iterable[str]) -> dict[str, Any]:
        reads, rooms = [*READS[stage].split(), "seed"], ["corridor", *ROOMS[stage]]
        return fingerprint.stage_key(self.recipe, reads, rooms, notebook_file(stage), self.path, made)

    def _label(self, path: Path) -> str:
        """How a manifest names a file of an earlier stage: relative to the run."""
        path = path.resolve()
        if not any(path.is_relative_to(self.path / stage) for stage in NOTEBOOKS):
            raise ValueError(f"{path} is no stage's file; what the recipe names stands in ftlib.stage.READS")
        return path.relative_to(self.path).as_posix()

    def _missing(self, label: str) -> UserError:
        notebook = NOTEBOOKS.get(label.split("/", 1)[0])
        if not notebook:
            found = f"{self.recipe.paths()[label]} is not there"
            return UserError.of(f"recipe field {label}", "an existing file or folder", found, "correct the path")
        fix = f"run notebooks/{notebook}.ipynb first, with the same run_dir"
        return UserError.of(str(self.path / label), "this file (a notebook reads it)", "it is not there", fix)

    def _facts(self) -> dict[str, Any]:
        inputs = {field: path for field, path in self.recipe.paths().items() if path.exists()}
        return {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "recipe_file": str(self.recipe_file),
            "recipe_sha256": fingerprint.sha256_json(self.recipe.model_dump(mode="json")),
            "overrides": self.overrides,
            "baseline": self._place.baseline,
            "inputs": {
                field: {"path": str(path), "sha256": fingerprint.sha256(path)} for field, path in inputs.items()
            },
            "code": fingerprint.code(),
            "libraries": machine.libraries(),
            "hardware": machine.hardware(),
            "opened": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }


def _made_files(manifest: Mapping[str, Any]) -> list[str]:
    """The files of earlier stages that a sealed stage has read, relative to the run."""
    files = manifest.get("key", {}).get("files", {})
    return [label for label in files if label.split("/", 1)[0] in NOTEBOOKS]
