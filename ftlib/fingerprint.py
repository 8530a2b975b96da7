"""What a result depends on: SHA-256 of files and folders, versions of code and libraries, the machine."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from ftlib import __version__

SKIPPED_FOLDERS = {"checkpoints", "__pycache__"}  # intermediate work, no input of anything


def sha256(path: Path) -> str:
    """SHA-256 of a file, or of a folder as the digest of its files' names and digests.

    Hidden files, `checkpoints` and `__pycache__` do not count, so that a base model's
    digest does not change while its pretraining leaves checkpoints beside it.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    if not path.is_dir():
        stat = path.stat()
        return _file_sha256(str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    digest = hashlib.sha256()
    for file in files_under(path):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\n".encode())
    return digest.hexdigest()


def files_under(folder: Path) -> list[Path]:
    """The files that count as a folder's content, sorted by name."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("."))
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(found)


def sha256_text(value: Any) -> str:
    """SHA-256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@functools.lru_cache(maxsize=4096)
def _file_sha256(path: str, size: int, mtime_ns: int) -> str:
    # size and mtime are part of the cache's key: a changed file is read again
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code() -> dict[str, str]:
    """ftlib's version and the digest of its sources, so that a changed working copy shows."""
    package = Path(__file__).parent
    sources = [file for file in files_under(package) if file.suffix == ".py"]
    digests = [[file.relative_to(package).as_posix(), sha256(file)] for file in sources]
    return {"version": __version__, "sha256": sha256_text(digests)}


def libraries() -> dict[str, str]:
    """Installed version of every library that ftlib declares (and of Python), without importing any."""
    versions = {"python": platform.python_version()}
    for name in _declared():
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _declared() -> list[str]:
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    try:
        required = metadata.requires("ftlib") or []
    except metadata.PackageNotFoundError:  # used from a checkout that is not installed
        required = tomllib.loads(pyproject.read_text())["project"]["dependencies"] if pyproject.is_file() else []
    return sorted(re.match(r"[A-Za-z0-9_.-]+", line)[0] for line in required if "extra ==" not in line)


def hardware() -> dict[str, Any]:
    """The machine in a few words, without importing torch."""
    import psutil

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": _nvidia_gpus(),
    }


def _cpu_name() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _nvidia_gpus() -> list[str]:
    names = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        found = re.search(r"^Model:\s*(.+)$", file.read_text(errors="replace"), re.MULTILINE)
        names.append(found[1].strip() if found else "NVIDIA GPU")
    return names
