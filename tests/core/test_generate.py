from __future__ import annotations

import pytest
import torch

from ftlib.core.generate import context_window, generate, greedy, write_greedily
from ftlib.core.load import load_base

PROMPTS = [[1, 20, 30, 40, 50, 60], [1, 25], [1, 33, 44, 55], [1, 70, 71, 72, 73, 74, 75, 76], [1, 9, 8]]


@pytest.fixture(scope="module")
def base(make_recipe):
    return load_base(make_recipe())


def _reference(model, tokenizer, prompt, new, ends):
    """transformers' own greedy generation, one prompt at a time and so without padding."""
    ids = torch.tensor([prompt])
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id)  # fmt: skip
    return out[0, len(prompt) :].tolist()


def test_batched_greedy_equals_transformers_one_by_one(base):
    model, tokenizer = base
    free = greedy(model, PROMPTS, 12, [tokenizer.eos_token_id], tokenizer.pad_token_id)
    ends = sorted({row[0] for row in free[:3]})  # three of five rows end at once, so the batch shrinks
    got = greedy(model, PROMPTS, 12, ends, tokenizer.pad_token_id)
    assert got == [_reference(model, tokenizer, prompt, 12, ends) for prompt in PROMPTS]
    assert [len(row) for row in got] == [1, 1, 1, 12, 12]


def test_what_all_prompts_begin_with_is_read_once(base):
    model, tokenizer = base
    shared = [1, *range(20, 60)]
    prompts = [[*shared, *prompt] for prompt in PROMPTS] + [shared]  # the last ends where the others part
    read = []
    hook = model.register_forward_pre_hook(lambda *given: read.append(given[2]["input_ids"].numel()), with_kwargs=True)
    got = greedy(model, prompts, 6, [], tokenizer.pad_token_id)
    hook.remove()
    assert read[:2] == [40, 6 * 9]  # all but a token of the shortest; then what is left, padded to the longest
    assert got == [_reference(model, tokenizer, prompt, 6, []) for prompt in prompts]


def test_the_output_layer_is_handed_contiguous_places(base):
    """Else PyTorch multiplies row by row, each with a copy of the layer's weights of its own."""
    model, tokenizer = base
    handed = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: handed.append(given[0]))
    greedy(model, PROMPTS, 3, [], tokenizer.pad_token_id)
    hook.remove()
    assert [tuple(each.shape[:2]) for each in handed] == [(len(PROMPTS), 1)] * 3
    assert all(each.is_contiguous() for each in handed)


def test_results_keep_the_order_of_the_prompts_whatever_the_batch(base):
    model, tokenizer = base
    small = generate(model, tokenizer, PROMPTS, max_new_tokens=5, batch_rows=2)
    large = generate(model, tokenizer, PROMPTS, max_new_tokens=5, batch_rows=8)
    alone = [generate(model, tokenizer, [prompt], max_new_tokens=5)[0] for prompt in PROMPTS]
    assert [g.text for g in small] == [g.text for g in large] == [g.text for g in alone]
    assert all(1 <= g.tokens <= 5 and g.seconds > 0 for g in small)


def test_no_prompts_give_no_results(base):
    assert generate(*base, [], max_new_tokens=3) == []


def test_an_answer_ends_where_the_window_does(base):
    model, tokenizer = base
    window = context_window(model)
    prompt = [5] * (window - 3)
    (answer,) = greedy(model, [prompt], 12, [], tokenizer.pad_token_id)
    assert window == 512 and len(answer) == 3


def _of_library(model, tokenizer, prompt, new, ends):
    """The mean log-probability of transformers' own scores, one prompt at a time."""
    made = model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), max_new_tokens=new,
        do_sample=False, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id, output_logits=True,
        return_dict_in_generate=True)  # fmt: skip
    told = model.compute_transition_scores(made.sequences, made.logits, normalize_logits=True)
    return told.double().mean().item()


def test_how_likely_an_answer_was_is_the_mean_of_its_tokens_end_included(base):
    model, tokenizer = base
    ends = sorted({row[0] for row in greedy(model, PROMPTS, 12, [], tokenizer.pad_token_id)[:3]})
    got = write_greedily(model, PROMPTS, 12, ends, tokenizer.pad_token_id)
    expected = [_of_library(model, tokenizer, prompt, 12, ends) for prompt in PROMPTS]
    assert [row.log_probability for row in got] == pytest.approx(expected, abs=1e-4)
    assert len({round(each, 3) for each in expected}) == len(PROMPTS) and max(expected) < 0
    answers = generate(model, tokenizer, PROMPTS, max_new_tokens=12, batch_rows=2)
    free = write_greedily(model, PROMPTS, 12, [tokenizer.eos_token_id], tokenizer.pad_token_id)
    assert [a.log_probability for a in answers] == pytest.approx([row.log_probability for row in free], abs=1e-4)


def test_an_answer_without_room_for_a_token_has_no_likelihood(base):
    model, tokenizer = base
    (row,) = write_greedily(model, [[5] * context_window(model)], 12, [], tokenizer.pad_token_id)
    assert row == ([], None)
