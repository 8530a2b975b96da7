"""Checks of what is computed: gradients everywhere, and the same result however it is computed."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional as F

from ftlib.core.batches import IGNORED, PaddingCollator, ids_and_labels
from ftlib.core.device import describe
from ftlib.core.lora import FusedLora, lora_layers
from ftlib.core.loss import autocast, base_logits, has_encoder, labelled_logits, summed_loss
from ftlib.core.plan import choose_checkpointing, count_parameters
from ftlib.core.preflight.case import PreflightCase, PreflightFinding, nudged, trainable
from ftlib.core.train import make_trainer, training_rows

_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.03, torch.float16: 5e-3}  # relative, of a norm
_DEPTH = 4  # layers for which the 16-bit ones hold; rounding adds up like a random walk over more of them
_ACCUMULATED_ROWS = 16
_ROWS = 4


class Step(NamedTuple):
    """What one optimizer step goes by."""

    loss: float  # nats per labelled token
    gradients: dict[str, torch.Tensor]  # by parameter, as far as there are any


def collated(case: PreflightCase) -> PreflightFinding:
    """In a batch exactly those tokens are trained that are trained in its rows."""
    rows = _few_rows(case, _ACCUMULATED_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        batch = trainer_for(case, rows, [[0]], Path(folder)).data_collator(rows)
    whose, first = batch["positions"] // batch["labels"].shape[1], 0 if has_encoder(case.model) else 1
    for number, row in enumerate(rows):
        wanted = [label for label in row["labels"][first:] if label != IGNORED]
        got = batch["targets"][whose == number].tolist()
        if got != wanted:
            missing = case.words(wanted[len(got) :] or wanted)
            told = f"row {number} of the batch trains {len(got)} tokens of {len(wanted)}; missing: {missing}"
            advice = "padding is to be masked by place, not by token: the padding token may be the end token"
            return PreflightFinding("collated", False, told, {"wanted": len(wanted), "trained": len(got)}, advice)
    told = f"{len(batch['targets'])} trained tokens of {len(rows)} rows, all in the batch"
    return PreflightFinding("collated", True, told, {"trained": len(batch["targets"])})


def gradients(case: PreflightCase) -> PreflightFinding:
    """Every adapter tensor gets a gradient."""
    with nudged(case.model, case.recipe.training_seed):
        step = _computed(case, _few_rows(case)) if trainable(case.model) else Step(0.0, {})
        names = list(trainable(case.model))
    sizes = {name: step.gradients[name].norm().item() if name in step.gradients else 0.0 for name in names}
    dead = [name for name, size in sizes.items() if not 0 < size < float("inf")]
    numbers = {"tensors": len(sizes), "without": len(dead), "smallest": min(sizes.values(), default=0.0)}
    advice = "see lora.target_modules; an expert that these rows do not reach has none either"
    if not sizes:
        return PreflightFinding("gradients", False, "no tensor is trained: the adapter is on no layer", numbers, advice)
    if dead:
        told = f"{len(dead)} of {len(sizes)} tensors have none (or no finite one), e.g. {dead[0]}"
        return PreflightFinding("gradients", False, told, numbers, advice)
    told = f"all {len(sizes)} tensors have one, the smallest a norm of {numbers['smallest']:.2g}"
    return PreflightFinding("gradients", True, told, numbers)


def adapter_acts(case: PreflightCase) -> PreflightFinding:
    """The adapter changes the logits once it is not zero."""
    with nudged(case.model, case.recipe.training_seed):
        batch = _batch(case, _few_rows(case))
        case.model.eval()
        with torch.no_grad(), autocast(case.model):
            moved = (labelled_logits(case.model, batch) - base_logits(case.model, batch)).abs().max().item()
    advice = "the adapter is on no layer that counts, or switched off: see lora.target_modules"
    told = f"small random numbers in it move a logit by up to {moved:.3g}"
    return PreflightFinding("adapter_acts", moved > 0, told, {"largest": moved}, advice)


def accumulation(case: PreflightCase) -> PreflightFinding:
    """One batch of n rows and n batches of one row are the same step of the real trainer."""
    rows = _few_rows(case, _ACCUMULATED_ROWS)
    with nudged(case.model, case.recipe.training_seed):
        together = _first_step(case, rows, [list(range(len(rows)))])
        alone = _first_step(case, rows, [[number] for number in range(len(rows))])
    advice = "divide the summed loss by the labelled tokens of the whole accumulation, not each batch by its own"
    return _same(case, "accumulation", f"1 x {len(rows)} and {len(rows)} x 1 rows", together, alone, advice)


def logits(case: PreflightCase) -> PreflightFinding:
    """`train.logits: labelled` and `all` give the same loss and gradients."""
    with nudged(case.model, case.recipe.training_seed):
        labelled, everywhere = (_computed(case, _few_rows(case), all_logits=plain) for plain in (False, True))
    advice = "set train.logits: all; this model does something of its own around its output layer"
    return _same(case, "logits", "logits of labelled tokens and of all", labelled, everywhere, advice)


def tolerance(case: PreflightCase) -> float:
    """How far two ways to compute the same may be apart, relative to its norm, in the model's dtype and depth."""
    allowed, layers = _TOLERANCE[case.model.dtype], case.model.config.get_text_config(decoder=True).num_hidden_layers
    return allowed if case.model.dtype == torch.float32 else allowed * max(1.0, layers / _DEPTH) ** 0.5


def fused(case: PreflightCase) -> PreflightFinding:
    """The fused adapter computes what PEFT's own operations do."""
    layers = [layer for layer in lora_layers(case.model) if isinstance(layer, FusedLora)]
    if not layers:
        return PreflightFinding("fused", True, "PEFT's own operations run in every layer", {"layers": 0})
    with nudged(case.model, case.recipe.training_seed):
        rows = _few_rows(case)
        ours = _computed(case, rows)
        case.model.eval()
        with torch.no_grad(), autocast(case.model):  # answers are computed with merged weights
            merged = summed_loss(case.model, _batch(case, rows)).item() / _labels(case, rows)
        for layer in layers:
            layer.__class__ = type(layer).__bases__[1]
        peft = _computed(case, rows)
    what, advice = f"{len(layers)} fused layers and PEFT's own", "set lora.fused: false, and tell us the model"
    finding = _same(case, "fused", what, ours, peft, advice)
    apart = abs(merged - ours.loss) / abs(ours.loss)
    told = f"{finding.told}; merged, the loss differs by {apart:.1e}"
    ok = finding.ok and apart <= tolerance(case)
    return PreflightFinding("fused", ok, told, {**finding.numbers, "merged": apart}, advice)


def padding(case: PreflightCase) -> PreflightFinding:
    """Tokens are as likely with padding on the left, as in generation, as with padding on the right, as in training."""
    rows = _few_rows(case)
    with nudged(case.model, case.recipe.training_seed), torch.no_grad(), autocast(case.model):
        case.model.eval()
        batch = _batch(case, rows)
        right = -F.cross_entropy(labelled_logits(case.model, batch), batch["targets"], reduction="none")
        if has_encoder(case.model):  # encoders are padded on the right always
            each = [(labelled_logits(case.model, one), one["targets"]) for one in (_batch(case, [row]) for row in rows)]
            left = torch.cat([-F.cross_entropy(*pair, reduction="none") for pair in each])
        else:
            left = -F.cross_entropy(_left_padded(case.model, batch), batch["targets"], reduction="none")
    apart = ((left - right).norm() / right.norm()).item()
    told = f"log p of {len(right)} tokens in {len(rows)} rows padded left and right differ by {apart:.1e} (relative)"
    advice = "this model's positions or attention count padding: generate with evaluate.batch_rows: 1"
    numbers = {"apart": apart, "allowed": tolerance(case)}
    return PreflightFinding("padding", apart <= numbers["allowed"], told, numbers, advice)


def trainer_for(case: PreflightCase, rows: Sequence[dict], batches: Sequence[list[int]], folder: Path, **settings):
    """The real trainer over some rows; it is given what the training would be given.

    Args:
        rows: from `training_rows`. batches: indices of rows, one list a micro-batch. folder: for what it writes.
        settings: fields of the recipe's section `train`, beside `total_steps` (1 where it is not given) and
            `held_out` (rows to evaluate on; the first row where it is not given).
    """
    steps, held_out = settings.pop("total_steps", 1), settings.pop("held_out", rows[:1])
    recipe = case.recipe.model_copy(update={"train": case.recipe.train.model_copy(update=settings)})
    possible = getattr(case.model, "supports_gradient_checkpointing", True)
    total, wanted = count_parameters(case.model)[1], recipe.train.activation_checkpointing
    again, _ = choose_checkpointing(wanted, total, describe(), possible)
    given = (case.model, case.tokenizer, rows, held_out, batches, folder, recipe)
    return make_trainer(*given, total_steps=steps, activation_checkpointing=again)


def _first_step(case: PreflightCase, rows: Sequence[dict], batches: Sequence[list[int]]) -> Step:
    """The first step of the real trainer, all batches accumulated; the adapter is stepped back."""
    values = {name: parameter.detach().clone() for name, parameter in trainable(case.model).items()}
    caught: dict[str, torch.Tensor] = {}
    losses: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = {"accumulation": len(batches), "max_grad_norm": 1e30}
        trainer = trainer_for(case, rows, batches, Path(folder), **settings)
        trainer.optimizer.register_step_pre_hook(lambda *_: caught.update(_gradients(case.model)))
        trainer.on_log = lambda entry: losses.append(entry["loss"]) if "loss" in entry else None
        trainer.train()
    with torch.no_grad():
        for name, parameter in trainable(case.model).items():
            parameter.copy_(values[name])
    return Step(losses[0], caught)


def _computed(case: PreflightCase, rows: Sequence[dict], all_logits: bool = False) -> Step:
    """Loss and gradients of one batch, without a trainer."""
    case.model.train()
    case.model.zero_grad()
    with autocast(case.model):
        loss = summed_loss(case.model, _batch(case, rows), masked=all_logits, all_logits=all_logits)
    loss = loss / _labels(case, rows)
    loss.backward()
    return Step(loss.item(), _gradients(case.model))


def _gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {name: parameter.grad for name, parameter in trainable(model).items() if parameter.grad is not None}
    return {name: gradient.detach().float().clone() for name, gradient in found.items()}


def _same(case: PreflightCase, name: str, what: str, one: Step, other: Step, advice: str) -> PreflightFinding:
    """Whether two ways to compute a step agree: the loss, and all gradients as one vector."""
    a, b = (torch.cat([gradient.flatten() for gradient in step.gradients.values()]) for step in (one, other))
    loss = abs(one.loss - other.loss) / max(abs(one.loss), 1e-12)
    apart = ((a - b).norm() / a.norm()).item() if a.shape == b.shape else float("inf")
    allowed = tolerance(case)
    ok = loss <= allowed and apart <= allowed  # False with NaN, too
    told = f"{what}: loss differs by {loss:.1e}, gradients by {apart:.1e} (relative, at most {allowed:.2g})"
    return PreflightFinding(name, ok, told, {"loss": loss, "gradients": apart, "allowed": allowed}, advice)


def _left_padded(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits at the labelled positions of a right-padded batch, computed with the padding on the left."""
    ids, mask = batch["input_ids"], batch["attention_mask"]
    width, base = ids.shape[1], model.get_base_model() if hasattr(model, "peft_config") else model
    moved = width - mask.sum(1, keepdim=True)  # (batch, 1)
    places = (torch.arange(width, device=ids.device) - moved) % width
    inputs = {"input_ids": ids.gather(1, places), "attention_mask": mask.gather(1, places), "use_cache": False}
    if "position_ids" in inspect.signature(type(base).forward).parameters:
        inputs["position_ids"] = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
    shifted = batch["positions"] + moved.squeeze(1)[batch["positions"] // width]
    return model(**inputs).logits.flatten(0, 1).index_select(0, shifted).float()


def _few_rows(case: PreflightCase, most: int = _ROWS) -> list[dict]:
    few = case.few(min(most, max(2, case.recipe.train.batch_rows)))
    return training_rows(few, case.recipe, "train", has_encoder(case.model))


def _batch(case: PreflightCase, rows: Sequence[dict]) -> dict[str, torch.Tensor]:
    batch = PaddingCollator(case.tokenizer.pad_token_id, encoder_decoder=has_encoder(case.model))(rows)
    return {name: tensor.to(case.model.device) for name, tensor in batch.items()}


def _labels(case: PreflightCase, rows: Sequence[dict]) -> int:
    first = 0 if has_encoder(case.model) else 1
    return sum(label != IGNORED for row in rows for label in ids_and_labels(row)[1][first:])
