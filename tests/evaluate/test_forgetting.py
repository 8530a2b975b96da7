"""Perplexity: windows score every token once, values against a plain loop, and the paired ratio."""

import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib import jsonl
from ftlib.data.prompts import Renderer
from ftlib.evaluate import forgetting
from ftlib.evaluate.forgetting import TextLikelihood
from ftlib.recipe import UserError

TEXTS = ["The pump stops when the tank is full.", "Water boils at 100 degrees.", "é" * 5]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=80), st.integers(2, 24))
def test_every_token_is_scored_exactly_once(tiny_tokenizer, text, max_length):
    ids = [tiny_tokenizer.bos_token_id, *tiny_tokenizer(text, add_special_tokens=False)["input_ids"]]
    found = forgetting.windows(tiny_tokenizer, text, max_length)
    assert [label for window in found for label in window.labels if label != -100] == ids[1:]
    assert all(len(window.input_ids) <= max_length for window in found)
    for window in found:
        assert window.labels[0] == -100
        assert all(label in (-100, token) for token, label in zip(*window, strict=True))


def test_later_windows_read_half_their_length_before_they_score(tiny_tokenizer):
    found = forgetting.windows(tiny_tokenizer, "abcdefghij" * 8, 16)
    assert len(found) > 2
    assert [window.labels.count(-100) for window in found[1:]] == [8] * (len(found) - 1)


def test_log_likelihoods_equal_a_plain_loop(tiny_model):
    import torch

    model, tokenizer = tiny_model
    for text, scored in zip(
        TEXTS, forgetting.score_texts(model, tokenizer, TEXTS, max_length=64, batch_rows=2), strict=True
    ):
        ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        expected = sum(logits[i - 1, ids[i]].item() for i in range(1, len(ids)))
        assert scored.sum_logprob == pytest.approx(expected, abs=2e-3)
        assert (scored.tokens, scored.bytes) == (len(ids) - 1, len(text.encode()))


def test_answers_are_scored_with_their_end_and_without_the_question(tiny_model):
    model, tokenizer = tiny_model
    renderer = Renderer("alpaca", tokenizer)
    rows = [{"id": "a", "question": "What does it weigh?", "answer": "340 g"}]
    (scored,) = forgetting.score_answers(model, tokenizer, renderer, rows, batch_rows=1)
    labels = renderer.example("What does it weigh?", "340 g").labels
    assert scored.tokens == sum(label != -100 for label in labels)
    assert (scored.id, scored.bytes) == ("a", 5)


def test_perplexity_of_a_coin_is_two():
    coin = [TextLikelihood(str(i), n * math.log(0.5), n, 4 * n) for i, n in enumerate([3, 10, 200])]
    assert forgetting.perplexity(coin, "tokens", 100, 0) == pytest.approx((2.0, 2.0, 2.0, 3))
    assert forgetting.perplexity(coin, "bytes", 100, 0).mean == pytest.approx(2 ** (1 / 4))


def test_perplexity_weighs_tokens_and_not_texts():
    texts = [TextLikelihood("a", -1.0, 1, 1), TextLikelihood("b", -27.0, 9, 9)]
    assert forgetting.perplexity(texts, "tokens", 100, 0).mean == pytest.approx(math.exp(28 / 10))


def test_the_ratio_is_paired_and_so_narrower_than_either_perplexity():
    rng = np.random.default_rng(0)
    hard = rng.gamma(4, 0.5, 40)
    before = [TextLikelihood(str(i), -50 * h, 50, 200) for i, h in enumerate(hard)]
    after = [TextLikelihood(str(i), -50 * (h + 0.1), 50, 200) for i, h in enumerate(hard)]
    table = forgetting.summarize(before, after, 500, 0)
    ratio = table["per_token"]["ratio"]
    assert ratio["mean"] == pytest.approx(math.exp(0.1))
    assert ratio["high"] - ratio["low"] < 1e-6
    assert table["per_token"]["base"]["high"] / table["per_token"]["base"]["low"] > 1.1
    assert table["per_token"]["finetuned"]["mean"] > table["per_token"]["base"]["mean"]
    assert (table["n"], table["tokens"], table["bytes"]) == (40, 2000, 8000)
    found = {headline.key: headline for headline in forgetting.headlines({"general": table})}
    assert set(found) == {"perplexity_base", "perplexity_finetuned", "perplexity_ratio"}
    assert (found["perplexity_ratio"].value, found["perplexity_ratio"].n) == (ratio["mean"], 40)


def test_a_ratio_over_different_texts_is_refused():
    one, other = [TextLikelihood("a", -1.0, 1, 1)], [TextLikelihood("b", -1.0, 1, 1)]
    with pytest.raises(ValueError, match="same texts"):
        forgetting.change(one, other, "tokens", 10, 0)


def test_texts_are_read_and_blank_ones_left_out(tmp_path):
    path = tmp_path / "holdout.jsonl"
    jsonl.write(path, [{"text": "one"}, {"text": "  "}, {"text": "two"}, {"text": "three"}])
    assert forgetting.load_texts(path) == ["one", "two", "three"]
    assert forgetting.load_texts(path, limit=2) == ["one", "two"]


@pytest.mark.parametrize(("rows", "message"), [([{"txt": "one"}], "row 1"), ([{"text": " "}], "one or more texts")])
def test_a_file_without_texts_is_the_users_error(tmp_path, rows, message):
    path = tmp_path / "holdout.jsonl"
    jsonl.write(path, rows)
    with pytest.raises(UserError, match=re.escape(str(path)) + f"(.|\n)*{message}|{message}"):
        forgetting.load_texts(path)
