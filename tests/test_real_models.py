"""Recipes for real models: each parsed, planned, checked and trained for two steps with its architecture's stand-in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from ftlib.core.fit import plan_recipe
from ftlib.core.load import load_base
from ftlib.core.lora import for_training
from ftlib.core.preflight import preflight, require_sound
from ftlib.core.train import train
from ftlib.data.prompts import Renderer
from ftlib.recipe import Recipe
from ftlib.rows import Row, Turn
from tests.real_models import STAND_INS, save_stand_in

RECIPES = {file.stem: file for file in sorted((Path(__file__).parents[1] / "data" / "recipes").glob("*.yaml"))}
BASES = {name: yaml.safe_load(file.read_text(encoding="utf-8"))["model"]["base"] for name, file in RECIPES.items()}
REAL = [name for name, base in BASES.items() if not base.startswith(".")]
# Recipes whose stand-ins are the same train the same.
ONE_OF_EACH = sorted({STAND_INS[BASES[name]][:2]: name for name in REAL}.values())
SMALL = {"train.batch_rows": 2, "train.accumulation": 2, "train.epochs": 1, "train.compile": False}
SMALL |= {"train.max_length": 256, "model.dtype": "float32", "train.activation_checkpointing": False}
MAY_WARN: set[str] = set()
COLOURS = ["red", "green", "blue", "black", "white", "grey", "brown", "pink"]
ROWS = [Row(f"r{n}", (Turn("user", f"Which is number {n}?"),), "", (word,)) for n, word in enumerate(COLOURS)]
TALK = Row(
    "talk",
    (
        Turn("system", "Be kind."),
        Turn("user", "Hello?"),
        Turn("assistant", "Good day."),
        Turn("user", "Which is number 3?"),
    ),
    "A list of numbers.",
    ("black",),
)


@pytest.fixture
def stood_in(request, tmp_path):
    """A recipe with its base's stand-in in the base's place."""
    base = save_stand_in(STAND_INS[BASES[request.param]], tmp_path / "base")
    return Recipe.load(RECIPES[request.param], {"model.base": str(base), **SMALL})


def test_every_family_that_people_ask_for_has_a_recipe_and_every_recipe_a_stand_in():
    assert {BASES[name] for name in REAL} == set(STAND_INS)
    assert {model.family for model in STAND_INS.values()} == {
        "llama",
        "qwen2",
        "qwen3",
        "mistral",
        "gemma2",
        "gemma3",
        "t5",
    }


@pytest.mark.parametrize("name", REAL)
def test_a_recipe_says_its_licence_and_what_it_wants(name):
    head = RECIPES[name].read_text(encoding="utf-8").partition("name:")[0]
    assert BASES[name] in head and "icen" in head.replace("Terms of Use", "licence") and "GPU" in head


@pytest.mark.parametrize("stood_in", ONE_OF_EACH, indirect=True)
def test_two_steps_are_trained_and_every_check_before_them_passes(stood_in, tmp_path):
    model, tokenizer = load_base(stood_in)
    renderer, known = Renderer.of(stood_in, tokenizer), [*ROWS[:7], TALK]
    ready = for_training(model, stood_in)
    findings = preflight(ready, tokenizer, renderer, known, ROWS[7:], stood_in)
    require_sound(findings)
    assert {finding.name for finding in findings if not finding.ok} <= MAY_WARN
    examples = [renderer.example(row) for row in known]
    result = train(ready, tokenizer, examples, [renderer.example(ROWS[7])], tmp_path / "out", stood_in)
    assert result.steps == 2 and math.isfinite(result.best_loss) and result.best_loss != result.base_loss
    assert (result.adapter_dir / "adapter_model.safetensors").stat().st_size > 1000


@pytest.mark.parametrize("stood_in", REAL, indirect=True)
def test_the_plan_counts_what_the_base_has(stood_in):
    from transformers import AutoConfig

    fit = plan_recipe(stood_in, memory_bytes=2**30)
    assert fit.advice == "" and fit.layers == 2 and fit.length == 256
    rows = AutoConfig.from_pretrained(stood_in.model.base).vocab_size
    assert fit.parameters > rows * 64 and fit.chosen.memory.peak > 4 * fit.parameters / 8


SYSTEM = "You answer questions about one company's products. If you do not know, say so."
PROMPTS = {  # what stands before an answer to "Which is number 0?"
    "llama2_7b_chat": f"<s>[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\nWhich is number 0? [/INST]",
    "llama3.2_1b": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul 2024\n\n"
    f"{SYSTEM}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhich is number 0?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "qwen2.5_7b": f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nWhich is number 0?<|im_end|>\n"
    "<|im_start|>assistant\n",
    "qwen3_4b": f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nWhich is number 0?<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "mistral_7b": f"<s>[INST] {SYSTEM}\n\nWhich is number 0?[/INST]",
    "gemma2_2b": f"<bos><start_of_turn>user\n{SYSTEM}\n\nWhich is number 0?<end_of_turn>\n<start_of_turn>model\n",
    "gemma3_1b": f"<bos><start_of_turn>user\n{SYSTEM}\n\nWhich is number 0?<end_of_turn>\n<start_of_turn>model\n",
    "smollm2_1.7b": f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nWhich is number 0?<|im_end|>\n"
    "<|im_start|>assistant\n",
    "flan_t5_base": f"{SYSTEM}\n\nWhich is number 0?",
}


@pytest.mark.parametrize("stood_in", PROMPTS, indirect=True)
def test_the_system_message_stands_where_the_family_has_a_place_for_it(stood_in):
    from ftlib.data.tokens import load_tokenizer

    renderer = Renderer.of(stood_in, load_tokenizer(stood_in.model))
    assert renderer.text(ROWS[0]) == PROMPTS[stood_in.name]
    said = renderer.text(TALK)
    assert [said.count(text) for text in ("Be kind.", "Hello?", "Good day.", "A list of numbers.")] == [1, 1, 1, 1]
    assert SYSTEM not in said
