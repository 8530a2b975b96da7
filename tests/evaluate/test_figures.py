"""Each picture shows the numbers it was given."""

import pytest

from ftlib.evaluate import figures
from ftlib.evaluate.precision import SizeRow
from ftlib.evaluate.scores import Headline

ROWS = [
    {
        "slice": "trained_fact",
        "measure": "em",
        "n": 40,
        "base": {"mean": 0.1, "low": 0.05, "high": 0.2, "n": 40},
        "finetuned": {"mean": 0.8, "low": 0.7, "high": 0.9, "n": 40},
        "gain": {"difference": 0.7, "low": 0.6, "high": 0.8, "wins": 29, "losses": 1},
    },
    {
        "slice": "unanswerable",
        "measure": "refused",
        "n": 12,
        "base": {"mean": 0.0, "low": 0.0, "high": 0.2, "n": 12},
        "finetuned": {"mean": 0.5, "low": 0.3, "high": 0.7, "n": 12},
        "gain": {"difference": 0.5, "low": 0.25, "high": 0.75, "wins": 6, "losses": 0},
    },
]


def texts(figure):
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return " | ".join(text.get_text() for text in figure.findobj(Text))


def test_headline_bars_name_value_and_n():
    shown = texts(
        figures.headline_bars({"em_base": Headline("em_base", 0.25, (0.2, 0.3), 77)}, {"em_base": "base", "no": "x"})
    )
    assert "base  (n=77)" in shown
    assert "25.0%" in shown


def test_headline_bars_have_one_colour_a_system():
    ends = {"em_base": "exact match, base", "em_finetuned": "exact match, fine-tuned", "f1_base": "token F1, base"}
    found = {key: Headline(key, 0.5, (0.4, 0.6), 9) for key in ends}
    first, second, third = (bar.get_facecolor() for bar in figures.headline_bars(found, ends).axes[0].patches)
    assert first == third != second


def test_slices_show_both_arms_and_their_n():
    shown = texts(figures.scores_by_slice(ROWS, ("base", "finetuned")))
    for expected in ("trained fact: exact match (n=40)", "unanswerable: refused (n=12)", "fine-tuned"):
        assert expected in shown


def test_paired_differences_show_wins_and_losses():
    figure = figures.paired_differences(ROWS)
    assert "29 up, 1 down of 40" in texts(figure)
    points = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert points == pytest.approx([0.7, 0.5])


def test_precision_shows_every_size():
    sizes = [SizeRow(10, 5, 0.4, 0.2, 0.95), SizeRow(40, 20, 0.2, 0.9, 1.0)]
    left, right = figures.precision_by_n(sizes).axes
    assert left.lines[0].get_xdata().tolist() == [10, 40]
    assert right.lines[0].get_ydata().tolist() == [0.2, 0.9]
