"""The shared pictures: they draw what they are given, and belong to no window."""

from __future__ import annotations

import matplotlib
import pytest
from matplotlib.figure import Figure

from ftlib import plots

ARMS = {"base": (0.03, (0.01, 0.06)), "RAG": (0.61, (0.55, 0.67)), "fine-tuned": (0.84, None)}


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_bars_show_value_n_and_interval():
    figure = plots.bars_with_intervals(ARMS, title="Exact match", n={"base": 240})
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.03, 0.61, 0.84]
    assert len(figure.axes[0].containers) == 3 + 2  # three bars, two intervals
    assert all(part in texts(figure) for part in ["Exact match", "base  (n=240)", "61.0%"])


def test_many_bars_have_one_colour():
    figure = plots.bars_with_intervals({f"d{n}": (0.5, None) for n in range(12)})
    assert len({bar.get_facecolor() for bar in figure.axes[0].patches}) == 1


def test_dots_leave_out_what_was_not_measured():
    figure = plots.dots_by_group({"trained": ARMS, "unknown": {"base": (0.5, None)}}, zero_line=True)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(dots) == 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["base", "RAG", "fine-tuned"]


def test_shares_are_read_against_nothing_and_differences_against_zero():
    share = {"a": {"base": (0.8, (0.7, 0.9))}}
    assert plots.dots_by_group(share).axes[0].get_xlim()[0] <= 0
    assert plots.dots_by_group(share, percent=False).axes[0].get_xlim()[0] > 0


def test_a_system_that_the_first_group_lacks_is_named():
    figure = plots.dots_by_group({"a": {"base": (0.8, None)}, "b": {"RAG": (0.7, None)}})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["base", "RAG"]


def test_a_system_keeps_the_colour_it_is_given():
    figure = plots.dots_by_group({"a": {"x": (0.8, (0.7, 0.9)), "y": (0.7, None)}}, colours={"y": "#112233"})
    dots = [line.get_color() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert dots == [plots.COLOURS[0], "#112233"]


def test_a_system_has_its_own_colour_in_every_picture():
    groups = {"a": {"RAG": (0.7, None), "base": (0.8, None)}}
    figure = plots.dots_by_group(groups, colours={"base": plots.COLOURS[0], "RAG": plots.COLOURS[2]})
    assert [line.get_color() for line in figure.axes[0].lines] == [plots.COLOURS[2], plots.COLOURS[0]]


def test_histogram_counts_every_value():
    figure = plots.histogram({"a": [1, 2, 2], "b": [3]}, mark=2, mark_label="limit")
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 4
    assert "limit" in texts(figure)


def test_a_curve_may_have_a_logarithmic_axis():
    figure = plots.curve({"loss": ([1, 2, 3], [3.0, 2.0, 1.0])}, yscale="log")
    assert figure.axes[0].get_yscale() == "log"


@pytest.mark.parametrize("draw", [plots.bars_with_intervals, plots.dots_by_group, plots.histogram, plots.curve])
def test_nothing_to_show_is_no_failure(draw, tmp_path):
    draw({}).savefig(tmp_path / "empty.png")
    assert (tmp_path / "empty.png").read_bytes().startswith(b"\x89PNG")


def test_style_in_a_block_leaves_everything_as_it_was():
    before = dict(matplotlib.rcParams)
    with plots.style():
        assert matplotlib.rcParams["axes.spines.top"] is False
    assert dict(matplotlib.rcParams) == before
    plots.histogram([1, 2])
    assert dict(matplotlib.rcParams) == before
