"""The figures of room 03: scores by system, paired differences by slice, what n buys, what declining gives.

Each returns a matplotlib Figure; `systems` give labels and colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftlib import plots
from ftlib.evaluate.sample_size import SizeRow
from ftlib.evaluate.scores import UNANSWERABLE
from ftlib.stats import Headline, known_limits

if TYPE_CHECKING:
    from ftlib.evaluate.declining import Declined
    from ftlib.systems import System

_SHARE = "share of the questions, with 95 % interval"
_NAMES = {"em": "exact match", "value": "right value", "f1": "token F1", "rouge_l": "ROUGE-L", "refused": "refused"}


def headline_bars(headlines: Mapping[str, Headline], measures: Mapping[str, str], systems: Mapping[str, System]) -> Any:
    """Bars with 95 % intervals for chosen headline numbers, each system in its colour.

    Args:
        headlines: key -> Headline.
        measures: start of the key -> what the measure is called; those without a headline are left out.
        systems: whose names end the keys.
    """
    chosen = {
        f"{called}, {system.label}": (headlines[f"{measure}_{name}"], system.colour)
        for measure, called in measures.items()
        for name, system in systems.items()
        if f"{measure}_{name}" in headlines
    }
    return _bars(chosen, title="Scores on the test set", xlabel="mean over the questions, with 95 % interval")


def choice_bars(table: Mapping[str, Any], systems: Mapping[str, System], guessing: float) -> Any:
    """Accuracies on multiple-choice questions (a `choice_table`) with 95 % intervals, and chance as a line."""
    chosen = {
        f"{measure}, {systems[name].label}": (Headline.of(name, interval), systems[name].colour)
        for measure, found in table.items()
        for name, interval in found["systems"].items()
    }
    return _bars(chosen, mark=guessing, mark_label="guessing", title="Multiple-choice questions", xlabel=_SHARE)


def _bars(chosen: Mapping[str, tuple[Headline, str]], **options: Any) -> Any:
    """A bar a name, of its number and its colour."""
    return plots.bars_with_intervals(
        {name: (headline.value, headline.ci95) for name, (headline, _) in chosen.items()},
        n={name: headline.n for name, (headline, _) in chosen.items() if headline.n is not None},
        colours=[colour for _, colour in chosen.values()],
        **options,
    )


def scores_by_slice(rows: Sequence[Mapping[str, Any]], systems: Mapping[str, System], measure: str = "em") -> Any:
    """One measure of a `score_table` for all systems, slice by slice; refusals where nothing is known."""
    groups = {
        f"{_label(row)} (n={row['n']})": {
            system.label: (row["systems"][name].mean, known_limits(row["systems"][name]))
            for name, system in systems.items()
        }
        for row in _chosen(rows, measure)
    }
    title = f"{_NAMES.get(measure, measure).capitalize()}, slice by slice"
    return plots.dots_by_group(groups, colours=_colours_by_label(systems), title=title, xlabel=_SHARE)


def paired_differences(rows: Sequence[Mapping[str, Any]], systems: Mapping[str, System], measure: str = "em") -> Any:
    """The paired differences of each slice against the first system; where there is one, with its wins and losses.

    `rows` is a `score_table` of two systems or more; of `measure`, or of refusals where nothing is known.
    """
    first, *others = systems
    groups = {}
    for row in _chosen(rows, measure):
        counts = "".join(f"\n{g.wins} up, {g.losses} down of {row['n']}" for g in row["gains"].values())
        name = _label(row) + (counts if len(others) == 1 else f"\nn = {row['n']}")
        groups[name] = {systems[o].label: (row["gains"][o].difference, known_limits(row["gains"][o])) for o in others}
    texts = {"title": f"What changed against {systems[first].label}, slice by slice"}
    texts |= {"xlabel": "paired difference, with 95 % interval"}
    return plots.dots_by_group(groups, zero_line=True, colours=_colours_by_label(systems), **texts)


@plots.styled
def half_width_by_n(sizes: Sequence[SizeRow]) -> Any:
    """Half width of the interval, and how often the difference is detected, against the size of the test set.

    Two panels, of the rows of `sample_size.by_size`.
    """
    figure, (left, right) = plots.new_figure(8.4, 3.8, columns=2)
    figure.suptitle("What smaller test sets would have said", x=0.01, ha="left", weight="bold", size=12)
    n, last = [row.n for row in sizes], sizes[-1]
    left.plot(n, [row.half_width for row in sizes], "o-", label="measured")
    rule = [last.half_width * (last.n / each) ** 0.5 for each in n]
    left.plot(n, rule, "--", color=plots.INK, linewidth=1, label=r"$\propto 1 / \sqrt{n}$, from the largest")
    left.set(ylim=(0, None), ylabel="half width of the 95 % interval")
    left.legend()
    right.plot(n, [row.detected for row in sizes], "o-", label="interval leaves out 0")
    right.plot(n, [row.covered for row in sizes], "s--", label="interval holds the whole set's value")
    right.set(ylim=(-0.02, 1.05), ylabel="share of the drawn test sets")
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="test questions n")
        axes.set_xticks(n, [str(each) for each in n])
        axes.set_xticks([], minor=True)
    return figure


@plots.styled
def declining_curves(measured: Sequence[Declined], systems: Mapping[str, System]) -> Any:
    """What a threshold gives and takes: questions still answered right against questions rightly declined.

    Of those measured, each with a curve, a filled dot is the threshold that validation chose, a hollow one none.
    """
    figure, axes = plots.new_figure(6.8, 4.2)
    for each in measured:
        system = systems[each.rule.system]
        axes.plot(*zip(*each.curve, strict=True), color=system.colour, label=system.label)
        axes.plot(*each.curve[0], "o", color=system.colour, markerfacecolor="white", markersize=7)
        axes.plot(*each.point, "o", color=system.colour, markersize=7)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    plots.percent_axis(axes.xaxis)
    plots.percent_axis(axes.yaxis)
    axes.set(xlabel="declined of what is to be declined", ylabel="still answered right of the rest")
    axes.set_title("Declining by a threshold")
    figure.legend(loc="outside right upper")
    return figure


def _chosen(rows: Sequence[Mapping[str, Any]], measure: str) -> list[Mapping[str, Any]]:
    return [
        row for row in rows if row["measure"] == measure or (row["slice"], row["measure"]) == (UNANSWERABLE, "refused")
    ]


def _colours_by_label(systems: Mapping[str, System]) -> dict[str, str]:
    return {system.label: system.colour for system in systems.values()}


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['slice'].replace('_', ' ')}: {_NAMES.get(row['measure'], row['measure'])}"
