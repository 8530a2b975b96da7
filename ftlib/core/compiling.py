"""Regional torch.compile: the decoder layers only, which all share one piece of code."""
from __future__ import annotations

import warnings

import torch

from ftlib.core.device import missing_for_compile


def decoder_layers(model: torch.nn.Module) -> torch.nn.ModuleList:
    """The stack of identical decoder layers: the longest ModuleList in the model.

    Raises:
        ValueError: there is none.
    """
    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) > 0]
    if not lists:
        raise ValueError(f"{type(model).__name__} has no list of decoder layers")
    return max(lists, key=len)


def compile_layers(model: torch.nn.Module, wanted: bool | str = "auto",
                   dynamic: bool | None = None) -> tuple[bool, str]:
    """Compile every decoder layer in place; state_dict keys stay as they are.

    Args:
        model: the model to train.
        wanted: True or "auto" to compile where a compiler is there, False not to.
        dynamic: as for torch.compile; None lets widths become dynamic when they change.

    Returns:
        Whether the layers are compiled, and why (not).
    """
    if wanted is False:
        return False, "compile: off by the recipe"
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
