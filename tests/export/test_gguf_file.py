from __future__ import annotations

import json
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from ftlib.errors import UserError
from ftlib.export.gguf_file import interleave_pairs, write_gguf

IDS = torch.tensor([[1, 20, 30, 40, 50, 60, 70]])
NEEDS_LLAMA_CPP = pytest.mark.skipif(find_spec("llama_cpp") is None, reason="the extra `gguf` is not installed")


def _fields(file) -> dict:
    from gguf import GGUFReader

    return {name: field.contents() for name, field in GGUFReader(file).fields.items()}


def _read_back(file) -> torch.nn.Module:
    """By transformers' own reader of GGUF, which knows nothing of our writer."""
    return AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()


def _logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def test_the_two_of_a_rotary_pair_become_neighbours():
    weight = np.arange(12).reshape(12, 1)  # two heads of six: firsts 0 1 2, seconds 3 4 5
    assert interleave_pairs(weight, 2).ravel().tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def test_float16_is_read_back_by_transformers_as_the_merged_model(merged_float32, tmp_path):
    file = write_gguf(merged_float32.folder, tmp_path / "model.f16.gguf", "f16")
    plain = AutoModelForCausalLM.from_pretrained(merged_float32.folder, dtype=torch.float32)
    torch.testing.assert_close(_logits(_read_back(file)), _logits(plain), rtol=2e-3, atol=2e-3)


def test_8_bits_stay_within_half_a_step_of_every_weight(merged_float32, tmp_path):
    from gguf import GGUFReader, quants

    file = write_gguf(merged_float32.folder, tmp_path / "model.q8_0.gguf")
    weight = AutoModelForCausalLM.from_pretrained(merged_float32.folder).model.layers[0].mlp.down_proj.weight
    stored = next(tensor for tensor in GGUFReader(file).tensors if tensor.name == "blk.0.ffn_down.weight")
    read = quants.dequantize(stored.data, stored.tensor_type)
    blocks = weight.detach().float().numpy().reshape(-1, 32)
    step = np.abs(blocks).max(1, keepdims=True) / 127
    assert (np.abs(read.reshape(-1, 32) - blocks) <= 0.57 * step).all()  # 127 steps, each a float16, add 1/16
    assert stored.tensor_type.name == "Q8_0"


def test_tokenizer_template_stops_and_tied_head_stand_in_the_file(merged_float32, tmp_path):
    folder = shutil.copytree(merged_float32.folder, tmp_path / "model")
    config = folder / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": [2, 0]}))
    told = _fields(write_gguf(folder, tmp_path / "model.gguf", "f16"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert told["tokenizer.chat_template"] == tokenizer.chat_template
    assert told["tokenizer.ggml.tokens"][:3] == ["<pad>", "<s>", "</s>"]
    assert told["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]
    assert (told["tokenizer.ggml.eos_token_id"], told["tokenizer.ggml.eot_token_id"]) == (2, 0)
    assert told["tokenizer.ggml.pre"] == "gpt-2" and told["tokenizer.ggml.add_bos_token"] is False
    assert "output.weight" not in {name for name in _tensor_names(tmp_path / "model.gguf")}


def _tensor_names(file) -> set[str]:
    from gguf import GGUFReader

    return {tensor.name for tensor in GGUFReader(file).tensors}


def test_an_untied_head_and_more_rows_than_tokens_are_written(merged_float32, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(merged_float32.folder)
    rows = len(tokenizer) + 8
    config = LlamaConfig(
        vocab_size=rows, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2
    )
    config.rope_parameters = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    folder = shutil.copytree(merged_float32.folder, tmp_path / "model")
    LlamaForCausalLM(config).save_pretrained(folder)
    file = write_gguf(folder, tmp_path / "model.gguf", "f16")
    assert {"output.weight", "rope_freqs.weight"} <= _tensor_names(file)
    assert _fields(file)["tokenizer.ggml.tokens"][-1] == f"[PAD{rows - 1}]"
    from gguf import GGUFReader

    factors = next(tensor.data for tensor in GGUFReader(file).tensors if tensor.name == "rope_freqs.weight")
    assert factors[0] == 1.0 and factors[-1] == pytest.approx(8.0), "slow pairs are stretched, fast ones are not"


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("config.json", {"hidden_act": "gelu"}, "silu"),
        ("config.json", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, "rotary"),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Whitespace"}}, "cuts text"),
        ("tokenizer.json", {"normalizer": {"type": "Lowercase"}}, "normalizer"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(file, change, said, merged_float32, tmp_path):
    folder = shutil.copytree(merged_float32.folder, tmp_path / "model")
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | change))
    with pytest.raises(UserError, match=said):
        write_gguf(folder, tmp_path / "model.gguf")


@NEEDS_LLAMA_CPP
@pytest.mark.parametrize("file_type", ["f16", "q8_0"])
def test_llama_cpp_reads_it_tokenizes_alike_and_answers_alike(file_type, merged_float32, tmp_path):
    from ftlib.export.parity import hold_to_parity
    from ftlib.export.players import llama_cpp_player

    asker, system, golden = merged_float32.asker, merged_float32.system, merged_float32.golden
    files = [
        write_gguf(folder, tmp_path / f"{folder.name}.{file_type}.gguf", file_type)
        for folder in (merged_float32.base, merged_float32.folder)
    ]
    opened = [lambda file=file: llama_cpp_player(file, 300) for file in files]
    verdict = hold_to_parity(asker, system, golden, *opened, margin=0.5)
    assert verdict.ship, verdict.reasons
    assert verdict.rows == 24 and "llama.cpp" in verdict.engine
    refused = hold_to_parity(asker, system, golden, opened[0], opened[0], margin=0.5)
    assert any("what was trained is not applied" in reason for reason in refused.reasons)
