from __future__ import annotations

import warnings

import pytest

from ftlib.errors import UserError
from ftlib.export.matrix import TARGETS, WHOLE, Subject, obstacles, require_taken, subject_of
from ftlib.recipe import Recipe

PLAIN = Subject("LORA", 16, False, False, False, (), (), True, "llama", False)
# What is changed, and the targets that do not take it any more.
CASES = {
    "nothing": ({}, set()),
    "rank 1024": ({"rank": 1024}, {"vllm"}),
    "rank 512": ({"rank": 512}, set()),
    "dora": ({"dora": True}, {"vllm"}),
    "rslora": ({"rslora": True}, set()),
    "bias": ({"bias": True}, {"vllm"}),
    "saved norm": ({"saved": ("norm",)}, {"vllm"}),
    "saved head, tied": ({"saved": ("lm_head",)}, {"merged", "gguf", "ollama", "vllm"}),
    "head, tied": ({"ends": ("lm_head",)}, {"merged", "gguf", "ollama", "vllm"}),
    "head, not tied": ({"ends": ("lm_head",), "tied": False}, set()),
    "another architecture": ({"architecture": "gpt2"}, {"gguf", "ollama"}),
    "encoder-decoder": ({"architecture": "t5", "encoder_decoder": True}, {"gguf", "ollama", "vllm"}),
    "trained as a whole": ({"kind": WHOLE, "rank": 0}, {"adapter"}),
    "no LoRA": ({"kind": "IA3"}, {"merged", "gguf", "ollama", "vllm"}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_target_says_what_it_does_not_take(case):
    changed, refused = CASES[case]
    subject = PLAIN._replace(**changed)
    assert {target for target in TARGETS if obstacles(subject, target)} == refused


def test_all_reasons_are_told_with_the_targets_that_remain():
    with pytest.raises(UserError) as told:
        require_taken(PLAIN._replace(dora=True, rank=600), "vllm")
    assert "rank 600" in str(told.value) and "DoRA" in str(told.value)
    assert "export --to adapter or merged or gguf or ollama" in str(told.value)


def test_what_was_trained_is_described_by_its_files(merged_float32, tiny_model_dir, tmp_path):
    recipe = merged_float32.asker.run.recipe
    assert subject_of(recipe, merged_float32.adapter) == PLAIN
    assert subject_of(recipe, tiny_model_dir) == PLAIN._replace(kind=WHOLE, rank=0)
    with pytest.raises(UserError, match="PEFT adapter"):
        subject_of(recipe, tmp_path)


def test_an_adapted_head_is_found_by_the_names_of_its_tensors(tiny_model_dir, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT says that the head is tied
        adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["lm_head"], use_rslora=True))
        adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    recipe = Recipe.model_validate({"name": "t", "data": {"path": "unused"}, "model": {"base": str(tiny_model_dir)}})
    found = subject_of(recipe, tmp_path / "adapter")
    assert found == PLAIN._replace(rank=2, ends=("lm_head",), rslora=True)
    assert "ties its head" in obstacles(found, "merged")[0]
