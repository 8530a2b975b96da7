"""A training's own step on tensors that have a shape and no content: the bytes that live at once, and the work."""

from __future__ import annotations

import contextlib
import copy
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ftlib.core.batches import PaddingCollator
from ftlib.core.lora import add_lora, base_weight, fused_adapter, lora_layers
from ftlib.core.loss import has_encoder, labelled_logits, summed_loss
from ftlib.core.speed import Speed
from ftlib.recipe import Recipe

_aten = torch.ops.aten
_ASKED = {_aten._local_scalar_dense.default, _aten.item.default}
_NOT_MOVED = {_aten._unsafe_view.default, _aten.empty.memory_format, _aten.empty_like.default}


class HollowStep(NamedTuple):
    """What one step of a model makes, beside its weights."""

    kept: int  # bytes that forward keeps for backward, up to the output layer
    most: int  # bytes at the peak of forward and backward, gradients included
    evaluating: int  # bytes at the peak of a forward without gradients, merged weights included
    flops: float  # of one micro-batch
    seconds: float  # of one micro-batch, where each operation runs at the machine's best


class TensorBytes(TorchDispatchMode):
    """Counts the bytes of the storages that live, as operations make them and Python lets go of them.

    Args:
        known: tensors that are not to be counted. speed: of the machine.

    Attributes:
        live: bytes now. most: the most so far. flops: operations of the products, as PyTorch counts them (its own
            FlopCounterMode would hold on to what recomputing lets go of). seconds: that all of it takes at best, an
            operation as long as its products or its bytes do, whichever is longer.
    """

    def __init__(self, known: Iterable[torch.Tensor] = (), speed: Speed = Speed()):  # noqa: B008 (it is a constant)
        super().__init__()
        self.live = self.most = self.flops = 0
        self.speed, self.seconds = speed, 0.0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()
        for tensor in known:
            self._seen.add(tensor.untyped_storage())

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Run one operation and look at what it made."""
        if operation in _ASKED:
            return 1  # a model asks whether all places of a row are used and rows are not packed: they are not
        made = operation(*args, **(kwargs or {}))
        results = [each for each in tree_leaves(made) if isinstance(each, torch.Tensor)]
        count = flop_registry.get(operation._overloadpacket)
        flops = count(*args, **(kwargs or {}), out_val=made) if count is not None else 0
        self.flops += flops
        if not operation.is_view and operation not in _NOT_MOVED:
            read = (each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor))
            moved = sum(each.nbytes for each in (*read, *results))
            self.seconds += max(flops / self.speed.flops, moved / self.speed.bytes)
        for each in results:
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


@contextlib.contextmanager
def nowhere() -> Iterator[Any]:
    """Inside, new tensors say that they lie on the CPU and have no content; random numbers are as before afterwards.

    PyTorch's fake tensors choose kernels and precision as real ones do, which those of the device "meta" do not.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers.utils import import_utils

    gpus, known = range(torch.cuda.device_count()), import_utils.is_fake_tensor
    import_utils.is_fake_tensor = lambda tensor: False  # else attention takes its masks for traced ones, and makes all
    try:
        with torch.random.fork_rng(devices=gpus), FakeTensorMode(allow_non_fake_inputs=True) as mode:
            yield mode
    finally:
        import_utils.is_fake_tensor = known


def hollow_model(config: Any, recipe: Recipe, dtype: torch.dtype, attention: str | None, fused: bool):
    """The recipe's model, ready to be trained; inside of `nowhere`.

    Args:
        config: transformers' of the base. recipe: its sections `model`, `lora` and `train`.
        dtype: what is computed in. attention: transformers' name; None for its own choice.
        fused: whether the frozen weights exist in that dtype, so that the fused adapters run.
    """
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    attention = "sdpa" if attention and "flash" in attention else attention  # it keeps as much, and needs no package
    options = {"attn_implementation": attention} if attention else {}
    with unset_fake_temporarily(), torch.device("meta"):
        model = kind.from_config(config, dtype=dtype, trust_remote_code=recipe.model.trust_remote_code, **options)
        if recipe.train.method == "full":
            model = model.float()
        else:
            model.requires_grad_(False)
            model = add_lora(model, recipe.lora.model_copy(update={"fused": recipe.lora.fused and fused}), 0)
    return _on_cpu(model)


def _on_cpu(model: torch.nn.Module) -> torch.nn.Module:
    """The model with PyTorch's fake tensors in the place of those on the device "meta"; what was tied stays so."""
    made: dict[torch.Tensor, torch.Tensor] = {}
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None and tensor not in made:
                    made[tensor] = torch.empty_like(tensor, device="cpu", requires_grad=False)
                    if isinstance(tensor, torch.nn.Parameter):
                        made[tensor] = torch.nn.Parameter(made[tensor], tensor.requires_grad)
                held[name] = None if tensor is None else made[tensor]
    return model


def shallower(config: Any, depth: int | None) -> Any:
    """The same configuration with so many layers; None leaves them as they are."""
    config = copy.deepcopy(config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    text = config.get_text_config(decoder=True)
    if depth is not None:
        text.num_hidden_layers = depth
        if getattr(text, "layer_types", None):
            text.layer_types = text.layer_types[:depth]
    return config


def hollow_step(
    model: torch.nn.Module,
    mode: Any,
    dtype: torch.dtype,
    *,
    rows: int,
    length: int,
    labelled: float,
    micro_batches: int = 1,
    evaluated: int = 0,
    speed: Speed = Speed(),  # noqa: B008 (it is a constant)
) -> HollowStep:
    """Forward and backward of a step, and one forward of an evaluation.

    Args:
        model: from `hollow_model`. mode: what `nowhere` gave. dtype: what is computed in.
        rows, length: of a micro-batch, in tokens. labelled: share of the tokens that are trained.
        micro_batches: of the step. evaluated: tokens of a batch in evaluation; 0 leaves it out.
        speed: of the machine.
    """
    batch = _batch(model, mode, rows, length, labelled)
    watched, seen = TensorBytes([*model.parameters(), *model.buffers(), *batch.values()], speed), {"kept": 0}
    noted = model.get_output_embeddings().register_forward_pre_hook(lambda *_: seen.update(kept=watched.live))
    with watched:
        for _ in range(micro_batches):
            with _autocast(dtype):
                loss = summed_loss(model, batch)
            loss.backward()
            del loss
    noted.remove()
    model.zero_grad()
    evaluating = _evaluation(model, mode, dtype, evaluated, length, labelled) if evaluated else 0
    flops, seconds = watched.flops / micro_batches, watched.seconds / micro_batches
    return HollowStep(seen["kept"], watched.most, evaluating, flops, seconds)


def _evaluation(model, mode, dtype: torch.dtype, tokens: int, length: int, labelled: float) -> int:
    """As `loss.log_likelihood` computes; that merges fused adapters into a copy of each weight first."""
    each = length + (_labels(length, labelled) if has_encoder(model) else 0)
    batch = _batch(model, mode, max(1, tokens // each), length, labelled)
    watched = TensorBytes([*model.parameters(), *model.buffers(), *batch.values()])
    with torch.no_grad(), watched, _autocast(dtype):
        logits = labelled_logits(model, batch)
        F.cross_entropy(logits, batch["targets"], reduction="none")
    fused = [layer.base_layer for layer in lora_layers(model) if fused_adapter(layer) is not None]
    return watched.most + sum(base_weight(layer).nbytes for layer in fused)


def _autocast(dtype: torch.dtype):
    """As the trainer does it: in its products' precision where that is not float32."""
    return contextlib.nullcontext() if dtype == torch.float32 else torch.autocast("cpu", dtype)


def _labels(length: int, labelled: float) -> int:
    return max(1, round(labelled * length))


def _batch(model, mode, rows: int, length: int, labelled: float) -> dict[str, torch.Tensor]:
    from torch._subclasses.fake_tensor import unset_fake_temporarily

    written, both = _labels(length, labelled), has_encoder(model)
    labels = [0] * written if both else [-100] * (length - written) + [0] * written
    with unset_fake_temporarily(), torch.device("cpu"):  # the positions of the labels are looked for
        made = PaddingCollator(0, encoder_decoder=both)([{"input_ids": [0] * length, "labels": labels}] * rows)
    return {name: mode.from_tensor(tensor) for name, tensor in made.items()}
