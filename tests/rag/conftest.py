"""The tiny model as an engine, and the recipe's systems, for this room's tests."""

from __future__ import annotations

import pytest

from ftlib.recipe import Recipe
from ftlib.systems import systems


@pytest.fixture(scope="session")
def engine(tiny_model_dir):
    """A random two-layer Llama in float32 with a fresh adapter, and the renderer of its own template."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from ftlib.core.engine import Engine
    from ftlib.core.lora import quiet_peft
    from ftlib.data.prompts import Renderer
    from ftlib.data.tokens import load_tokenizer
    from ftlib.recipe import ModelRecipe

    tokenizer = load_tokenizer(ModelRecipe(base=str(tiny_model_dir)))
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype="float32").eval()
    with quiet_peft():
        model = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"), adapter_name="one")
    return Engine(model, tokenizer, Renderer("tokenizer", tokenizer), {"finetuned": "one", "rag_ft": "one"})


@pytest.fixture
def recipe(tiny_recipe):
    """The tiny recipe, whose test rows name their articles in a column."""
    return Recipe.load(tiny_recipe, {"data.columns": {"slice": "slice", "fact": "fact", "documents": "documents"}})


@pytest.fixture(scope="session")
def five():
    """What a recipe compares that names no systems."""
    return systems(Recipe.model_validate({"name": "t", "data": {"path": "unused"}, "model": {"base": "unused"}}))
