from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ftlib.core.explosion import ExplosionError, ExplosionWatch, Watched
from ftlib.core.train import train

POISON = 63  # a token that no row holds


def _broken_at(watch: ExplosionWatch, losses: list[float]) -> int | None:
    for number, loss in enumerate(losses):
        watch.add(number + 1, number, torch.tensor(loss))
        if watch.look():
            return number
    return None


def test_what_is_no_number_breaks_at_once():
    steady = [2.0, 1.9, 1.8]
    assert _broken_at(ExplosionWatch("not_finite"), [*steady, math.nan]) == 3
    assert _broken_at(ExplosionWatch("not_finite"), [*steady, math.inf]) == 3
    assert _broken_at(ExplosionWatch("not_finite"), [*steady, 1e30]) is None
    assert _broken_at(ExplosionWatch("off"), [math.nan]) is None


def test_a_sudden_rise_breaks_only_where_it_stays():
    falling = [3.0 - 0.05 * step + 0.1 * (-1) ** step for step in range(30)]
    assert _broken_at(ExplosionWatch("sudden"), falling) is None
    assert _broken_at(ExplosionWatch("sudden"), [*falling, 90.0, 1.5, 90.0, 1.5]) is None  # hard batches alone
    assert _broken_at(ExplosionWatch("sudden"), [*falling, 90.0, 91.0, 92.0]) == 32
    assert _broken_at(ExplosionWatch("sudden"), [*falling, 3.2, 3.3, 3.4, 3.5]) is None  # no more than it has been
    assert _broken_at(ExplosionWatch("sudden"), [1.0, 90.0, 90.0, 90.0]) is None  # too early to say what is usual


def test_a_reading_knows_its_rows():
    batches = [[0, 1], [2], [3, 4], [5], [6, 7], [8], [9], [10, 11]]
    rows = lambda step, batch, place: Watched(step, batch, torch.tensor(0.0)).rows(batches, 2, 2, place)
    assert [rows(1, 0, 0), rows(1, 0, 1), rows(1, 1, 0), rows(2, 2, 1)] == [[0, 1], [2], [3, 4], [8]]
    assert rows(1, None, 0) == rows(1, None, 1) == [0, 1, 2, 3, 4, 5] and rows(2, None, 0) == [6, 7, 8, 9, 10, 11]
    alone = Watched(2, None, torch.tensor(0.0)).rows(iter(batches), 3, 1, 0)
    assert alone == [5, 6, 7, 8]


def test_readings_are_looked_at_together_and_the_first_broken_one_is_told():
    watch = ExplosionWatch("not_finite")
    for number, value in enumerate([1.0, math.nan, math.inf]):
        watch.add(1, number, torch.tensor(value))
    assert watch.look().reading.batch == 1 and watch.look() is None
    scaled = ExplosionWatch("not_finite", gradients=False)
    scaled.add(1, None, torch.tensor(math.inf))
    assert scaled.look() is None


@pytest.fixture
def poisoned(adapted, rows):
    """A function: recipe -> (model in which one token has no finite embedding, tokenizer, rows with it in row 13)."""

    def make(recipe):
        model, tokenizer = adapted(recipe)
        embeddings = model.get_input_embeddings()  # tied to the output: its weight would break every row
        embeddings.register_forward_hook(lambda _, ids, out: out.masked_fill((ids[0] == POISON)[..., None], math.inf))
        bad = {"input_ids": [POISON, *rows[13]["input_ids"][1:]], "labels": rows[13]["labels"]}
        assert not any(POISON in row["input_ids"] for row in rows)
        return model, tokenizer, [*rows[:13], bad, *rows[14:20]]

    return make


@pytest.mark.parametrize("batches", [{"train__batch_rows": 4}, {"train__batch_rows": 2, "train__accumulation": 2}])
def test_a_poisoned_row_is_named_and_the_last_checkpoint_is_good(poisoned, make_recipe, rows, tmp_path, batches, dtype):
    model = {"model": make_recipe().model.model_dump() | {"dtype": dtype}}
    recipe = make_recipe(**batches, **model, train__save_every_seconds=1e-6, seed=5)
    adapter, tokenizer, train_rows = poisoned(recipe)
    ids = [f"q{number}" for number in range(20)]
    with pytest.raises(ExplosionError, match=r"step \d+, rows q13\n") as caught:
        train(adapter, tokenizer, train_rows, rows[20:], tmp_path / "a", recipe, row_ids=ids)
    told = str(caught.value)
    assert "found:    loss nan" in told and "train.learning_rate (it was 0.0" in told
    step = int(told.split("step ")[1].split(",")[0])
    assert step > 1, "the seed is to put the row behind the first step"
    folders = sorted((tmp_path / "a" / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    assert folders[-1].name == f"checkpoint-{step - 1}" and folders[-1].name in told
    for values in load_file(folders[-1] / "adapter_model.safetensors").values():
        assert values.isfinite().all()
    assert all(math.isfinite(value) for value in _losses(tmp_path / "a"))
    assert all(parameter.isfinite().all() for name, parameter in adapter.named_parameters() if "lora_" in name)


def _losses(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line[key] for line in lines for key in ("loss", "eval_loss", "grad_norm") if key in line]


def test_off_goes_on(poisoned, make_recipe, rows, tmp_path):
    recipe = make_recipe(train__stop_on_explosion="off", train__epochs=1)
    model, tokenizer, train_rows = poisoned(recipe)
    train(model, tokenizer, train_rows, rows[20:], tmp_path / "a", recipe)
    assert any(map(math.isnan, _losses(tmp_path / "a")))


def test_a_base_that_is_broken_is_found_before_the_first_step(poisoned, make_recipe, rows, tmp_path):
    recipe = make_recipe()
    model, tokenizer, train_rows = poisoned(recipe)
    with pytest.raises(ExplosionError, match="validation at step 0"):
        train(model, tokenizer, rows[:4], train_rows[12:14], tmp_path / "a", recipe)
