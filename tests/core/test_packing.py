"""Packed rows: the same loss and gradients as padded ones, and batches that are as full as they can be."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftlib.core.batches import PaddingCollator, TowardsBase
from ftlib.core.load import load_base
from ftlib.core.lora import add_lora
from ftlib.core.loss import autocast, has_encoder, summed_loss
from ftlib.core.packing import BestFitBatches, PackingCollator
from ftlib.core.train import train
from tests.families import FAMILIES, save_family

LENGTHS = st.lists(st.integers(1, 120), min_size=1, max_size=80)


def _rows(loss_on: str = "answers") -> list[dict]:
    rows = []
    for length in (9, 17, 3, 30):
        ids = [(7 * length + 5 * place) % 250 + 6 for place in range(length)]
        rows.append({"input_ids": ids, "labels": ids if loss_on == "all" else [-100, -100, *ids[2:]]})
    return rows


def _step(model, batch) -> tuple[float, torch.Tensor]:
    model.zero_grad()
    with autocast(model):
        loss = summed_loss(model, batch)
    loss.backward()
    found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return loss.item(), torch.cat(found)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "t5"])
@pytest.mark.parametrize("loss_on", ["answers", "all"])
def test_packed_rows_are_computed_as_padded_ones(family, loss_on, make_recipe, random_adapter, tmp_path):
    recipe = make_recipe(model={"base": str(save_family(family, tmp_path)), "dtype": "float32"})
    model = random_adapter(add_lora(load_base(recipe)[0], recipe.lora, 0)).eval()  # GPT-2 drops out
    loss, gradients = _step(model, PaddingCollator(0)(_rows(loss_on)))
    packed = PackingCollator()(_rows(loss_on))
    assert packed["input_ids"].shape == (1, 59)
    its_loss, its_gradients = _step(model, packed)
    assert its_loss == pytest.approx(loss, rel=1e-5)
    assert (its_gradients - gradients).norm() <= 1e-4 * gradients.norm()


def test_rows_see_nothing_of_each_other(adapted, random_adapter):
    model = random_adapter(adapted()[0]).eval()
    rows = _rows()
    for row in rows:
        row["input_ids"] = [token % 60 for token in row["input_ids"]]
    alone = [summed_loss(model, PaddingCollator(0)([row])).item() for row in rows]
    others = summed_loss(model, PackingCollator()(rows[::-1])).item()
    assert others == pytest.approx(sum(alone), rel=1e-5)


def test_a_batch_says_where_rows_begin_and_whose_labels_are_whose():
    collator = PackingCollator(flash=True)
    batch = collator([{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}, {"input_ids": [8, 9], "labels": [-100, 9]}])
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert (batch["positions"].tolist(), batch["targets"].tolist()) == ([0, 1, 3], [6, 7, 9])
    assert collator.rows_of(batch).tolist() == [0, 0, 1]
    assert batch["cu_seq_lens_q"].tolist() == [0, 3, 5] and batch["cu_seq_lens_q"].dtype == torch.int32
    assert batch["max_length_q"] == 3


def test_rows_that_keep_to_the_base_are_packed_too(adapted, random_adapter):
    model = random_adapter(adapted()[0]).eval()
    rows = [{"input_ids": [4, 5, 6], "labels": [-100, 5, 6]}, TowardsBase([7, 8, 9, 10], [-100, -100, 9, 10])]
    padded, packed = (summed_loss(model, collator(rows)).item() for collator in (PaddingCollator(0), PackingCollator()))
    assert packed == pytest.approx(padded, rel=1e-5)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 3))
def test_best_fit_uses_each_row_once_and_overfills_nothing(lengths, batch_tokens, seed):
    batches = BestFitBatches(lengths, batch_tokens, 2, seed)
    for epoch in range(2):
        made = batches.epoch(epoch)
        assert sorted(row for batch in made for row in batch) == list(range(len(lengths)))
        sums = [sum(lengths[row] for row in batch) for batch in made]
        assert all(total <= batch_tokens or len(batch) == 1 for total, batch in zip(sums, made, strict=True))
        fitting = [length for length in lengths if length <= batch_tokens]
        fewest = math.ceil(sum(fitting) / batch_tokens) if fitting else 0
        alone = len(lengths) - len(fitting)
        assert len(made) - alone <= 2 * fewest + 1  # two batches of any pair are together fuller than one
    assert batches.count(1.5) == len(batches.epoch(0)) + 0.5 * len(batches.epoch(1))
    assert len(batches) == batches.count(2) and list(batches) == batches.epoch(0) + batches.epoch(1)


def test_a_packed_training_is_the_padded_training(adapted, rows, make_recipe, tmp_path):
    losses = []
    for packing in (False, True):
        recipe = make_recipe(train__packing=packing)
        model, tokenizer = adapted(recipe)
        result = train(model, tokenizer, rows[:20], rows[20:], tmp_path / str(packing), recipe)
        lines = [json.loads(line) for line in result.metrics_path.read_text().splitlines()]
        losses.append([line["loss"] for line in lines if "loss" in line])
        assert ("packing: on" in result.plan.text()) is packing
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_batches_of_a_size_in_tokens(adapted, rows, make_recipe, tmp_path):
    recipe = make_recipe(train__packing=True, train__batch_tokens=30)
    model, tokenizer = adapted(recipe)
    result = train(model, tokenizer, rows[:20], rows[20:], tmp_path, recipe)
    assert result.steps == result.plan.total_steps and result.best_loss < result.base_loss
    assert result.plan.padding == 0


def test_an_encoder_decoder_is_padded(make_recipe, tmp_path):
    from ftlib.core.layout import choose_packing

    recipe = make_recipe(model={"base": str(save_family("t5", tmp_path)), "dtype": "float32"})
    model, _ = load_base(recipe)
    assert has_encoder(model)
    packed, why = choose_packing(model, True)
    assert not packed and "encoder" in why
