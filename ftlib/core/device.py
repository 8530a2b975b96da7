"""What this machine is: the device, its memory, what it computes fast."""
from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "datasets", "safetensors", "numpy")


class Device(NamedTuple):
    """The machine as far as training cares; see `describe`."""

    kind: str  # "cuda" or "cpu"
    name: str
    cores: int  # processor cores this process may use
    memory_bytes: int  # of the device that holds the model
    bf16: bool  # whether bfloat16 products run in hardware
    compute_dtype: str  # "bfloat16" or "float32": the fast one here
    compiler: bool  # whether torch.compile finds what it needs
    versions: dict[str, str]
    notes: list[str]  # what won't work here or is slow, and why


def describe() -> Device:
    """Look at the machine; the first GPU counts if there is one.

    Returns:
        The device with the notes that `ftlib doctor` prints.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else _cpu_bf16()
    missing = missing_for_compile()
    if on_gpu:
        properties = torch.cuda.get_device_properties(0)
        name, memory = properties.name, properties.total_memory
    else:
        name, memory = _cpu_name(), cpu_memory_bytes()
    return Device("cuda" if on_gpu else "cpu", name, _cores(), memory, bf16, "bfloat16" if bf16 else "float32",
                  missing is None, _versions(), _notes(on_gpu, bf16, missing))


def missing_for_compile() -> str | None:
    """What torch.compile needs and this machine lacks, or None.

    Its kernels are compiled on first use: for a CPU as C++; for a GPU by Triton, whose launchers are C. Images made
    for running PyTorch often have none of these compilers, and the failure would come in the first training step.
    """
    import torch

    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers (Python.h, of python3-dev)"
    if not torch.cuda.is_available():
        return None if any(map(shutil.which, ("g++", "clang++", "c++"))) else "a C++ compiler (g++)"
    if torch.version.hip is None and torch.cuda.get_device_capability(0) < (7, 0):
        return "a GPU of compute capability 7.0 or later"
    if importlib.util.find_spec("triton") is None:
        return "Triton"
    return None if os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang"))) else "a C compiler (gcc)"


def _notes(on_gpu: bool, bf16: bool, missing: str | None) -> list[str]:
    notes = []
    if not on_gpu:
        notes.append("no CUDA GPU: models up to some hundred million parameters train in reasonable time")
    if not bf16:
        notes.append("no bfloat16 hardware: computing in float32, which is faster here than emulated bfloat16")
    if missing:
        notes.append(f"torch.compile is off: it needs {missing}")
    return notes


def _cpu_bf16() -> bool:
    import torch

    # AVX512 without its BF16 part, and AVX2, emulate bfloat16 by converting to float32 and back.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_memory_bytes() -> int:
    """The machine's main memory, or the container's limit where that is lower."""
    import psutil

    total = psutil.virtual_memory().total
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def available_bytes() -> int:
    """Memory that is free now on the device that holds the model."""
    import psutil
    import torch

    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else psutil.virtual_memory().available


def peak_memory_bytes() -> int:
    """The most memory this process has held at once: on the GPU if there is one, else resident."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB on Linux


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "not installed"
    return versions
