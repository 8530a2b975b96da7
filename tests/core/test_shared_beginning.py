"""A beginning that is read once a batch: the same loss and gradients as of whole rows, or it is not done."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftlib.core import layout as layouts
from ftlib.core import shared_beginning
from ftlib.core.batches import IGNORED, PaddingCollator, TowardsBase
from ftlib.core.compiling import missing_for_compile
from ftlib.core.layout import Layout, choose_layout
from ftlib.core.load import load_base
from ftlib.core.lora import add_lora
from ftlib.core.loss import autocast, summed_loss
from ftlib.core.shared_beginning import SharedCollator, begins_with, common_beginning
from ftlib.core.train import train
from tests.families import FAMILIES, save_family

BEGINNING = [9, 11, 10]
WRITTEN = st.lists(st.integers(6, 8), min_size=1, max_size=6)


def _row(beginning: list[int], prompt: list[int], answer: list[int]) -> dict:
    ids = [*beginning, *prompt, *answer]
    return {"input_ids": ids, "labels": [IGNORED] * (len(ids) - len(answer)) + answer}


def _rows() -> list:
    """Of at most 8 tokens, which the families' windows hold: four that share a beginning, and two others."""
    alike = [_row(BEGINNING, [20 + n] * (1 + n % 3), [30 + n, 2]) for n in range(4)]
    return [*alike, _row([], [9, 12, 40], [41]), TowardsBase([43, 44, 45, 46, 47, 48], [IGNORED, *range(44, 49)])]


def _step(model, batch) -> tuple[float, torch.Tensor]:
    model.zero_grad()
    with autocast(model):
        loss = summed_loss(model, batch)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "t5"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_it_is_computed_as_whole_rows(family, attention, make_recipe, random_adapter, tmp_path):
    if family == "gemma2" and attention == "sdpa":
        pytest.skip("transformers refuses this model's soft caps there")
    base = {"base": str(save_family(family, tmp_path)), "dtype": "float32", "attention": attention}
    recipe = make_recipe(model=base)
    model = random_adapter(add_lora(load_base(recipe)[0], recipe.lora, 0)).eval()  # GPT-2 drops out
    loss, gradients = _step(model, PaddingCollator(0)(_rows()))
    batch = SharedCollator(0, BEGINNING)(_rows())
    assert batch["input_ids"].shape == (1, 3 + 6 * 6)
    its_loss, its_gradients = _step(model, batch)
    assert its_loss == pytest.approx(loss, rel=1e-5)
    assert (its_gradients - gradients).norm() <= 1e-4 * gradients.norm()
    assert model.config._attn_implementation == attention


def test_a_batch_says_what_each_place_sees_and_whose_labels_are_whose():
    collator = SharedCollator(0, [5, 6])
    batch = collator([_row([5, 6], [7], [8]), _row([], [7, 5], [9]), _row([5, 6], [7, 7], [8])])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 0, 7, 5, 9, 7, 7, 8]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 2, 3, 4]]
    assert (batch["positions"].tolist(), batch["targets"].tolist()) == ([2, 6, 9], [8, 9, 8])
    assert collator.rows_of(batch).tolist() == [0, 1, 2]
    assert batch["shared_mask"].shape == (3, 1, 3, 5)
    assert batch["shared_mask"][:, 0, 1].int().tolist() == [[1, 1, 1, 1, 0], [0, 0, 1, 1, 0], [1, 1, 1, 1, 0]]
    assert int(batch["attention_mask"].sum()) == 4 + 3 + 5


def test_a_batch_of_other_rows_is_padded():
    rows = [_row([5, 6], [7], [8]), _row([], [7, 5], [9])]
    batch, padded = SharedCollator(0, [5, 6])(rows), PaddingCollator(0)(rows)
    assert batch.keys() == padded.keys() and all(torch.equal(batch[name], padded[name]) for name in padded)


def test_a_batch_that_would_save_too_little_is_padded():
    rows = [_row([5, 6], [7] * 4, [8] * 2), _row([5, 6], [7], [8])]  # 2 of 12 tokens
    padded = PaddingCollator(0)(rows)
    assert "shared_mask" in SharedCollator(0, [5, 6], least=0.16)(rows)
    batch = SharedCollator(0, [5, 6], least=0.17)(rows)
    assert batch.keys() == padded.keys() and all(torch.equal(batch[name], padded[name]) for name in padded)
    lengths = [len(row["input_ids"]) for row in rows]
    assert Layout(beginning=(5, 6), least=0.16).places(lengths) == (2, 7)
    assert Layout(beginning=(5, 6), least=0.17).places(lengths) == (2, 8)


@given(st.lists(st.tuples(WRITTEN, WRITTEN), min_size=1, max_size=12))
def test_no_other_beginning_that_most_rows_have_saves_more(written):
    rows = [_row([], prompt, answer) for prompt, answer in written]
    alike = lambda beginning: sum(begins_with(row, beginning) for row in rows) if beginning else 0
    found = common_beginning(rows, 10)
    assert not found or 2 * alike(found) > len(rows)
    for row in rows:
        for length in range(1, len(row["input_ids"])):
            other = row["input_ids"][:length]
            if 2 * alike(other) > len(rows):  # two of them would have a row in common, so one begins the other
                assert len(other) * alike(other) <= len(found) * alike(found)


def _alike(rows: list[dict], count: int = 6) -> list[dict]:
    return [{"input_ids": [50] * count + row["input_ids"], "labels": [IGNORED] * count + row["labels"]} for row in rows]


@pytest.mark.parametrize("way", ["plain", "compile", "activation_checkpointing"])
def test_a_training_is_the_same_training(way, adapted, rows, make_recipe, tmp_path):
    if way == "compile" and missing_for_compile():
        pytest.skip(f"needs {missing_for_compile()}")
    rows, losses, tokens = _alike(rows), [], []
    breaks = torch._dynamo.utils.counters["graph_break"]
    breaks.clear()
    for wanted in (False, "auto"):
        recipe = make_recipe(train__share_beginning=wanted, **({} if way == "plain" else {f"train__{way}": True}))
        model, tokenizer = adapted(recipe)
        result = train(model, tokenizer, rows[:20], rows[20:], tmp_path / str(wanted), recipe)
        lines = [json.loads(line) for line in result.metrics_path.read_text().splitlines()]
        losses.append([line["loss"] for line in lines if "loss" in line])
        tokens.append(result.tokens)
        assert ("7 tokens that rows begin with are read once" in result.plan.text()) is (wanted == "auto")
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert tokens[0] == tokens[1]  # those of the rows, however often they are read
    assert not breaks  # a compiled layer stays in one piece


def test_little_in_common_is_not_worth_it_unless_it_is_asked_for(adapted, rows, make_recipe):
    model, tokenizer = adapted()
    long = [{"input_ids": row["input_ids"] + [2] * 30, "labels": row["labels"] + [2] * 30} for row in rows]
    assert "begin alike in 1 tokens, 2%" in choose_layout(model, tokenizer, long, make_recipe()).reasons[-1]
    assert choose_layout(model, tokenizer, long, make_recipe(train__share_beginning=True)).beginning == (1,)
    off = choose_layout(model, tokenizer, _alike(rows), make_recipe(train__share_beginning=False))
    assert off.beginning == () and "set by the recipe" in off.reasons[-1]


@pytest.mark.parametrize(
    ("family", "settings", "why"),
    [
        ("t5", {}, "encoder"),
        ("mistral", {}, "looks back 8 tokens"),
        ("llama", {"neftune_alpha": 5.0}, "NEFTune"),
        ("llama", {"packing": True}, "packing: on"),
    ],
)
def test_what_stands_in_its_way_is_told(family, settings, why, make_recipe, rows, tmp_path):
    base = {"base": str(save_family(family, tmp_path)), "dtype": "float32"}
    recipe = make_recipe(model=base, **{f"train__{name}": value for name, value in settings.items()})
    model, tokenizer = load_base(recipe)
    found = choose_layout(model, tokenizer, _alike(rows), recipe)
    assert found.beginning == () and why in found.reasons[-1]


def test_a_model_that_computes_something_else_reads_whole_rows(adapted, rows, make_recipe, monkeypatch):
    model, tokenizer = adapted()
    assert choose_layout(model, tokenizer, _alike(rows), make_recipe()).beginning
    seen = shared_beginning._seen
    monkeypatch.setattr(shared_beginning, "_seen", lambda sharing, *sizes: seen(sharing & False, *sizes))
    assert "computes something else" in choose_layout(model, tokenizer, _alike(rows), make_recipe()).reasons[-1]
    monkeypatch.setattr(layouts, "_log_probabilities", lambda *_: 1 / 0)
    assert choose_layout(model, tokenizer, _alike(rows), make_recipe()).beginning == ()


def test_the_largest_batch_has_as_many_places():
    layout = Layout(beginning=(1,) * 10)
    assert layout.places([30, 25, 20, 12]) == (4, 23)  # 10 + 4 * 20 places
    assert layout.places([8, 8]) == (2, 8)
