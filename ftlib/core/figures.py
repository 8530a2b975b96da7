"""This room's pictures: NF4's levels, its error, and the course of a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ftlib.core.quantize import nf4_levels, quantization_error, quantize
from ftlib.plots import COLOURS, INK, curve, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCK_SIZES = (32, 64, 128, 256, 512, 1024)  # what bitsandbytes offers on every device


@styled
def nf4_figure(weight: torch.Tensor, used: int = 64) -> Figure:
    """Where NF4's 16 levels lie among a matrix's values, and how the error grows with the block.

    Args:
        weight: (out, in) of a linear layer. used: the block size that is marked.
    """
    figure, (left, right) = new_figure(9.0, 3.6, columns=2)
    blocks = weight.detach().float().flatten()
    blocks = blocks[: blocks.numel() // 64 * 64].view(-1, 64)
    scaled = (blocks / blocks.abs().amax(1, keepdim=True).clamp(min=1e-12)).flatten()
    left.hist(scaled.tolist(), bins=80, color=COLOURS[5], alpha=0.8)
    for level in nf4_levels().tolist():
        left.axvline(level, color=COLOURS[1], linewidth=1)
    left.set_xticks([-1, -0.5, 0, 0.5, 1])
    left.set(title="weights and NF4's 16 levels", xlabel="weight / largest of its block of 64", ylabel="weights")
    sizes = [size for size in BLOCK_SIZES if weight.numel() >= size]
    for colour, kind in zip(COLOURS, ("nf4", "fp4"), strict=False):
        errors = [quantization_error(weight, kind, size, double_quant=False).relative for size in sizes]
        right.plot(sizes, errors, "o-", color=colour, label=kind.upper())
    right.axvline(used, color=INK, linestyle="--", linewidth=1, label="used here")
    right.set_xscale("log", base=2)
    right.set(title="error by block size", xlabel="weights that share a scale", ylabel="rms error / rms weight")
    right.legend()
    return figure


@styled
def one_block_figure(weight: torch.Tensor, shown: int = 32) -> Figure:
    """The first weights of a matrix before and after 4 bits, with the levels of their block.

    Args:
        weight: (out, in). shown: how many weights.
    """
    figure, axes = new_figure(8.0, 3.4)
    original = weight.detach().float().flatten()[:64]
    restored = quantize(weight, double_quant=False)[0].flatten()[:shown]
    for level in (nf4_levels() * original.abs().max()).tolist():
        axes.axhline(level, color="#C9CED6", linewidth=0.8)
    places = range(len(restored))
    axes.vlines(places, original[:shown].tolist(), restored.tolist(), color=COLOURS[1], linewidth=1.2)
    axes.plot(places, original[:shown].tolist(), "o", color=COLOURS[0], markersize=5, label="as trained")
    axes.plot(places, restored.tolist(), "_", color=COLOURS[1], markersize=10, markeredgewidth=2, label="from 4 bits")
    axes.grid(visible=False)
    axes.set(
        title="one block: every weight moves to the nearest of 16 levels", xlabel="place in the block", ylabel="weight"
    )
    figure.legend(loc="outside right upper")
    return figure


@styled
def lora_figure(inputs: int, outputs: int, r: int, scaling: float) -> Figure:
    """A frozen matrix W and its correction B A beside it, drawn to scale.

    Args:
        inputs, outputs: of the layer. r: rank. scaling: what B A is multiplied by.
    """
    from matplotlib.patches import Rectangle

    figure, axes = new_figure(7.4, 3.2)
    side, gap = max(inputs, outputs), 0.32 * max(inputs, outputs)
    thin = max(r, 0.03 * side)  # a rank of 1 would not be seen
    boxes = {"W": (0.0, inputs, outputs, "#C9CED6"), "B": (inputs + gap, thin, outputs, COLOURS[1])}
    boxes["A"] = (inputs + gap + thin + 0.06 * side, inputs, thin, COLOURS[0])
    for name, (left, width, height, colour) in boxes.items():
        axes.add_patch(Rectangle((left, -height), width, height, color=colour))
        shape = {"W": (outputs, inputs), "B": (outputs, r), "A": (r, inputs)}[name]
        text = f"{name}\n{shape[0]:,} x {shape[1]:,}" + ("\nfrozen" if name == "W" else "")
        axes.text(left + width / 2, 0.05 * side, text, ha="center", va="bottom")
    axes.text(inputs + gap / 2, -outputs / 2, f"+ {scaling:g} \u00b7", ha="center", va="center", fontsize=14)
    axes.set(xlim=(-0.05 * side, boxes["A"][0] + inputs), ylim=(-outputs - 0.05 * side, 0.4 * side), aspect="equal")
    axes.axis("off")
    axes.set_title("what is frozen, and what is trained beside it")
    return figure


def loss_figure(metrics_path: str | Path, best_step: int | None = None) -> Figure:
    """Training and validation loss over steps, from metrics.jsonl."""
    lines = _lines(metrics_path)
    series = {
        "training": [(line["step"], line["loss"]) for line in lines if "loss" in line],
        "validation": [(line["step"], line["eval_loss"]) for line in lines if "eval_loss" in line],
    }
    return curve(
        {name: tuple(zip(*points, strict=True)) for name, points in series.items() if points},
        title="loss per trained token",
        xlabel="step",
        ylabel="nats",
        yscale="log",
        mark=best_step,
        mark_label="kept" if best_step is not None else "",
    )


def exact_figure(metrics_path: str | Path, best_step: int | None = None) -> Figure:
    """Share of validation answers that greedy decoding writes exactly, over steps."""
    points = [(line["step"], line["eval_exact"]) for line in _lines(metrics_path) if "eval_exact" in line]
    return curve(
        {"exact": tuple(zip(*points, strict=True))},
        title="validation answers written exactly",
        xlabel="step",
        ylabel="share",
        mark=best_step,
        mark_label="kept" if best_step is not None else "",
    )


def _lines(metrics_path: str | Path) -> list[dict]:
    return [json.loads(line) for line in Path(metrics_path).read_text(encoding="utf-8").splitlines()]


class LiveLoss:
    """A loss picture that redraws itself in a notebook while training runs; silent elsewhere.

    Args:
        metrics_path: the file that the training writes. interactive: False draws nothing.
        every_steps: steps between redraws.
    """

    def __init__(self, metrics_path: str | Path, interactive: bool, every_steps: int = 20):
        self.metrics_path, self.interactive, self.every_steps = metrics_path, interactive, every_steps
        self._handle, self._drawn = None, 0

    def __call__(self, entry: dict) -> None:
        """For `train(on_log=...)`: redraw when enough steps have passed."""
        if not self.interactive or entry["step"] < max(self._drawn + self.every_steps, 2):
            return
        from IPython.display import display

        self._drawn = entry["step"]
        figure = loss_figure(self.metrics_path)
        if self._handle is None:
            self._handle = display(figure, display_id=True)
        else:
            self._handle.update(figure)

    def close(self) -> None:
        """Take the live picture away; the final one is saved with the stage."""
        if self._handle is not None:
            from IPython.display import Markdown

            self._handle.update(Markdown(""))
