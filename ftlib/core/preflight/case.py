"""What the checks before a training look at, and what each of them says."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from ftlib.core.layout import PADDED, Layout
from ftlib.core.optimizers import trainable
from ftlib.data.prompts import Example, Renderer
from ftlib.recipe import Recipe
from ftlib.rows import Row

NUDGE = 0.02  # standard deviation of what stands in a tensor that is still 0


class PreflightFinding(NamedTuple):
    """What one check found."""

    name: str  # the field of `train.preflight`
    ok: bool
    told: str  # what was found, with the row and token at fault
    numbers: Mapping[str, float] = {}
    advice: str = ""  # what to do, where it is not ok
    level: str = "stop"  # what the recipe says about it: warn or stop

    @property
    def stops(self) -> bool:
        """Whether no training is to begin with this."""
        return not self.ok and self.level == "stop"


class PreflightCase(NamedTuple):
    """A training that is about to begin, with some of its rows."""

    model: torch.nn.Module  # with a fresh adapter
    tokenizer: Any
    renderer: Renderer
    recipe: Recipe
    rows: list[Row]
    examples: list[Example]  # of these rows, in their order
    held_out: list[Example]
    layout: Layout = PADDED  # of the training's batches
    more: Sequence = ()  # further examples of the training, looked at for their length alone
    refused: Sequence[str] = ()  # what the renderer said of rows that it did not take

    def few(self, count: int) -> list[Example]:
        """Up to so many examples, short and long ones."""
        ordered = sorted(self.examples, key=lambda each: len(each.input_ids))
        return ordered[:: max(1, len(ordered) // count)][:count]

    def words(self, ids: Sequence[int]) -> str:
        """Token ids as text to be quoted."""
        return repr(self.tokenizer.decode(list(ids), skip_special_tokens=False))


@contextmanager
def unchanged(model: torch.nn.Module) -> Iterator[None]:
    """Whatever happens inside: afterwards the model's numbers, modes and hooks and all random states are as before.

    Trainers wrap `forward`, add hooks and switch modes; what they leave would be there in the real training, too.
    """
    values = {name: parameter.detach().clone() for name, parameter in trainable(model).items()}
    modules = {module: (type(module), _shallow(module.__dict__)) for module in model.modules()}
    flags = {parameter: (parameter.requires_grad, parameter.grad) for parameter in model.parameters()}
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for module, (kind, attributes) in modules.items():
            module.__class__ = kind
            _put_back(module.__dict__, attributes)
        for parameter, (requires_grad, gradient) in flags.items():
            parameter.requires_grad_(requires_grad)
            parameter.grad = gradient
        with torch.no_grad():
            for name, parameter in trainable(model).items():
                parameter.copy_(values[name])


def _shallow(attributes: dict) -> dict:
    """A copy in which dictionaries (of parameters, of hooks) are copies, too."""
    return {name: (value, value.copy() if isinstance(value, dict) else None) for name, value in attributes.items()}


def _put_back(attributes: dict, before: dict) -> None:
    """The same objects as before, because handles of hooks hold on to their dictionary."""
    attributes.clear()
    for name, (value, content) in before.items():
        attributes[name] = value
        if content is not None:
            value.clear()
            value.update(content)


@contextmanager
def nudged(model: torch.nn.Module, seed: int) -> Iterator[None]:
    """Adapter tensors that are 0 hold small random numbers, and nothing is dropped; all is put back afterwards.

    As long as LoRA's B is 0, A has no gradient and no way of computing the adapter differs from any other.
    """
    with unchanged(model):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in trainable(model).values():
                if not parameter.any():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * NUDGE)
        without_dropout(model)
        yield


def without_dropout(model: torch.nn.Module) -> None:
    """Set all of a model's dropout to 0, layers and plain numbers alike; `unchanged` takes it back."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if name.endswith("dropout") and isinstance(value, float):
                setattr(module, name, 0.0)
