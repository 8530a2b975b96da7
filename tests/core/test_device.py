from __future__ import annotations

import subprocess
import sys

import torch

from ftlib.core import device


def test_describe_says_what_this_machine_is():
    found = device.describe()
    assert found.kind == ("cuda" if torch.cuda.is_available() else "cpu")
    assert found.compute_dtype == ("bfloat16" if found.bf16 else "float32")
    assert found.cores >= 1 and found.memory_bytes > 2**28 and found.name
    assert found.versions["torch"].startswith(torch.__version__.split("+")[0])
    assert any("bfloat16" in note for note in found.notes) is not found.bf16


def test_peak_memory_is_in_bytes_and_does_not_fall():
    before = device.peak_memory_bytes()
    assert 2**26 < before < device.cpu_memory_bytes()
    block = torch.ones(2**24)  # 64 MiB
    assert device.peak_memory_bytes() >= before and block.numel() == 2**24


def test_importing_the_room_loads_nothing_heavy():
    """bitsandbytes and matplotlib are loaded where they are used."""
    modules = "device quantize model lora batches loss plan optimizer compiling generate likelihood export train"
    code = (
        f"import sys, importlib\nfor m in {modules.split()!r}: importlib.import_module('ftlib.core.' + m)\n"
        "print([m for m in ('bitsandbytes', 'lancedb', 'matplotlib', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
