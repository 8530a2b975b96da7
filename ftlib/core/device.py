"""What this machine offers to training: the device, its memory, what it computes fast."""

from __future__ import annotations

import functools
import time
from typing import NamedTuple

import torch

from ftlib import machine
from ftlib.core.compiling import missing_for_compile

MEMORY_SHARE = 4  # one forward without gradients may take a fourth of what is free
MOST_TOKENS = {"cuda": 65_536, "cpu": 4_096}  # of one forward: beyond these a larger batch is no faster
_PROBE = 384  # rows and columns of the matrices that are multiplied to find out what is fast


class Device(NamedTuple):
    """The machine as far as training cares; see `describe`."""

    kind: str  # "cuda" or "cpu"
    name: str
    cores: int  # processor cores this process may use
    memory_bytes: int  # of the device that holds the model
    bf16: bool  # whether products are faster in bfloat16 than in float32
    compute_dtype: str  # "bfloat16" or "float32": the fast one here
    compiler: bool  # whether torch.compile finds what it needs
    versions: dict[str, str]
    notes: list[str]  # what won't work here or is slow, and why


def describe() -> Device:
    """Look at the machine; the first GPU counts if there is one.

    Returns:
        The device with the notes that `ftlib doctor` prints.
    """
    on_gpu = torch.cuda.is_available()
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else bf16_speedup() > 1
    missing = missing_for_compile()
    if on_gpu:
        properties = torch.cuda.get_device_properties(0)
        name, memory = properties.name, properties.total_memory
    else:
        name, memory = machine.cpu_name(), machine.cpu_memory_bytes()
    return Device(
        "cuda" if on_gpu else "cpu",
        name,
        machine.cpu_cores(),
        memory,
        bf16,
        "bfloat16" if bf16 else "float32",
        missing is None,
        machine.libraries(),
        _notes(on_gpu, bf16, missing),
    )


def _notes(on_gpu: bool, bf16: bool, missing: str | None) -> list[str]:
    notes = []
    if not on_gpu:
        notes.append("no CUDA GPU: models up to some hundred million parameters train in reasonable time")
    if not bf16:
        notes.append("no bfloat16 hardware: computing in float32, which is faster here than emulated bfloat16")
    if missing:
        notes.append(f"torch.compile is off: it needs {missing}")
    return notes


@functools.cache
def bf16_speedup() -> float:
    """How many times as fast as in float32 this CPU multiplies matrices in bfloat16; measured, in a few milliseconds.

    Below 1 where it has no instructions for that and converts to float32 and back.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, passes = torch.ones(_PROBE, _PROBE, dtype=dtype), []
        for _ in range(8):  # of which the fastest counts: the first one prepares, and other work only slows down
            started = time.perf_counter()
            a @ a
            passes.append(time.perf_counter() - started)
        seconds[dtype] = min(passes)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def available_bytes() -> int:
    """Memory that is free now on the device that holds the model."""
    import psutil

    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else psutil.virtual_memory().available


def tokens_that_fit(model) -> int:
    """Tokens of one forward of a loaded model without gradients that leave most of the free memory free.

    Args:
        model: a transformers model, with or without PEFT.
    """
    return tokens_of_forward(model.config, model.dtype, model.device.type, available_bytes())


def tokens_of_forward(config, dtype: torch.dtype, device: str, free_bytes: int) -> int:
    """`tokens_that_fit`, from a model's configuration and the memory that there is.

    Counted are logits in float32 with their log-softmax, a generous number of hidden states a token, and the keys and
    values that generation keeps of it in every layer.

    Args:
        config: transformers' of the model. dtype: of its weights. device: "cuda", or any other.
        free_bytes: beside the loaded model.
    """
    text = config.get_text_config()
    kept = 2 * getattr(text, "num_hidden_layers", 0) * _key_width(text) * dtype.itemsize
    bytes_a_token = 4 * (3 * text.vocab_size + 24 * text.hidden_size) + kept
    most = MOST_TOKENS["cuda" if device == "cuda" else "cpu"]
    return max(1, min(most, free_bytes // MEMORY_SHARE // bytes_a_token))


def _key_width(config) -> int:
    """Numbers in a token's keys in one layer; one that keeps none, or others in each layer, counts as wide."""
    heads, shared = getattr(config, "num_attention_heads", None), getattr(config, "num_key_value_heads", None)
    if not isinstance(heads, int) or not isinstance(shared, int | None):
        return config.hidden_size
    return (getattr(config, "head_dim", None) or config.hidden_size // heads) * (shared or heads)


def held_bytes() -> int:
    """Memory that this process holds now: on the GPU if there is one, else in main memory."""
    import psutil

    return torch.cuda.memory_allocated() if torch.cuda.is_available() else psutil.Process().memory_info().rss


def peak_device_bytes() -> int:
    """The most memory this process has held at once: on the GPU if there is one, else in main memory."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else machine.peak_memory_bytes()
