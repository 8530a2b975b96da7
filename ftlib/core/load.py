"""The base model as the recipe wants it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ftlib.core import device as devices
from ftlib.core.published import named_model
from ftlib.core.quantize import (
    blocks_of,
    bnb_config,
    cache_weights,
    choose_gemm,
    guard_cpu_repacking,
    linear_4bit,
    linear_8bit,
    misread_when_streamed,
)
from ftlib.core.sharding import is_split
from ftlib.data.tokens import is_encoder_decoder, load_tokenizer
from ftlib.machine import give_back_memory
from ftlib.progress import without_library_bars
from ftlib.recipe import Recipe

_EAGER_UP_TO = 512  # tokens of a row; on a CPU, see docs/LOG.md


def load_base(recipe: Recipe, *, tokenizer=None):
    """Load the frozen base model, quantized as the recipe says, in eval mode.

    Args:
        recipe: its sections `model` and `quantization` are read.
        tokenizer: one that is loaded already.

    Returns:
        (model, tokenizer). `model.gemm_reason` says what the matrix products run in and why, `attention_reason` how
        attention is computed.

    Raises:
        UserError: there is no such model.
    """
    section, machine = recipe.model, devices.describe()
    options = section.model_dump(include={"revision", "trust_remote_code"})
    tokenizer = tokenizer or load_tokenizer(section)
    dtype = compute_dtype(section.dtype, machine)
    if recipe.quantization.load_in_4bit or recipe.quantization.load_in_8bit:
        storage = dtype if is_split() else torch.uint8  # only what might have a gradient is split
        options["quantization_config"] = bnb_config(recipe.quantization, dtype, storage)
    attention, why = choose_attention(section.attention, machine.kind, recipe.train.max_length)
    options |= {"attn_implementation": attention} if attention else {}
    with named_model(section.base), _quiet_loading(), blocks_of(recipe.quantization.block_size):
        model = model_class(recipe).from_pretrained(
            section.base, dtype=dtype, device_map={"": _place(machine)}, use_safetensors=True, **options
        )
    if "quantization_config" in options:
        _let_go_of_file(model)
    model.gemm_reason = _prepare_gemm(model, recipe.quantization, dtype, machine)
    model.attention_reason = why
    model.requires_grad_(False)
    give_back_memory()  # quantizing leaves as much freed as the model takes
    return model.eval(), tokenizer


def _let_go_of_file(model: torch.nn.Module) -> None:
    """Copy what was not quantized: on a CPU it lies in pages of the published file, and one of them keeps all."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu" and tensor.is_floating_point():
            tensor.data = tensor.data.clone()


def choose_attention(wanted: str, device: str, longest: int) -> tuple[str | None, str]:
    """Which of transformers' attentions computes, and why.

    Args:
        wanted: the recipe's `model.attention`.
        device: "cpu", "cuda" or "mps".
        longest: tokens of the longest row in training.

    Returns:
        (`attn_implementation`, or None for transformers' own choice; one line of reason).
    """
    if wanted != "auto":
        return wanted, f"attention: {wanted}, as the recipe says"
    if device == "cpu" and longest <= _EAGER_UP_TO:  # PyTorch's CPU kernel is slow in the backward pass of short rows
        return "eager", f"attention: eager, because rows have at most {longest} tokens and this is a CPU"
    return None, "attention: transformers' choice for this model"


def model_class(recipe: Recipe) -> type:
    """transformers' class for the recipe's base: a causal language model's or an encoder-decoder's."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if is_encoder_decoder(recipe.model) else AutoModelForCausalLM


def _place(machine: devices.Device) -> str:
    """With its index: Trainer takes "cuda" for another device than its own "cuda:0", and each process has its own.

    What is going to be split waits in main memory: the whole of it need not fit on a GPU.
    """
    if is_split():
        return "cpu"
    return f"cuda:{torch.cuda.current_device()}" if machine.kind == "cuda" else machine.kind


def compute_dtype(wanted: str, machine: devices.Device) -> torch.dtype:
    """The recipe's dtype; "auto" is the one that the hardware multiplies fast."""
    return getattr(torch, machine.compute_dtype if wanted == "auto" else wanted)


def _prepare_gemm(model: torch.nn.Module, quantization, dtype: torch.dtype, machine: devices.Device) -> str:
    if quantization.load_in_8bit:
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # a line a layer and forward
        return f"gemm: {len(linear_8bit(model))} layers multiply whole numbers of 8 bits, outliers apart (LLM.int8)"
    if not quantization.load_in_4bit:
        return f"gemm: the base is not quantized and multiplies in {str(dtype).removeprefix('torch.')}"
    guard_cpu_repacking(model)
    layers = linear_4bit(model)
    needed = sum(layer.in_features * layer.out_features for layer in layers) * dtype.itemsize
    choice, reason = choose_gemm(quantization.gemm, needed, devices.available_bytes())
    if choice == "cached":
        cache_weights(layers, dtype)
    elif machine.kind == "cpu" and (ragged := misread_when_streamed(layers)):
        cache_weights(ragged, dtype)
        reason += f"; {len(ragged)} of {len(layers)} layers cached all the same: their rows do not fill whole blocks"
    return reason


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """No progress bar per tensor and no notes on versions of other libraries."""
    with warnings.catch_warnings(), without_library_bars():
        warnings.simplefilter("ignore", FutureWarning)
        yield
