"""What is stepped, by which optimizer and at which rate: transformers' names, with LoRA+'s rates for an adapter."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

import torch

from ftlib.errors import UserError

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from ftlib.recipe import Recipe

_TRIED_ON = 8192  # numbers; 8-bit optimizers keep smaller tensors in 32 bits
_APART = {  # what the trainer would have to do for them, and does not
    "layerwise": "it steps inside the backward pass",
    "lomo": "it steps inside the backward pass",
    "schedule_free": "it evaluates other weights than it trains",
}


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters that are trained, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def make_optimizer(
    model: torch.nn.Module,
    args: TrainingArguments,
    name: str,
    *,
    learning_rate: float,
    lora_plus_ratio: float = 1.0,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """The optimizer of a training, over everything in the model that is trained.

    Args:
        model: with an adapter, or trained as a whole.
        args: the trainer's; the optimizer's name and rate are noted there.
        name: of transformers' `OptimizerNames`.
        learning_rate: per step. lora_plus_ratio: the rate of LoRA's B over that of A; 1 without an adapter.
        weight_decay: of matrices; vectors have none.

    Returns:
        A torch optimizer whose state `torch.save` keeps. On a CPU the paged ones do not page.

    Raises:
        UserError: transformers has none of this name, a package for it is missing, or it fails on this device.
    """
    kind, options = _kind(model, args, name, learning_rate)
    _try(kind, options, model.device, name)
    if hasattr(model, "peft_config"):
        from peft.optimizers import create_loraplus_optimizer

        rates = {"lr": learning_rate, "loraplus_lr_ratio": lora_plus_ratio, "loraplus_weight_decay": weight_decay}
        optimizer = create_loraplus_optimizer(model, kind, **options | rates)
    else:
        optimizer = kind(_groups(model, weight_decay), **options)
    if model.device.type == "cpu" and getattr(optimizer, "is_paged", False):
        optimizer.is_paged = False  # else it warns at every tensor that it cannot
    return optimizer


def schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The recipe's learning-rate schedule over all `steps`: transformers', begun one step later.

    Its warm-up starts at a rate of 0, with which the first step would teach nothing.
    """
    from transformers import get_scheduler

    name = "constant_with_warmup" if recipe.train.scheduler == "constant" else recipe.train.scheduler
    warmup = round(recipe.train.warmup_ratio * steps)
    (factor,) = set(get_scheduler(name, optimizer, warmup + 1, steps + 1).lr_lambdas)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step + 1))


def optimizer_note(name: str, device: str) -> str | None:
    """A line on what an optimizer keeps, for the plan; None where there is nothing to say.

    Args:
        name: the recipe's. device: "cpu", "cuda" or "mps".
    """
    if name == "adamw_torch_fused":
        return None
    paged = ", whose state stays in main memory as there is no other here" if device == "cpu" else ""
    return f"optimizer: {name}, set by the recipe{paged if name.startswith('paged') else ''}"


def _kind(model: torch.nn.Module, args: TrainingArguments, name: str, rate: float) -> tuple[type, dict]:
    """transformers' class and options for a name."""
    from transformers import Trainer
    from transformers.training_args import OptimizerNames

    names = [each.value for each in OptimizerNames if not any(part in each.value for part in _APART)]
    if name not in names:
        why = next((reason for part, reason in _APART.items() if part in name), "no such optimizer")
        near = difflib.get_close_matches(name, names, n=3) or names[:3]
        raise UserError.of("train.optimizer", f"one of {', '.join(names)}", f"{name} ({why})", f"try {', '.join(near)}")
    args.optim, args.learning_rate = OptimizerNames(name), rate
    try:
        return Trainer.get_optimizer_cls_and_kwargs(args, model)
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        expected = "an optimizer that is installed and needs no further settings"
        raise UserError.of("train.optimizer", expected, f"{name}: {reason}", "install it, or name another") from error


def _try(kind: type, options: dict, device: torch.device, name: str) -> None:
    """Take one step with some numbers, so that what a device lacks is known before the training."""
    weight = torch.nn.Parameter(torch.ones(1, _TRIED_ON, device=device))
    weight.grad = torch.ones_like(weight)
    try:
        optimizer = kind([weight], **options)
        optimizer.is_paged = False
        optimizer.step()
        sound = math.isfinite(weight.sum().item()) and bool((weight < 1).all())
    except Exception as error:  # whatever a library's kernel raises
        sound, reason = False, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    else:
        reason = "a step does not lower what it should"
    if not sound:
        expected, fix = f"an optimizer that runs on {device.type}", "name another, e.g. adamw_torch"
        raise UserError.of("train.optimizer", expected, f"{name} ({reason})", fix)


def _groups(model: torch.nn.Module, weight_decay: float) -> list[dict]:
    """All trained parameters: matrices with weight decay, vectors (biases, norms) without."""
    trained = trainable(model).values()
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
