"""Regional torch.compile: the decoder layers only, which all share one piece of code."""

from __future__ import annotations

import warnings

import torch

from ftlib.core.device import missing_for_compile


def decoder_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The blocks that the model is stacked from.

    They are of the classes that the model itself declares indivisible; where it declares none, they are
    the longest list of modules in it.

    Raises:
        ValueError: there is no such list.
    """
    declared = {name for module in model.modules() for name in getattr(module, "_no_split_modules", None) or ()}
    blocks = [module for module in model.modules() if type(module).__name__ in declared]
    stacked = [b for b in blocks if not isinstance(b, torch.nn.Embedding)]
    if stacked:
        return stacked
    lists = [list(m) for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) > 0]
    if not lists:
        raise ValueError(f"{type(model).__name__} has no list of decoder layers")
    return max(lists, key=len)


def compile_layers(
    model: torch.nn.Module, wanted: bool | str = "auto", dynamic: bool | None = None
) -> tuple[bool, str]:
    """Compile every decoder layer in place; state_dict keys stay as they are.

    Args:
        model: the model to train.
        wanted: True to compile where a compiler is there, "auto" only on a GPU, False not to.
        dynamic: as for torch.compile; None lets widths become dynamic when they change.

    Returns:
        Whether the layers are compiled, and why (not).
    """
    if wanted is False:
        return False, "compile: off, set by the recipe"
    if wanted == "auto" and not torch.cuda.is_available():
        return False, "compile: off, because on a CPU it takes longer than it saves in a training of minutes"
    missing = missing_for_compile()
    if missing:
        return False, f"compile: eager, because torch.compile needs {missing} and found none"
    layers = decoder_layers(model)
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 16)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*deprecated.*")  # torch's own, on its first import
        for layer in layers:
            layer.compile(dynamic=dynamic)
    return True, f"compile: {len(layers)} decoder layers share one compiled graph"


def uncompile(model: torch.nn.Module) -> None:
    """Take back `compile_layers`; generation has other shapes at every step and runs eagerly."""
    for layer in decoder_layers(model):
        layer._compiled_call_impl = None
