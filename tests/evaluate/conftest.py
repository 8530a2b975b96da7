"""The tiny random model and an engine over two systems, made once for this room."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_model_dir):
    """Byte-level BPE that starts every text with <s>."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model_dir)


@pytest.fixture(scope="session")
def tiny_model(tiny_model_dir, tiny_tokenizer):
    """(model, tokenizer): a random two-layer Llama in float32."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype="float32").eval(), tiny_tokenizer


@pytest.fixture(scope="session")
def tiny_t5(tiny_tokenizer):
    """A random one-layer encoder-decoder over the same tokens."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=len(tiny_tokenizer),
        d_model=32,
        d_ff=64,
        d_kv=8,
        num_layers=1,
        num_heads=2,
        pad_token_id=tiny_tokenizer.pad_token_id,
        eos_token_id=tiny_tokenizer.eos_token_id,
        decoder_start_token_id=tiny_tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return T5ForConditionalGeneration(config).eval()


@pytest.fixture
def two_systems(tiny_recipe, tmp_path):
    """(engine, systems): a base and an adapter that changes what it says, as the recipe names them."""
    import torch

    from ftlib.core.engine import Engine
    from ftlib.core.load import load_base
    from ftlib.core.lora import add_lora
    from ftlib.run import Run
    from ftlib.systems import systems

    adapter = tmp_path / "adapter"
    plain = Run.open(tmp_path / "plain", tiny_recipe)
    trained = add_lora(load_base(plain.recipe)[0], plain.recipe.lora, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in trained.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.5)
    trained.save_pretrained(adapter)
    run = Run.open(tmp_path / "run", tiny_recipe, {"systems.finetuned.adapter": str(adapter)})
    both = systems(run.recipe, run.recipe.evaluate.systems)
    return Engine.load(run, both), both
