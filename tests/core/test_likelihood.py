from __future__ import annotations

import pytest
import torch

from ftlib.core.load import load_base
from ftlib.core.loss import LogLikelihood, log_likelihood, loss_interval, mean_loss


@pytest.fixture(scope="module")
def base(make_recipe):
    return load_base(make_recipe())


def test_sums_match_a_reference_in_float64_one_row_at_a_time(base, rows):
    model, tokenizer = base
    got = log_likelihood(model, tokenizer, rows, batch_rows=7)
    for row, result in zip(rows, got, strict=True):
        ids = torch.tensor([row["input_ids"]])
        with torch.no_grad():
            logprobs = model(ids).logits[0].double().log_softmax(-1)
        places = [t for t in range(1, len(row["labels"])) if row["labels"][t] != -100]
        expected = sum(logprobs[t - 1, row["labels"][t]].item() for t in places)
        assert result.tokens == len(places)
        assert result.sum_logprob == pytest.approx(expected, abs=1e-4)


def test_mean_loss_counts_tokens_not_batches(base, rows):
    model, tokenizer = base
    scored = log_likelihood(model, tokenizer, rows)
    expected = -sum(s.sum_logprob for s in scored) / sum(s.tokens for s in scored)
    for batch_rows in (1, 5, 64):
        found = mean_loss(model, tokenizer, rows, batch_rows)
        assert found["eval_loss"] == pytest.approx(expected, rel=1e-5)
    assert found["eval_tokens"] == sum(s.tokens for s in scored)


def test_batches_use_the_memory_there_is(base, rows, monkeypatch):
    """Both the validation's forwards and the scores do not depend on a fixed number of rows."""
    from ftlib.core import device

    model, tokenizer = base
    widths: list[tuple[int, ...]] = []
    handle = model.register_forward_pre_hook(
        lambda module, args, kwargs: widths.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    losses = []
    for tokens in (1, 60, 10**6):
        monkeypatch.setattr("ftlib.core.loss.tokens_that_fit", lambda model, tokens=tokens: tokens)
        losses.append(mean_loss(model, tokenizer, rows)["eval_loss"])
    handle.remove()
    assert [rows_ for rows_, _ in widths[:24]] == [1] * 24 and widths[-1][0] == 24
    assert all(rows_ * width <= 60 for rows_, width in widths[24:-1]) and len(widths) < 24 + 1 + 24 / 3
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    assert device.tokens_that_fit(model) > 24 * 14  # as many as this test has, and more


def test_a_row_without_labels_scores_nothing(base):
    model, tokenizer = base
    unlabelled = {"input_ids": [1, 5, 6], "labels": [-100] * 3}
    labelled = {"input_ids": [1, 5, 6], "labels": [-100, -100, 6]}
    first, second = log_likelihood(model, tokenizer, [unlabelled, labelled])
    assert first[:2] == (0.0, 0) and second.tokens == 1 and second.sum_logprob < 0


def test_is_greedy_says_what_generation_would_write(base):
    from ftlib.core.generate import greedy

    model, tokenizer = base
    prompt = [1, 20, 30]
    answer = greedy(model, [prompt], 4, [tokenizer.eos_token_id], tokenizer.pad_token_id)[0]
    other = [*answer[:-1], (answer[-1] + 1) % 100]
    rows = [{"input_ids": prompt + tail, "labels": [-100] * 3 + tail} for tail in (answer, other)]
    assert [score.is_greedy for score in log_likelihood(model, tokenizer, rows)] == [True, False]
    assert mean_loss(model, tokenizer, rows)["eval_exact"] == 0.5


def test_intervals_come_from_rows_and_pairing_narrows_them():
    first = [LogLikelihood(-float(i), 2) for i in range(40)]
    better = [LogLikelihood(-float(i) + 1.0 + 0.1 * (i % 2), 2) for i in range(40)]
    alone, difference = loss_interval(first), loss_interval(better, minus=first)
    assert alone.mean == pytest.approx(sum(range(40)) / 80) and alone.low < alone.mean < alone.high
    assert difference.mean == pytest.approx(-0.525) and difference.n == 40
    assert -0.54 < difference.low < difference.mean < difference.high < -0.51
    assert loss_interval(first, seed=1) == loss_interval(first, seed=1)


def test_rows_that_share_a_fact_are_not_independent():
    """Ten facts asked four times each: as good as ten rows, not forty."""
    scored = [LogLikelihood(-float(i % 10), 2) for i in range(40)]
    alone, clustered = loss_interval(scored), loss_interval(scored, clusters=[i % 10 for i in range(40)])
    assert clustered.mean == alone.mean and clustered.n == 40
    assert clustered.high - clustered.low > 1.5 * (alone.high - alone.low)


def test_rows_without_a_label_are_not_counted():
    scored = [LogLikelihood(-float(i), 2) for i in range(9)]
    assert loss_interval([*scored, LogLikelihood(0.0, 0)]) == loss_interval(scored)
