"""Low-rank adapters: PEFT's LoRA, and a drop-in that computes them with fewer, larger operations."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F

from ftlib.core.loss import has_encoder


def add_lora(model: torch.nn.Module, lora, seed: int) -> torch.nn.Module:
    """Wrap a frozen base with a fresh LoRA adapter: y = W x + (alpha / r) B A x, B = 0 at the start.

    Args:
        model: the base. lora: the recipe's section (r, alpha, dropout, target_modules, fused).
        seed: of A's values; set here, so that nothing that ran before can change the adapter.

    Returns:
        A plain PeftModel whose adapter weights are float32.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias="none",
        target_modules=lora.target_modules,
        task_type=TaskType.SEQ_2_SEQ_LM if has_encoder(model) else TaskType.CAUSAL_LM,
    )
    torch.manual_seed(seed)
    with quiet_peft():
        adapted = get_peft_model(model, config)
    if lora.fused:
        fuse(adapted)
    return adapted


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence two warnings of peft 0.21's.

    It still reads a property that transformers 5.23 renamed, and it says where a layer keeps its weight
    transposed, for which it does the right thing.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to .*")
        yield


class LowRankLinear(torch.autograd.Function):
    """y = x W^T + b + s (d A^T) B^T with W frozen and d = x, or x after dropout: GEMMs and nothing else.

    PEFT composes the same from linear layers, whose clone, scaling and addition each pass over the
    output once more, in forward and in backward; on small models these passes cost as much as the products.
    """

    @staticmethod
    def forward(ctx, x, dropped, weight, bias, a, b, scaling):
        """x, dropped (rows, in) or None, weight (out, in), bias (out,) or None, a (r, in), b (out, r): (rows, out)."""
        source = x if dropped is None else dropped
        low = source @ a.T  # (rows, r)
        y = F.linear(x, weight, bias)
        y.addmm_(low, b.T, alpha=scaling)
        ctx.save_for_backward(source, low, weight, a, b)
        ctx.scaling, ctx.split = scaling, dropped is not None
        return y

    @staticmethod
    def backward(ctx, grad):
        """grad (rows, out) -> gradients of x, dropped, a and b; W is frozen and has none."""
        source, low, weight, a, b = ctx.saved_tensors
        grad_low = grad @ b  # (rows, r)
        grad_x = grad_dropped = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            if not ctx.split:
                grad_x.addmm_(grad_low, a, alpha=ctx.scaling)
        if ctx.needs_input_grad[1]:
            grad_dropped = (grad_low @ a) * ctx.scaling
        grad_a, grad_b = (grad_low.T @ source) * ctx.scaling, (grad.T @ low) * ctx.scaling
        return grad_x, grad_dropped, None, None, grad_a, grad_b, None


class FusedLora:
    """Mixed into PEFT's LoRA layers; keeps parameters and state dict, replaces the arithmetic.

    In eval mode without gradients the adapter is added to a copy of the weight, so that one GEMM is
    left; the copy is made anew whenever the adapter has changed or another is switched on (as autograd
    counts changes in place: what writes through `.data` is not seen).
    """

    def forward(self, x: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        """(..., in) -> (..., out); what the drop-in doesn't cover goes PEFT's own way."""
        name = fused_adapter(self)
        if name is None or args or kwargs or self.disable_adapters or self.merged:
            return super().forward(x, *args, **kwargs)
        weight, bias = base_weight(self.base_layer), self.base_layer.bias
        a, b = self.lora_A[name].weight, self.lora_B[name].weight
        bias = None if bias is None else bias.to(weight.dtype)
        if not self.training and not torch.is_grad_enabled():
            return F.linear(x.to(weight.dtype), self._merged_weight(name, weight, a, b), bias).to(x.dtype)
        rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        dropped = self.lora_dropout[name](rows) if self.training and _drops(self, name) else None
        a, b = a.to(weight.dtype), b.to(weight.dtype)
        y = LowRankLinear.apply(rows, dropped, weight, bias, a, b, self.scaling[name])
        return y.view(*x.shape[:-1], -1).to(x.dtype)

    def _merged_weight(self, name, weight, a, b) -> torch.Tensor:
        key = (name, a.data_ptr(), a._version, b.data_ptr(), b._version, weight.data_ptr(), self.scaling[name])
        if self.__dict__.get("_merged_key") != key:
            merged = torch.addmm(weight.float(), b.float(), a.float(), alpha=self.scaling[name])
            self.__dict__["_merged_key"], self.__dict__["_merged"] = key, merged.to(weight.dtype)
        return self.__dict__["_merged"]

    def train(self, mode: bool = True):
        """Training gives the merged copy's memory back."""
        if mode:
            self.__dict__.pop("_merged_key", None)
            self.__dict__.pop("_merged", None)
        return super().train(mode)


def _drops(layer: torch.nn.Module, name: str) -> bool:
    return isinstance(layer.lora_dropout[name], torch.nn.Dropout)


def base_weight(layer: torch.nn.Module) -> torch.Tensor | None:
    """The frozen weight (out, in) that products run in; None where it exists in 4 bits only."""
    from transformers.pytorch_utils import Conv1D

    if hasattr(layer, "dequantized"):
        return layer.dequantized
    if type(layer) is Conv1D:
        return layer.weight.T  # kept as (in, out)
    return layer.weight if type(layer) is torch.nn.Linear else None


def fused_adapter(layer: torch.nn.Module) -> str | None:
    """The one adapter that a layer computes in the fused way; None where PEFT's own operations run."""
    if not isinstance(layer, FusedLora) or len(layer.active_adapters) != 1:
        return None
    name = layer.active_adapters[0]
    plain = name in layer.lora_A and name not in layer.lora_variant and not layer.lora_bias.get(name)
    return name if plain and base_weight(layer.base_layer) is not None else None


@functools.cache
def _fused_class(peft_class: type) -> type:
    return type("Fused" + peft_class.__name__, (FusedLora, peft_class), {})


def fuse(model: torch.nn.Module) -> int:
    """Turn every LoRA layer with a dequantized base weight into the drop-in, whatever adapters it carries.

    Adapters with DoRA or a LoRA bias, several at once and bases kept in 4 bits only still go PEFT's own way.

    Returns:
        The number of layers changed.
    """
    changed = 0
    for module in lora_layers(model):
        if not isinstance(module, FusedLora) and base_weight(module.base_layer) is not None:
            module.__class__ = _fused_class(type(module))
            changed += 1
    return changed


def lora_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The model's linear layers with a LoRA adapter."""
    from peft.tuners.lora import LoraLayer

    return [module for module in model.modules() if isinstance(module, LoraLayer) and module.lora_A]


@contextmanager
def scaled(model: torch.nn.Module, adapter: str, factor: float) -> Iterator[None]:
    """Inside, an adapter adds `factor` times as much to the base; the same as an adapter with `factor * alpha`."""
    layers = [layer for layer in lora_layers(model) if adapter in layer.scaling]
    before = [layer.scaling[adapter] for layer in layers]
    try:
        for layer, scaling in zip(layers, before, strict=True):
            layer.scaling[adapter] = scaling * factor
        yield
    finally:
        for layer, scaling in zip(layers, before, strict=True):
            layer.scaling[adapter] = scaling
