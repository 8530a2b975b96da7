"""Small random models of every family, made on the spot: two layers, 64 wide, with a byte-level tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

WIDTH = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
# 96 is no multiple of a block of 64: such rows are where 4-bit kernels go wrong.
LLAMA_LIKE = WIDTH | {"intermediate_size": 96, "num_key_value_heads": 2, "max_position_embeddings": 512}


def _config(name: str, **fields) -> Callable:
    def make(common: dict):
        import transformers

        return getattr(transformers, name)(**(fields | common))

    return make


FAMILIES = {
    "llama": _config("LlamaConfig", **LLAMA_LIKE, tie_word_embeddings=True),
    "smollm2": _config("LlamaConfig", **LLAMA_LIKE, tie_word_embeddings=True),
    "qwen2": _config("Qwen2Config", **LLAMA_LIKE),
    "qwen3": _config("Qwen3Config", **LLAMA_LIKE, head_dim=16),
    "mistral": _config("MistralConfig", **LLAMA_LIKE, sliding_window=8),
    "gemma2": _config("Gemma2Config", **LLAMA_LIKE, head_dim=16, sliding_window=8, final_logit_softcapping=2.0),
    "gemma3": _config("Gemma3TextConfig", **LLAMA_LIKE, head_dim=16, sliding_window=8),
    "phi3": _config("Phi3Config", **LLAMA_LIKE, original_max_position_embeddings=512),
    "gpt2": _config("GPT2Config", n_embd=64, n_layer=2, n_head=4, n_inner=96, n_positions=512),
    "gpt_neox": _config("GPTNeoXConfig", **WIDTH, intermediate_size=96, max_position_embeddings=512),
    "t5": _config(
        "T5Config",
        d_model=64,
        d_kv=16,
        d_ff=96,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,  # as of version 1.1 and Flan
    ),
}
IN_EVERY_RUN = {"gpt2", "t5", "smollm2"}  # the two least like the embedded default, and what `make real` trains
# SmolLM2's begin token is the marker that opens every turn.
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = ["What colour is the kettle?", "The kettle is red.", "Which lamp is blue?", "I don't have that information."]


def save_family(name: str, folder: Path, seed: int = 0) -> Path:
    """Write a random model of a family as any model is published.

    Args:
        name: a key of `FAMILIES`. folder: gets model and tokenizer. seed: of the weights.

    Returns:
        The folder.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    tokenizer = family_tokenizer(name)
    ids = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    pad = tokenizer.pad_token_id
    config = FAMILIES[name]({"vocab_size": len(tokenizer), "pad_token_id": pad, **ids})
    if config.is_encoder_decoder:
        config.decoder_start_token_id = pad
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto.from_config(config)
        for parameter in model.parameters():  # far enough apart for greedy decoding to be the same everywhere
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def family_tokenizer(name: str):
    """Byte-level BPE with the special tokens that the family has: GPT-2 has one for all, T5 no beginning."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = {
        "gpt2": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        "gpt_neox": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        "t5": {"pad_token": "<pad>", "eos_token": "</s>"},
        "smollm2": {"pad_token": "<|im_end|>", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
        "qwen2": {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
        "qwen3": {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
    }.get(name, {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"})
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=list(dict.fromkeys(special.values())),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    own = {"chat_template": CHATML} if name == "smollm2" else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special, **own)
