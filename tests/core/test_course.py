from __future__ import annotations

from ftlib import jsonl
from ftlib.core.course import course_figure
from ftlib.core.monitor import KIND

TRAINING = [
    {"step": 0, "eval_loss": 5.0},
    {"step": 10, "loss": 4.0, "learning_rate": 0.01, "grad_norm": 1.5, "tokens_per_second": 100.0},
    {"step": 20, "loss": 3.0, "learning_rate": 0.005, "grad_norm": 0.5, "tokens_per_second": 200.0},
    {"step": 20, "eval_loss": 3.5},
]
SAMPLE = {"step": 5, "kind": KIND, "cpu_share": 0.5, "process_memory_bytes": 2**31, "process_cores": 1.9}


def _panels(path, lines, **options):
    jsonl.write(path, lines)
    return {axes.get_title(loc="left"): axes for axes in course_figure(path, **options).axes}


def test_every_number_of_a_training_is_drawn_over_its_step(tmp_path):
    panels = _panels(tmp_path / "m.jsonl", [*TRAINING, SAMPLE], best_step=20)
    assert list(panels) == ["loss", "learning rate", "gradient", "throughput", "memory", "busy"]
    training, validation, mark = panels["loss"].lines
    assert list(training.get_ydata()) == [4.0, 3.0] and list(validation.get_xdata()) == [0, 20]
    assert mark.get_xdata()[0] == 20 and panels["loss"].get_yscale() == panels["gradient"].get_yscale() == "log"
    assert list(panels["memory"].lines[0].get_ydata()) == [2.0]  # GiB
    assert list(panels["busy"].lines[0].get_xdata()) == [5] and panels["busy"].get_ylim()[0] == 0
    assert [text.get_text() for text in panels["busy"].get_legend().get_texts()] == ["all CPU cores"]


def test_a_gpu_has_panels_of_its_own_and_no_samples_none(tmp_path):
    gpu = {"gpu_share": 0.9, "gpu_memory_bytes": 2**33, "gpu_power_watts": 300.0, "gpu_temperature_celsius": 60}
    panels = _panels(tmp_path / "gpu.jsonl", [*TRAINING, SAMPLE | gpu])
    assert [len(panels[name].lines) for name in ("memory", "busy", "power", "temperature")] == [2, 2, 1, 1]
    assert list(_panels(tmp_path / "plain.jsonl", TRAINING))[-1] == "throughput"
    assert list(_panels(tmp_path / "begun.jsonl", TRAINING[:1])) == ["loss"]
