"""How ftlib's pictures look, and the few kinds of picture that several rooms share.

Each function takes plain data and returns a matplotlib Figure that belongs to no window, so that it is drawn once: by
`Stage.figure`. `**texts` go to matplotlib's `Axes.set`: `title`, `xlabel`, `ylabel`, `yscale`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's colours: they stay apart for colour-blind readers and in grey print.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"]
INK, GRID = "#22272E", "#E4E7EB"

Limits = tuple[float, float]
Measured = Mapping[str, tuple[float, Limits | None]]  # name -> (value, (low, high) or None)

_STYLE = {
    "figure.dpi": 110,
    "font.size": 11.5,  # the report shows a picture at little more than half its size
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9AA3AE",
    "axes.titlesize": 12.5,
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


@contextmanager
def style() -> Iterator[None]:
    """ftlib's look for a `with` block."""
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context(_STYLE | {"axes.prop_cycle": cycler(color=COLOURS)}):
        yield


styled = style()  # decorates a function that draws, so that titles and legends come out in ftlib's look as well


@styled
def new_figure(
    width: float = 7.0, height: float = 3.6, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """An empty figure (sizes in inches) and its axes: one Axes, or an array; options go to `Figure.subplots`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


@styled
def bars_with_intervals(
    values: Measured,
    *,
    percent: bool = True,
    n: Mapping[str, int] | None = None,
    colours: Sequence[str] | None = None,
    mark: float | None = None,
    mark_label: str = "",
    **texts: str,
) -> Figure:
    """One horizontal bar a name, from the top down, with its 95 % interval and its value written out.

    Args:
        values: shares in 0..1, shown in percent, or (`percent=False`) any numbers.
        n: how many items each was measured on, shown beside the name.
        colours: one a bar; by default they differ where there are few and are the same where there are many.
        mark: a value drawn as a dashed line, e.g. chance; `mark_label` says what it is.
        **texts: see the module.
    """
    figure, axes = new_figure(7.0, 0.9 + 0.42 * max(len(values), 2))
    colours = colours or (COLOURS if len(values) <= len(COLOURS) else COLOURS[:1] * len(values))  # no rainbow
    for at, (value, interval) in enumerate(values.values()):
        axes.barh(at, value, color=colours[at], height=0.62, alpha=0.9)
        if interval:
            low, high = interval
            axes.errorbar((low + high) / 2, at, xerr=(high - low) / 2, color=INK, capsize=4, linewidth=1.4)
        text, end = f"{value:.1%}" if percent else f"{value:,.4g}", max(value, interval[1] if interval else value)
        axes.annotate(text, (end, at), (6, 0), textcoords="offset points", va="center")
    _name_places(axes, [f"{name}  (n={n[name]})" if n and name in n else name for name in values])
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.14)
    if percent:
        axes.set_xlim(0, 1.12)
        percent_axis(axes.xaxis)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    if mark is not None:
        axes.axvline(mark, color=INK, linestyle="--", linewidth=1.2, label=mark_label)
        figure.legend(loc="outside right upper")
    axes.set(**texts)
    return figure


@styled
def dots_by_group(
    groups: Mapping[str, Measured],
    *,
    percent: bool = True,
    zero_line: bool = False,
    colours: Mapping[str, str] | None = None,
    **texts: str,
) -> Figure:
    """Several systems compared in several groups: a dot with its interval for each.

    Args:
        groups: group -> what the system is called -> share (or any number, with `percent=False`) and interval.
        zero_line: draw a line at 0, for differences.
        colours: what the system is called -> its colour; by default in the order in which they come.
        **texts: see the module.
    """
    systems = list(dict.fromkeys(name for group in groups.values() for name in group))
    lines = max((name.count("\n") + 1 for name in groups), default=1)
    figure, axes = new_figure(7.4, 1.2 + len(groups) * max(0.17 * len(systems) + 0.17, 0.22 * lines + 0.1))
    for order, name in enumerate(systems):
        colour = (colours or {}).get(name) or COLOURS[order % len(COLOURS)]
        shift, label = (order - (len(systems) - 1) / 2) * 0.7 / max(len(systems), 2), name
        for at, group in enumerate(groups.values()):
            value, interval = group.get(name, (None, None))
            if interval:
                ends = [at + shift] * 2
                axes.plot(interval, ends, color=colour, linewidth=2.4, alpha=0.55, solid_capstyle="round")
            if value is not None:
                axes.plot(value, at + shift, "o", color=colour, markersize=6.5, label=label)
                label = None  # each system once, where it comes first
    if zero_line:
        axes.axvline(0, color=INK, linewidth=1)
    elif percent and groups:
        axes.set_xlim(left=min(axes.get_xlim()[0], -0.02))  # a share is read against nothing
    _name_places(axes, list(groups))
    if percent:
        percent_axis(axes.xaxis)
    axes.set(**texts)
    if len(systems) > 1:
        figure.legend(loc="outside right upper")
    return figure


@styled
def histogram(
    values: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    mark: float | None = None,
    mark_label: str = "",
    **texts: str,
) -> Figure:
    """The distribution of one list of numbers or of several by name; `mark` draws a dashed line, e.g. at a limit."""
    import numpy as np

    series = dict(values) if isinstance(values, Mapping) else {"": values}
    figure, axes = new_figure(7.0, 3.2)
    everything = np.concatenate([np.zeros(0), *(np.asarray(part, dtype=float) for part in series.values())])
    edges = np.histogram_bin_edges(everything, bins=min(40, max(len(np.unique(everything)), 1)))
    for order, (name, part) in enumerate(series.items()):
        colour, alpha = COLOURS[order % len(COLOURS)], 0.75 if len(series) > 1 else 0.9
        axes.hist(part, bins=edges, color=colour, alpha=alpha, label=name)
    _finish(axes, len(series), mark, mark_label, {"ylabel": "rows"} | texts)
    return figure


@styled
def curve(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    mark: float | None = None,
    mark_label: str = "",
    **texts: str,
) -> Figure:
    """Lines over a common axis, e.g. losses over steps; a line of 30 points or fewer shows its points.

    Args:
        series: name -> (xs, ys).
        mark: an x to draw as a dashed line, e.g. the best step; `mark_label` says what it is.
        **texts: see the module.
    """
    figure, axes = new_figure(7.0, 3.6)
    for order, (name, (xs, ys)) in enumerate(series.items()):
        marker = "o" if len(xs) <= 30 else ""
        axes.plot(xs, ys, color=COLOURS[order % len(COLOURS)], marker=marker, markersize=4, label=name)
    _finish(axes, len(series), mark, mark_label, texts)
    return figure


def _finish(axes: Axes, series: int, mark: float | None, mark_label: str, texts: Mapping[str, str]) -> None:
    if mark is not None:
        axes.axvline(mark, color=INK, linestyle="--", linewidth=1.2, label=mark_label)
    axes.set(**texts)
    if series > 1 or mark_label:
        axes.legend()


def _name_places(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()


def percent_axis(axis: Axis) -> None:
    """Whole percents at whole places on `axes.xaxis` or `axes.yaxis`, an axis of shares."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))  # no tick at 97.5 %, which would be written as 98 %
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
