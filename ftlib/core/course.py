"""The whole course of a training in one picture: losses, rate, gradients, speed, and what the machine did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftlib import jsonl
from ftlib.core.monitor import KIND
from ftlib.plots import COLOURS, INK, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Panels: title -> (label of the y axis, log scale, {name of a curve: (key in metrics.jsonl, what it is divided by)}).
_TRAINING = {
    "loss": ("nats per token", True, {"training": ("loss", 1), "validation": ("eval_loss", 1)}),
    "learning rate": ("per step", False, {"rate": ("learning_rate", 1)}),
    "gradient": ("norm before clipping", True, {"norm": ("grad_norm", 1)}),
    "throughput": ("tokens per second", False, {"tokens": ("tokens_per_second", 1)}),
}
_HARDWARE = {
    "memory": ("GiB", False, {"process": ("process_memory_bytes", 2**30), "GPU": ("gpu_memory_bytes", 2**30)}),
    "busy": ("share of the time", False, {"all CPU cores": ("cpu_share", 1), "GPU": ("gpu_share", 1)}),
    "power": ("watts", False, {"GPU": ("gpu_power_watts", 1)}),
    "temperature": ("degrees Celsius", False, {"GPU": ("gpu_temperature_celsius", 1)}),
}


@styled
def course_figure(metrics_path: str | Path, best_step: int | None = None) -> Figure:
    """Everything that metrics.jsonl holds, over steps; panels without a number are left out.

    Args:
        metrics_path: of a training, whole or still running. best_step: is marked, where it is given.
    """
    lines = list(jsonl.iterate(metrics_path))
    own, samples = ([line for line in lines if (line.get("kind") == KIND) is wanted] for wanted in (False, True))
    panels = {title: (panel, own) for title, panel in _TRAINING.items()}
    panels |= {title: (panel, samples) for title, panel in _HARDWARE.items()}
    shown = {title: part for title, part in panels.items() if _curves(part[0][2], part[1])}
    columns = min(3, max(1, len(shown)))
    rows = -(-max(1, len(shown)) // columns)
    figure, axes = new_figure(3.5 * columns, 2.6 * rows, rows, columns, squeeze=False)
    for at, (title, ((label, log, keys), part)) in zip(axes.flat, shown.items(), strict=False):
        _draw(at, _curves(keys, part), best_step, legend=len(keys) > 1)
        at.set(title=title, ylabel=label, yscale="log" if log else "linear")
        at.set_ylim(bottom=None if log else 0)
    for at in axes[-1]:
        at.set_xlabel("step")
    for at in axes.flat[len(shown) :]:
        at.remove()
    return figure


def _curves(keys: Mapping[str, tuple[str, float]], lines: Sequence[Mapping]) -> dict[str, tuple[list, list]]:
    """Name -> (steps, values) of the curves that have points."""
    found = {}
    for name, (key, unit) in keys.items():
        points = [(line["step"], line[key] / unit) for line in lines if key in line]
        if points:
            found[name] = tuple(map(list, zip(*points, strict=True)))
    return found


def _draw(axes: Axes, curves: Mapping[str, tuple[list, list]], best_step: int | None, legend: bool) -> None:
    for colour, (name, (steps, values)) in zip(COLOURS, curves.items(), strict=False):
        axes.plot(steps, values, color=colour, marker="." if len(steps) <= 30 else "", label=name)
    if best_step is not None:
        axes.axvline(best_step, color=INK, linestyle="--", linewidth=1)
    if legend:
        axes.legend()
