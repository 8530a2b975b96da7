"""Every system is timed on the same questions, in turn, after a warm-up; what was measured is not measured again."""

from types import SimpleNamespace

import pytest

from ftlib import jsonl
from ftlib.data.prompts import Prompt
from ftlib.rag import timing
from ftlib.rag.arms import Ask
from ftlib.stats import few_ci95

NAMES = ("base", "rag", "finetuned")


class Clock:
    """An engine whose answers take the seconds it is told, and the time it shows.

    The first answer of a process takes ten seconds more, the first after another system's a hundred.
    """

    def __init__(self, seconds):
        self.seconds, self.now, self.calls, self.on, self.switched = seconds, 0.0, [], None, 0

    def generate(self, system, prompts, *, max_new_tokens, batch_rows):
        cold = not any(name == system.name for name, _ in self.calls)
        self.now += 100 * (self.on != system.name)
        self.on = system.name
        if max_new_tokens == 1:
            self.switched += 1
            return
        self.calls.append((system.name, [prompt.id for prompt in prompts]))
        self.now += self.seconds[system.name] * len(prompts) + 10 * cold

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock({"base": 0.5, "rag": 2.0, "finetuned": 1.0})
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=made.perf_counter))
    return made


@pytest.fixture
def asked():
    return {
        name: [Ask(Prompt(f"q{i}", (1,), ()), search_seconds=0.25 * (name == "rag")) for i in range(12)]
        for name in NAMES
    }


@pytest.fixture
def three(five):
    return {name: five[name] for name in NAMES}


def test_latency_counts_the_search_and_not_the_warm_up(clock, three, asked, tmp_path):
    found = timing.measure_latency(clock, three, asked, tmp_path / "l.jsonl", count=4, max_new_tokens=4, seed=1)
    assert {name: set(each.values()) for name, each in found.items()} == {
        "base": {0.5},
        "rag": {2.25},
        "finetuned": {1},
    }
    assert len({tuple(each) for each in found.values()}) == 1 and len(found["base"]) == 4, "the same questions"
    assert clock.switched == 3 * (4 + 1), "right before every clock"


def test_a_server_is_not_switched_on(clock, three, asked, tmp_path):
    served = {name: each._replace(endpoint=SimpleNamespace(url="u")) for name, each in three.items()}
    timing.measure_latency(clock, served, asked, tmp_path / "l.jsonl", count=2, max_new_tokens=4)
    assert clock.switched == 0


def test_every_turn_begins_with_another_system(clock, three, asked, tmp_path):
    timing.measure_throughput(clock, three, asked, tmp_path / "t.jsonl", rounds=4, batch_rows=5, max_new_tokens=4)
    order = [name for name, _ in clock.calls]
    assert order[:3] == list(NAMES), "the warm-up"
    assert [order[at : at + 3] for at in (3, 6, 9, 12)] == [
        ["base", "rag", "finetuned"], ["rag", "finetuned", "base"], ["finetuned", "base", "rag"],
        ["base", "rag", "finetuned"],
    ]  # fmt: skip
    batches = [ids for _, ids in clock.calls]
    assert all(batches[at] == batches[at + 1] == batches[at + 2] for at in (0, 3, 6, 9, 12)), "the same questions"
    assert len({tuple(ids) for ids in batches[3:]}) == 4 and all(len(set(ids)) == 5 for ids in batches)


def test_throughput_is_the_mean_over_batches_with_their_interval(clock, three, asked, tmp_path):
    path = tmp_path / "t.jsonl"
    jsonl.write(path, [{"round": 0, "system": "base", "questions": 5, "seconds": 7.5}])
    found = timing.measure_throughput(clock, three, asked, path, rounds=3, batch_rows=5, max_new_tokens=4)
    expected = few_ci95([1.5, 0.5, 0.5])
    assert expected.low < 0 and found["base"] == expected._replace(low=0.0), "the line that was there counts"
    assert found["rag"].mean == pytest.approx(2.0)
    calls = len(clock.calls)
    assert timing.measure_throughput(clock, three, asked, path, rounds=3, batch_rows=5, max_new_tokens=4) == found
    assert len(clock.calls) == calls, "nothing is measured again"


def test_a_small_test_set_is_one_batch(clock, three, asked, tmp_path):
    few = {name: each[:2] for name, each in asked.items()}
    timing.measure_throughput(clock, three, few, tmp_path / "t.jsonl", rounds=2, batch_rows=32, max_new_tokens=4)
    assert all(sorted(ids) == ["q0", "q1"] for _, ids in clock.calls)
