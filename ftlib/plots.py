"""How ftlib's pictures look, and the few kinds of picture that several rooms share.

Each function takes plain data and returns a matplotlib Figure that belongs to no
window, so that it is drawn once: by `Stage.figure`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's colours: they stay apart for colour-blind readers and in grey print.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"]
INK, GRID = "#22272E", "#E4E7EB"

Limits = tuple[float, float]

_STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": 110,
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9AA3AE",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
}


class style:
    """ftlib's look: `style()` sets it for what follows, `with style():` for a block."""

    def __init__(self) -> None:
        import matplotlib
        from cycler import cycler

        self._before = dict(matplotlib.rcParams)
        matplotlib.rcParams.update(_STYLE | {"axes.prop_cycle": cycler(color=COLOURS)})

    def __enter__(self) -> style:
        return self

    def __exit__(self, *error: object) -> None:
        import matplotlib

        dict.update(matplotlib.rcParams, self._before)  # as it was, without its deprecation checks


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorate a function that draws, so that titles and legends come out in ftlib's look as well."""

    @functools.wraps(draw)
    def draw_in_style(*args: Any, **options: Any) -> Figure:
        with style():
            return draw(*args, **options)

    return draw_in_style


def new_figure(
    width: float = 7.0, height: float = 3.6, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """An empty figure in ftlib's look, sizes in inches.

    Args:
        width, height: of the whole figure.
        rows, columns: of axes in it.
        options: passed to matplotlib's `Figure.subplots`, e.g. `sharey=True`.

    Returns:
        The figure and its axes (one Axes, or an array of them).
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, **options)


@styled
def bars_with_intervals(
    values: Mapping[str, tuple[float, Limits | None]],
    *,
    title: str = "",
    xlabel: str = "",
    percent: bool = True,
    n: Mapping[str, int] | None = None,
    target: float | None = None,
    colours: Sequence[str] | None = None,
) -> Figure:
    """One horizontal bar a name, with its 95 % interval and its value written out.

    Args:
        values: name -> (value, (low, high) or None), drawn from the top down.
        title, xlabel: texts.
        percent: values are shares in 0..1 and shown in percent.
        n: how many items each was measured on, shown beside the name.
        target: a value to draw as a dashed line.
        colours: one a bar; by default they differ where there are few and are the same where there are many.
    """
    names = list(values)
    figure, axes = new_figure(7.0, 0.9 + 0.42 * max(len(names), 2))
    colours = colours or (COLOURS if len(names) <= len(COLOURS) else COLOURS[:1] * len(names))  # no rainbow
    labels = [f"{name}  (n={n[name]})" if n and name in n else name for name in names]
    for at, name in enumerate(names):
        value, interval = values[name]
        axes.barh(at, value, color=colours[at], height=0.62, alpha=0.9)
        _interval_line(axes, interval, at)
        text = f"{value:.1%}" if percent else f"{value:,.4g}"
        axes.annotate(
            text, (max(value, interval[1] if interval else value), at), (6, 0), textcoords="offset points", va="center"
        )
    if target is not None:
        axes.axvline(target, color=INK, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(names)), labels)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.14)
    if percent:
        axes.set_xlim(0, 1.12)
        percent_axis(axes.xaxis)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.set(title=title, xlabel=xlabel)
    return figure


@styled
def dots_by_group(
    groups: Mapping[str, Mapping[str, tuple[float, Limits | None]]],
    *,
    title: str = "",
    xlabel: str = "",
    percent: bool = True,
    zero_line: bool = False,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Several systems compared in several groups: a dot with its interval for each.

    Args:
        groups: group -> what the system is called -> (value, (low, high) or None).
        title, xlabel: texts.
        percent: values are shares and shown in percent.
        zero_line: draw a line at 0, for differences.
        colours: what the system is called -> its colour; by default in the order in which they come.
    """
    systems = list(dict.fromkeys(name for group in groups.values() for name in group))
    unnamed = set(systems)
    figure, axes = new_figure(7.4, 1.2 + len(groups) * (0.17 * len(systems) + 0.17))
    for at, group in enumerate(groups.values()):
        for order, name in enumerate(systems):
            if name not in group:
                continue
            height = at + (order - (len(systems) - 1) / 2) * 0.7 / max(len(systems), 2)
            value, interval = group[name]
            colour = (colours or {}).get(name) or COLOURS[order % len(COLOURS)]
            if interval:
                axes.plot(interval, [height, height], color=colour, linewidth=2.4, alpha=0.55, solid_capstyle="round")
            label = name if name in unnamed else None  # each system once, where it comes first
            axes.plot(value, height, "o", color=colour, markersize=6.5, label=label)
            unnamed.discard(name)
    if zero_line:
        axes.axvline(0, color=INK, linewidth=1)
    elif percent and groups:
        axes.set_xlim(left=min(axes.get_xlim()[0], -0.02))  # a share is read against nothing
    axes.set_yticks(range(len(groups)), list(groups))
    axes.invert_yaxis()
    if percent:
        percent_axis(axes.xaxis)
    axes.set(title=title, xlabel=xlabel)
    if len(systems) > 1:
        figure.legend(loc="outside right upper")
    return figure


@styled
def histogram(
    values: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "rows",
    bins: int = 40,
    mark: float | None = None,
    mark_label: str = "",
) -> Figure:
    """The distribution of one list of numbers or several.

    Args:
        values: numbers, or name -> numbers.
        title, xlabel, ylabel: texts.
        bins: how many bars over the whole range.
        mark: a value to draw as a dashed line, e.g. a limit.
        mark_label: what it is.
    """
    import numpy as np

    series = dict(values) if isinstance(values, Mapping) else {"": values}
    figure, axes = new_figure(7.0, 3.2)
    everything = np.concatenate([np.asarray(part, dtype=float) for part in series.values()] or [np.zeros(0)])
    edges = np.histogram_bin_edges(everything, bins=min(bins, max(len(np.unique(everything)), 1)))
    for order, (name, part) in enumerate(series.items()):
        axes.hist(
            part, bins=edges, color=COLOURS[order % len(COLOURS)], alpha=0.75 if len(series) > 1 else 0.9, label=name
        )
    if mark is not None:
        axes.axvline(mark, color=INK, linestyle="--", linewidth=1.2, label=mark_label)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if len(series) > 1 or mark_label:
        axes.legend()
    return figure


@styled
def curve(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    log_y: bool = False,
    mark: float | None = None,
    mark_label: str = "",
) -> Figure:
    """Lines over a common axis, e.g. losses over steps.

    Args:
        series: name -> (xs, ys); a series of 30 points or fewer also shows its points.
        title, xlabel, ylabel: texts.
        log_y: a logarithmic vertical axis.
        mark: an x to draw as a dashed line, e.g. the best step.
        mark_label: what it is.
    """
    figure, axes = new_figure(7.0, 3.6)
    for order, (name, (xs, ys)) in enumerate(series.items()):
        marker = "o" if len(xs) <= 30 else ""
        axes.plot(xs, ys, color=COLOURS[order % len(COLOURS)], marker=marker, markersize=4, label=name)
    if mark is not None:
        axes.axvline(mark, color=INK, linestyle="--", linewidth=1.2, label=mark_label)
    if log_y:
        axes.set_yscale("log")
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if len(series) > 1 or mark_label:
        axes.legend()
    return figure


def _interval_line(axes: Axes, interval: Limits | None, at: float) -> None:
    if interval:
        low, high = interval
        axes.errorbar((low + high) / 2, at, xerr=(high - low) / 2, color=INK, capsize=4, linewidth=1.4)


def percent_axis(axis: Axis) -> None:
    """Whole percents at whole places on an axis of shares.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))  # no tick at 97.5 %, which would be written as 98 %
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
