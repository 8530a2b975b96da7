"""What a training needs, found without its weights: bytes by what they are for, and how long its step takes at best."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import random
import tempfile
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch

from ftlib.core.hollow import HollowStep, hollow_model, hollow_step, nowhere, shallower
from ftlib.core.speed import Speed
from ftlib.machine import give_back_memory
from ftlib.recipe import Recipe

ADAM_BYTES = 8  # a trained number: two moments in float32
DEEPEST = 4  # layers of the model that is looked at; what a further one adds is known from them
_GAPS = 0.5  # of what a step's tensors take on a CPU: .43 and .50 on one model, .53 on another, docs/LOG.md
_GAPS_RECOMPUTING = 2  # times as many where activations are recomputed, which come and go with each layer; as there
_CODE_BLOCKS = 256  # scales that share a scale of their own, where they are quantized, too (bitsandbytes)
_FOUND: dict[str, TrainingMemory] = {}  # by what was asked: a run asks the same again and again


class TrainingMemory(NamedTuple):
    """Bytes that one training holds at its peak, by what they are for, and the work of a step.

    On a CPU that is the process's resident memory while it trains, its libraries included; loading may touch more for
    a moment, most of it pages of the published file, which the system takes back as it likes. On a GPU it is what
    tensors hold.
    """

    weights: int  # the frozen base as it is stored
    unpacked: int  # dequantized weights beside the 4-bit ones: all (cached) or the largest (streamed)
    trained: int  # adapter, or all weights in a full fine-tuning
    optimizer: int
    activations: int  # kept from forward for backward, up to the output layer
    working: int  # logits, gradients and what backward works with: the rest of a step's peak
    evaluating: int  # in the place of activations and working, while validation rows are scored
    gaps: int  # holes that a step leaves in the C library's heap; 0 on a GPU
    left: int  # what an evaluation leaves there beside the steps that follow; 0 on a GPU
    libraries: int  # the process without any tensor; 0 on a GPU, where it takes no memory of the device
    flops: float  # multiplications and additions of one optimizer step
    seconds: float  # of one optimizer step at the machine's best; a real one takes longer

    @property
    def stepping(self) -> int:
        """Bytes that a step adds to a loaded model, the optimizer's state included."""
        return self.optimizer + self.activations + self.working + self.gaps

    @property
    def added(self) -> int:
        """The most bytes that training adds to a loaded model, in a step or in an evaluation."""
        return max(self.stepping + self.left, self.optimizer + self.evaluating)

    @property
    def peak(self) -> int:
        """The most bytes at once."""
        return self.libraries + self.weights + self.unpacked + self.trained + self.added


def needed(
    config: Any,
    recipe: Recipe,
    *,
    dtype: torch.dtype,
    gemm: str,
    checkpointing: bool,
    rows: int,
    length: int,
    labelled: float = 1.0,
    attention: str | None = None,
    libraries: int = 0,
    gaps: float = 0.0,
    evaluated: int = 0,
    speed: Speed = Speed(),  # noqa: B008 (it is a constant)
) -> TrainingMemory:
    """What a training with this model and recipe holds at its peak.

    Args:
        config: transformers' of the model. recipe: its sections `model`, `lora`, `quantization` and `train`.
        dtype: what is computed in. gemm: "plain" (not quantized), "int8", "cached" or "streamed".
        checkpointing: whether activations are computed again in the backward pass.
        rows, length: of the largest micro-batch, in tokens. labelled: share of the tokens that are trained.
        attention: transformers' name; None for its own choice.
        libraries: bytes that the process holds without any tensor, from `library_bytes`.
        gaps: what the allocator holds besides, as a share of a step's tensors, from `heap_gaps`.
        evaluated: tokens of the largest batch in evaluation, as `device.tokens_that_fit` says; 0 leaves it out.
        speed: of the machine.

    Returns:
        The bytes.
    """
    layers = getattr(config.get_text_config(decoder=True), "num_hidden_layers", 0)
    whole = config.is_encoder_decoder or layers <= DEEPEST
    sizes = {"rows": rows, "length": length, "labelled": labelled, "evaluated": evaluated, "speed": speed}
    ways = {"attention": attention, "checkpointing": checkpointing}
    depths = (None,) if whole else (DEEPEST // 2, DEEPEST)
    found = [_at(shallower(config, depth), recipe, dtype, gemm, **ways, **sizes) for depth in depths]
    whole_model = _at_depth(found, layers)
    holes = round(gaps * (whole_model.activations + whole_model.working))
    left = 0
    if checkpointing and gaps:  # small tensors that come and go don't fill what an evaluation has left
        holes, left = _GAPS_RECOMPUTING * holes, whole_model.evaluating
    return whole_model._replace(libraries=libraries, gaps=holes, left=left)


def _at_depth(found: list[TrainingMemory], layers: int) -> TrainingMemory:
    """What a model of so many layers needs, from that of `DEEPEST // 2` and of `DEEPEST` layers: each adds the same."""
    if len(found) == 1:
        return found[0]
    few, more = found
    times = (layers - DEEPEST) / (DEEPEST - DEEPEST // 2)
    grown = (b + times * (b - a) for a, b in zip(few, more, strict=True))
    kept = (round(value) if isinstance(b, int) else value for b, value in zip(more, grown, strict=True))
    made = TrainingMemory(*kept)
    return made._replace(unpacked=max(more.unpacked, made.unpacked))


def _at(config: Any, recipe: Recipe, dtype, gemm: str, attention, checkpointing: bool, **sizes) -> TrainingMemory:
    """What a model of this very depth needs."""
    fused, train = gemm in ("plain", "cached"), recipe.train
    model_text = config.to_json_string(use_diff=False) + recipe.model_dump_json(
        include={"lora", "quantization", "model"}
    )
    sizes["micro_batches"] = min(2, train.accumulation)
    own = [str(dtype), gemm, attention, checkpointing, train.method, train.optimizer, train.accumulation]
    key = json.dumps([model_text, *own, *sizes.values()])
    if key not in _FOUND:
        with nowhere() as mode:
            model = hollow_model(config, recipe, dtype, attention, fused)
            if checkpointing:
                model.activation_checkpointing_enable({"use_reentrant": False})
            model.train()
            _FOUND[key] = _of_one(model, hollow_step(model, mode, dtype, **sizes), recipe, dtype, gemm)
    return _FOUND[key]


def _of_one(model: torch.nn.Module, step: HollowStep, recipe: Recipe, dtype: torch.dtype, gemm: str):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    stored, unpacked = _stored_bytes(model, frozen, recipe, dtype, gemm)
    return TrainingMemory(
        weights=stored,
        unpacked=unpacked,
        trained=sum(parameter.nbytes for parameter in trained),
        optimizer=optimizer_bytes(recipe.train.optimizer) * sum(parameter.numel() for parameter in trained),
        activations=step.kept,
        working=step.most - step.kept,
        evaluating=step.evaluating,
        gaps=0,
        left=0,
        libraries=0,
        flops=step.flops * recipe.train.accumulation,
        seconds=step.seconds * recipe.train.accumulation,
    )


def optimizer_bytes(name: str) -> int:
    """Bytes of state that an optimizer keeps for a trained number; AdamW's where nothing else is known of it.

    Args:
        name: transformers' own, the recipe's `train.optimizer`.
    """
    if "8bit" in name:
        return 2  # two moments of 8 bits
    return {"sgd": 0, "adafactor": 1, "lion_32bit": 4}.get(name, ADAM_BYTES)  # adafactor: rows' and columns' means


def _stored_bytes(model, frozen: list[torch.nn.Parameter], recipe: Recipe, dtype: torch.dtype, gemm: str):
    """Bytes of the frozen weights as stored, and of those that are unpacked beside."""
    whole = sum(parameter.nbytes for parameter in frozen) + sum(buffer.nbytes for buffer in model.buffers())
    if gemm == "plain":
        return whole, 0
    packed = _quantized_weights(model)
    numbers = sum(weight.numel() for weight in packed)
    rest = whole - sum(weight.nbytes for weight in packed)
    if gemm == "int8":
        return rest + numbers + 4 * sum(len(weight) for weight in packed), 0
    largest = max((weight.numel() for weight in packed), default=0)
    unpacked = dtype.itemsize * (numbers if gemm == "cached" else largest)
    return rest + round(numbers * bytes_in_4_bits(recipe.quantization)), unpacked


def _quantized_weights(model: torch.nn.Module) -> list[torch.Tensor]:
    """Weights (out, in) that bitsandbytes would store in 4 or 8 bits: of the layers that transformers hands to it."""
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers.base import HfQuantizer
    from transformers.quantizers.quantizers_utils import should_convert_module

    base = model.get_base_model() if hasattr(model, "peft_config") else model
    kept = HfQuantizer.get_modules_to_not_convert(base, None, base._keep_in_fp32_modules)
    found = {}
    for name, module in base.named_modules():
        layer = getattr(module, "base_layer", module)
        linear = type(layer) in (torch.nn.Linear, Conv1D) and not layer.weight.requires_grad  # adapters are linear, too
        if linear and should_convert_module(name.removesuffix(".base_layer"), kept):
            found[layer] = layer.weight.T if type(layer) is Conv1D else layer.weight
    return list(found.values())


def bytes_in_4_bits(quantization) -> float:
    """Bytes that a weight takes in 4 bits, its share of the block's scale included; the recipe's `quantization`."""
    block = getattr(quantization, "block_size", 64)
    scale = 1 + 4 / _CODE_BLOCKS if quantization.double_quant else 4
    return 0.5 + scale / block


def heap_gaps() -> float:
    """What the allocator holds beside a step's tensors, as a share of them: nothing where a GPU trains.

    The C library's heap can't close the holes that temporaries inside of operations leave between what is kept.
    """
    return 0.0 if torch.cuda.is_available() else _GAPS


def library_bytes() -> int:
    """Main memory that a training's process holds apart from its model; 0 where a GPU trains.

    What the libraries take when they are loaded and what their kernels take when they first run is measured: a model
    of a few numbers is trained.
    """
    if torch.cuda.is_available():
        return 0
    import psutil

    with contextlib.suppress(ImportError):
        import bitsandbytes  # noqa: F401
    _train_a_few_numbers()
    gc.collect()
    give_back_memory()
    return psutil.Process().memory_info().rss


def _train_a_few_numbers() -> None:
    import numpy
    from transformers import LlamaConfig, LlamaForCausalLM

    from ftlib.core.lora import for_training
    from ftlib.core.train import train

    recipe = Recipe.model_validate(
        {"name": "tiny", "data": {"path": "."}, "model": {"base": "."}, "train": {"epochs": 1}}
    )
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    row, tokenizer = {"input_ids": [1] * 8, "labels": [1] * 8}, SimpleNamespace(pad_token_id=0)
    states = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        model = for_training(LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes)), recipe)
        train(model, tokenizer, [row] * recipe.train.batch_rows, [row], folder, recipe)
    random.setstate(states[0])
    numpy.random.set_state(states[1])
