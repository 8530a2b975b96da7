"""The pictures of room 03: scores by arm, paired differences by slice, and what n buys."""

from collections.abc import Mapping, Sequence
from typing import Any

from ftlib import plots
from ftlib.evaluate.precision import SizeRow

_NAMES = {"em": "exact match", "f1": "token F1", "rouge_l": "ROUGE-L", "refused": "refused"}


def headline_bars(headlines: Mapping[str, Any], keys: Mapping[str, str]) -> Any:
    """Bars with 95 % intervals for chosen headline numbers.

    Args:
        headlines: key -> `scores.Headline`.
        keys: key -> what the bar is called; keys without a headline are left out. Keys that end in `finetuned` have
            that system's colour.

    Returns:
        A matplotlib Figure.
    """
    chosen = {name: headlines[key] for key, name in keys.items() if key in headlines}
    colours = [plots.COLOURS[key.endswith("finetuned")] for key in keys if key in headlines]
    values = {name: (headline.value, headline.ci95) for name, headline in chosen.items()}
    counts = {name: headline.n for name, headline in chosen.items()}
    xlabel = "share of the questions, with 95 % interval"
    return plots.bars_with_intervals(values, n=counts, colours=colours, xlabel=xlabel)


def scores_by_slice(rows: Sequence[Mapping[str, Any]], arms: tuple[str, str], measure: str = "em") -> Any:
    """One measure of both arms, slice by slice, with 95 % intervals; refusals on the unanswerable slice.

    Args:
        rows: the table of `scores.table`.
        arms: (before, after).
        measure: which measure of the table.

    Returns:
        A matplotlib Figure.
    """
    groups = {
        f"{_label(row)} (n={row['n']})": {arm: (row[arm]["mean"], (row[arm]["low"], row[arm]["high"])) for arm in arms}
        for row in _chosen(rows, measure)
    }
    return plots.dots_by_group(groups, xlabel="share of the questions, with 95 % interval")


def paired_differences(rows: Sequence[Mapping[str, Any]], measure: str = "em") -> Any:
    """The paired difference of each slice with its 95 % interval; wins and losses beside its name.

    Args:
        rows: the table of `scores.table`.
        measure: which measure of the table; refusals on the unanswerable slice.

    Returns:
        A matplotlib Figure.
    """
    groups = {}
    for row in _chosen(rows, measure):
        gain = row["gain"]
        name = f"{_label(row)}\n{gain['wins']} up, {gain['losses']} down of {row['n']}"
        groups[name] = {"difference": (gain["difference"], (gain["low"], gain["high"]))}
    return plots.dots_by_group(groups, xlabel="paired difference, fine-tuned - base", zero_line=True)


@plots.styled
def precision_by_n(sizes: Sequence[SizeRow]) -> Any:
    """Half width of the interval, and how often the difference is detected, against the size of the test set.

    Args:
        sizes: the rows of `precision.by_size`.

    Returns:
        A matplotlib Figure with two panels.
    """
    figure, (left, right) = plots.new_figure(8.4, 3.4, columns=2)
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


def _chosen(rows: Sequence[Mapping[str, Any]], measure: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["measure"] == measure or row["slice"] == "unanswerable"]


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['slice'].replace('_', ' ')}: {_NAMES.get(row['measure'], row['measure'])}"
