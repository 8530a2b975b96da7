"""What n buys: widths fall with n, detection rises, and clusters are drawn whole."""

import numpy as np
import pytest

from ftlib.evaluate.sample_size import by_size


def data(gain, facts=60, seed=0):
    rng = np.random.default_rng(seed)
    before = (rng.random(2 * facts) < 0.3).astype(float)
    after = np.maximum(before, rng.random(2 * facts) < gain)
    return after, before, [i // 2 for i in range(2 * facts)]


def test_larger_test_sets_have_narrower_intervals_and_detect_more():
    rows = by_size(*data(0.25), steps=4, draws=30)
    widths = [row.half_width for row in rows]
    assert widths == sorted(widths, reverse=True)
    assert rows[0].detected < rows[-1].detected == 1.0
    assert rows[-1].n == 120


def test_the_half_width_falls_about_as_one_over_the_root_of_n():
    rows = by_size(*data(0.25, facts=320), steps=3, draws=40)
    middle, last = rows[-2], rows[-1]
    assert middle.half_width / last.half_width == pytest.approx((last.n / middle.n) ** 0.5, rel=0.25)


def test_intervals_of_drawn_test_sets_hold_the_whole_sets_value():
    rows = by_size(*data(0.25), steps=3, draws=60)
    assert all(row.covered >= 0.85 for row in rows)
    assert rows[-1].covered == 1.0


def test_clusters_are_drawn_whole():
    assert [(row.n, row.clusters) for row in by_size(*data(0.2), steps=2, draws=4)] == [(10, 5), (120, 60)]


def test_too_few_clusters_are_refused():
    with pytest.raises(ValueError, match="5 or more clusters to draw from, got 2"):
        by_size([1, 0], [0, 0], ["a", "b"])
