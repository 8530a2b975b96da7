"""`ftlib doctor`: what this machine has, what will and won't work on it, and why."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil

from ftlib import __version__, machine
from ftlib.run import project_file, project_root

GIB = 2**30
SIZES = {"the embedded default": 3, "a 0.5B model, QLoRA": 4, "a 7B model, QLoRA": 10}  # GiB
LIBRARIES = {"bitsandbytes": "NF4, 4-bit storage", "peft": "LoRA adapters", "lancedb": "search"}
Check = tuple[str, bool, str]  # what, whether it works, why


def examine() -> str:
    """Look at hardware, libraries and tools: a report of facts, then one line a capability with its reason."""
    import psutil

    from ftlib.core.device import describe

    hardware, device = machine.hardware(), describe()
    memory, free = (each / GIB for each in (hardware["memory_bytes"], psutil.virtual_memory().available))
    where, there = "CPU" if device.kind == "cpu" else "GPU", device.memory_bytes / GIB
    facts = {
        "system": hardware["system"],
        "processor": f"{hardware['cpu']}, {hardware['cores']} cores",
        "memory": f"{memory:.1f} GiB, {free:.1f} GiB free",
        "disk": f"{shutil.disk_usage(project_root()).free / GIB:.1f} GiB free at {project_root()}",
        "accelerator": device.name if device.kind != "cpu" else "none: everything runs on the CPU",
        "dtypes": f"computes in {device.compute_dtype}; bf16 {'in hardware' if device.bf16 else 'emulated (slow)'}",
    }
    why = "a compiler is there" if device.compiler else "training runs eagerly; the note at the end says why"
    checks = [*map(_library, LIBRARIES), ("torch.compile", device.compiler, why)]
    checks += [*(_fits(what, where, there) for what in SIZES), *_tools()]
    lines = [f"ftlib {__version__}", "", *[f"  {key:<12} {value}" for key, value in facts.items()]]
    lines += ["", "What works:", *[f"  {'yes' if works else 'no ':<4} {what:<34} {why}" for what, works, why in checks]]
    lines += ["", "Libraries:", *[f"  {name:<26} {version}" for name, version in machine.libraries().items()]]
    return "\n".join(lines + [f"  note: {note}" for note in device.notes])


def _library(module: str) -> Check:
    try:
        importlib.import_module(module)
    except Exception as error:
        return module, False, f"{type(error).__name__}: {error}"
    return module, True, LIBRARIES[module]


def _fits(what: str, where: str, there: float) -> Check:
    need = SIZES[what]
    slow = "; on a CPU it takes hours" if where == "CPU" and need > 3 else ""
    return what, there >= need, f"wants about {need} GiB on the {where}, {there:.1f} GiB are there{slow}"


def _tools() -> list[Check]:
    base = project_file("data/base_model")
    made = (base / "config.json").is_file()
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    hub = "HF_HUB_OFFLINE is set: only what is in the cache" if offline else "on first use, if reached (not tried)"
    lab = importlib.util.find_spec("jupyterlab") is not None
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return [
        ("embedded base model", made, str(base) if made else f"not in {base}: python data/base_model/make.py"),
        ("models from the hub", not offline, hub),
        ("JupyterLab", lab, "make lab" if lab else "pip install jupyterlab"),
        ("browser tests", bool(chromium), chromium or "Chromium is not installed; only tests/browser needs it"),
    ]
