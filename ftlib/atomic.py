"""Files that are written whole or not at all: beside the target first, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[str]]:
    """A text file (UTF-8, Unix line ends) to write into; it takes the place of `path` if the block ends well."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file; a reader sees the old one or the new one."""
    with replacing(path) as file:
        file.write(text)


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file; a reader sees the old one or the new one.

    Raises:
        ValueError: a number is infinite or NaN, which JSON cannot hold (see `ftlib.stats.intervals.as_json`).
    """
    with replacing(path) as file:
        json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """A JSON object; {} where the file is missing, broken or holds something else."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
