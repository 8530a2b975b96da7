"""The pictures of room 05; each takes measured results and returns a matplotlib Figure.

Systems, of which all take the labels and colours, are given by name, from `ftlib.systems.systems`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ftlib.plots import COLOURS, INK, new_figure, percent_axis, styled
from ftlib.rag.comparison import Standing
from ftlib.rag.cost import Cost, Prices, break_even, price_per_1000, setup_price
from ftlib.rag.recommend import scenario_title
from ftlib.rag.staleness import Staleness
from ftlib.stats import Interval
from ftlib.systems import System

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Systems = Mapping[str, System]  # by name: from `ftlib.systems.systems`


@styled
def decision_map(
    standings: Sequence[Standing], systems: Systems, headline: str, footers: Mapping[str, Sequence[str]] | None = None
) -> Figure:
    """The decision at a glance: accuracy of every system in every scenario, with who is unbeaten where.

    Args:
        standings: one row each; systems that a scenario did not measure stay empty.
        headline: the recommendation, set above the table.
        footers: system to lines below its column, e.g. latency and price.

    Returns:
        Figure: cells coloured by accuracy with their intervals; the leader framed bold, others that none beats thin.
    """
    import textwrap

    names = list(dict.fromkeys(name for standing in standings for name in standing.means))
    deep = max((len(lines) for lines in (footers or {}).values()), default=0)
    figure, axes = new_figure(3.0 + 1.5 * len(names), 1.9 + 0.62 * len(standings) + 0.24 * deep)
    for at, standing in enumerate(standings):
        for column, name in enumerate(names):
            if name in standing.means:
                _cell(axes, column, at, standing.means[name], _frame(standing, name))
    for column, name in enumerate(names):
        below = {"ha": "center", "va": "top", "fontsize": 10.5, "annotation_clip": False}
        axes.annotate("\n".join((footers or {}).get(name, ())), (column, len(standings) - 0.42), **below)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(standings) - 0.5 + 0.36 * deep, -0.5))
    axes.set_xticks(range(len(names)), [systems[name].label for name in names], fontweight="bold")
    axes.set_yticks(range(len(standings)), [f"{scenario_title(s.scenario)}\nn = {s.n}" for s in standings])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    width = round(15 * (3.0 + 1.5 * len(names)) / 2)
    figure.suptitle("\n".join(textwrap.wrap(headline, width)), fontsize=12.5, fontweight="bold", ha="left", x=0.02)
    return figure


@styled
def lead_dots(standings: Sequence[Standing], systems: Systems) -> Figure:
    """How far the leader of each scenario is ahead of the others, paired on the same questions.

    A dot with its 95 % interval for each system; hollow where no other is shown to be better.
    """
    rows = [max(len(standing.leads), 2) for standing in standings]  # room for two lines of text
    figure, axes = new_figure(7.6, 1.2 + 0.2 * sum(rows) + 0.14 * len(standings))
    at, ticks = 0.0, []
    for standing, room in zip(standings, rows, strict=True):
        title = f"{scenario_title(standing.scenario)}\n{systems[standing.leader].label} leads"
        ticks.append((at + (len(standing.leads) - 1) / 2, title))
        for name, lead in standing.leads.items():
            colour, level = systems[name].colour, name in standing.level
            axes.plot([max(lead.low, -1), min(lead.high, 1)], [at, at], color=colour, alpha=0.6, linewidth=2.4)
            face = "white" if level else colour
            axes.plot(lead.difference, at, "o", color=colour, markerfacecolor=face, markersize=6.5)
            at += 1
        at += 0.7 + room - len(standing.leads)
    for name in dict.fromkeys(name for standing in standings for name in standing.means):
        axes.plot([], [], "o", color=systems[name].colour, label=systems[name].label)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks([tick for tick, _ in ticks], [text for _, text in ticks])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    percent_axis(axes.xaxis)
    axes.set_title("Lead over others\n(hollow: not beaten)")
    axes.set(xlabel="accuracy of the leader - accuracy of the system")
    figure.legend(loc="outside right upper")
    return figure


@styled
def hit_curve(any_found: Sequence[Interval], all_found: Sequence[Interval], chosen: int, mrr: Interval) -> Figure:
    """Retrieval quality against the number of passages: two lines with 95 % bands.

    Args:
        any_found, all_found: hit rate, and share of questions with every needed article, at k = 1, 2, ...
        chosen: the recipe's top_k.
        mrr: mean reciprocal rank.
    """
    figure, axes = new_figure(6.4, 3.6)
    depths = range(1, len(any_found) + 1)
    for intervals, colour, label in (
        (any_found, COLOURS[0], "one article that helps"),
        (all_found, COLOURS[2], "all articles needed"),
    ):
        axes.plot(depths, [i.mean for i in intervals], "o-", color=colour, label=label)
        axes.fill_between(depths, [i.low for i in intervals], [i.high for i in intervals], color=colour, alpha=0.15)
    axes.axvline(chosen, color=INK, linestyle="--", linewidth=1, label=f"top_k = {chosen}")
    axes.set_xticks(depths)
    percent_axis(axes.yaxis)
    axes.set(xlabel="passages retrieved (k)", ylabel="questions")
    axes.set_title(f"Found among the first k (MRR {mrr.mean:.2f})")
    axes.legend(loc="lower right")
    return figure


@styled
def latency_dots(values: Mapping[str, Sequence[float]], systems: Systems) -> Figure:
    """Seconds to a whole answer, one question at a time: every question a dot, each system's median a line."""
    import numpy as np

    figure, axes = new_figure(7.0, 1.2 + 0.5 * len(values))
    for at, (name, seconds) in enumerate(values.items()):
        spread = np.linspace(-0.22, 0.22, len(seconds))
        axes.plot(seconds, at + spread, "o", color=systems[name].colour, alpha=0.5, markersize=5)
        axes.plot([np.median(seconds)] * 2, [at - 0.34, at + 0.34], color=INK, linewidth=2)
    axes.set_yticks(range(len(values)), [systems[name].label for name in values])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_title("How long one person waits (line: median)")
    axes.set(xlabel="seconds from question to whole answer")
    return figure


@styled
def stale_slopes(measured: Sequence[Staleness], systems: Systems) -> Figure:
    """Accuracy before and after the facts changed, and how often the old answer is repeated.

    Left a line a system from before to after, right the shares that repeat the old answer.
    """
    figure, (left, right) = new_figure(8.8, 4.0, 1, 2, gridspec_kw={"width_ratios": [3, 2]})
    for order, each in enumerate(measured):
        system, shift = systems[each.system], 0.03 * (order - (len(measured) - 1) / 2)
        xs, ends, colour = [shift, 1 + shift], (each.before, each.after), system.colour
        left.plot(xs, [i.mean for i in ends], "o-", color=colour, label=system.label, markersize=8)
        left.vlines(xs, [i.low for i in ends], [i.high for i in ends], color=colour, alpha=0.6)
        _bar(right, order, each.repeats_old, colour)
    left.set_xticks([0, 1], ["before the change", "after the change"])
    left.set(xlim=(-0.25, 1.25), ylim=(-0.03, 1.03))
    left.set_title(f"Right answers to {measured[0].after.n} changed facts")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(measured))
    right.set_yticks(range(len(measured)), [systems[each.system].label for each in measured])
    right.invert_yaxis()
    right.set_xlim(0, 1)
    right.set_title("Repeats the old answer")
    percent_axis(left.yaxis)
    percent_axis(right.xaxis)
    right.set_xticks([0, 0.5, 1])
    return figure


@styled
def cost_lines(costs: Sequence[Cost], prices: Prices, systems: Systems) -> Figure:
    """What a number of questions costs with each system, setting up included, between two changes of the knowledge.

    Both axes are logarithmic; dots stand where one system becomes cheaper than another.
    """
    import numpy as np

    figure, axes = new_figure(7.2, 3.9)
    questions = np.geomspace(10, 10_000_000, 120)
    for cost in costs:
        once, each = setup_price(cost, prices), price_per_1000(cost, prices).mean / 1000
        total = once + questions * each
        axes.loglog(questions, total, color=systems[cost.system].colour, label=systems[cost.system].label)
        for other in costs:
            crossing = break_even(cost, other, prices)
            if crossing:
                axes.plot(crossing, once + crossing * each, "o", color=INK, markersize=5)
    axes.axvline(prices.questions_per_month, color=INK, linestyle="--", linewidth=1, label="questions a month")
    axes.set(xlim=(questions[0], questions[-1]), xlabel="questions until the knowledge changes", ylabel=prices.currency)
    axes.set_title("Cost, setting up included\n(dots: break-even)")
    figure.legend(loc="outside right upper")
    return figure


def _cell(axes: Axes, column: int, row: int, value: Interval, frame: float) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import FancyBboxPatch

    # Half the range of the map: dark text stays readable on every cell.
    colour = colormaps["YlGnBu"](0.04 + 0.62 * value.mean)
    box = FancyBboxPatch(
        (column - 0.43, row - 0.39),
        0.86,
        0.78,
        boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=colour,
        edgecolor=INK if frame else "none",
        linewidth=frame,
    )
    axes.add_patch(box)
    ink = "white" if value.mean > 0.85 else INK
    style = {"ha": "center", "va": "center", "color": ink}
    axes.text(column, row - 0.08, f"{value.mean:.0%}", fontsize=13, fontweight="bold", **style)
    axes.text(column, row + 0.23, f"{max(value.low, 0):.0%} to {min(value.high, 1):.0%}", fontsize=10.5, **style)


def _frame(standing: Standing, name: str) -> float:
    best = standing.means[name].mean == standing.means[standing.leader].mean
    return 2.6 if best else 1.0 if name in standing.level else 0.0


def _bar(axes: Axes, at: int, value: Interval, colour: str) -> None:
    axes.barh(at, value.mean, color=colour, height=0.55, alpha=0.85)
    axes.plot([max(value.low, 0), min(value.high, 1)], [at, at], color=INK, linewidth=1.4)
    axes.annotate(f"{value.mean:.0%}", (min(value.high, 1), at), (5, 0), textcoords="offset points", va="center")
