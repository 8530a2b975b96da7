"""Loading: the base model as the recipe wants it, with one adapter on it or several."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from ftlib.core import device as devices
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
from ftlib.data.tokens import is_encoder_decoder, load_tokenizer
from ftlib.errors import UserError
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
        options["quantization_config"] = bnb_config(recipe.quantization, dtype)
    attention, why = choose_attention(section.attention, machine.kind, recipe.train.max_length)
    options |= {"attn_implementation": attention} if attention else {}
    with _unknown_model(section.base), _quiet_loading(), blocks_of(recipe.quantization.block_size):
        model = model_class(recipe).from_pretrained(
            section.base, dtype=dtype, device_map={"": _place(machine)}, use_safetensors=True, **options
        )
    model.gemm_reason = _prepare_gemm(model, recipe.quantization, dtype)
    model.attention_reason = why
    model.requires_grad_(False)
    return model.eval(), tokenizer


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
    """With its index: Trainer takes "cuda" for another device than its own "cuda:0", and each process has its own."""
    return f"cuda:{torch.cuda.current_device()}" if machine.kind == "cuda" else machine.kind


def compute_dtype(wanted: str, machine: devices.Device) -> torch.dtype:
    """The recipe's dtype; "auto" is the one that the hardware multiplies fast."""
    return getattr(torch, machine.compute_dtype if wanted == "auto" else wanted)


def _prepare_gemm(model: torch.nn.Module, quantization, dtype: torch.dtype) -> str:
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
    elif ragged := misread_when_streamed(layers):
        cache_weights(ragged, dtype)
        reason += f"; {len(ragged)} of {len(layers)} layers cached all the same: their rows do not fill whole blocks"
    return reason


def load_finetuned(recipe: Recipe, adapter: str | Path):
    """Load the base with a trained adapter on it, in eval mode.

    Args:
        recipe: as for `load_base`.
        adapter: the folder or hub name of a PEFT adapter in safetensors, or the folder of a whole model.

    Returns:
        (PeftModel, or the whole model, and the base's tokenizer).

    Raises:
        UserError: there is no such adapter, or it belongs to another base.
    """
    if is_whole_model(adapter):
        return load_whole(recipe, adapter)
    _check_adapter(adapter)
    model, tokenizer = load_base(recipe)
    return attach_adapters(model, {"default": adapter}, recipe.lora.fused), tokenizer


def is_whole_model(path: str | Path) -> bool:
    """Whether a folder holds a whole model, as `train.method: full` writes it, and no adapter."""
    return (Path(path) / "config.json").is_file() and not (Path(path) / "adapter_config.json").is_file()


def load_whole(recipe: Recipe, folder: str | Path, *, tokenizer=None):
    """Load a fine-tuned model in the base's place, stored and computed as the recipe says of the base.

    Args:
        recipe: as for `load_base`. folder: what `is_whole_model` holds for.
        tokenizer: the base's, if it is loaded already.

    Returns:
        (model, tokenizer), the model in eval mode.

    Raises:
        UserError: its shape is not the base's.
    """
    found, wanted = (_shape(recipe, base) for base in (str(folder), None))
    itself = Path(folder).resolve() == Path(recipe.model.base).resolve()
    if itself or found != wanted:
        expected = f"a PEFT adapter (adapter_model.safetensors), or a fine-tuned model shaped as the base: {wanted}"
        told = "the base itself" if itself else str(found)
        raise UserError.of(str(folder), expected, told, "correct the system's adapter, or model.base")
    tokenizer = tokenizer or load_tokenizer(recipe.model)  # its own is the same, but prompts are to be, too
    section = recipe.model.model_copy(update={"base": str(folder), "revision": None})
    return load_base(recipe.model_copy(update={"model": section}), tokenizer=tokenizer)


def attach_adapters(
    model: torch.nn.Module, adapters: Mapping[str, str | Path], fused: bool, *, trainable: bool = False
) -> torch.nn.Module:
    """Put trained adapters on a base, all on one copy of its weights; the first is switched on.

    Args:
        model: from `load_base`.
        adapters: folder or hub name of each, by the name under which PEFT is to know it; at least one.
        fused: as the recipe's `lora.fused`.
        trainable: whether they are going to be trained on.

    Returns:
        A PeftModel in eval mode.

    Raises:
        UserError: there is no such adapter, or it belongs to another base.
    """
    from peft import PeftModel

    from ftlib.core.lora import fuse, quiet_peft, require_readable

    place = {"is_trainable": trainable, "torch_device": str(model.device)}
    for name, adapter in adapters.items():
        _check_adapter(adapter)
        with quiet_peft(), _foreign_adapter(adapter):
            if not isinstance(model, PeftModel):
                model = PeftModel.from_pretrained(model, str(adapter), adapter_name=name, **place)
            else:
                model.load_adapter(str(adapter), adapter_name=name, **place)
    if fused:
        fuse(model)
    require_readable(model)
    return model.eval()


def read_weight(recipe: Recipe) -> tuple[str, torch.Tensor]:
    """One large matrix of the base as it was published, without loading the model: the first of its layers' largest.

    Embeddings are left aside: they have the vocabulary's size, or occur once where a layer's matrices
    occur once a layer.

    Args:
        recipe: names the base.

    Returns:
        Its name and the weight in float32.

    Raises:
        UserError: the base has no safetensors.
    """
    from safetensors import safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    files: dict[str, Path] = {}
    for file in _weight_files(recipe):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a dict)
                shapes[name], files[name] = tuple(tensors.get_slice(name).get_shape()), file
    name = _first_large_matrix(shapes, _shape(recipe)["vocab_size"])
    with safe_open(files[name], framework="pt") as tensors:
        return name, tensors.get_tensor(name).float()


def _first_large_matrix(shapes: Mapping[str, tuple[int, ...]], vocabulary: int) -> str:
    matrices = {name: shape for name, shape in shapes.items() if len(shape) == 2}
    inner = {name: shape for name, shape in matrices.items() if vocabulary not in shape} or matrices
    times = Counter(inner.values())
    best = max(times, key=lambda shape: (times[shape] > 1, shape[0] * shape[1]))
    by_number = lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    return min((name for name, shape in inner.items() if shape == best), key=by_number)


def _shape(recipe: Recipe, folder: str | None = None) -> dict[str, object]:
    """What makes weights of one model fit another, of the base or of a model in a folder."""
    from transformers import AutoConfig

    options = recipe.model.model_dump(include={"trust_remote_code"} | (set() if folder else {"revision"}))
    config = AutoConfig.from_pretrained(folder or recipe.model.base, **options).get_text_config(decoder=True)
    names = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")
    return {name: getattr(config, name) for name in names}


def _weight_files(recipe: Recipe) -> list[Path]:
    from transformers.utils import cached_file

    base, revision = recipe.model.base, recipe.model.revision
    with _unknown_model(base):
        index = cached_file(
            base, "model.safetensors.index.json", revision=revision, _raise_exceptions_for_missing_entries=False
        )
        names = {"model.safetensors"}
        if index is not None:
            names = set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
        return [Path(cached_file(base, name, revision=revision)) for name in sorted(names)]


def _check_adapter(adapter: str | Path) -> None:
    folder = Path(adapter)
    if (folder.is_absolute() or folder.exists()) and not (folder / "adapter_model.safetensors").is_file():
        raise UserError.of(
            str(folder),
            "a PEFT adapter (adapter_model.safetensors)",
            "no such file",
            "run notebook 02 first, or correct the path",
        )


@contextmanager
def _foreign_adapter(adapter: str | Path) -> Iterator[None]:
    """Say which adapter does not fit instead of listing every tensor."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError.of(
            f"adapter {adapter}",
            "a PEFT adapter in safetensors, trained on this base",
            " ".join(str(error).split())[:300],
            "correct the system's adapter, or model.base",
        ) from error


@contextmanager
def _unknown_model(base: str) -> Iterator[None]:
    """Say which model was not found instead of showing where in the library it was missed."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError.of(
            f"model.base = {base}",
            "a folder with a language model in safetensors, or a model on the hub",
            reason,
            "correct model.base; offline, download the model first",
        ) from error


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """No progress bar per tensor and no notes on versions of other libraries."""
    from transformers.utils import logging as hf_logging

    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()
