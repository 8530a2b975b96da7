"""The divided bars hold the counts they were given."""

import pytest

from ftlib.review.slices import PARTS, Transitions, transition_bars


@pytest.fixture
def figure():
    groups = {"all": Transitions(("a", "b"), ("c",), ("d",), (), 1.0), "one": Transitions((), ("c",), (), (), 1.0)}
    return transition_bars(groups, title="T")


def test_parts_fill_each_bar(figure):
    bars = figure.axes[0].patches
    assert len(bars) == 2 * len(PARTS)
    for bar in (bars[: len(PARTS)], bars[len(PARTS) :]):
        assert sum(part.get_width() for part in bar) == pytest.approx(1)
        assert all(part.get_x() == pytest.approx(sum(p.get_width() for p in bar[:i])) for i, part in enumerate(bar))


def test_counts_are_written(figure):
    assert [text.get_text() for text in figure.axes[0].texts] == ["2", "1", "1", "1"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["all  (n=4)", "one  (n=1)"]
