"""The models that are trained: a Llama's measures, and a random one of them on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BASE_MODEL = ROOT / "data" / "base_model"
VOCABULARY = 32_000


class Shape(NamedTuple):
    """A model's measures and how much of it is trained by default."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    tied: bool  # whether the output layer is the embedding table
    batch_rows: int  # rows per micro-batch
    steps: int
    rounds: int
    max_length: int  # tokens of the longest row
    prompt_tokens: int  # median
    answer_tokens: int  # median

    @property
    def parameters(self) -> int:
        """All weights, norms left out."""
        width = self.hidden // self.heads * self.kv_heads
        layer = 2 * self.hidden * (self.hidden + width) + 3 * self.hidden * self.intermediate
        return self.layers * layer + VOCABULARY * self.hidden * (1 if self.tied else 2)


# demo: the repository's own base model, and rows as short as the demo company's. The others: random weights in the
# shape of a small GPT-2, TinyLlama and Llama 2, with rows as long as those of instruction data sets.
SHAPES = {
    "demo": Shape(256, 5, 4, 2, 832, True, 16, 8, 3, 512, 22, 4),
    "110m": Shape(768, 12, 12, 12, 2048, True, 4, 6, 3, 512, 80, 100),
    "1b": Shape(2048, 22, 32, 4, 5632, False, 4, 10, 3, 1024, 80, 100),
    "7b": Shape(4096, 32, 32, 32, 11008, False, 4, 10, 1, 1024, 80, 100),
}


def memory_needed(shape: Shape, on_gpu: bool) -> int:
    """Bytes below which a training is not worth starting: a rule of thumb, with room for the plainest stack.

    On a GPU: 4-bit weights and scales, embeddings in float32, activations and logits of a micro-batch. On a CPU the
    model is also made and loaded whole, in up to 32 bits, and every process holds about 1 GiB of libraries.
    """
    table = VOCABULARY * shape.hidden * 4 * (1 if shape.tied else 2)
    logits = 4 * shape.batch_rows * shape.max_length * VOCABULARY * 4
    return int(0.6 * shape.parameters) + table + logits + (0 if on_gpu else 4 * shape.parameters + 2**30)


def build(name: str, folder: Path, seed: int) -> Path:
    """Write a random Llama of the shape, in bfloat16 safetensors, with the repository's tokenizer.

    Args:
        name: a key of `SHAPES`; "demo" is there already and only looked up.
        folder: gets the model. seed: of the weights.

    Returns:
        The model's folder.
    """
    if name == "demo":
        return BASE_MODEL
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = SHAPES[name]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        tie_word_embeddings=shape.tied,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        dtype="bfloat16",
    )
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    for file in BASE_MODEL.glob("*token*"):
        shutil.copy(file, folder)
    for file in BASE_MODEL.glob("*.jinja"):
        shutil.copy(file, folder)
    return folder
