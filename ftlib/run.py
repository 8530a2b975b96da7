"""The run directory: the only thing that passes between notebooks.

A stage is written into its `.partial` folder and renamed when complete. Its manifest
holds the SHA-256 of all it read, so that a complete stage with the same inputs can be
skipped, a killed one resumed, and one whose inputs changed is made again.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftlib import fingerprint
from ftlib.recipe import Recipe, UserError
from ftlib.stage import NOTEBOOKS, Stage, read_manifest, recover, write_json


def project_root() -> Path:
    """The nearest folder at or above the working directory that holds notebooks/ and data/, else that directory."""
    here = Path.cwd()
    return next((at for at in [here, *here.parents] if (at / "notebooks").is_dir() and (at / "data").is_dir()), here)


class Run:
    """A run directory with its recipe.

    Attributes:
        path: the run directory, absolute.
        recipe: the checked recipe, overrides applied.
        interactive: whether a person is watching (live bars and plots).
    """

    def __init__(self, path: Path, recipe: Recipe, *, interactive: bool = False):
        self.path, self.recipe, self.interactive = path, recipe, interactive

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

        Args:
            run_dir: the directory, relative to the project's root.
            recipe: the recipe file, relative to the project's root.
            overrides: dotted recipe fields to values, e.g. `{"train.epochs": 1}`.
            interactive: True for live bars and plots.

        Raises:
            UserError: the recipe is missing or wrong; nothing was written.
        """
        root = project_root()
        loaded = Recipe.load(root / recipe, overrides, root=root)
        run = cls((root / run_dir).resolve(), loaded, interactive=interactive)
        if run.path.exists() and not run.path.is_dir():
            raise UserError.of(str(run.path), "a folder for the run", "a file of this name", "choose another run_dir")
        run.path.mkdir(parents=True, exist_ok=True)
        recover(run.path)
        partial = run.path / "recipe.yaml.tmp"
        partial.write_text(loaded.dump(), encoding="utf-8")
        partial.replace(run.path / "recipe.yaml")
        write_json(run.path / "manifest.json", run._facts(root / recipe))
        return run

    def begin(self, stage: str, reads: Mapping[str, Path] | Iterable[Path], sections: Iterable[str]) -> Stage:
        """Make a stage's partial folder, or resume it where everything it read is still the same.

        Args:
            stage: "01_data", "02_train", "03_evaluate", "04_review" or "05_compare".
            reads: every file and folder the stage reads.
            sections: the recipe's sections that its result depends on (the seed always counts).

        Raises:
            UserError: something it reads is missing, or another process is writing this stage.
        """
        if stage not in NOTEBOOKS:
            raise ValueError(f"stage is one of {', '.join(NOTEBOOKS)}, not {stage!r}")
        paths = reads.values() if isinstance(reads, Mapping) else reads
        inputs = {self._label(Path(path)): Path(path) for path in paths if path is not None}
        for label, path in inputs.items():
            if not path.exists():
                raise self._missing(label)
        key = {
            "inputs": {label: fingerprint.sha256(path) for label, path in sorted(inputs.items())},
            "recipe": {section: self._section_sha256(section) for section in sorted({*sections, "seed"})},
        }
        return Stage(self.path, stage, key, self._after)

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
        for section, digest in manifest["key"]["recipe"].items():
            if self._section_sha256(section) != digest:
                return f"the recipe's {section} changed"
        for label, digest in manifest["key"]["inputs"].items():
            path = self.path / label
            before = label.split("/", 1)[0]
            if before in NOTEBOOKS and before != stage and (reason := self.stale_reason(before)):
                return f"{before}: {reason}"
            if not path.exists() or fingerprint.sha256(path) != digest:
                return f"{label} changed" if path.exists() else f"{label} is gone"
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
            write_json(self.path / stage / "manifest.json", manifest)
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
        write_json(self.path / "summary.json", summary)
        return summary

    def _after(self, stage: str) -> None:
        """A stage was sealed: later ones that were made from its older files fall, then the summary is new."""
        names = list(NOTEBOOKS)
        for later in names[names.index(stage) + 1 :]:
            if (self.path / later).is_dir() and not self.is_complete(later):
                self.discard(later)
        self.refresh_summary()

    def _label(self, path: Path) -> str:
        """How a manifest names an input: inside the run relative to it, elsewhere absolute."""
        path = path.resolve()
        return path.relative_to(self.path).as_posix() if path.is_relative_to(self.path) else str(path)

    def _missing(self, label: str) -> UserError:
        notebook = NOTEBOOKS.get(label.split("/", 1)[0])
        fix = (
            f"run notebooks/{notebook}.ipynb first, with the same run_dir"
            if notebook
            else "check the path in the recipe"
        )
        return UserError.of(str(self.path / label), "this file (a notebook reads it)", "it is not there", fix)

    def _section_sha256(self, section: str) -> str:
        return fingerprint.sha256_text(self.recipe.model_dump(mode="json")[section])

    def _facts(self, recipe_file: Path) -> dict[str, Any]:
        inputs = {field: path for field, path in self.recipe.paths().items() if path.exists()}
        return {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "recipe_file": str(recipe_file.resolve()),
            "recipe_sha256": fingerprint.sha256_text(self.recipe.model_dump(mode="json")),
            "inputs": {
                field: {"path": str(path), "sha256": fingerprint.sha256(path)} for field, path in inputs.items()
            },
            "code": fingerprint.code(),
            "libraries": fingerprint.libraries(),
            "hardware": fingerprint.hardware(),
            "opened": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
