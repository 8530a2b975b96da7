from __future__ import annotations

import math

import pytest

from ftlib.core.pace import without_gain


@pytest.mark.parametrize(
    ("values", "min_delta", "expected"),
    [
        ([], 0.0, 0),
        ([3.0], 0.0, 0),
        ([3.0, 2.0, 2.5, 2.0], 0.0, 2),
        ([3.0, 2.0, 2.5, 1.9], 0.0, 0),
        ([3.0, 2.9, 2.85, 2.8], 0.2, 3),  # each step down is too small, though they add up
        ([3.0, 2.9, 2.6], 0.2, 0),
        ([3.0, math.nan, math.nan], 0.0, 2),
    ],
)
def test_evaluations_without_a_gain_are_counted_from_the_last_one(values, min_delta, expected):
    assert without_gain(values, min_delta) == expected
