from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.core.batches import (
    IGNORED,
    LengthGroupedBatches,
    PaddingCollator,
    TowardsBase,
    batches_that_fit,
    labelled_positions,
)
from ftlib.data.prompts import Example


def test_collator_pads_on_the_right_and_lists_what_is_predicted():
    rows = [
        {"input_ids": [1, 5, 6, 7, 2], "labels": [-100, -100, -100, 7, 2]},
        {"input_ids": [1, 8, 2], "labels": [-100, -100, 2]},
    ]
    batch = PaddingCollator(pad_token_id=0)(rows)
    assert batch["input_ids"].tolist() == [[1, 5, 6, 7, 2], [1, 8, 2, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, -100, 7, 2], [-100, -100, 2, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert batch["positions"].tolist() == [2, 3, 6]  # 6 = row 1 * width 5 + place 1
    assert batch["targets"].tolist() == [7, 2, 2]


def test_collator_rounds_widths_up():
    row = {"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}
    assert PaddingCollator(0, multiple=8)([row])["input_ids"].shape == (1, 8)
    assert PaddingCollator(0, multiple=3)([row])["input_ids"].shape == (1, 3)


def test_collator_takes_examples_and_refuses_unequal_lengths():
    batch = PaddingCollator(0)([Example([1, 2], [-100, 2])])
    assert batch["targets"].tolist() == [2]
    with pytest.raises(ValueError, match="2 and 1"):
        PaddingCollator(0)([{"input_ids": [1, 2], "labels": [1]}])


def test_a_label_on_the_first_token_is_nobodys_prediction():
    positions, targets = labelled_positions(torch.tensor([[4, -100, 6]]))
    assert positions.tolist() == [1] and targets.tolist() == [6]


def test_a_decoders_labels_have_a_width_of_their_own_and_are_not_shifted():
    rows = [{"input_ids": [5, 6, 7, 8, 1], "labels": [9, 1]}, {"input_ids": [5, 1], "labels": [4, 3, 1]}]
    batch = PaddingCollator(0, encoder_decoder=True)(rows)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 1], [5, 1, 0, 0, 0]]
    assert batch["labels"].tolist() == [[9, 1, -100], [4, 3, 1]]
    assert batch["positions"].tolist() == [0, 1, 3, 4, 5] and batch["targets"].tolist() == [9, 1, 4, 3, 1]


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 90), max_size=60),
    most_tokens=st.integers(1, 400),
    most_rows=st.none() | st.integers(1, 9),
)
def test_batches_hold_each_row_once_and_no_more_than_fits(lengths, most_tokens, most_rows):
    batches = batches_that_fit(lengths, most_tokens, most_rows)
    assert sorted(i for rows in batches for i in rows) == list(range(len(lengths)))
    widths = [max(lengths[i] for i in rows) for rows in batches]
    assert widths == sorted(widths, reverse=True)  # what needs most memory comes first
    for rows, width in zip(batches, widths, strict=True):
        assert len(rows) == 1 or len(rows) * width <= most_tokens
        assert most_rows is None or len(rows) <= most_rows


def test_short_rows_fill_the_memory_there_is():
    assert [len(rows) for rows in batches_that_fit([10] * 90 + [300], 600)] == [2, 60, 29]
    assert [len(rows) for rows in batches_that_fit([10] * 90, 600, most_rows=32)] == [32, 32, 26]


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=120),
    batch_rows=st.integers(1, 9),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_each_epoch_holds_every_row_once(lengths, batch_rows, epochs, seed):
    batches = LengthGroupedBatches(lengths, batch_rows, epochs, seed, pool_batches=4)
    seen = list(batches)
    assert len(seen) == len(batches) == epochs * batches.count(1)
    for epoch in range(epochs):
        part = seen[epoch * batches.count(1) : (epoch + 1) * batches.count(1)]
        assert sorted(i for rows in part for i in rows) == list(range(len(lengths)))
    assert seen == list(LengthGroupedBatches(lengths, batch_rows, epochs, seed, pool_batches=4))


def test_grouping_saves_padding_and_epochs_differ():
    lengths = [(i * 37) % 60 + 5 for i in range(600)]
    batches = LengthGroupedBatches(lengths, 20, 2, seed=0)

    def places(order):
        return sum(max(lengths[i] for i in rows) * len(rows) for rows in order)

    shuffled = torch.randperm(600, generator=torch.Generator().manual_seed(0)).tolist()
    unsorted = [shuffled[i : i + 20] for i in range(0, 600, 20)]
    assert places(batches.epoch(0)) < 1.1 * sum(lengths) < places(unsorted)
    assert batches.epoch(0) != batches.epoch(1)
    assert batches.epoch(0) != LengthGroupedBatches(lengths, 20, 2, seed=1).epoch(0)


def test_rows_that_keep_to_the_base_come_once_more_alone_and_have_no_target():
    told, text = Example([1, 2, 3], [IGNORED, 2, 3]), TowardsBase([4, 5], [4, 5])
    other = {"input_ids": [6, 7, 8, 9], "labels": [6, 7, 8, 9], "towards_base": True}
    batch = PaddingCollator(0)([told, text, other])
    assert batch["positions"].tolist() == [0, 1, 4, 8, 9, 10]
    assert batch["targets"].tolist() == [2, 3, IGNORED, IGNORED, IGNORED, IGNORED]
    assert batch["taught"].tolist() == [2, 3, 4, 5]
    assert (batch["labels"] != IGNORED).sum() == 8, "they count as trained tokens all the same"
    teacher = batch["teacher"]
    assert teacher["input_ids"].tolist() == [[4, 5, 0, 0], [6, 7, 8, 9]]
    assert teacher["positions"].tolist() == [0, 4, 5, 6] and teacher["targets"].tolist() == [5, 7, 8, 9]
    assert PaddingCollator(0)([told]).keys() == {"input_ids", "labels", "attention_mask", "positions", "targets"}
