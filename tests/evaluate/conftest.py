"""The tiny random model, loaded once for this room."""

import pytest


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_model_dir):
    """Byte-level BPE that starts every text with <s>."""
    from ftlib.core.model import load_tokenizer

    return load_tokenizer(str(tiny_model_dir))


@pytest.fixture(scope="session")
def tiny_model(tiny_model_dir, tiny_tokenizer):
    """(model, tokenizer): a random two-layer Llama in float32."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval(), tiny_tokenizer
