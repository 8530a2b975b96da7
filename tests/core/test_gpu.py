"""The same promises on a CUDA GPU, where dtype, placement, autocast and compilation differ from a CPU's."""

from __future__ import annotations

import json

import pytest
import torch

from ftlib.core.compiling import missing_for_compile
from ftlib.core.device import describe
from ftlib.core.finetuned import load_finetuned
from ftlib.core.generate import greedy
from ftlib.core.load import load_base
from ftlib.core.loss import log_likelihood
from ftlib.core.train import train
from ftlib.export.merge import merge

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU"),
    pytest.mark.filterwarnings("default"),  # other libraries' warnings on devices that this project is not built on
]


@pytest.fixture
def trained(adapted, rows, tmp_path):
    """A function that trains a fresh adapter: name, recipe -> (result, logged lines)."""

    def go(name, recipe):
        model, tokenizer = adapted(recipe)
        assert next(model.parameters()).device.type == describe().kind
        result = train(model, tokenizer, rows[:20], rows[20:], tmp_path / name, recipe)
        return result, [json.loads(line) for line in result.metrics_path.read_text().splitlines()]

    return go


def _values(lines: list[dict], key: str) -> list[float]:
    return [line[key] for line in lines if key in line]


@pytest.mark.parametrize("gemm", ["streamed", "cached"])
def test_training_learns_and_stays_on_the_gpu(trained, make_recipe, gemm):
    fields = {"train__epochs": 6, "train__early_stopping_patience": 0, "quantization": {"gemm": gemm}}
    result, lines = trained("a", make_recipe(**fields))
    assert result.best_loss < result.base_loss - 0.1
    assert result.plan.device.startswith("cuda") and result.plan.dtype == describe().compute_dtype
    assert all(torch.isfinite(torch.tensor(_values(lines, "grad_norm"))))
    assert 0 < result.peak_memory_bytes < describe().memory_bytes


@pytest.mark.parametrize(
    "off",
    [
        {"train__logits": "all"},
        {"quantization": {"gemm": "streamed"}},
        {"lora": {"r": 4, "alpha": 8, "fused": False}},
        {"train__activation_checkpointing": True},
        {"train__share_beginning": False},
    ],
    ids=["all-logits", "streamed", "unfused", "checkpointing", "whole-rows"],
)
def test_fast_paths_give_the_losses_of_the_plain_ones(trained, make_recipe, off):
    on = {"quantization": {"gemm": "cached"}, "train__epochs": 1, "train__share_beginning": True}
    _, fast = trained("on", make_recipe(**on))
    _, plain = trained("off", make_recipe(**(on | off)))
    assert _values(plain, "loss") == pytest.approx(_values(fast, "loss"), rel=0.02)


@pytest.mark.parametrize("gemm", ["streamed", "cached"])
def test_compiled_layers_train_as_eager_ones(trained, make_recipe, gemm):
    if missing := missing_for_compile():
        pytest.skip(f"torch.compile needs {missing}")
    fields = {"train__epochs": 1, "quantization": {"gemm": gemm}}
    _, eager = trained("eager", make_recipe(**fields))
    result, compiled = trained("compiled", make_recipe(**fields | {"train__compile": True}))
    assert any("share one compiled graph" in reason for reason in result.plan.reasons)
    assert _values(compiled, "loss") == pytest.approx(_values(eager, "loss"), rel=0.02)


def test_float16_trains_with_scaled_losses(trained, make_recipe):
    """For GPUs without bfloat16: the gradients are those of float32 although float16 cannot hold the smallest."""
    _, half = trained("half", make_recipe(model__dtype="float16", train__epochs=1))
    _, single = trained("single", make_recipe(model__dtype="float32", train__epochs=1))
    assert _values(half, "loss") == pytest.approx(_values(single, "loss"), rel=0.02)
    assert _values(half, "grad_norm")[0] == pytest.approx(_values(single, "grad_norm")[0], rel=0.05)


def test_a_finished_training_is_taken_up_again_from_its_checkpoint(trained, make_recipe):
    recipe = make_recipe(train__epochs=1)
    first, _ = trained("a", recipe)
    again, _ = trained("a", recipe)
    assert again.steps == first.steps and again.best_loss == pytest.approx(first.best_loss, rel=1e-3)


def test_batched_generation_equals_transformers_one_by_one(make_recipe):
    model, tokenizer = load_base(make_recipe(model__dtype="float32"))
    prompts = [[1, 20, 30, 40, 50, 60], [1, 25], [1, 33, 44, 55]]
    got = greedy(model, prompts, 8, [tokenizer.eos_token_id], tokenizer.pad_token_id)
    for prompt, row in zip(prompts, got, strict=True):
        ids = torch.tensor([prompt], device=model.device)
        wanted = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False,
                                eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)  # fmt: skip
        assert row == wanted[0, len(prompt) :].tolist()


def test_a_merged_model_answers_as_the_finetuned_one(make_recipe, adapted, random_adapter, rows, tmp_path):
    from transformers import AutoModelForCausalLM

    recipe = make_recipe(model__dtype="float32")
    model, tokenizer = adapted(recipe)
    random_adapter(model).save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    merge(recipe, tmp_path / "adapter", tmp_path / "merged", dtype="float32")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").to(model.device)
    finetuned, _ = load_finetuned(recipe, tmp_path / "adapter")
    scores = [log_likelihood(m, tokenizer, rows) for m in (plain, finetuned)]
    for ours, theirs in zip(*scores, strict=True):
        assert ours.sum_logprob == pytest.approx(theirs.sum_logprob, abs=1e-2)
