"""Figures of this room: which answers one system has right and the other wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftlib.plots import COLOURS, GRID, INK, new_figure, percent_axis, styled
from ftlib.review.slices import Transitions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = (
    ("kept_right", "right in both", COLOURS[0]),
    ("fixed", "turned right", COLOURS[2]),
    ("regressed", "turned wrong (regression)", COLOURS[1]),
    ("kept_wrong", "wrong in both", "#C9CED6"),
)


@styled
def transition_bars(groups: Mapping[str, Transitions], *, title: str = "") -> Figure:
    """One bar a group (of one row or more), divided by what became of its questions; counts stand in the parts."""
    figure, axes = new_figure(7.6, 1.5 + 0.44 * len(groups))
    for at, group in enumerate(groups.values()):
        left = 0.0
        for attribute, label, colour in PARTS:
            count = len(getattr(group, attribute))
            share, name = count / group.n, label if at == 0 else None
            axes.barh(at, share, left=left, color=colour, height=0.66, label=name, edgecolor="white")
            if share >= 0.035:  # a narrower part has no room for its count
                ink = INK if attribute == "kept_wrong" else "white"
                axes.text(left + share / 2, at, str(count), ha="center", va="center", color=ink, fontsize=9.5)
            left += share
    axes.set_yticks(range(len(groups)), [f"{name}  (n={group.n})" for name, group in groups.items()])
    axes.invert_yaxis()
    percent_axis(axes.xaxis)
    axes.set(title=title, xlabel="share of the questions", xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_color(GRID)
    figure.legend(loc="outside lower center", ncols=2)
    return figure
