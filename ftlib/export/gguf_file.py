"""A merged model as one GGUF file, in float16 or in 8 bits: weights, tokenizer and template, for llama.cpp and Ollama.

The format is the `gguf` package's; which of its tensors a weight becomes is said by its own map of names. What stands
here is what a conversion can get wrong in silence: the order of rotary pairs, the splitting of text before BPE, the
kinds of special tokens, the head, the stops. Whoever reads the file back is held to parity by `ftlib.export.parity`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ftlib.errors import UserError

if TYPE_CHECKING:
    import numpy as np

FileType = Literal["f16", "q8_0"]
# transformers' model_type to the name of a graph of llama.cpp's that computes the same.
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
_PAIRS_INTERLEAVED = {"llama"}  # graphs that rotate neighbours, where transformers rotates halves
_BLOCK = 32  # weights of a row that share one scale in q8_0
# How text is cut before BPE, by what tokenizer.json says: llama.cpp knows these by name only.
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_ENGLISH = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {
    _GPT2: "gpt-2",
    r"\p{N} " + _GPT2: "smollm",
    _ENGLISH + r"|\p{N}{1,3}" + _REST: "llama-bpe",
    _ENGLISH + r"|\p{N}" + _REST: "qwen2",
}


def write_gguf(folder: Path, file: Path, file_type: FileType = "q8_0") -> Path:
    """Convert a merged model.

    Args:
        folder: safetensors, config, tokenizer with its template, generation config with every stop token.
        file: the .gguf to write.
        file_type: of matrices, `f16` or `q8_0` (8 bits, one scale for 32 weights of a row); vectors are float32.

    Returns:
        `file`.

    Raises:
        UserError: the architecture, its rotary embedding or the tokenizer is none that is written here.
    """
    import gguf
    from transformers import AutoConfig, AutoTokenizer

    config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    _require_plain(config)
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(file, architecture)
    _add_shape(writer, config, file_type)
    _add_tokenizer(writer, folder, tokenizer, config)
    kind = getattr(gguf.GGMLQuantizationType, file_type.upper())
    for name, values in _tensors(folder, config, architecture):
        stored = gguf.GGMLQuantizationType.F32 if values.ndim == 1 or values.shape[-1] % _BLOCK else kind
        writer.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _require_plain(config) -> None:
    """What these graphs compute, and nothing beside."""
    rope, window = config.rope_parameters or {}, getattr(config, "sliding_window", None)
    if config.model_type not in ARCHITECTURES:
        raise _cannot(f"a model_type among {', '.join(ARCHITECTURES)}", config.model_type)
    if rope.get("rope_type", "default") not in ("default", "llama3", "linear"):
        raise _cannot("a rotary embedding of type default, linear or llama3", rope["rope_type"])
    if window and getattr(config, "use_sliding_window", True) and window < config.max_position_embeddings:
        raise _cannot("attention to everything before a token", f"a sliding window of {window} tokens")
    if config.hidden_act != "silu":
        raise _cannot("the activation silu", config.hidden_act)


def _cannot(expected: str, found: str) -> UserError:
    return UserError.of("GGUF", expected, found, "export --to merged and convert it with llama.cpp's own converter")


def _add_shape(writer, config, file_type: FileType) -> None:
    """Sizes and constants of the graph."""
    import gguf

    heads, rope = config.num_attention_heads, config.rope_parameters or {}
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_file_type(getattr(gguf.LlamaFileType, f"MOSTLY_{file_type.upper()}"))
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(rope.get("rope_theta", 10000.0))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if rope.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])


def _add_tokenizer(writer, folder: Path, tokenizer, config) -> None:
    """Vocabulary, merges, special tokens, template and stops."""
    import gguf
    from transformers import GenerationConfig

    told: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    split = _split_name(told)
    added = {token["id"]: token for token in told["added_tokens"]}
    pieces = {number: piece for piece, number in tokenizer.get_vocab().items()}
    tokens, kinds = [], []
    for number in range(config.vocab_size):  # weights may hold more rows than there are tokens
        tokens.append(pieces.get(number, f"[PAD{number}]"))
        plain = gguf.TokenType.NORMAL if number in pieces else gguf.TokenType.UNUSED
        own = gguf.TokenType.CONTROL if added.get(number, {}).get("special") else gguf.TokenType.USER_DEFINED
        kinds.append(own if number in added else plain)
    writer.add_tokenizer_model("gpt2")  # byte-level BPE
    writer.add_tokenizer_pre(split)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in told["model"]["merges"]])
    _add_ends(writer, tokenizer, GenerationConfig.from_pretrained(folder).eos_token_id)
    writer.add_add_bos_token(adds_begin(tokenizer))
    writer.add_chat_template(tokenizer.chat_template)


def _add_ends(writer, tokenizer, stops: int | list[int]) -> None:
    """The first stop ends a text; llama.cpp has two more places where a token that ends a turn can stand."""
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    stops = [stops] if isinstance(stops, int) else stops
    first, *more = sorted(stops, key=lambda stop: stop != tokenizer.eos_token_id)
    writer.add_eos_token_id(first)
    for add, stop in zip((writer.add_eot_token_id, writer.add_eom_token_id), more, strict=False):
        add(stop)


def adds_begin(tokenizer) -> bool:
    """Whether a tokenizer sets its begin-of-sequence token before any text by itself."""
    return tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]


def _split_name(told: dict[str, Any]) -> str:
    """llama.cpp's name for the way in which this tokenizer cuts text before BPE.

    Raises:
        UserError: it is no byte-level BPE, or cuts in a way that has no name here.
    """
    if told["model"]["type"] != "BPE" or told["model"].get("byte_fallback") or told.get("normalizer"):
        raise _cannot("a byte-level BPE tokenizer without a normalizer", told["model"]["type"])
    steps = told["pre_tokenizer"] or {}
    steps = steps.get("pretokenizers", [steps])
    parts = [_pattern(step) for step in steps]
    pattern = " ".join(part for part in parts if part)
    if pattern not in _SPLITS:
        raise _cannot("a tokenizer that cuts text as GPT-2, SmolLM, Llama 3 or Qwen 2 do", repr(pattern))
    return _SPLITS[pattern]


def _pattern(step: dict[str, Any]) -> str:
    """The regular expression of one step; "" where it cuts nothing."""
    if step.get("type") == "ByteLevel" and not step.get("add_prefix_space"):
        return _GPT2 if step.get("use_regex", True) else ""
    if step.get("type") == "Digits" and step.get("individual_digits"):
        return r"\p{N}"
    if step.get("type") == "Split":
        return step["pattern"].get("Regex", "?")
    return f"{step.get('type')}?"


def _tensors(folder: Path, config, architecture: str) -> Iterator[tuple[str, np.ndarray]]:
    """Names of GGUF and float32 values, one tensor at a time."""
    import gguf
    import numpy as np
    from safetensors import safe_open

    number = next(n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    if (factors := _rope_factors(config)) is not None:
        yield "rope_freqs.weight", factors
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a dict)
                if config.tie_word_embeddings and name.startswith("lm_head."):
                    continue  # it is the embedding, which stands there already
                target = names.get_name(name, try_suffixes=(".weight", ".bias"))
                if target is None:
                    raise _cannot(f"tensors of the architecture {architecture}", name)
                values = tensors.get_tensor(name).float().numpy()
                for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
                    if architecture in _PAIRS_INTERLEAVED and f".{part}." in name:
                        values = interleave_pairs(values, heads)
                yield target, np.ascontiguousarray(values)


def interleave_pairs(weight: np.ndarray, heads: int) -> np.ndarray:
    """Reorder a projection's rows so that the two of a rotary pair are neighbours.

    Args:
        weight: (heads * size, ...), in each head the first of all pairs before the second ones.
        heads: how many.

    Returns:
        The same rows, pair after pair: same shape.
    """
    halves = weight.reshape(heads, 2, -1, *weight.shape[1:])  # (heads, 2, pairs, ...)
    return halves.swapaxes(1, 2).reshape(weight.shape)


def _rope_factors(config) -> np.ndarray | None:
    """What llama.cpp divides each rotary frequency by, (pairs,) float32; None where they are the plain ones."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = config.rope_parameters or {}
    if rope.get("rope_type") != "llama3":
        return None
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    import torch

    plain = rope["rope_theta"] ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    return (plain / scaled.double()).float().numpy()
