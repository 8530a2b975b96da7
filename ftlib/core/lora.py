"""What is trained: PEFT's LoRA with a drop-in that computes it in fewer, larger operations, or all weights."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F

from ftlib.core.loss import has_encoder
from ftlib.core.quantize import misread_when_streamed
from ftlib.errors import UserError


def for_training(model: torch.nn.Module, recipe) -> torch.nn.Module:
    """The base made ready for `train`: with a fresh adapter, or with all of its weights to be trained.

    Args:
        model: from `load_base`; trained as a whole it is the same object afterwards, with weights in float32 (in 16
            bits small steps would be rounded away) and products in the dtype that it came in.
        recipe: `train.method`, its section `lora` and its training seed.

    Returns:
        A PeftModel, or the model.
    """
    if recipe.train.method == "lora":
        return add_lora(model, recipe.lora, recipe.training_seed)
    model.autocast_dtype = model.dtype
    return model.float().requires_grad_(True)


def add_lora(model: torch.nn.Module, lora, seed: int) -> torch.nn.Module:
    """Wrap a frozen base with a fresh LoRA adapter: y = W x + (alpha / r) B A x, B = 0 at the start.

    Args:
        model: the base. lora: the recipe's section.
        seed: of A's values; set here, so that nothing that ran before can change the adapter.

    Returns:
        A plain PeftModel whose adapter weights are float32.

    Raises:
        UserError: DoRA's own operations would read this base wrong.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias="none",
        target_modules=lora.target_modules,
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        task_type=TaskType.SEQ_2_SEQ_LM if has_encoder(model) else TaskType.CAUSAL_LM,
    )
    torch.manual_seed(seed)
    with quiet_peft():
        adapted = get_peft_model(model, config)
    if lora.fused:
        fuse(adapted)
    require_readable(adapted)
    for layer in lora_layers(adapted):  # PEFT reads some 4-bit weights wrong, see `quantize.unpack`
        for magnitude in layer.lora_magnitude_vector.values():
            if (weight := base_weight(layer.base_layer)) is not None:
                magnitude.weight.data.copy_(weight.float().norm(dim=1))
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
        low = a.to(weight.dtype), b.to(weight.dtype), self.scaling[name]
        if name in self.lora_magnitude_vector:
            y = self._dora(rows, dropped, weight, bias, self._lengths(name, weight, a, b), low)
        else:
            y = LowRankLinear.apply(rows, dropped, weight, bias, *low)
        return y.view(*x.shape[:-1], -1).to(x.dtype)

    def _lengths(self, name, weight, a, b) -> torch.Tensor:
        """DoRA's m / |W + s B A|, row by row, (out,) float32; the norm is taken as a constant (Liu et al., 4.3)."""
        with torch.no_grad():
            norm = torch.addmm(weight.float(), b.float(), a.float(), alpha=self.scaling[name]).norm(dim=1)
        return self.lora_magnitude_vector[name].weight.float() / norm

    @staticmethod
    def _dora(rows, dropped, weight, bias, lengths, low) -> torch.Tensor:
        """lengths * (W d + s B A d) + W (x - d) + b, where d is x, or x after dropout; (rows, out)."""
        source = rows if dropped is None else dropped
        y = LowRankLinear.apply(source, None, weight, None, *low) * lengths.to(weight.dtype)
        y = y if dropped is None else y + F.linear(rows - dropped, weight)
        return y if bias is None else y + bias

    def _merged_weight(self, name, weight, a, b) -> torch.Tensor:
        own = [a, b, *(each.weight for key, each in self.lora_magnitude_vector.items() if key == name)]
        state = [(each.data_ptr(), each._version) for each in own]
        key = (name, *state, weight.data_ptr(), self.scaling[name])
        if self.__dict__.get("_merged_key") != key:
            merged = torch.addmm(weight.float(), b.float(), a.float(), alpha=self.scaling[name])
            if name in self.lora_magnitude_vector:
                merged *= self._lengths(name, weight, a, b).unsqueeze(1)
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
    known = name not in layer.lora_variant or name in layer.lora_magnitude_vector  # plain, or DoRA
    plain = name in layer.lora_A and known and not layer.lora_bias.get(name)
    return name if plain and base_weight(layer.base_layer) is not None else None


@functools.cache
def _fused_class(peft_class: type) -> type:
    return type("Fused" + peft_class.__name__, (FusedLora, peft_class), {})


def fuse(model: torch.nn.Module) -> int:
    """Turn every LoRA layer with a dequantized base weight into the drop-in, whatever adapters it carries.

    Adapters with a LoRA bias, several at once and bases kept in 4 bits only still go PEFT's own way.

    Returns:
        The number of layers changed.
    """
    changed = 0
    for module in lora_layers(model):
        if not isinstance(module, FusedLora) and base_weight(module.base_layer) is not None:
            module.__class__ = _fused_class(type(module))
            changed += 1
    return changed


def require_readable(model: torch.nn.Module) -> None:
    """Raises where DoRA would go by weights that are read wrong on a CPU, see `quantize.unpack`.

    Raises:
        UserError: a layer's DoRA is PEFT's own, and the rows of its 4-bit base do not fill whole blocks, or its base
            is in 8 bits, whose scales PEFT 0.21 loses there.
    """
    with_dora = [layer.base_layer for layer in lora_layers(model) if layer.lora_magnitude_vector]
    if any(base.weight.dtype == torch.int8 and base.weight.device.type == "cpu" for base in with_dora):
        expected, fix = "false on a base in 8 bits on a CPU", "load the base in 4 bits, or leave lora.use_dora out"
        raise UserError.of("lora.use_dora", expected, "true", fix)
    plain = [layer for layer in lora_layers(model) if layer.lora_magnitude_vector and not isinstance(layer, FusedLora)]
    bases = [layer.base_layer for layer in plain if hasattr(layer.base_layer.weight, "quant_state")]
    if misread := misread_when_streamed(bases):
        expected = "true with DoRA on a CPU, where bitsandbytes misreads rows that do not fill whole blocks"
        raise UserError.of("lora.fused", expected, f"false, and {len(misread)} such layers", "leave lora.fused out")


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
