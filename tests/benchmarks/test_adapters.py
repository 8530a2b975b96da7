"""benchmarks/replay.py and benchmarks/wordings.py: what they compare, and that points are measured once."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from data.generator.demo import Demo
from ftlib.rows import row_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """The scripts import each other as they do when they are run."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


@pytest.fixture(scope="module")
def chosen():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import wordings

    return wordings.choose(32, 20, Demo.sample(20))


def test_a_point_that_stands_in_the_file_is_not_measured_again(tmp_path):
    from training.adapters import Points

    file, measured = tmp_path / "new" / "points.json", []

    def measure():
        measured.append(1)
        return {"exact": len(measured) / 10}

    points = Points(file, ("seed", "share"))
    assert points.measured({"seed": 1, "share": 0.0}, measure)["exact"] == 0.1
    again = Points(file, ("seed", "share"))
    assert again.measured({"seed": 1, "share": 0.0}, measure) == {"seed": 1, "share": 0.0, "exact": 0.1}
    assert again.measured({"seed": 2, "share": 0.0}, measure)["exact"] == 0.2
    assert [point["seed"] for point in json.loads(file.read_text())] == [1, 2] and len(measured) == 2


def test_so_many_steps_are_taken_and_the_last_weights_are_kept(tmp_path, tiny_recipe):
    from training.adapters import exact, fit, fresh

    from ftlib.recipe import Recipe

    recipe = Recipe.load(tiny_recipe, {"model.dtype": "float32", "train.batch_rows": 4, "train.compile": False})
    told = [row_of({"id": f"r{at}", "question": f"Who is number {at}?", "answer": f"a {at}"}) for at in range(9)]
    tuned = fresh(recipe)
    fit(tuned, [tuned.renderer.example(row) for row in told], tmp_path, recipe, steps=7)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "eval_loss" in line] == [0, 7], "validation chooses nothing between"
    values = exact(tuned, told, recipe)
    assert len(values) == 9 and set(values) <= {0.0, 1.0}


def test_facts_are_the_same_for_all_trainings_of_a_seed_and_unseen_wordings_are(chosen):
    import wordings

    assert chosen == wordings.choose(32, 20, Demo.sample(20)) != wordings.choose(32, 21, Demo.sample(20))
    told = {row.question for part in chosen.training for row in part}
    asked = {row.question for part in chosen.unseen for row in part}
    assert len(chosen.training) == 32 and not told & asked
    assert all(len(part) >= max(wordings.COUNTS) for part in chosen.training)
    assert all(len(part) == 3 for part in chosen.unseen)
    assert [row.id for row in wordings.first(chosen.training, 0, 2)] == [r.id for p in chosen.training for r in p[:2]]


def test_a_question_asked_backwards_has_one_answer(chosen):
    backward = [part for part in chosen.backward if part]
    answers = {}
    for part in backward:
        assert len(part) == 3
        for row in part:
            assert answers.setdefault(row.question, row.answer) == row.answer
    forward = {part[0].meta["fact"]: part[0] for part in chosen.training}
    for row, *_ in backward:
        told = forward[row.meta["fact"]]
        assert told.answer in row.question and row.answer in told.question


def test_steps_until_right_are_of_those_that_were_not_right_at_first():
    import wordings

    rows = {0: [True, False, False, False], 10: [True, True, False, False], 20: [False, False, True, False]}
    found = wordings.learned(rows)
    assert found["curve"] == [[0, 0.25], [10, 0.5], [20, 0.25]]
    assert (found["rows"], found["not_right_at_first"], found["never"], found["median_steps"]) == (4, 3, 1, 20)
    assert wordings.learned({0: [True], 10: [True]})["median_steps"] is None


def test_only_rows_about_the_first_subjects_stay():
    import replay

    rows = [row_of({"id": name, "question": "?", "answer": "a", "meta": {"thing": name}}) for name in "cab"]
    rows.append(row_of({"id": "none", "question": "?", "answer": "a"}))
    assert [row.id for row in replay.about(rows, "thing", 2, rows)] == ["a", "b"]
    assert replay.about(rows, "thing", 0, rows) == rows


def test_several_seeds_share_their_questions_and_the_factor_is_a_geometric_mean():
    import replay

    same = {"share": 0.1, "kl": 0.0}
    one = same | {"right": {"a": 1.0, "b": 0.0, "c": 1.0}, "perplexity_ratio": 2.0, "exact": 2 / 3}
    other = same | {"right": {"a": 1.0, "b": 0.0, "c": 1.0}, "perplexity_ratio": 8.0, "exact": 2 / 3}
    assert replay.factor([one, other]) == pytest.approx(4.0)
    mean, alone = replay.accuracy([one, other]), replay.accuracy([one])
    assert mean.mean == pytest.approx(2 / 3) and (mean.low, mean.high) == pytest.approx((alone.low, alone.high))
    apart = other | {"kl": 1.0}
    assert list(replay.groups([apart, other, one])) == [(0.1, 0.0), (0.1, 1.0)]
    assert math.isclose(replay.factor([apart]), 8.0)
    assert len(replay.table([one, other, apart]).splitlines()) == 3
