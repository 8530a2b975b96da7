"""4- and 8-bit storage with bitsandbytes: NF4, its error, and what the matrix products run in."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.nn import functional as F


class QuantizationError(NamedTuple):
    """How far a weight moves when it is stored in 4 bits."""

    rms: float  # root mean square of the difference, in the weight's unit
    relative: float  # rms over the weight's own root mean square
    largest: float  # largest absolute difference
    bits_per_weight: float  # codes, block scales and their own quantization


def nf4_levels() -> torch.Tensor:
    """The 16 values of NF4, ascending, in -1 ... 1.

    They are quantiles of a normal distribution, scaled so that the largest is 1, with an exact 0
    (Dettmers et al. 2023, QLoRA, section 3): normal weights use every code about equally often.

    Returns:
        (16,) float32.
    """
    from bitsandbytes.functional import get_4bit_type

    return get_4bit_type("nf4", device="cpu").float()


def quantize(
    weight: torch.Tensor, quant_type: str = "nf4", block_size: int = 64, double_quant: bool = True
) -> tuple[torch.Tensor, float]:
    """Store a weight in 4 bits and read it back.

    Args:
        weight: any shape. quant_type: "nf4" or "fp4". block_size: weights that share one scale.
        double_quant: quantize the scales themselves to 8 bits.

    Returns:
        The weight as it comes back, float32, same shape; and the bits stored per weight.
    """
    import bitsandbytes.functional as bnb

    packed, state = bnb.quantize_4bit(
        weight.detach().float().contiguous(),
        blocksize=block_size,
        compress_statistics=double_quant,
        quant_type=quant_type,
    )
    scales = state.absmax.nbytes + (state.state2.absmax.nbytes + state.offset.nbytes if state.nested else 0)
    return unpack(packed, state), 8 * (packed.nbytes + scales) / weight.numel()


def unpack(packed: torch.Tensor, state) -> torch.Tensor:
    """What 4-bit codes stand for.

    bitsandbytes' CPU kernel starts a new block of scales with each row, its packing does not: where a row's width is
    no multiple of the block it reads wrong scales (0.50). As one long row every weight is read right, on any device.

    Args:
        packed: codes, two to a byte. state: bitsandbytes' QuantState.

    Returns:
        The weight in the shape and dtype that it was packed from.
    """
    import bitsandbytes.functional as bnb

    flat = copy.copy(state)
    flat.shape = torch.Size([state.shape.numel()])
    return bnb.dequantize_4bit(packed, flat).view(state.shape)


def quantization_error(
    weight: torch.Tensor, quant_type: str = "nf4", block_size: int = 64, double_quant: bool = True
) -> QuantizationError:
    """Distance between a weight and what 4 bits keep of it; arguments as for `quantize`."""
    restored, bits = quantize(weight, quant_type, block_size, double_quant)
    original = weight.detach().float()
    rms = (restored - original).square().mean().sqrt().item()
    size = original.square().mean().sqrt().item()
    return QuantizationError(rms, rms / max(size, 1e-12), (restored - original).abs().max().item(), bits)


def bnb_config(quantization, compute_dtype: torch.dtype, storage: torch.dtype = torch.uint8):
    """The recipe's quantization section as transformers' BitsAndBytesConfig; 4-bit codes are kept in `storage`."""
    from transformers import BitsAndBytesConfig

    if quantization.load_in_8bit:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization.quant_type,
        bnb_4bit_use_double_quant=quantization.double_quant,
        bnb_4bit_compute_dtype=compute_dtype,
        bnb_4bit_quant_storage=storage,
    )


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Inside, 4-bit layers are made with so many weights to a scale: BitsAndBytesConfig has no field for it."""
    from bitsandbytes.nn import Linear4bit

    make = Linear4bit.__init__

    @functools.wraps(make)
    def with_size(layer, *args, **options):
        make(layer, *args, **options)
        layer.weight.blocksize = size

    Linear4bit.__init__ = with_size
    try:
        yield
    finally:
        Linear4bit.__init__ = make


def linear_8bit(model: torch.nn.Module) -> list[torch.nn.Module]:
    """All of the model's 8-bit linear layers."""
    from bitsandbytes.nn import Linear8bitLt

    return [module for module in model.modules() if isinstance(module, Linear8bitLt)]


def linear_4bit(model: torch.nn.Module) -> list[torch.nn.Module]:
    """All of the model's 4-bit linear layers."""
    from bitsandbytes.nn import Linear4bit

    return [module for module in model.modules() if isinstance(module, Linear4bit)]


def guard_cpu_repacking(model: torch.nn.Module) -> int:
    """Keep bitsandbytes from repacking 4-bit weights in place on CPUs with AVX512-BF16.

    There, one forward in eval mode rewrites the weight for an inference kernel and marks it with
    `packing_format_for_cpu`; every later forward takes that kernel, in training too, and it has no
    backward: the gradient of the input is silently lost (bitsandbytes 0.50).

    Args:
        model: with 4-bit layers that have not been called in eval mode yet.

    Returns:
        The number of layers guarded.

    Raises:
        RuntimeError: a weight is repacked already; load the model anew and guard it first.
    """
    layers = linear_4bit(model)
    for layer in layers:
        if getattr(layer.weight.quant_state, "packing_format_for_cpu", False):
            raise RuntimeError("a 4-bit weight was repacked for inference before the guard: load the model again")
        layer.support_avx512bf16_for_cpu = False
    return len(layers)


@functools.cache
def _cached_class() -> type:
    import bitsandbytes as bnb

    class CachedLinear4bit(bnb.nn.Linear4bit):
        """A 4-bit layer whose weight is also kept dequantized, outside the state dict."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """x W^T + b as one plain GEMM; x (..., in) -> (..., out)."""
            weight = self.dequantized
            bias = None if self.bias is None else self.bias.to(weight.dtype)
            return F.linear(x.to(weight.dtype), weight, bias).to(x.dtype)

        def _apply(self, fn, recurse=True):
            self.dequantized = fn(self.dequantized)
            return super()._apply(fn, recurse)

    return CachedLinear4bit


def dequantize(layer: torch.nn.Module, dtype: torch.dtype) -> torch.Tensor:
    """A 4- or 8-bit layer's weight (out, in) as its products see it."""
    if layer.weight.dtype == torch.int8:
        scales = layer.state.SCB if layer.weight.SCB is None else layer.weight.SCB  # its first forward moves them
        return (layer.weight.data.float() * (scales.float() / 127).unsqueeze(1)).to(dtype)
    return unpack(layer.weight.data, layer.weight.quant_state).to(dtype)


def misread_when_streamed(layers: Iterable[torch.nn.Module]) -> list[torch.nn.Module]:
    """The 4-bit layers whose weights bitsandbytes' own CPU product would read wrong; see `unpack`."""
    on_cpu = [layer for layer in layers if layer.weight.device.type == "cpu"]
    return [layer for layer in on_cpu if layer.in_features % layer.weight.quant_state.blocksize]


def cache_weights(layers: Iterable[torch.nn.Module], dtype: torch.dtype) -> int:
    """Make 4-bit layers compute with their dequantized weights; the state dict stays as it is.

    Streaming dequantizes each weight in each forward and again in each backward. The weight is
    frozen, so where memory allows it is dequantized once.

    Args:
        layers: from `linear_4bit`. dtype: what the products run in.

    Returns:
        Bytes that the dequantized weights take.
    """
    total = 0
    for layer in layers:
        layer.dequantized = dequantize(layer, dtype)
        layer.__class__ = _cached_class()
        total += layer.dequantized.nbytes
    return total


def choose_gemm(wanted: str, bytes_needed: int, bytes_free: int) -> tuple[str, str]:
    """Decide between streamed and cached weights.

    Args:
        wanted: "auto", "streamed" or "cached". bytes_needed: all weights dequantized.
        bytes_free: free memory on the device.

    Returns:
        The choice and its reason.
    """
    sizes = f"dequantized weights take {bytes_needed / 2**20:,.0f} MiB of {bytes_free / 2**20:,.0f} MiB free"
    if wanted != "auto":
        return wanted, f"gemm: {wanted}, set by the recipe ({sizes})"
    if bytes_needed <= bytes_free // 4:  # the rest is for activations, gradients and everything else
        return "cached", f"gemm: cached, because {sizes}"
    return "streamed", f"gemm: streamed from 4 bits, because {sizes}"
