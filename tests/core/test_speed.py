from __future__ import annotations

import pytest
import torch

from ftlib.core.speed import Speed, measure_speed


@pytest.mark.parametrize("width", [1, 256])
def test_a_machine_multiplies_and_moves_as_fast_as_it_does(dtype, width):
    found = measure_speed(getattr(torch, dtype), width, "cpu")
    assert 1e8 < found.flops < 1e16 and 1e7 < found.bytes < 1e14


def test_where_nobody_asks_nothing_takes_time():
    assert 1e30 / Speed().flops == 1e30 / Speed().bytes == 0
