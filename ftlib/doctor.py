"""`ftlib doctor`: what this machine has, what will and won't work on it, and why."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

from ftlib import __version__, machine
from ftlib.run import project_root

GIB = 2**30


def examine() -> str:
    """Look at hardware, libraries and tools.

    Returns:
        The report as text: facts, then one line a capability with its reason.
    """
    hardware, device = machine.hardware(), _device()
    facts = {
        "system": hardware["system"],
        "processor": f"{hardware['cpu']}, {hardware['cores']} cores",
        "memory": f"{hardware['memory_bytes'] / GIB:.1f} GiB, {_free_memory() / GIB:.1f} GiB free",
        "disk": f"{shutil.disk_usage(project_root()).free / GIB:.1f} GiB free at {project_root()}",
        "accelerator": device["name"] if device["kind"] != "cpu" else "none: everything runs on the CPU",
        "dtypes": device["dtypes"],
    }
    checks = [*_capabilities(device, hardware), *_tools()]
    lines = [f"ftlib {__version__}", "", *[f"  {key:<12} {value}" for key, value in facts.items()]]
    lines += ["", "What works:", *[f"  {'yes' if works else 'no ':<4} {what:<34} {why}" for what, works, why in checks]]
    lines += ["", "Libraries:", *[f"  {name:<26} {version}" for name, version in machine.libraries().items()]]
    return "\n".join(lines + [f"  note: {note}" for note in device["notes"]])


def _device() -> dict[str, Any]:
    """The device as ftlib.core sees it, in plain values."""
    from ftlib.core.device import describe, missing_for_compile

    found = describe()
    bf16 = "bf16 in hardware" if found.bf16 else "bf16 only emulated (slow), so float32 is used"
    return {
        "kind": found.kind,
        "name": found.name,
        "memory_bytes": found.memory_bytes,
        "lacks_for_compile": missing_for_compile(),
        "dtypes": f"computes in {str(found.compute_dtype).removeprefix('torch.')}; {bf16}",
        "notes": list(found.notes) if not isinstance(found.notes, str) else [found.notes] * bool(found.notes),
    }


def _capabilities(device: dict[str, Any], hardware: dict[str, Any]) -> list[tuple[str, bool, str]]:
    memory = device["memory_bytes"] if device["kind"] != "cpu" else hardware["memory_bytes"]
    where = "GPU" if device["kind"] != "cpu" else "CPU"
    checks = [_import_check("NF4 (bitsandbytes)", "bitsandbytes", f"4-bit storage on the {where}")]
    checks += [_import_check("LoRA (peft)", "peft", "adapters"), _import_check("search (lancedb)", "lancedb", "RAG")]
    lacks = device["lacks_for_compile"]
    why = f"it needs {lacks}; training runs eagerly" if lacks else "a compiler is there"
    checks.append(("torch.compile", not lacks, why))
    for name, need in [("the embedded default", 3), ("a 0.5B model, QLoRA", 4), ("a 7B model, QLoRA", 10)]:
        fits = memory >= need * GIB
        speed = "" if where == "GPU" or need == 3 else "; on a CPU it takes hours"
        checks.append((name, fits, f"wants about {need} GiB on the {where}, {memory / GIB:.1f} GiB are there{speed}"))
    return checks


def _import_check(what: str, module: str, use: str) -> tuple[str, bool, str]:
    try:
        importlib.import_module(module)
    except Exception as error:
        return what, False, f"{type(error).__name__}: {error}"
    return what, True, use


def _tools() -> list[tuple[str, bool, str]]:
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    hub = (
        "HF_HUB_OFFLINE is set: only what is in the cache"
        if offline
        else "names in model.base are downloaded on first use"
    )
    chromium = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    lab = importlib.util.find_spec("jupyterlab") is not None
    base = Path(project_root(), "data", "base_model", "config.json")
    return [
        (
            "embedded base model",
            base.is_file(),
            str(base.parent) if base.is_file() else f"{base} is not there: python data/base_model/make.py",
        ),
        ("models from the hub", not offline, hub),
        ("JupyterLab", lab, "make lab" if lab else "pip install jupyterlab"),
        (
            "browser tests",
            chromium is not None,
            chromium or "Chromium is not installed; only the tests in tests/browser need it",
        ),
    ]


def _free_memory() -> int:
    import psutil

    return psutil.virtual_memory().available
