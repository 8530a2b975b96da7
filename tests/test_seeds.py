"""Several trainings: what their luck adds to an interval."""

import json

import numpy as np
import pytest
from scipy import stats

from ftlib import seeds


def summary(value, low, high):
    return {"name": "x", "em_tuned": value, "em_tuned_ci95": [low, high], "em_tuned_n": 100, "rows_in": 5}


def test_the_interval_by_hand():
    found = seeds.combine([summary(0.8, 0.7, 0.86), summary(0.9, 0.82, 0.94), summary(0.85, 0.76, 0.9)])
    luck = stats.t.ppf(0.975, 2) * 0.05 / np.sqrt(3)
    below, above = (0.1 + 0.08 + 0.09) / 3, (0.06 + 0.04 + 0.05) / 3
    ends = [0.85 - np.hypot(below, luck), 0.85 + np.hypot(above, luck)]
    assert found["em_tuned_seeds"] == pytest.approx(0.85) and found["em_tuned_seeds_n"] == 3
    assert found["em_tuned_seeds_ci95"] == pytest.approx(ends) and found["em_tuned_seeds_sd"] == pytest.approx(0.05)


def test_shares_end_at_one_and_ratios_do_not():
    made = [summary(0.98, 0.95, 1.0), summary(0.7, 0.6, 0.8)]
    assert seeds.combine(made)["em_tuned_seeds_ci95"] == [0.0, 1.0]
    made.append(summary(1.1, 1.0, 1.2))
    assert seeds.combine(made)["em_tuned_seeds_ci95"][1] > 1


def test_what_no_training_moves_is_left_out():
    assert seeds.combine([summary(0.8, 0.7, 0.9)] * 2) == {}
    assert seeds.combine([{"em_base": 0.1}, {"em_base": 0.2}]) == {}, "without an interval there is nothing to widen"


def test_one_training_says_nothing_of_luck():
    with pytest.raises(ValueError, match="from two on"):
        seeds.combine([summary(0.8, 0.7, 0.9)])


def test_coverage_over_questions_and_trainings():
    """Trainings of normal luck (sd .04) answer 200 questions of different difficulty; the mean training is wanted."""
    rng, hits, rounds, n = np.random.default_rng(0), 0, 400, 200
    for _ in range(rounds):
        difficulty, made = rng.normal(0, 0.15, n), []
        for _ in range(3):
            right = rng.random(n) < np.clip(0.8 + rng.normal(0, 0.04) + difficulty, 0, 1)
            half = 1.96 * right.std(ddof=1) / np.sqrt(n)
            made.append(summary(float(right.mean()), right.mean() - half, right.mean() + half))
        low, high = seeds.combine(made)["em_tuned_seeds_ci95"]
        hits += low <= np.clip(0.8 + rng.normal(0, 0.15, 20000) + rng.normal(0, 0.04, 20000), 0, 1).mean() <= high
    assert 0.93 <= hits / rounds <= 1.0


def test_the_table_shows_what_is_asked_for():
    found = seeds.combine([summary(0.8, 0.7, 0.9), summary(0.9, 0.8, 1.0)])
    assert "em_tuned" in seeds.told(found, ["em_tuned", "em_other"]) and "em_other" not in seeds.told(
        found, ["em_other"]
    )


@pytest.mark.notebook
@pytest.mark.timeout(900)
def test_two_trainings_of_one_recipe(tiny_recipe, tmp_path, ftlib_run):
    """The second stands in a folder of its own, with the data of the first."""
    ftlib_run(tiny_recipe, tmp_path / "run", "--seeds", "2", "--to", "02")
    other = tmp_path / "run@train.seed=8"
    one, two = (json.loads((path / "summary.json").read_text("utf-8")) for path in (tmp_path / "run", other))
    assert one["val_loss_finetuned"] != two["val_loss_finetuned"] and one["val_loss_base"] == two["val_loss_base"]
    data = [(path / "01_data" / "train.jsonl").read_bytes() for path in (tmp_path / "run", other)]
    assert data[0] == data[1]
