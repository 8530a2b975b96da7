"""Low-rank adapters: PEFT's LoRA, and a drop-in that computes them with fewer, larger operations."""
from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F


def add_lora(model: torch.nn.Module, lora, seed: int) -> torch.nn.Module:
    """Wrap a frozen base with a fresh LoRA adapter: y = W x + (alpha / r) B A x, B = 0 at the start.

    Args:
        model: the base. lora: the recipe's section (r, alpha, dropout, target_modules, fused).
        seed: of A's values; set here, so that nothing that ran before can change the adapter.

    Returns:
        A plain PeftModel whose adapter weights are float32.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, bias="none",
                        target_modules=lora.target_modules, task_type="CAUSAL_LM")
    torch.manual_seed(seed)
    with quiet_peft():
        adapted = get_peft_model(model, config)
    if lora.fused:
        fuse(adapted)
    return adapted


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence one warning: peft 0.21 still reads a property that transformers 5.23 renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield


class LowRankLinear(torch.autograd.Function):
    """y = x W^T + b + s (x A^T) B^T with W frozen: seven GEMMs for forward and backward, nothing else.

    PEFT composes the same from linear layers, whose clone, scaling and addition each pass over the
    output once more, in forward and in backward; on small models these passes cost as much as the products.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, a, b, scaling):
        """x (rows, in), weight (out, in), bias (out,) or None, a (r, in), b (out, r) -> (rows, out)."""
        low = x @ a.T  # (rows, r)
        y = F.linear(x, weight, bias)
        y.addmm_(low, b.T, alpha=scaling)
        ctx.save_for_backward(x, low, weight, a, b)
        ctx.scaling = scaling
        return y

    @staticmethod
    def backward(ctx, grad):
        """grad (rows, out) -> gradients of x, a and b; W is frozen and has none."""
        x, low, weight, a, b = ctx.saved_tensors
        grad_low = grad @ b  # (rows, r)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            grad_x.addmm_(grad_low, a, alpha=ctx.scaling)
        return grad_x, None, None, (grad_low.T @ x) * ctx.scaling, (grad.T @ low) * ctx.scaling, None


class FusedLora:
    """Mixed into PEFT's LoRA layers; keeps parameters and state dict, replaces the arithmetic.

    In eval mode without gradients the adapter is added to a copy of the weight, so that one GEMM is
    left; the copy is made anew whenever the adapter has changed (as autograd counts changes in place:
    what writes through `.data` is not seen).
    """

    def forward(self, x: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        """(..., in) -> (..., out); what the drop-in doesn't cover goes PEFT's own way."""
        name = self.active_adapters[0] if len(self.active_adapters) == 1 else None
        dropout = self.training and isinstance(self.lora_dropout[name], torch.nn.Dropout) if name else False
        if name is None or name not in self.lora_A or args or kwargs or self.disable_adapters or self.merged or dropout:
            return super().forward(x, *args, **kwargs)
        weight = base_weight(self.base_layer)
        a, b = self.lora_A[name].weight, self.lora_B[name].weight
        bias = self.base_layer.bias
        bias = None if bias is None else bias.to(weight.dtype)
        if not self.training and not torch.is_grad_enabled():
            return F.linear(x.to(weight.dtype), self._merged_weight(name, weight, a, b), bias).to(x.dtype)
        rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        y = LowRankLinear.apply(rows, weight, bias, a.to(weight.dtype), b.to(weight.dtype), self.scaling[name])
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


def base_weight(layer: torch.nn.Module) -> torch.Tensor | None:
    """The frozen weight (out, in) that products run in; None where it exists in 4 bits only."""
    if hasattr(layer, "dequantized"):
        return layer.dequantized
    return layer.weight if type(layer) is torch.nn.Linear else None


@functools.cache
def _fused_class(peft_class: type) -> type:
    return type("Fused" + peft_class.__name__, (FusedLora, peft_class), {})


def fuse(model: torch.nn.Module) -> int:
    """Turn every plain LoRA layer with a dequantized base weight into the drop-in.

    Layers with DoRA, a LoRA bias, more than one adapter or a base kept in 4 bits only stay as they are.

    Returns:
        The number of layers changed.
    """
    from peft.tuners.lora import LoraLayer

    changed = 0
    for module in model.modules():
        if not isinstance(module, LoraLayer) or isinstance(module, FusedLora) or not module.lora_A:
            continue
        plain = not module.lora_variant and not any(module.lora_bias.values())
        if plain and len(module.lora_A) == 1 and base_weight(module.base_layer) is not None:
            module.__class__ = _fused_class(type(module))
            changed += 1
    return changed


def is_fused(model: torch.nn.Module) -> bool:
    """Whether any layer of the model uses the drop-in."""
    return any(isinstance(module, FusedLora) for module in model.modules())
