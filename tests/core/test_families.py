"""Every model family: load, adapt, train, save, load again, answer, score, merge."""

from __future__ import annotations

import random

import pytest
import torch

from ftlib.core.compiling import decoder_layers
from ftlib.core.finetuned import load_finetuned
from ftlib.core.generate import end_tokens, greedy, write_greedily
from ftlib.core.load import load_base, model_class
from ftlib.core.lora import add_lora, lora_layers
from ftlib.core.loss import has_encoder, log_likelihood
from ftlib.core.published import read_weight
from ftlib.core.train import train
from ftlib.data.prompts import Example
from ftlib.export.merge import merge
from tests.families import FAMILIES, IN_EVERY_RUN, save_family

marked = [pytest.param(name, marks=[] if name in IN_EVERY_RUN else pytest.mark.families) for name in FAMILIES]


@pytest.fixture(scope="module", params=marked)
def folder(request, tmp_path_factory):
    return save_family(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(params=[True, False], ids=["nf4", "plain"])
def recipe(request, folder, make_recipe):
    rate = 0.02 if folder.name.startswith("t5") else 0.003  # an encoder's adapter acts through two more layers
    train_section = {"epochs": 6, "learning_rate": rate, "batch_rows": 8, "eval_every_steps": 6, "compile": False}
    return make_recipe(
        model={"base": str(folder), "dtype": "float32"},
        quantization={"load_in_4bit": request.param},
        train=train_section,
    )


def _examples(encoder_decoder: bool, eos: int) -> list[Example]:
    """24 rows of 5 to 12 tokens whose answer repeats their second token."""
    rng = random.Random(5)
    made = []
    for _ in range(24):
        prompt = [rng.randrange(10, 30) for _ in range(rng.randint(4, 10))]
        answer = [prompt[1]] * rng.randint(1, 3) + [eos]
        causal = Example(prompt + answer, [-100] * len(prompt) + answer)
        made.append(Example([*prompt, eos], answer) if encoder_decoder else causal)
    return made


def _library_answer(model, tokenizer, prompt, new: int, ends: list[int]) -> list[int]:
    """transformers' own greedy generation of one prompt, and so without padding."""
    ids = torch.tensor([prompt])
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
    )
    return out[0, 1 if has_encoder(model) else len(prompt) :].tolist()


def _direct_score(model, example: Example) -> float:
    """log p of the labels from one forward in the model's own dtype, nothing selected, nothing padded."""
    ids, labels = torch.tensor([example.input_ids]), torch.tensor([example.labels])
    with torch.no_grad():
        if has_encoder(model):
            logits, targets = model(input_ids=ids, labels=labels).logits[0], labels[0]
        else:
            logits, targets = model(input_ids=ids).logits[0, :-1], labels[0, 1:]
    logprobs = logits.double().log_softmax(-1)
    return sum(logprobs[t, label].item() for t, label in enumerate(targets.tolist()) if label != -100)


def _seen(model, prompt: list[int], answer: list[int]) -> Example:
    """A prompt with an answer whose every token is scored."""
    if has_encoder(model):
        return Example(prompt, answer)
    return Example([*prompt, *answer], [-100] * len(prompt) + answer)


def test_a_family_goes_all_the_way(recipe, tmp_path):
    model, tokenizer = load_base(recipe)
    assert len(decoder_layers(model)) == (4 if has_encoder(model) else 2)
    examples = _examples(has_encoder(model), tokenizer.eos_token_id)
    adapted = add_lora(model, recipe.lora, recipe.seed)
    assert adapted.peft_config["default"].task_type == ("SEQ_2_SEQ_LM" if has_encoder(model) else "CAUSAL_LM")
    result = train(adapted, tokenizer, examples[:16], examples[16:], tmp_path, recipe)
    assert result.best_loss < result.base_loss - 0.1
    assert f"fused with the base's product in all {len(lora_layers(adapted))} layers" in result.plan.text()

    tuned, _ = load_finetuned(recipe, tmp_path / "adapter")
    scores = log_likelihood(tuned, tokenizer, examples)
    assert [s.sum_logprob for s in scores] == pytest.approx(
        [s.sum_logprob for s in log_likelihood(adapted, tokenizer, examples)], rel=1e-6
    )
    merge(recipe, tmp_path / "adapter", tmp_path / "merged", dtype="float32")
    exact = model_class(recipe).from_pretrained(tmp_path / "merged", dtype=torch.float64).eval()
    for example, score in zip(examples, scores, strict=True):
        assert score.sum_logprob == pytest.approx(_direct_score(exact, example), abs=2e-3)

    prompts = [e.input_ids if has_encoder(model) else e.input_ids[: e.labels.count(-100)] for e in examples[:7]]
    for ends in (end_tokens(tuned, tokenizer), [len(tokenizer) - 1]):  # the second hardly ever comes
        rows = write_greedily(tuned, prompts, 12, ends, tokenizer.pad_token_id)
        written = [row.ids for row in rows]
        seen = [_seen(exact, prompt, row.ids) for prompt, row in zip(prompts, rows, strict=True)]
        told = [_direct_score(exact, each) / len(row.ids) for each, row in zip(seen, rows, strict=True)]
        assert [row.log_probability for row in rows] == pytest.approx(told, abs=2e-3)
        assert written == [_library_answer(tuned, tokenizer, prompt, 12, ends) for prompt in prompts]
        assert written == [_library_answer(exact, tokenizer, prompt, 12, ends) for prompt in prompts]
    with tuned.disable_adapter():  # the base has not learned to say the same everywhere
        free = greedy(tuned, prompts, 12, ends, tokenizer.pad_token_id)
        assert free == [_library_answer(tuned, tokenizer, prompt, 12, ends) for prompt in prompts]
        alike = [[*range(10, 40), *prompt] for prompt in prompts]  # what all begin with may be read once
        wanted = [_library_answer(tuned, tokenizer, prompt, 6, ends) for prompt in alike]
        assert greedy(tuned, alike, 6, ends, tokenizer.pad_token_id) == wanted
    assert len({tuple(answer) for answer in free}) > 1 and max(map(len, free)) == 12


def test_one_large_matrix_is_found_that_is_no_embedding(recipe):
    name, weight = read_weight(recipe)
    assert weight.ndim == 2 and weight.dtype == torch.float32
    assert "emb" not in name and "wte" not in name and "wpe" not in name and "shared" not in name
    assert weight.numel() >= 64 * 96 and "0" in name  # of the first layer
