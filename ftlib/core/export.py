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

    from ftlib.core.model import load_finetuned

    exact = recipe.model_copy(update={  # one matrix at a time: all of them dequantized may not fit the device
        "quantization": recipe.quantization.model_copy(update={"gemm": "streamed"}),
        "lora": recipe.lora.model_copy(update={"fused": False})})
    model, tokenizer = load_finetuned(exact, adapter_dir)
    merged = _plain(model, getattr(torch, dtype))
    out_dir = Path(out_dir)
    merged.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    return out_dir


def _plain(model, dtype):
    """A model of ordinary linear layers, in main memory, with the sum of base and adapter as weights."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    base = model.get_base_model()
    config = base.config.__class__.from_dict({
        k: v for k, v in base.config.to_dict().items() if k != "quantization_config"})
    with no_init_weights():  # every weight is written below
        plain = AutoModelForCausalLM.from_config(config, dtype=dtype)
    source = dict(base.named_modules())
    with torch.no_grad():
        for name, target in plain.named_modules():
            for key, parameter in target.named_parameters(recurse=False):
                parameter.copy_(_trained(source[name], key, model.dtype))
    plain.tie_weights()
    return plain


def _trained(module, key: str, dtype):
    """One parameter with what the adapter adds to it; the base's part in the dtype that it was trained under."""
    from ftlib.core.quantize import dequantize, linear_4bit

    layer = getattr(module, "base_layer", module)
    if key != "weight":
        return getattr(layer, key)
    weight = dequantize(layer, dtype) if linear_4bit(layer) else layer.weight
    if hasattr(module, "get_delta_weight"):
        weight = weight.float() + module.get_delta_weight(module.active_adapters[0])
    return weight
