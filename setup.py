"""Puts what a first run needs into the wheel: the notebooks, the default data and the recipes, as ftlib/project/.

Everything else stands in pyproject.toml; only copying folders from beside the package has no word there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
LEFT_OUT = {"checkpoints", "generator"}  # intermediate work, and what made the data


def carried() -> list[Path]:
    """Files of the project that go into the wheel, relative to its root."""
    files = [file.relative_to(ROOT) for part in ("data", "notebooks") for file in (ROOT / part).rglob("*")]
    hidden = (file for file in files if any(part.startswith((".", "__")) for part in file.parts))
    left_out = {*hidden, *(file for file in files if file.suffix in {".py", ".tmp"} or LEFT_OUT & set(file.parts))}
    return sorted(file for file in files if (ROOT / file).is_file() and file not in left_out)


class BuildWithProject(build_py):
    """The package's modules, and the project's files beside them; an editable installation has them where they are."""

    def run(self) -> None:
        super().run()
        for file in [] if self.editable_mode else carried():
            target = Path(self.build_lib, "ftlib", "project", file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, target)


setup(cmdclass={"build_py": BuildWithProject})
