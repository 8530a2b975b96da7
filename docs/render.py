"""Copies a finished run's executed notebooks to docs/rendered, for reading without running them.

Call it with `make render`, which makes the run first. Paths of this machine are written as in the repository.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "rendered"


def rendered(path: Path, run: Path) -> str:
    """A notebook's text with relative paths, and with papermill's times left out, so that a diff shows what changed."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"].pop("papermill", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("papermill", None)
        cell["metadata"].pop("execution", None)
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    text = text.replace(str(run.resolve()), "runs/demo").replace(f"{ROOT}/", "")
    return text.replace("](../docs/", "](../").replace("](../data/", "](../../data/")  # links, from where it lies now


def page(run: Path) -> str:
    """What was run where, for docs/rendered/README.md."""
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    machine, minutes = manifest["hardware"], sum(v for k, v in summary.items() if k.startswith("wall_seconds_")) / 60
    told = (
        f"On the embedded default (`make run`), seed {manifest['seed']}: {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['system']}, no GPU, {manifest['opened'][:10]}, {minutes:.0f} minutes in all, code at or just after "
        f"commit {commit[:12]}. One training: its scores are one draw of the luck that the project's README shows "
        "several of. Made by `make render`; not to be edited."
    )
    return f"# The five notebooks, executed\n\n{textwrap.fill(told, 120)}\n"


if __name__ == "__main__":
    run = Path(sys.argv[1])
    OUT.mkdir(exist_ok=True)
    for path in sorted((run / "notebooks").glob("0*.ipynb")):
        (OUT / path.name).write_text(rendered(path, run), encoding="utf-8")
    (OUT / "README.md").write_text(page(run), encoding="utf-8")
