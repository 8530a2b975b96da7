"""This machine and what is installed on it, found without importing torch or any other heavy library."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any


def hardware() -> dict[str, Any]:
    """The machine in a few words, as manifests keep it."""
    drivers = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cores": cpu_cores(),
        "memory_bytes": cpu_memory_bytes(),
        "gpus": [_after("Model:", file) or "NVIDIA GPU" for file in drivers],
    }


def libraries() -> dict[str, str]:
    """Installed version of every library that ftlib declares (and of Python), without importing any."""
    versions = {"python": platform.python_version()}
    for name in _declared():
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def cpu_name() -> str:
    """What the processor calls itself."""
    return _after(r"model name\s*:", Path("/proc/cpuinfo")) or platform.processor() or platform.machine()


def cpu_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_memory_bytes() -> int:
    """The machine's main memory, or the container's limit where that is lower."""
    import psutil

    total = psutil.virtual_memory().total
    limit = _after("", Path("/sys/fs/cgroup/memory.max"))
    return min(total, int(limit)) if limit.isdigit() else total


def give_back_memory() -> None:
    """Return freed memory to the system, as far as the C library can: glibc keeps what lies between used pieces."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other libraries have no such function
        ctypes.CDLL(None).malloc_trim(0)


def peak_memory_bytes() -> int:
    """The most main memory that this process has held at once."""
    if held := _after("VmHWM:", Path("/proc/self/status")):  # getrusage counts what the process that started this held
        return int(held.split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB on Linux


def _declared() -> list[str]:
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    if pyproject.is_file():  # a checkout, installed or not
        required = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        required = metadata.requires("ftlib") or []
    return sorted(re.match(r"[A-Za-z0-9_.-]+", line)[0] for line in required if "extra ==" not in line)


def _after(label: str, file: Path) -> str:
    """What stands behind a label in one of the kernel's files; "" where it has none."""
    try:
        found = re.search(rf"^{label}\s*(.+)$", file.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return ""
    return found[1].strip() if found else ""
