"""Each figure shows the numbers it was given."""

from __future__ import annotations

import math

import pytest

from ftlib.evaluate import figures
from ftlib.evaluate.declining import Declined, DecliningRule
from ftlib.evaluate.sample_size import SizeRow
from ftlib.stats import Headline, Interval, Paired
from ftlib.systems import System

SYSTEMS = {
    "plain": System("plain", "plain model", None, "question", None, "#111111"),
    "tuned": System("tuned", "tuned model", "trained", "question", None, "#222222"),
    "other": System("other", "another", "there", "question", None, "#333333"),
}
TWO = {name: SYSTEMS[name] for name in ("plain", "tuned")}


def row(name, measure, n, means, gains):
    return {
        "slice": name,
        "measure": measure,
        "n": n,
        "systems": {key: Interval(mean, mean - 0.1, mean + 0.1, n) for key, mean in zip(SYSTEMS, means, strict=False)},
        "gains": {key: gain for key, gain in zip(list(SYSTEMS)[1:], gains, strict=False)},
    }


ROWS = [
    row("seen_before", "em", 40, [0.1, 0.8, 0.4], [Paired(0.7, 0.6, 0.8, 0.01, 40, 29, 1)]),
    row("unanswerable", "refused", 12, [0.1, 0.5, 0.2], [Paired(0.5, 0.25, 0.75, 0.03, 12, 6, 0)]),
]


def texts(figure):
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return " | ".join(text.get_text() for text in figure.findobj(Text))


def test_headline_bars_name_value_and_n():
    found = {"em_plain": Headline("em_plain", 0.25, (0.2, 0.3), 77)}
    shown = texts(figures.headline_bars(found, {"em": "exact match", "no": "x"}, TWO))
    assert "exact match, plain model  (n=77)" in shown
    assert "25.0%" in shown and "mean over the questions" in shown  # F1 is no share of the questions


def test_declining_curves_start_without_a_threshold_and_mark_the_chosen_one():
    some = Interval(0.5, 0.4, 0.6, 9)
    rule = DecliningRule("plain", "log_probability", -1.0, 0.5, 0.4, 0.0, 9)
    curve = [(0.1, 0.9), (0.5, 0.7), (1.0, 0.0)]
    found = Declined(rule, 3, some, some, some, Paired(0.1, 0.0, 0.2, 0.1, 9, 1, 0), curve, (0.5, 0.7))
    figure = figures.declining_curves([found, found._replace(rule=rule._replace(system="other"))], SYSTEMS)
    line, start, chosen, *others = figure.axes[0].lines
    assert list(zip(*line.get_data(), strict=True)) == curve and line.get_color() == "#111111"
    assert [tuple(float(each[0]) for each in dot.get_data()) for dot in (start, chosen)] == [(0.1, 0.9), (0.5, 0.7)]
    assert start.get_markerfacecolor() == "white" and chosen.get_markerfacecolor() == "#111111"
    assert {each.get_color() for each in others} == {"#333333"}
    assert "plain model" in texts(figure) and "declined of what is to be declined" in texts(figure)


def test_every_system_has_its_colour():
    found = {f"{m}_{name}": Headline("", 0.5, (0.4, 0.6), 9) for m in ("em", "f1") for name in SYSTEMS}
    drawn = figures.headline_bars(found, {"em": "exact match", "f1": "token F1"}, SYSTEMS).axes[0].patches
    first, second, third, again, *_ = (bar.get_facecolor() for bar in drawn)
    assert first == again
    assert len({first, second, third}) == 3
    lines = figures.scores_by_slice(ROWS, SYSTEMS).axes[0].lines
    assert {line.get_color() for line in lines} == {"#111111", "#222222", "#333333"}


def test_slices_show_every_system_and_their_n():
    shown = texts(figures.scores_by_slice(ROWS, TWO))
    for expected in ("seen before: exact match (n=40)", "unanswerable: refused (n=12)", "tuned model"):
        assert expected in shown


def test_a_limit_that_is_not_known_is_not_drawn():
    unknown = row("x", "f1", 5, [0.4, 0.4], [])
    unknown["systems"] = {name: Interval(0.4, -math.inf, math.inf, 5) for name in TWO}
    low, high = figures.scores_by_slice([unknown], TWO, "f1").axes[0].get_xlim()
    assert -1 < low < high < 1


def test_paired_differences_show_wins_and_losses():
    figure = figures.paired_differences(ROWS, TWO)
    assert "29 up, 1 down of 40" in texts(figure)
    assert "What changed against plain model" in texts(figure)
    points = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert points == pytest.approx([0.7, 0.5])


def test_several_systems_are_each_compared_with_the_first():
    more = [row("x", "em", 9, [0.1, 0.8, 0.4], [Paired(d, d - 0.1, d + 0.1, 0.1, 9, 5, 1) for d in (0.7, 0.3)])]
    figure = figures.paired_differences(more, SYSTEMS)
    points = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert points == pytest.approx([0.7, 0.3])
    assert "another" in texts(figure)


def test_sample_sizes_are_all_shown():
    sizes = [SizeRow(10, 5, 0.4, 0.2, 0.95), SizeRow(40, 20, 0.2, 0.9, 1.0)]
    left, right = figures.half_width_by_n(sizes).axes
    assert left.lines[0].get_xdata().tolist() == [10, 40]
    assert right.lines[0].get_ydata().tolist() == [0.2, 0.9]


def test_choices_are_shown_beside_chance():
    table = {"acc": {"systems": {"plain": Interval(0.3, 0.2, 0.4, 60), "tuned": Interval(0.26, 0.2, 0.4, 60)}}}
    figure = figures.choice_bars(table, SYSTEMS, 0.25)
    assert "acc, tuned model  (n=60)" in texts(figure) and "guessing" in texts(figure)
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "guessing"]
    assert list(line.get_xdata()) == [0.25, 0.25]
