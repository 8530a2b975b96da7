"""vLLM's configuration: the base with an export's adapter on it, or the export's own model, on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ftlib.export.matrix import VLLM_RANKS, subject_of

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker

FILE = "vllm.yaml"


def write_vllm(folder: Path, asker: Asker, base: str | None) -> dict[str, Any]:
    """Write what `vllm serve --config` reads in the export's folder.

    Args:
        folder: the export's.
        asker: the run's.
        base: what the folder's adapter is put on; None where the folder holds a whole model.

    Returns:
        What a reader of the export must know of it.
    """
    recipe, facts = asker.run.recipe, {"config": FILE}
    flags: dict[str, Any] = {"model": ".", "served-model-name": recipe.name, "dtype": asker.engine.dtype}
    if base is not None:
        rank = subject_of(recipe, folder).rank
        flags = {
            "model": base,
            "enable-lora": True,
            "lora-modules": [f"{recipe.name}=."],
            "max-lora-rank": min(each for each in VLLM_RANKS if each >= rank),
            "max-loras": 1,
            "dtype": "bfloat16",
        }
        flags |= {"revision": recipe.model.revision} if recipe.model.revision else {}
        facts |= {"max_lora_rank": flags["max-lora-rank"]}
    flags |= {"chat-template": "chat_template.jinja", "generation-config": ".", "host": "127.0.0.1"}
    flags |= {"max-model-len": asker.engine.window} if asker.engine.window else {}
    (folder / FILE).write_text(yaml.safe_dump(flags, sort_keys=False), encoding="utf-8")
    return facts
