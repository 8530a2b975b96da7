from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from ftlib import machine
from ftlib.core import device


def test_describe_says_what_this_machine_is():
    found = device.describe()
    assert found.kind == ("cuda" if torch.cuda.is_available() else "cpu")
    assert found.compute_dtype == ("bfloat16" if found.bf16 else "float32")
    assert found.cores >= 1 and found.memory_bytes > 2**28 and found.name
    assert found.versions["torch"].startswith(torch.__version__.split("+")[0])
    assert any("bfloat16" in note for note in found.notes) is not found.bf16


def test_peak_memory_is_in_bytes_and_does_not_fall():
    before = device.peak_device_bytes()
    assert 2**26 < before < machine.cpu_memory_bytes()
    block = torch.ones(2**24)  # 64 MiB
    assert device.peak_device_bytes() >= before and block.numel() == 2**24


def test_importing_the_room_loads_nothing_heavy():
    """bitsandbytes and matplotlib are loaded where they are used."""
    modules = "device compiling quantize load lora batches packing feed loss plan generate engine train"
    code = (
        f"import sys, importlib\nfor m in {modules.split()!r}: importlib.import_module('ftlib.core.' + m)\n"
        "print([m for m in ('bitsandbytes', 'lancedb', 'matplotlib', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bitsandbytes_is_imported_without_a_word():
    """On processors with bf16 hardware it logs that a kernel of the hub's was not found."""
    code = "import ftlib.core, bitsandbytes, peft, transformers"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_a_forward_takes_as_many_tokens_as_the_free_memory_holds(adapted, monkeypatch):
    model, _ = adapted()
    found = []
    for free in (0, 2**24, 2**25, 2**50):
        monkeypatch.setattr(device, "available_bytes", lambda free=free: free)
        found.append(device.tokens_that_fit(model))
    assert found[0] == 1 and found[2] == pytest.approx(2 * found[1], rel=0.01)
    assert found[3] == device.MOST_TOKENS["cpu"]
    a_token = 4 * 3 * model.config.vocab_size  # its logits alone, and what is made of them
    assert found[1] * a_token < 2**24 / 4


def test_a_processor_that_only_emulates_bfloat16_computes_in_float32():
    """The same processor, kept from its newer instructions, is one."""
    old = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "CUDA_VISIBLE_DEVICES": ""}
    code = "from ftlib.core import device; print(device.describe().compute_dtype, device.bf16_speedup() < 1)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | old, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["float32", "True"]
