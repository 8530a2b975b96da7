from __future__ import annotations

import itertools
import json
import os
import threading
import time

import pytest
import torch

from ftlib.core.metrics_log import MetricsLog
from ftlib.errors import UserError


def _lines(log: MetricsLog) -> list[dict]:
    return [json.loads(line) for line in log.path.read_text().splitlines()]


def test_lines_of_several_threads_are_whole_and_in_the_order_of_their_steps(tmp_path):
    asked = itertools.count()
    log = MetricsLog(tmp_path / "metrics.jsonl", at_step=lambda: next(asked))
    write = lambda name: [log.append({"by": name, "text": "x" * 5000}) for _ in range(100)]
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["step"] for line in _lines(log)] == list(range(400))
    assert {len(line["text"]) for line in _lines(log)} == {5000} and {line["by"] for line in _lines(log)} == {
        0,
        1,
        2,
        3,
    }


def test_a_lines_own_step_is_kept(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl", at_step=lambda: 7)
    log.append({"step": 5, "loss": 2.0})
    log.append({"loss": 1.0})
    assert _lines(log) == [{"step": 5, "loss": 2.0}, {"step": 7, "loss": 1.0}]


def test_what_tells_of_no_step_waits_for_the_first_batch(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl", at_step=lambda: 3)
    log.note({"kind": "a"})
    assert not log.path.exists()
    log.count(torch.tensor(10))
    log.note({"kind": "b"})
    assert _lines(log) == [{"step": 3, "kind": "b"}]


def test_lines_that_will_be_written_again_and_a_torn_one_are_dropped(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl", at_step=lambda: 0)
    log.forget_after(2)  # nothing is there yet
    assert not log.path.exists()
    for step in (0, 1, 2, 3):
        log.append({"step": step, "loss": 1 / 3})
    with log.path.open("a") as file:
        file.write('{"step": 1, "lo')  # as a kill in the middle of a line leaves it
    log.forget_after(2)
    assert log.path.read_text() == "".join(f'{{"step": {step}, "loss": 0.3333333333333333}}\n' for step in (0, 1, 2))


def test_a_lap_counts_all_tokens_and_the_seconds_of_training_alone(tmp_path):
    log, started = MetricsLog(tmp_path / "metrics.jsonl", at_step=lambda: 0), time.perf_counter()
    log.count(torch.tensor(10))
    time.sleep(0.05)
    with log.paused():
        time.sleep(0.2)
    log.count(torch.tensor(5))
    tokens, told = log.lap(trained=True)
    assert tokens == 15 and told["tokens_per_second"] == 15 / told["seconds"]
    assert 0.05 <= told["seconds"] <= time.perf_counter() - started - 0.2
    assert log.lap(trained=True)[0] == 0


def test_time_goes_on_through_a_line_that_tells_of_no_training(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl", at_step=lambda: 0)
    time.sleep(0.05)
    assert log.lap(trained=False) == (0, {})
    assert log.lap(trained=True)[1]["seconds"] >= 0.05
    time.sleep(0.05)
    log.count(torch.tensor(10))
    log.start_clock()
    started = time.perf_counter()
    tokens, told = log.lap(trained=True)
    assert tokens == 0 and told["seconds"] <= time.perf_counter() - started + 0.05


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_said():
    with pytest.raises(UserError, match=r"room for a line of metrics\.jsonl: about 1\.0 MiB"):
        MetricsLog("/dev/full", at_step=lambda: 0).append({"loss": 1.0})
