"""What a training needs, found without its weights: the real step runs on tensors that have a shape and no content."""

from __future__ import annotations

import contextlib
import copy
import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ftlib.core.batches import PaddingCollator
from ftlib.core.lora import add_lora
from ftlib.core.loss import has_encoder, summed_loss
from ftlib.recipe import Recipe

ADAM_BYTES = 8  # a trained number: two moments in float32
DEEPEST = 4  # layers of the model that is looked at; what a further one adds is known from them
_FIRST_STEP_BYTES = 64 * 2**20  # modules and kernels that a first step brings in on a CPU: measured, docs/LOG.md
_CODE_BLOCKS = 256  # scales that share a scale of their own, where they are quantized, too (bitsandbytes)


class TrainingMemory(NamedTuple):
    """Bytes that one training holds at its peak, by what they are for, and the work of a step."""

    weights: int  # the frozen base as it is stored
    unpacked: int  # dequantized weights beside the 4-bit ones: all (cached) or the largest (streamed)
    trained: int  # adapter, or all weights in a full fine-tuning
    optimizer: int
    activations: int  # kept from forward for backward, up to the output layer
    working: int  # logits, gradients and what backward works with: the rest of the peak
    libraries: int  # the process without any tensor; 0 on a GPU, where it takes no memory of the device
    flops: float  # multiplications and additions of one optimizer step

    @property
    def peak(self) -> int:
        """The most bytes at once."""
        return sum(self[:7])


class TensorBytes(TorchDispatchMode):
    """Counts the bytes of the storages that live, as operations make them and Python lets go of them.

    Attributes:
        live: bytes now. most: the most so far. flops: operations of the products, as PyTorch counts them (its own
            FlopCounterMode would hold on to what recomputing lets go of).
    """

    def __init__(self, known: Iterable[torch.Tensor] = ()):
        super().__init__()
        self.live = self.most = self.flops = 0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()
        for tensor in known:
            self._seen.add(tensor.untyped_storage())

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Run one operation and look at what it made."""
        if operation is torch.ops.aten._local_scalar_dense.default:
            return 1  # a model asks whether all places of a row are used and rows are not packed: they are not
        made = operation(*args, **(kwargs or {}))
        if (count := flop_registry.get(operation._overloadpacket)) is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=made)
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                self._note(each.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._seen:
            self._seen.add(storage)
            size = storage.nbytes()
            self.live += size
            self.most = max(self.most, self.live)
            weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.live -= size


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
) -> TrainingMemory:
    """What a training with this model and recipe holds at its peak.

    Args:
        config: transformers' of the model. recipe: its sections `lora`, `quantization` and `train`.
        dtype: what is computed in. gemm: "plain" (not quantized), "int8", "cached" or "streamed".
        checkpointing: whether activations are computed again in the backward pass.
        rows, length: of the largest micro-batch, in tokens. labelled: share of the tokens that are trained.
        attention: transformers' name; None for its own choice.
        libraries: bytes that the process holds without any tensor.

    Returns:
        The bytes.
    """
    layers = getattr(config.get_text_config(decoder=True), "num_hidden_layers", 0)
    whole = config.is_encoder_decoder or layers <= DEEPEST
    found = []
    for depth in (None,) if whole else (DEEPEST // 2, DEEPEST):
        with _nowhere():
            model = _hollow_model(
                _shallower(config, depth), recipe, dtype, attention, fused=gemm in ("plain", "cached")
            )
            if checkpointing:
                model.activation_checkpointing_enable({"use_reentrant": False})
            model.train()
            step = _one_step(model, rows, length, labelled, min(2, recipe.train.accumulation))
        found.append(_of_one(model, step, recipe, dtype, gemm))
    return _at_depth(found, layers)._replace(libraries=libraries)


def _at_depth(found: list[TrainingMemory], layers: int) -> TrainingMemory:
    """What a model of so many layers needs, from that of `DEEPEST // 2` and of `DEEPEST` layers: each adds the same."""
    if len(found) == 1:
        return found[0]
    few, more = found
    times = (layers - DEEPEST) / (DEEPEST - DEEPEST // 2)
    grown = [round(b + times * (b - a)) for a, b in zip(few, more, strict=True)]
    return TrainingMemory(*grown)._replace(unpacked=max(more.unpacked, grown[1]))


def _shallower(config: Any, depth: int | None) -> Any:
    """The same configuration with fewer layers."""
    config = copy.deepcopy(config)
    text = config.get_text_config(decoder=True)
    if depth is not None:
        text.num_hidden_layers = depth
        if getattr(text, "layer_types", None):
            text.layer_types = text.layer_types[:depth]
    return config


def _of_one(model: torch.nn.Module, step: dict[str, float], recipe: Recipe, dtype: torch.dtype, gemm: str):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    stored, unpacked = _stored_bytes(model, frozen, recipe, dtype, gemm)
    return TrainingMemory(
        weights=stored,
        unpacked=unpacked,
        trained=sum(parameter.nbytes for parameter in trained),
        optimizer=optimizer_bytes(recipe.train.optimizer) * sum(parameter.numel() for parameter in trained),
        activations=step["kept"],
        working=step["most"] - step["kept"],
        libraries=0,
        flops=step["flops"] * recipe.train.accumulation,
    )


def optimizer_bytes(name: str) -> int:
    """Bytes of state that an optimizer keeps for a trained number; AdamW's where nothing else is known of it.

    Args:
        name: transformers' own, the recipe's `train.optimizer`.
    """
    if "8bit" in name:
        return 2  # two moments of 8 bits
    return {"sgd": 0, "adafactor": 1, "lion_32bit": 4}.get(name, ADAM_BYTES)  # adafactor: rows' and columns' means


@contextlib.contextmanager
def _nowhere():
    """Inside, new tensors have no content, and the random state is as before afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), torch.device("meta"):
        yield


def _hollow_model(config: Any, recipe: Recipe, dtype: torch.dtype, attention: str | None, fused: bool):
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    options = {"attn_implementation": attention} if attention else {}
    model = kind.from_config(config, dtype=dtype, trust_remote_code=recipe.model.trust_remote_code, **options)
    if recipe.train.method == "full":
        return model.float()
    model.requires_grad_(False)
    return add_lora(model, recipe.lora.model_copy(update={"fused": recipe.lora.fused and fused}), 0)


def _one_step(model: torch.nn.Module, rows: int, length: int, labelled: float, micro_batches: int) -> dict[str, float]:
    """Forward and backward of a step: `kept` and `most` bytes, and the `flops` of one micro-batch."""
    with torch.device("cpu"):
        batch = PaddingCollator(0, encoder_decoder=has_encoder(model))(_rows(rows, length, labelled))
    batch = {name: tensor.to("meta") for name, tensor in batch.items()}
    watched, seen = TensorBytes([*model.parameters(), *model.buffers(), *batch.values()]), {"kept": 0}
    noted = model.get_output_embeddings().register_forward_pre_hook(lambda *_: seen.update(kept=watched.live))
    with watched:
        for _ in range(micro_batches):
            summed_loss(model, batch).backward()
    noted.remove()
    return seen | {"most": watched.most, "flops": watched.flops / micro_batches}


def _rows(rows: int, length: int, labelled: float) -> list[dict[str, list[int]]]:
    masked = length - max(1, round(labelled * length))
    return [{"input_ids": [0] * length, "labels": [-100] * masked + [0] * (length - masked)} for _ in range(rows)]


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
    """Weights that bitsandbytes would store in 4 bits: of all linear layers but the output layer."""
    last = model.get_output_embeddings()
    layers = {getattr(module, "base_layer", module) for module in model.modules()}
    frozen = [layer for layer in layers if isinstance(layer, torch.nn.Linear) and layer is not last]
    return [layer.weight for layer in frozen if not layer.weight.requires_grad]


def bytes_in_4_bits(quantization) -> float:
    """Bytes that a weight takes in 4 bits, its share of the block's scale included; the recipe's `quantization`."""
    block = getattr(quantization, "block_size", 64)
    scale = 1 + 4 / _CODE_BLOCKS if quantization.double_quant else 4
    return 0.5 + scale / block


def library_bytes() -> int:
    """Main memory that this process holds with the libraries of a training and no model; 0 where a GPU trains."""
    if torch.cuda.is_available():
        return 0
    import psutil

    from ftlib.core import train, trainer  # noqa: F401 (their libraries take hundreds of MiB)

    with contextlib.suppress(ImportError):
        import bitsandbytes  # noqa: F401
    return psutil.Process().memory_info().rss + _FIRST_STEP_BYTES
