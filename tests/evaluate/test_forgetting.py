"""Perplexity: windows score every token once, values against a plain loop, and the paired ratio."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib import jsonl
from ftlib.data.prompts import Renderer
from ftlib.errors import UserError
from ftlib.evaluate import forgetting
from ftlib.evaluate.forgetting import TextLikelihood
from ftlib.rows import Row, Turn, row_of

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


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=4, max_size=80), st.integers(4, 24))
def test_an_encoder_decoder_reads_what_comes_before_and_writes_the_rest(tiny_tokenizer, text, max_length):
    ids = [tiny_tokenizer.bos_token_id, *tiny_tokenizer(text, add_special_tokens=False)["input_ids"]]
    found = forgetting.windows(tiny_tokenizer, text, max_length, encoder_decoder=True)
    written = [label for window in found for label in window.labels]
    assert ids[-len(written) :] == written
    assert len(written) >= len(ids) // 2
    for window in found:
        assert window.input_ids[-1] == tiny_tokenizer.eos_token_id
        assert len(window.input_ids) + len(window.labels) <= max_length + 1


def test_an_encoder_decoder_is_scored_on_short_texts_too(tiny_t5, tiny_tokenizer):
    found = forgetting.score_texts(tiny_t5, tiny_tokenizer, TEXTS, max_length=512, batch_rows=2)
    assert [text.id for text in found] == ["0", "1", "2"]
    assert all(text.sum_logprob < 0 and 0 < text.bytes <= len(TEXTS[i].encode()) for i, text in enumerate(found))
    assert forgetting.perplexity(found, "tokens", 50, 0).mean > 1


def test_answers_are_scored_with_their_end_and_without_the_question(tiny_model):
    model, tokenizer = tiny_model
    renderer = Renderer("alpaca", tokenizer)
    asked = row_of({"id": "a", "question": "What does it weigh?", "answer": "340 g", "meta": {"about": "weight"}})
    (scored,) = forgetting.score_answers(model, renderer, [asked], fact="about", batch_rows=1)
    labels = renderer.example(asked).labels
    assert scored.tokens == sum(label != -100 for label in labels)
    assert (scored.id, scored.bytes, scored.cluster) == ("a", 5, "weight")


def test_answers_are_scored_after_their_context_and_history(tiny_model):
    """Both are trained; asked without them a model looks as if it had learned nothing."""
    model, tokenizer = tiny_model
    renderer = Renderer("alpaca", tokenizer)
    plain = row_of({"id": "a", "question": "And now?", "answer": "340 g"})
    shown = plain._replace(context="It weighs 340 g.")
    later = Row("a", (Turn("user", "How heavy is it?"), Turn("assistant", "340 g"), *plain.turns), "", ("340 g",))
    found = forgetting.score_answers(model, renderer, [plain, shown, later], batch_rows=3)
    assert len({round(each.sum_logprob, 4) for each in found}) == 3
    assert len({each.tokens for each in found}) == 1
    assert "It weighs 340 g." in tokenizer.decode(renderer.example(shown).input_ids)


def test_a_row_longer_than_the_model_reads_loses_its_beginning(tiny_model):
    model, tokenizer = tiny_model
    long = row_of({"id": "a", "question": "word " * 700, "answer": "340 g"})
    (scored,) = forgetting.score_answers(model, Renderer("alpaca", tokenizer), [long], window=512, batch_rows=1)
    assert scored.tokens > 1
    assert math.isfinite(scored.sum_logprob)


def test_perplexity_of_a_coin_is_two():
    coin = [TextLikelihood(str(i), n * math.log(0.5), n, 4 * n) for i, n in enumerate([3, 10, 200])]
    assert forgetting.perplexity(coin, "tokens", 100, 0).mean == pytest.approx(2.0)
    assert forgetting.perplexity(coin, "tokens", 100, 0).high == math.inf  # three equal texts know nothing of others
    assert forgetting.perplexity(coin, "bytes", 100, 0).mean == pytest.approx(2 ** (1 / 4))


def test_perplexity_weighs_tokens_and_not_texts():
    texts = [TextLikelihood("a", -1.0, 1, 1), TextLikelihood("b", -27.0, 9, 9)]
    assert forgetting.perplexity(texts, "tokens", 100, 0).mean == pytest.approx(math.exp(28 / 10))


def likelihoods(nats, **more):
    return [TextLikelihood(str(i), -50 * each, 50, 200, **more) for i, each in enumerate(nats)]


def test_the_ratio_is_paired_and_narrower_where_both_find_the_same_texts_hard():
    rng = np.random.default_rng(0)
    hard = rng.gamma(4, 0.5, 40)
    scored = {"plain": likelihoods(hard), "tuned": likelihoods(hard + 0.1 + 0.01 * rng.normal(size=40))}
    table = forgetting.perplexity_table(scored, 500, 0)
    ratio, both = table["per_token"]["ratios"]["tuned"], table["per_token"]["systems"]
    assert ratio.mean == pytest.approx(math.exp(0.1), rel=0.01)
    assert ratio.high - ratio.low < 0.02
    assert both["plain"].high / both["plain"].low > 1.1
    assert both["tuned"].mean > both["plain"].mean
    assert (table["n"], table["tokens"], table["bytes"]) == (40, 2000, 8000)
    found = {headline.key: headline for headline in forgetting.perplexity_headlines({"held_out": table})}
    assert set(found) == {"perplexity_plain", "perplexity_tuned", "perplexity_ratio"}
    assert (found["perplexity_ratio"].value, found["perplexity_ratio"].n) == (ratio.mean, 40)


def test_the_ratio_is_not_narrower_where_each_finds_others_hard():
    rng = np.random.default_rng(1)
    table = forgetting.perplexity_table({n: likelihoods(rng.gamma(4, 0.5, 40)) for n in "ab"}, 500, 0)["per_token"]
    (ratio,), first = table["ratios"].values(), table["systems"]["a"]
    assert (ratio.high - ratio.low) / ratio.mean > (first.high - first.low) / first.mean


def test_several_systems_have_a_ratio_each_and_one_has_none():
    scored = {name: likelihoods(np.linspace(1, 2, 20) + add) for name, add in (("x", 0), ("y", 0.1), ("z", 0.2))}
    keys = {h.key for h in forgetting.perplexity_headlines({"answers": forgetting.perplexity_table(scored, 99, 0)})}
    ends = {f"perplexity_answers_{name}" for name in "xyz"}
    assert keys == ends | {"perplexity_answers_ratio_y", "perplexity_answers_ratio_z"}
    alone = forgetting.perplexity_table({"x": scored["x"]}, 99, 0)
    assert [h.key for h in forgetting.perplexity_headlines({"held_out": alone})] == ["perplexity_x"]


def test_answers_about_one_fact_are_one_cluster():
    nats = np.repeat(np.random.default_rng(2).gamma(2, 0.5, 20), 4)
    apart = forgetting.perplexity(likelihoods(nats), "tokens", 500, 0)
    texts = [text._replace(cluster=f"f{i // 4}") for i, text in enumerate(likelihoods(nats))]
    together = forgetting.perplexity(texts, "tokens", 500, 0)
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
    assert together.n == apart.n == 80


def test_a_ratio_over_different_texts_is_refused():
    one, other = [TextLikelihood("a", -1.0, 1, 1)], [TextLikelihood("b", -1.0, 1, 1)]
    with pytest.raises(ValueError, match="same texts"):
        forgetting.perplexity_ratio(one, other, "tokens", 10, 0)


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
