"""What an export holds, looked at without asking it anything: template, stops, head, the adapter's size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

    from ftlib.core.engine import Engine
    from ftlib.export.golden import Golden
    from ftlib.export.players import Player
    from ftlib.systems import System

# A wrong scale is off by a factor such as sqrt(rank); what rounding does to the mean over all weights is far smaller.
SCALE_OFF = 0.1


class ParityCheck(NamedTuple):
    """One thing that was held against the run's own model."""

    name: str
    passed: bool
    told: str  # one sentence: what was found, and where it fails the reason
    figures: dict[str, Any]


def check_ids(player: Player, golden: Sequence[Golden]) -> ParityCheck:
    """Whether the export's own template and tokenizer give the golden prompts' token ids."""
    mine = [player.encode(each.messages) for each in golden]
    differing = [(each, ids) for each, ids in zip(golden, mine, strict=True) if each.ids != ids]
    figures = {"prompts": len(golden), "differing": len(differing)}
    if not differing:
        return ParityCheck("same_ids", True, f"all {len(golden)} golden prompts have the same token ids", figures)
    each, ids = differing[0]
    at = next((at for at, pair in enumerate(zip(each.ids, ids, strict=False)) if pair[0] != pair[1]), len(ids))
    wanted, found = each.ids[at : at + 4], ids[at : at + 4]
    told = f"the template or the tokenizer is another: {len(differing)} of {len(golden)} golden prompts have other ids;"
    told += f" row {each.id} at token {at}: {wanted} expected, {found} found"
    return ParityCheck("same_ids", False, told, figures)


def check_ends(player: Player, engine: Engine) -> ParityCheck:
    """Whether every token that ends an answer in the run ends one here."""
    from ftlib.core.generate import end_tokens

    wanted = end_tokens(engine.model, engine.tokenizer)
    lost = [end for end in wanted if end not in player.ends]
    names = ", ".join(repr(engine.tokenizer.decode([end])) for end in lost or wanted)
    told = f"stop token lost: {names} does not end an answer" if lost else f"answers end at {names}"
    return ParityCheck("stop_tokens", not lost, told, {"wanted": wanted, "found": len(wanted) - len(lost)})


def check_head(exported: torch.nn.Module, own: torch.nn.Module) -> ParityCheck:
    """Whether the output layer is that of the run's own model, and tied to the embedding exactly where it is there."""
    import torch

    tied = bool(own.config.get_text_config(decoder=True).tie_word_embeddings)
    head, embedding = (_weight(get(), torch.bfloat16) for get in _ends(exported))
    own_head, own_embedding = (_weight(get(), torch.bfloat16) for get in _ends(own))
    together = torch.equal(head, embedding)
    same = torch.equal(head, own_head) and torch.equal(embedding, own_embedding)
    if tied and not together:
        told = "the head is untied: the base's output layer is its embedding, the export's is another matrix"
    elif not same:
        told = "the head or the embedding is not the run's, though no adapter changes it"
    else:
        told = f"output layer and embedding are the run's, {'tied' if tied else 'two matrices'}"
    return ParityCheck("head", same and together == (tied or together), told, {"tied": tied})


def check_weights(exported: torch.nn.Module, own: torch.nn.Module) -> ParityCheck | None:
    """Whether an export of a model that was trained as a whole holds its every number; None where 4 or 8 bits do."""
    import torch

    if getattr(own, "is_quantized", False):
        return None
    mine, wanted = exported.state_dict(), own.state_dict()
    other = sorted(mine.keys() ^ wanted.keys())
    other = other or [name for name in wanted if not torch.equal(mine[name].cpu(), wanted[name].cpu())]
    told = f"all {len(wanted)} tensors are those that were trained"
    if other:
        told = f"{len(other)} of {len(wanted)} tensors are not those that were trained, the first is {other[0]}"
    return ParityCheck("weights", not other, told, {"other": len(other)})


def check_scale(exported: torch.nn.Module, engine: Engine, system: System) -> ParityCheck | None:
    """How much of the trained adapter the export's weights hold; None where PEFT cannot say what an adapter adds.

    Of all adapted matrices together, the factor c in W' = W + c (alpha / r) B A that fits best:
    c = <W' - W, BA> / <BA, BA>. It is 1 where all is well, 0 where the adapter is missing.
    """
    import torch

    from ftlib.core.lora import lora_layers

    with engine.using(system) as model:
        name = model.active_adapters[0]
        adapted = set(lora_layers(model))
        layers = {plain_name(each): layer for each, layer in model.named_modules() if layer in adapted}
        if any(name in layer.lora_variant for layer in layers.values()):
            return None
        found = {plain_name(each): module for each, module in exported.named_modules()}
        above = below = 0.0
        with torch.no_grad():
            for each, layer in layers.items():
                trained = layer.get_delta_weight(name).float()
                above += float((_added(found[each], layer) * trained).sum())
                below += float(trained.square().sum())
    return _scale_check(above / below, engine.model.peft_config[name].r)


def _scale_check(factor: float, rank: int) -> ParityCheck:
    passed, root = abs(factor - 1) <= SCALE_OFF, math.sqrt(rank)
    told = f"the weights hold {factor:.3f} times what the adapter adds"
    if not passed and abs(factor) <= SCALE_OFF:
        told = f"the adapter is not applied: {told}"
    elif not passed:
        told = f"the adapter's scale is wrong: {told}"
        likely = next((each for each in (root, 1 / root) if abs(factor / each - 1) <= SCALE_OFF), None)
        told += f" (alpha / sqrt(r), as rsLoRA has it, and alpha / r differ by {root:.3g})" if likely else ""
    return ParityCheck("adapter_scale", passed, told, {"factor": round(factor, 5), "rank": rank})


def plain_name(name: str) -> str:
    """A module's name without what PEFT puts around it."""
    return name.removeprefix("base_model.model.")


def _added(module: torch.nn.Module, layer: torch.nn.Module) -> torch.Tensor:
    """What stands in an export's layer beside the run's base weight: (out, in), or (in, out) in a Conv1D."""
    import torch
    from transformers.pytorch_utils import Conv1D

    from ftlib.core.quantize import dequantize, linear_4bit

    if hasattr(module, "get_delta_weight"):
        return module.get_delta_weight(module.active_adapters[0]).float()
    base = layer.get_base_layer()
    stored = bool(linear_4bit(base))
    weight = dequantize(base, torch.float32) if stored else base.weight.float()
    turned = stored and isinstance(module, Conv1D)  # 4 bits hold it the usual way round
    mine = module.weight.float()
    return (mine.T if turned else mine) - weight


def _ends(model: torch.nn.Module):
    return model.get_output_embeddings, model.get_input_embeddings


def _weight(module: torch.nn.Module, dtype: torch.dtype) -> torch.Tensor:
    return getattr(module, "base_layer", module).weight.detach().to(dtype).cpu()
