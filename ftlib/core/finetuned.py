"""Fine-tuned models: a base with one trained adapter on it or several, or a whole model in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from ftlib.core.load import load_base
from ftlib.core.lora import fuse, quiet_peft, require_readable
from ftlib.core.published import is_whole_model, shape_of
from ftlib.data.tokens import load_tokenizer
from ftlib.errors import UserError
from ftlib.recipe import Recipe


def load_finetuned(recipe: Recipe, adapter: str | Path):
    """Load the base with a trained adapter on it, in eval mode.

    Args:
        recipe: as for `load_base`.
        adapter: the folder or hub name of a PEFT adapter in safetensors, or the folder of a whole model.

    Returns:
        (PeftModel, or the whole model, and the base's tokenizer).

    Raises:
        UserError: there is no such adapter, or it belongs to another base.
    """
    if is_whole_model(adapter):
        return load_whole(recipe, adapter)
    _check_adapter(adapter)
    model, tokenizer = load_base(recipe)
    return attach_adapters(model, {"default": adapter}, recipe.lora.fused), tokenizer


def load_whole(recipe: Recipe, folder: str | Path, *, tokenizer=None):
    """Load a fine-tuned model in the base's place, stored and computed as the recipe says of the base.

    Args:
        recipe: as for `load_base`. folder: what `is_whole_model` holds for.
        tokenizer: the base's, if it is loaded already.

    Returns:
        (model, tokenizer), the model in eval mode.

    Raises:
        UserError: its shape is not the base's.
    """
    found, wanted = (shape_of(recipe, base) for base in (str(folder), None))
    itself = Path(folder).resolve() == Path(recipe.model.base).resolve()
    if itself or found != wanted:
        expected = f"a PEFT adapter (adapter_model.safetensors), or a fine-tuned model shaped as the base: {wanted}"
        told = "the base itself" if itself else str(found)
        raise UserError.of(str(folder), expected, told, "correct the system's adapter, or model.base")
    tokenizer = tokenizer or load_tokenizer(recipe.model)  # its own is the same, but prompts are to be, too
    section = recipe.model.model_copy(update={"base": str(folder), "revision": None})
    return load_base(recipe.model_copy(update={"model": section}), tokenizer=tokenizer)


def attach_adapters(
    model: torch.nn.Module, adapters: Mapping[str, str | Path], fused: bool, *, trainable: bool = False
) -> torch.nn.Module:
    """Put trained adapters on a base, all on one copy of its weights; the first is switched on.

    Args:
        model: from `load_base`.
        adapters: folder or hub name of each, by the name under which PEFT is to know it; at least one.
        fused: as the recipe's `lora.fused`.
        trainable: whether they are going to be trained on.

    Returns:
        A PeftModel in eval mode.

    Raises:
        UserError: there is no such adapter, or it belongs to another base.
    """
    from peft import PeftModel

    place = {"is_trainable": trainable, "torch_device": str(model.device)}
    for name, adapter in adapters.items():
        _check_adapter(adapter)
        with quiet_peft(), _foreign_adapter(adapter):
            if not isinstance(model, PeftModel):
                model = PeftModel.from_pretrained(model, str(adapter), adapter_name=name, **place)
            else:
                model.load_adapter(str(adapter), adapter_name=name, **place)
    if fused:
        fuse(model)
    require_readable(model)
    return model.eval()


def _check_adapter(adapter: str | Path) -> None:
    folder = Path(adapter)
    if (folder.is_absolute() or folder.exists()) and not (folder / "adapter_model.safetensors").is_file():
        raise UserError.of(
            str(folder),
            "a PEFT adapter (adapter_model.safetensors)",
            "no such file",
            "run notebook 02 first, or correct the path",
        )


@contextmanager
def _foreign_adapter(adapter: str | Path) -> Iterator[None]:
    """Say which adapter does not fit instead of listing every tensor."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError.of(
            f"adapter {adapter}",
            "a PEFT adapter in safetensors, trained on this base",
            " ".join(str(error).split())[:300],
            "correct the system's adapter, or model.base",
        ) from error
