"""What each target takes, and why it does not take the rest: known before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib.errors import UserError

if TYPE_CHECKING:
    from ftlib.recipe import Recipe

TARGETS = ("adapter", "merged", "gguf", "ollama", "vllm")
# The ranks that vLLM makes room for; an adapter is served with the next larger one.
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
WHOLE = "WHOLE"  # the kind of a model whose every weight was trained; it has no adapter
ENDS = ("lm_head", "embed_tokens", "embed_out", "wte", "embed_in")  # what architectures call their first and last layer


class Subject(NamedTuple):
    """What of an adapter and its base, or of a model that was trained as a whole, decides where it can go."""

    kind: str  # PEFT's peft_type, or WHOLE
    rank: int  # the largest of any layer
    dora: bool
    rslora: bool
    bias: bool  # whether biases were trained, the base's or the adapter's own
    saved: tuple[str, ...]  # modules that were trained and saved whole
    ends: tuple[str, ...]  # embedding or output layer, where one is adapted
    tied: bool  # whether the base's output layer is its embedding
    architecture: str  # model_type of the base's config
    encoder_decoder: bool

    @property
    def touches_tied(self) -> bool:
        """Whether one matrix that stands in two places would be changed in one of them."""
        return self.tied and bool(self.ends or set(self.saved) & set(ENDS))


def subject_of(recipe: Recipe, adapter: Path) -> Subject:
    """Read adapter_config.json, the adapter's tensor names and the base's config; no weight is loaded.

    Args:
        recipe: names the base.
        adapter: its folder, or that of a model that was trained as a whole.

    Raises:
        UserError: there is no readable adapter.
    """
    from safetensors import safe_open
    from transformers import AutoConfig

    from ftlib.core.published import is_whole_model

    options = recipe.model.model_dump(include={"revision", "trust_remote_code"})
    config = AutoConfig.from_pretrained(recipe.model.base, **options)
    tied = bool(config.get_text_config(decoder=True).tie_word_embeddings)
    base = {"tied": tied, "architecture": config.model_type, "encoder_decoder": bool(config.is_encoder_decoder)}
    if is_whole_model(adapter):
        return Subject(WHOLE, 0, False, False, False, (), (), **base)
    try:
        told: dict[str, Any] = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        with safe_open(adapter / "adapter_model.safetensors", framework="np") as tensors:
            names = list(tensors.keys())
    except (OSError, ValueError) as error:
        raise UserError.of(str(adapter), "a PEFT adapter in safetensors", str(error), "train it again") from error
    adapted = {part for name in names if "lora_" in name for part in name.split(".")}
    return Subject(
        str(told.get("peft_type")),
        max([told.get("r") or 0, *(told.get("rank_pattern") or {}).values()]),
        bool(told.get("use_dora")),
        bool(told.get("use_rslora")),
        told.get("bias", "none") != "none" or bool(told.get("lora_bias")),
        tuple(told.get("modules_to_save") or ()),
        tuple(sorted(adapted & set(ENDS))),
        **base,
    )


def _merging(subject: Subject) -> dict[str, bool]:
    """What stands in the way of one plain model, each reason with whether it holds."""
    layers = ", ".join(subject.ends or subject.saved)
    return {
        f"the adapter is {subject.kind}; LoRA can be merged": subject.kind not in ("LORA", WHOLE),
        f"{layers} is adapted, but the base ties its head to its embedding: one matrix would have to hold two values, "
        "and engines that tie them again would lose what was trained": subject.touches_tied,
    }


def _for_llama_cpp(subject: Subject) -> dict[str, bool]:
    from ftlib.export.gguf_file import ARCHITECTURES

    known = ", ".join(ARCHITECTURES)
    return _merging(subject) | {
        f"the base is a {subject.architecture}; a GGUF is written of {known} (export --to merged and take llama.cpp's "
        "own converter for others)": subject.architecture not in ARCHITECTURES,
    }


def _for_vllm(subject: Subject) -> dict[str, bool]:
    return {
        f"the adapter is {subject.kind}; vLLM loads LoRA": subject.kind not in ("LORA", WHOLE),
        f"rank {subject.rank}; vLLM's largest is {VLLM_RANKS[-1]} (--to merged has no such limit)": subject.rank
        > VLLM_RANKS[-1],
        "DoRA; vLLM does not load it (--to merged holds it)": subject.dora,
        f"{', '.join(subject.saved)} saved whole (modules_to_save); vLLM does not load them": bool(subject.saved),
        "trained biases; vLLM does not load them": subject.bias,
        f"{', '.join(subject.ends)} is adapted and the base ties head and embedding; vLLM would adapt one of "
        "them": subject.touches_tied,
        f"the base is an encoder-decoder ({subject.architecture}); vLLM serves decoders": subject.encoder_decoder,
    }


def _for_peft(subject: Subject) -> dict[str, bool]:
    told = "every weight was trained (train.method: full): there is no adapter, the model itself is handed over"
    return {told: subject.kind == WHOLE}


_RULES: dict[str, Callable[[Subject], dict[str, bool]]] = {
    "adapter": _for_peft,
    "merged": _merging,
    "gguf": _for_llama_cpp,
    "ollama": _for_llama_cpp,
    "vllm": _for_vllm,
}


def obstacles(subject: Subject, target: str) -> list[str]:
    """Why a target does not take this adapter; none where it does.

    Args:
        subject: from `subject_of`.
        target: one of `TARGETS`.
    """
    return [reason for reason, holds in _RULES[target](subject).items() if holds]


def require_taken(subject: Subject, target: str) -> None:
    """Raises UserError with all reasons where a target does not take this adapter, and says which do."""
    if found := obstacles(subject, target):
        others = [name for name in TARGETS if not obstacles(subject, name)]
        fix = f"export --to {' or '.join(others)}" if others else "train an adapter of another kind"
        raise UserError.of(f"--to {target}", "an adapter that this target takes", "; ".join(found), fix)
