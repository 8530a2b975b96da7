"""Writes the table of docs/LICENCES.md: every pinned package with the licence that its installed version states.

Call it with `make licences`; what stands before the table stays.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "LICENCES.md"


def pinned() -> list[str]:
    """The names in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("==")[0] for line in lines if "==" in line and not line.startswith("#")]


def table(names: list[str]) -> str:
    """The rows as Markdown, of those packages that are installed; a licence given as its text is cut to its name."""
    options = ["--python", sys.executable, "--from=mixed", "--format=json", "--packages", *names]
    done = subprocess.run(["pip-licenses", *options], capture_output=True, text=True, check=True)
    rows = [(each["Name"], each["Version"], _short(each["License"])) for each in json.loads(done.stdout)]
    lines = [f"| {' | '.join(row)} |" for row in sorted(rows, key=lambda row: row[0].lower())]
    return "\n".join(["| package | version | licence |", "|---|---|---|", *lines]) + "\n"


def _short(licence: str) -> str:
    line = next((part.strip() for part in licence.splitlines() if part.strip()), "not stated")
    return re.sub(r"\s*\|\s*", " or ", line)


if __name__ == "__main__":
    head = PAGE.read_text(encoding="utf-8").partition("| package |")[0]
    PAGE.write_text(head + table(pinned()), encoding="utf-8")
