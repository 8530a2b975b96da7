"""Figures of this room: which answers one system has right and the other wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftlib.plots import COLOURS, GRID, INK, new_figure, style
from ftlib.review.slices import Transitions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = (
    ("kept_right", "right in both", COLOURS[0]),
    ("fixed", "turned right", COLOURS[2]),
    ("regressed", "turned wrong (regression)", COLOURS[1]),
    ("kept_wrong", "wrong in both", "#C9CED6"),
)


def transition_bars(groups: Mapping[str, Transitions], *, title: str = "") -> Figure:
    """One bar a group, divided by what became of its questions; counts are written into the parts.

    Args:
        groups: name -> Transitions with one row or more, drawn from the top down.
        title: text.
    """
    with style():
        figure, axes = new_figure(7.6, 1.5 + 0.44 * len(groups))
        for at, group in enumerate(groups.values()):
            _divided_bar(axes, at, group)
        axes.set_yticks(range(len(groups)), [f"{name}  (n={group.n})" for name, group in groups.items()])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_color(GRID)
        axes.set(title=title, xlabel="share of the questions")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _divided_bar(axes: Axes, at: int, group: Transitions) -> None:
    left = 0.0
    for attribute, label, colour in PARTS:
        count = len(getattr(group, attribute))
        share = count / group.n
        name = label if at == 0 else None
        axes.barh(at, share, left=left, color=colour, height=0.66, label=name, edgecolor="white")
        if share >= 0.035:  # a narrower part has no room for its count
            ink = INK if attribute == "kept_wrong" else "white"
            axes.text(left + share / 2, at, str(count), ha="center", va="center", color=ink, fontsize=9.5)
        left += share
