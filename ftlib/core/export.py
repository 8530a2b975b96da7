"""A trained adapter put into its base: one plain model that needs neither PEFT nor bitsandbytes."""

from __future__ import annotations

from pathlib import Path

from ftlib.recipe import Recipe


def merge(recipe: Recipe, adapter_dir: str | Path, out_dir: str | Path, dtype: str = "bfloat16") -> Path:
    """Write base + (alpha / r) B A as an ordinary model folder.

    The adapter was trained on the 4-bit base, so it is added to the weights as 4 bits hold them;
    added to the unquantized base it would meet weights that it has never seen.

    Args:
        recipe: names the base. adapter_dir: a PEFT adapter. out_dir: the folder to write.
        dtype: of the written weights.

    Returns:
        `out_dir`: safetensors, config and tokenizer.

    Raises:
        UserError: the base or the adapter is not there.
    """
    import torch

    from ftlib.core.load import load_finetuned, model_class

    update = {  # one matrix at a time: all of them dequantized may not fit the device
        "quantization": recipe.quantization.model_copy(update={"gemm": "streamed"}),
        "lora": recipe.lora.model_copy(update={"fused": False}),
    }
    model, tokenizer = load_finetuned(recipe.model_copy(update=update), adapter_dir)
    merged = _plain(model, model_class(recipe), getattr(torch, dtype))
    out_dir = Path(out_dir)
    merged.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    return out_dir


def _plain(model, auto_class: type, dtype):
    """A model of ordinary linear layers, in main memory, with the sum of base and adapter as weights."""
    import torch
    from transformers.initialization import no_init_weights

    base = model.get_base_model()
    values = {key: value for key, value in base.config.to_dict().items() if key != "quantization_config"}
    with no_init_weights():  # every weight is written below
        plain = auto_class.from_config(base.config.__class__.from_dict(values), dtype=dtype)
    source = dict(base.named_modules())
    with torch.no_grad():
        for name, target in plain.named_modules():
            for key, parameter in target.named_parameters(recurse=False):
                parameter.copy_(_trained(source[name], target, key, model.dtype))
            for key, buffer in target.named_buffers(recurse=False):
                buffer.copy_(getattr(source[name], key))
    plain.generation_config = base.generation_config
    plain.tie_weights()
    return plain


def _trained(module, target, key: str, dtype):
    """One parameter with what the adapter adds to it; the base's part in the dtype that it was trained under."""
    from transformers.pytorch_utils import Conv1D

    from ftlib.core.quantize import dequantize, linear_4bit

    layer = getattr(module, "base_layer", module)
    if key != "weight":
        return getattr(layer, key)
    in_4bit = bool(linear_4bit(layer))
    weight = dequantize(layer, dtype) if in_4bit else layer.weight
    if hasattr(module, "get_delta_weight"):
        weight = weight.float() + module.get_delta_weight(module.active_adapters[0])
    return weight.T if in_4bit and isinstance(target, Conv1D) else weight  # 4 bits hold it the usual way round
