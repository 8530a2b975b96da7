"""Loading: the tokenizer, the base model as the recipe wants it, and the fine-tuned one."""
from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ftlib.core import device as devices
from ftlib.core.quantize import bnb_config, cache_weights, choose_gemm, guard_cpu_repacking, linear_4bit
from ftlib.data import tokens
from ftlib.recipe import ModelRecipe, Recipe, UserError


def load_tokenizer(base: str, revision: str | None = None, trust_remote_code: bool = False):
    """Load a tokenizer that has a padding token.

    Args:
        base: a local folder or a hub name. revision: of the hub repository.
        trust_remote_code: run code that comes with the model.

    Returns:
        The tokenizer; where it has no padding token, the end-of-sequence token pads.

    Raises:
        UserError: there is no such model, or it has no tokenizer.
    """
    section = ModelRecipe(base=base, revision=revision, trust_remote_code=trust_remote_code)
    tokenizer = tokens.load_tokenizer(section)
    if tokenizer.eos_token_id is None:
        raise UserError.of(f"tokenizer of {base}", "an end-of-sequence token", "none", "choose a model that has one")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(recipe: Recipe, *, tokenizer=None):
    """Load the frozen base model, quantized as the recipe says, in eval mode.

    Args:
        recipe: its sections `model` and `quantization` are read.
        tokenizer: one that is loaded already.

    Returns:
        (model, tokenizer). `model.gemm_reason` says what the matrix products run in and why.

    Raises:
        UserError: there is no such model.
    """
    from transformers import AutoModelForCausalLM

    section, machine = recipe.model, devices.describe()
    options = {"revision": section.revision, "trust_remote_code": section.trust_remote_code}
    tokenizer = tokenizer or load_tokenizer(section.base, **options)
    dtype = compute_dtype(section.dtype, machine)
    if recipe.quantization.load_in_4bit:
        options["quantization_config"] = bnb_config(recipe.quantization, dtype)
    with _unknown_model(section.base), _quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(
            section.base, dtype=dtype, device_map={"": _place(machine)}, use_safetensors=True, **options)
    model.gemm_reason = _prepare_gemm(model, recipe.quantization, dtype)
    model.requires_grad_(False)
    return model.eval(), tokenizer


def _place(machine: devices.Device) -> str:
    """With its index, because Trainer takes "cuda" for another device than its own "cuda:0"."""
    return "cuda:0" if machine.kind == "cuda" else machine.kind


def compute_dtype(wanted: str, machine: devices.Device) -> torch.dtype:
    """The recipe's dtype; "auto" is the one that the hardware multiplies fast."""
    return getattr(torch, machine.compute_dtype if wanted == "auto" else wanted)


def _prepare_gemm(model: torch.nn.Module, quantization, dtype: torch.dtype) -> str:
    if not quantization.load_in_4bit:
        return f"gemm: the base is not quantized and multiplies in {str(dtype).removeprefix('torch.')}"
    guard_cpu_repacking(model)
    layers = linear_4bit(model)
    needed = sum(layer.in_features * layer.out_features for layer in layers) * dtype.itemsize
    choice, reason = choose_gemm(quantization.gemm, needed, devices.available_bytes())
    if choice == "cached":
        cache_weights(model, dtype)
    return reason


def load_finetuned(recipe: Recipe, adapter_dir: str | Path):
    """Load the base with a trained adapter on it, in eval mode.

    Args:
        recipe: as for `load_base`. adapter_dir: a PEFT adapter in safetensors.

    Returns:
        (PeftModel, tokenizer).

    Raises:
        UserError: there is no adapter in that folder.
    """
    from peft import PeftModel

    from ftlib.core.lora import fuse, quiet_peft

    adapter_dir = Path(adapter_dir)
    if not (adapter_dir / "adapter_model.safetensors").is_file():
        raise UserError.of(str(adapter_dir), "a PEFT adapter (adapter_model.safetensors)", "no such file",
                           "run notebook 02 first, or correct the path")
    model, tokenizer = load_base(recipe)
    with quiet_peft():
        model = PeftModel.from_pretrained(model, str(adapter_dir), is_trainable=False, torch_device=str(model.device))
    if recipe.lora.fused:
        fuse(model)
    return model.eval(), tokenizer


def read_weight(recipe: Recipe, part: str = "layers.0.mlp.down_proj.weight") -> tuple[str, torch.Tensor]:
    """One matrix of the base as it was published, without loading the model.

    Args:
        recipe: names the base. part: the end of the tensor's name.

    Returns:
        Its name and the weight in float32.

    Raises:
        UserError: the base has no safetensors, or no tensor of that name.
    """
    from safetensors import safe_open
    from transformers.utils import cached_file

    base, revision = recipe.model.base, recipe.model.revision
    with _unknown_model(base):
        index = cached_file(base, "model.safetensors.index.json", revision=revision,
                            _raise_exceptions_for_missing_entries=False)
        files = {"model.safetensors"}
        if index is not None:
            files = set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
        for file in sorted(files):
            with safe_open(cached_file(base, file, revision=revision), framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (not a dict)
                    if name.endswith(part):
                        return name, tensors.get_tensor(name).float()
    raise UserError.of(f"model.base = {base}", f"a tensor named ...{part}", "none", "pass another part of a name")


@contextmanager
def _unknown_model(base: str) -> Iterator[None]:
    """Say which model was not found instead of showing where in the library it was missed."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError.of(f"model.base = {base}", "a folder with a causal language model, or a model on the hub",
                           reason, "correct model.base; offline, download the model first") from error


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """No progress bar per tensor and no notes on versions of other libraries."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            logging.enable_progress_bar()
