"""What lies beside the weights: tokenizer, the template that was trained with, stop tokens, the adapter's config."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ftlib import atomic
from ftlib.data.templates import FIXED, template_source
from ftlib.stage import read_manifest

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker
    from ftlib.core.engine import Engine
    from ftlib.systems import System

# Named templates set a context apart where a message brings one; chat servers send `content` alone.
_OWN_KEYS = {"message['question']": "(message['question'] or message['content'])"}


def write_beside(asker: Asker, folder: Path) -> None:
    """Tokenizer, template and generation config of the run."""
    write_tokenizer(asker.engine, asker.run.recipe.prompt.template, folder)
    write_generation_config(asker.engine, folder, asker.max_new_tokens)


def write_tokenizer(engine: Engine, template: str, folder: Path) -> None:
    """Save the tokenizer with the run's template, as chat_template.jinja and in tokenizer_config.json.

    Args:
        engine: the run's.
        template: the recipe's `prompt.template`.
        folder: to write into.
    """
    engine.tokenizer.save_pretrained(folder)
    shutil.rmtree(folder / "additional_chat_templates", ignore_errors=True)
    source = chat_template(engine, template)
    (folder / "chat_template.jinja").write_text(source, encoding="utf-8")
    file = folder / "tokenizer_config.json"
    atomic.write_json(file, atomic.read_json(file) | {"chat_template": source})


def chat_template(engine: Engine, template: str) -> str:
    """The Jinja source that gives a chat server the prompts that the run's renderer makes.

    What the renderer does around a template is written into it: the begin-of-sequence token, values that must not
    change from day to day, and messages of a question and its context in one text.
    """
    tokenizer = engine.tokenizer
    _, source = template_source(template, tokenizer, engine.renderer.encoder_decoder)
    for key, instead in _OWN_KEYS.items():
        source = source.replace(key, instead)
    fixed = {name: value for name, value in FIXED.items() if re.search(rf"\b{name}\b", source)}
    before = "".join(f"{{%- set {name} = {json.dumps(value)} -%}}" for name, value in fixed.items())
    said = [{"role": "user", "content": "question"}]
    shown = tokenizer.apply_chat_template(said, chat_template=source, tokenize=False, add_generation_prompt=True)
    begin = tokenizer.bos_token
    return before + ("{{- bos_token }}" if begin and not shown.startswith(begin) else "") + source


def write_generation_config(engine: Engine, folder: Path, max_new_tokens: int) -> None:
    """Greedy decoding, as evaluated, with every token that ends an answer."""
    from transformers import GenerationConfig

    from ftlib.core.generate import end_tokens

    tokenizer = engine.tokenizer
    GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=end_tokens(engine.model, tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=engine.model.generation_config.decoder_start_token_id,
        do_sample=False,
        max_new_tokens=max_new_tokens,
    ).save_pretrained(folder)


def write_adapter(asker: Asker, system: System, folder: Path) -> None:
    """The trained adapter as PEFT reads it, with the base's name and revision, at the system's scale.

    Args:
        asker: the run's.
        system: with its adapter's folder.
        folder: to write into.
    """
    source = Path(str(system.adapter))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "adapter_model.safetensors", folder / "adapter_model.safetensors")
    told = atomic.read_json(source / "adapter_config.json")
    told["base_model_name_or_path"], told["revision"] = base_name(asker)
    told["lora_alpha"] = told["lora_alpha"] * system.adapter_scale
    told["alpha_pattern"] = {
        layer: alpha * system.adapter_scale for layer, alpha in (told.get("alpha_pattern") or {}).items()
    }
    atomic.write_json(folder / "adapter_config.json", told)


def base_name(asker: Asker) -> tuple[str, str | None]:
    """The base as the recipe names it, and the hub's commit that was trained on (None for a local folder)."""
    model, key = asker.run.recipe.model, read_manifest(asker.run.path / "02_train").get("key", {})
    commit = key.get("hub", {}).get("model.base", {}).get("commit")
    return model.base, commit or model.revision
