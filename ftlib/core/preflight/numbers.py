"""Checks of what is computed: gradients everywhere, and the same result however it is computed."""

from __future__ import annotations

import inspect
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from ftlib.core.batches import IGNORED
from ftlib.core.layout import PADDED
from ftlib.core.lora import FusedLora, lora_layers
from ftlib.core.loss import autocast, base_logits, has_encoder, labelled_logits, summed_loss
from ftlib.core.optimizers import trainable
from ftlib.core.preflight.case import PreflightCase, PreflightFinding, nudged
from ftlib.core.preflight.steps import (
    Step,
    compare_steps,
    computed_step,
    count_labels,
    few_rows,
    first_step,
    padded_batch,
    tolerance,
    trainer_for,
)
from ftlib.core.quantize import misread_when_streamed

_ACCUMULATED_ROWS = 16


def collated(case: PreflightCase) -> PreflightFinding:
    """In a batch exactly those tokens are trained that are trained in its rows."""
    rows = few_rows(case, _ACCUMULATED_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        collator = trainer_for(case, rows, [[0]], Path(folder)).data_collator
    batch = collator(rows)
    whose, first = collator.rows_of(batch), 0 if has_encoder(case.model) else 1
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
        step = computed_step(case, few_rows(case)) if trainable(case.model) else Step(0.0, {})
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
    if not hasattr(case.model, "peft_config"):
        return PreflightFinding("adapter_acts", True, "there is none: all weights of the model itself are trained")
    with nudged(case.model, case.recipe.training_seed):
        batch = padded_batch(case, few_rows(case))
        case.model.eval()
        with torch.no_grad(), autocast(case.model):
            moved = (labelled_logits(case.model, batch) - base_logits(case.model, batch)).abs().max().item()
    advice = "the adapter is on no layer that counts, or switched off: see lora.target_modules"
    told = f"small random numbers in it move a logit by up to {moved:.3g}"
    return PreflightFinding("adapter_acts", moved > 0, told, {"largest": moved}, advice)


def accumulation(case: PreflightCase) -> PreflightFinding:
    """One batch of n rows and n batches of one row are the same step of the real trainer."""
    rows = few_rows(case, _ACCUMULATED_ROWS)
    with nudged(case.model, case.recipe.training_seed):
        together = first_step(case, rows, [list(range(len(rows)))])
        alone = first_step(case, rows, [[number] for number in range(len(rows))])
    advice = "divide the summed loss by the labelled tokens of the whole accumulation, not each batch by its own"
    return compare_steps(case, "accumulation", f"1 x {len(rows)} and {len(rows)} x 1 rows", together, alone, advice)


def logits(case: PreflightCase) -> PreflightFinding:
    """`train.logits: labelled` and `all` give the same loss and gradients."""
    with nudged(case.model, case.recipe.training_seed):
        labelled, everywhere = (computed_step(case, few_rows(case), all_logits=plain) for plain in (False, True))
    advice = "set train.logits: all; this model does something of its own around its output layer"
    return compare_steps(case, "logits", "logits of labelled tokens and of all", labelled, everywhere, advice)


def packed(case: PreflightCase) -> PreflightFinding:
    """With `train.packing`: rows laid end to end are computed as each by itself."""
    if not case.layout.packed:
        return PreflightFinding("packed", True, case.layout.reasons[0])
    advice = "set train.packing: false; this model does not tell rows apart by their positions"
    return _laid_out(case, "packed", "rows padded and packed", advice)


def shared(case: PreflightCase) -> PreflightFinding:
    """With `train.share_beginning`: rows whose beginning is read once a batch are computed as each by itself."""
    if not case.layout.beginning:
        return PreflightFinding("shared", True, case.layout.reasons[-1])
    advice = "set train.share_beginning: false; this model's attention does not go by the mask that it is given"
    told = f"rows whole and with {len(case.layout.beginning)} tokens read once"
    return _laid_out(case, "shared", told, advice)


def _laid_out(case: PreflightCase, name: str, what: str, advice: str) -> PreflightFinding:
    with nudged(case.model, case.recipe.training_seed):
        rows = few_rows(case)
        layouts = PADDED, case.layout._replace(least=0.0)  # whatever these few rows would save
        apart, together = (computed_step(case, rows, layout=layout) for layout in layouts)
    return compare_steps(case, name, f"{len(rows)} {what}", apart, together, advice)


def fused(case: PreflightCase) -> PreflightFinding:
    """The fused adapter computes what PEFT's own operations do, in every layer and over all of them."""
    layers = [layer for layer in lora_layers(case.model) if isinstance(layer, FusedLora)]
    layers = [layer for layer in layers if not (layer.lora_magnitude_vector and _misread_by_peft(layer))]
    if not layers:
        return PreflightFinding("fused", True, "PEFT's own operations run in every layer", {"layers": 0})
    with nudged(case.model, case.recipe.training_seed):
        rows = few_rows(case)
        apart = _layers_apart(case, rows, layers)
        ours, merged = _loss(case, rows), _loss(case, rows, merged=True)  # answers are computed with merged weights
        for layer in layers:
            layer.__class__ = _peft_class(layer)
        peft = _loss(case, rows)
    numbers = {"layer": apart, "loss": abs(ours - peft) / abs(peft), "merged": abs(merged - peft) / abs(peft)}
    allowed = tolerance(case)
    told = (
        f"{len(layers)} fused layers and PEFT's own: result and gradients of a layer differ by up to {apart:.1e}, the "
        f"loss by {numbers['loss']:.1e}, merged by {numbers['merged']:.1e} (relative, at most {allowed:.2g})"
    )
    ok = all(number <= allowed for number in numbers.values())  # False with NaN, too
    return PreflightFinding("fused", ok, told, numbers, "set lora.fused: false, and tell us the model")


def _misread_by_peft(layer: FusedLora) -> bool:
    """Whether PEFT's DoRA would go by a wrong weight, so that it is nothing to compare with."""
    return hasattr(layer.base_layer.weight, "quant_state") and bool(misread_when_streamed([layer.base_layer]))


def _peft_class(layer: FusedLora) -> type:
    return type(layer).__bases__[1]


def _loss(case: PreflightCase, rows: Sequence[dict], merged: bool = False) -> float:
    case.model.train(not merged)
    with torch.set_grad_enabled(not merged), autocast(case.model):
        return summed_loss(case.model, padded_batch(case, rows)).item() / count_labels(case, rows)


def _layers_apart(case: PreflightCase, rows: Sequence[dict], layers: Sequence[FusedLora]) -> float:
    """The largest relative difference in one layer's results and gradients, on what it is given in the model.

    One layer at a time: some models (T5 does not scale its attention) turn roundings to 16 bits in one layer into
    a tenth of the gradients of another, and would hide a mistake as they would be taken for one.
    """
    apart = []

    def compare(layer, args):
        own = type(layer)
        ours = _through(layer, args[0])
        layer.__class__ = _peft_class(layer)
        peft = _through(layer, args[0])
        layer.__class__ = own
        apart.extend(((a - b).norm() / b.norm()).item() for a, b in zip(ours, peft, strict=True) if b.any())

    hooks = [layer.register_forward_pre_hook(compare) for layer in layers]
    _loss(case, rows)
    for hook in hooks:
        hook.remove()
    return max(apart, default=float("nan"), key=lambda each: float("inf") if math.isnan(each) else each)


def _through(layer: FusedLora, x: torch.Tensor) -> list[torch.Tensor]:
    """A layer's result for some input, and the gradients of a fixed sum of it: of the input, then of the adapter."""
    x = x.detach().requires_grad_()
    y = layer.forward(x)
    weights = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    toward = torch.linspace(-1, 1, y.numel(), device=y.device, dtype=y.dtype).view_as(y)
    return [each.detach().float() for each in (y, *torch.autograd.grad(y, [x, *weights], toward))]


def padding(case: PreflightCase) -> PreflightFinding:
    """Tokens are as likely with padding on the left, as in generation, as with padding on the right, as in training."""
    rows = few_rows(case)
    with nudged(case.model, case.recipe.training_seed), torch.no_grad(), autocast(case.model):
        case.model.eval()
        batch = padded_batch(case, rows)
        right = -F.cross_entropy(labelled_logits(case.model, batch), batch["targets"], reduction="none")
        if has_encoder(case.model):  # encoders are padded on the right always
            each = [
                (labelled_logits(case.model, one), one["targets"])
                for one in (padded_batch(case, [row]) for row in rows)
            ]
            left = torch.cat([-F.cross_entropy(*pair, reduction="none") for pair in each])
        else:
            left = -F.cross_entropy(_left_padded(case.model, batch), batch["targets"], reduction="none")
    apart = ((left - right).norm() / right.norm()).item()
    told = f"log p of {len(right)} tokens in {len(rows)} rows padded left and right differ by {apart:.1e} (relative)"
    advice = "this model's positions or attention count padding: generate with evaluate.batch_rows: 1"
    numbers = {"apart": apart, "allowed": tolerance(case)}
    return PreflightFinding("padding", apart <= numbers["allowed"], told, numbers, advice)


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
