"""A trained adapter put into its base: one plain model that needs neither PEFT nor bitsandbytes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ftlib.progress import without_library_bars
from ftlib.recipe import Recipe

MergeBase = Literal["stored", "full"]


def merge(
    recipe: Recipe,
    adapter_dir: str | Path | None,
    out_dir: str | Path,
    dtype: str = "bfloat16",
    into: MergeBase = "stored",
) -> Path:
    """Write base + (alpha / r) B A as an ordinary model folder.

    An adapter that was trained on a 4-bit base has learned to go with the rounded weights, and it was evaluated on
    them. So by default it is added to what the 4 bits hold, which differs from what was evaluated by nothing but the
    rounding of the sum; the weights as they were published it has never seen.

    Args:
        recipe: names the base. adapter_dir: a PEFT adapter; None for the base alone. out_dir: the folder to write.
        dtype: of the written weights; every sum is made in float32 and rounded once.
        into: `stored` (the weights as the recipe's quantization holds them) or `full` (as they were published).

    Returns:
        `out_dir`: safetensors, config and tokenizer.

    Raises:
        UserError: the base or the adapter is not there.
    """
    import torch

    from ftlib.data.tokens import load_tokenizer

    out_dir, kind = Path(out_dir), getattr(torch, dtype)
    model = published_base(recipe)
    if into == "stored" and (recipe.quantization.load_in_4bit or recipe.quantization.load_in_8bit):
        _take_stored_weights(model, recipe)
    if adapter_dir is not None:
        model = _with_adapter(model, adapter_dir, kind)
    with without_library_bars():
        model.to(kind).save_pretrained(out_dir)
    load_tokenizer(recipe.model).save_pretrained(out_dir)
    return out_dir


def published_base(recipe: Recipe):
    """The base in main memory as it was published, in eval mode: no quantization, its own dtype.

    Raises:
        UserError: there is no such model.
    """
    from ftlib.core.load import load_base

    plain = {"quantization": recipe.quantization.model_copy(update={"load_in_4bit": False, "load_in_8bit": False})}
    plain["model"] = recipe.model.model_copy(update={"dtype": published_dtype(recipe)})
    return load_base(recipe.model_copy(update=plain))[0].cpu()


def published_dtype(recipe: Recipe) -> str:
    """What the base's weights were published in; float32 where its config does not say."""
    from transformers import AutoConfig

    options = recipe.model.model_dump(include={"revision", "trust_remote_code"})
    dtype = AutoConfig.from_pretrained(recipe.model.base, **options).dtype
    return str(dtype).removeprefix("torch.") if dtype is not None else "float32"


def _take_stored_weights(model, recipe: Recipe) -> None:
    """Replace each weight that the recipe stores in 4 or 8 bits by what these give back, one matrix at a time."""
    from bitsandbytes.nn import Linear4bit, Linear8bitLt
    from transformers.pytorch_utils import Conv1D

    from ftlib.core.load import load_base
    from ftlib.core.quantize import dequantize

    streamed = recipe.quantization.model_copy(update={"gemm": "streamed"})  # all dequantized may not fit the device
    stored, _ = load_base(recipe.model_copy(update={"quantization": streamed}))
    targets = dict(model.named_modules())
    for name, layer in stored.named_modules():
        if isinstance(layer, (Linear4bit, Linear8bitLt)):
            weight = dequantize(layer, stored.dtype).cpu()
            turned = isinstance(targets[name], Conv1D)  # 4 bits hold it the usual way round
            targets[name].weight.data = weight.T.contiguous() if turned else weight


def _with_adapter(model, adapter_dir: str | Path, dtype):
    """PEFT's own merge, whatever the adapter's kind, layer by layer in float32."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    from ftlib.core.finetuned import attach_adapters

    adapted = attach_adapters(model, {"default": adapter_dir}, fused=False)
    for layer in adapted.modules():
        if isinstance(layer, BaseTunerLayer):
            weight = layer.get_base_layer().weight
            weight.data = weight.data.float()
            layer.merge(safe_merge=True)
            weight.data = weight.data.to(dtype)
    return adapted.unload()
