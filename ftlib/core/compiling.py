"""torch.compile of a model's blocks, where it pays within the training's length."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

_WORTH_SECONDS = 180.0  # of training: compiling takes 20 to 60 and saves up to half
_WORTH_RATIO = 1.05  # compiled over eager speed; less may be the timing's own error
_TIMED_SECONDS = 3.0
_TIMED_PASSES = 3


def missing_for_compile() -> str | None:
    """What torch.compile needs and this machine lacks, or None.

    Its kernels are compiled on first use: for a CPU as C++; for a GPU by Triton, whose launchers are C. Images made
    for running PyTorch often have none of these compilers, and the failure would come in the first training step.
    """
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers (Python.h, of python3-dev)"
    if not torch.cuda.is_available():
        return None if any(map(shutil.which, ("g++", "clang++", "c++"))) else "a C++ compiler (g++)"
    if torch.version.hip is None and torch.cuda.get_device_capability(0) < (7, 0):
        return "a GPU of compute capability 7.0 or later"
    if importlib.util.find_spec("triton") is None:
        return "Triton"
    return None if os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang"))) else "a C compiler (gcc)"


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


def compile_layers(model: torch.nn.Module, dynamic: bool | None = None) -> tuple[bool, str]:
    """Compile every decoder layer in place; state_dict keys stay as they are.

    Args:
        model: the model to train.
        dynamic: as for torch.compile; None lets widths become dynamic when they change.

    Returns:
        Whether the layers are compiled, and why (not).
    """
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


def compile_where_it_pays(
    model: torch.nn.Module,
    wanted: bool | str,
    make_steps: Callable[[], Sequence[Callable[[], int]]],
    training_tokens: int,
    before: bool | None = None,
) -> tuple[bool, str]:
    """Compile the decoder layers if the recipe says so or, asked for "auto", if a short timing does.

    Args:
        model: the model to train; its gradients are thrown away.
        wanted: the recipe's `train.compile`.
        make_steps: gives some steps, where they are needed; each computes the gradients of one batch and says how many
            tokens it had.
        training_tokens: of the whole training.
        before: what was decided when this training began, where it was killed and goes on: other kernels round
            otherwise, and a resumed training is to be the same.

    Returns:
        Whether the layers are compiled, and why (not).
    """
    if wanted is False:
        return False, "compile: off, set by the recipe"
    if wanted is True or before:
        done = compile_layers(model, dynamic=True)
        _warm(model, make_steps())
        return done
    if before is False:
        return False, "compile: off, as when this training began, or in each of several processes"
    if missing := missing_for_compile():
        return False, f"compile: eager, because torch.compile needs {missing} and found none"
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        steps = make_steps()
        expected = training_tokens / _speed(model, steps)
        if expected < _WORTH_SECONDS:
            return False, f"compile: off, because training takes about {expected:,.0f} s without it"
        return _compare(model, steps)


def _compare(model: torch.nn.Module, steps: Sequence[Callable[[], int]]) -> tuple[bool, str]:
    started = time.perf_counter()
    try:
        reason = compile_layers(model, dynamic=True)[1]
        _warm(model, steps)
        seconds = time.perf_counter() - started
        eager, compiled = _speeds_in_turn(model, steps)
    except Exception as error:  # whatever a model's code does that the compiler can't: it runs without it
        uncompile(model)
        first = (str(error).strip().splitlines() or [""])[0]
        return False, f"compile: off, because torch.compile failed ({type(error).__name__}: {first})"
    told = f"{compiled:,.0f} tokens/s against {eager:,.0f} without"
    if compiled < _WORTH_RATIO * eager:
        uncompile(model)
        return False, f"compile: off, because it brings too little here ({told})"
    return True, f"{reason} ({told}; compiled in {seconds:,.0f} s)"


def _warm(model: torch.nn.Module, steps: Sequence[Callable[[], int]]) -> None:
    model.train()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        warnings.simplefilter("ignore")  # the compiler reads what code must not, of gradients and autograd's functions
        for step in steps:
            step()
    model.zero_grad()
    model.eval()


def _speeds_in_turn(model: torch.nn.Module, steps: Sequence[Callable[[], int]]) -> tuple[float, float]:
    """(eager, compiled): timed in turn, since a machine is not as fast from one minute to the next."""
    eager = compiled = 0.0
    started, turns = time.perf_counter(), 0
    while turns < _TIMED_PASSES and time.perf_counter() - started < 2 * _TIMED_SECONDS:
        with torch.compiler.set_stance("force_eager"):
            eager = max(eager, _speed(model, steps, passes=1))
        compiled = max(compiled, _speed(model, steps, passes=1))
        turns += 1
    return eager, compiled


def _speed(model: torch.nn.Module, steps: Sequence[Callable[[], int]], passes: int = _TIMED_PASSES) -> float:
    """Tokens per second over all the steps: of the fastest of some passes, as other work only ever slows one down."""
    model.train()
    steps[0]()  # what is made once
    taken: list[float] = []
    while len(taken) < passes and sum(taken) < _TIMED_SECONDS:
        _wait()
        started = time.perf_counter()
        tokens = sum(step() for step in steps)
        _wait()
        taken.append(time.perf_counter() - started)
    model.zero_grad()
    model.eval()
    return tokens / min(taken)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
