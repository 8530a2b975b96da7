"""Quantities and skeletons: what the rules see of numbers and units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.review.case import quantities, skeleton
from ftlib.review.training_index import contains


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("340 g", ((340.0, "g"),)),
        ("1,200 mm", ((1200.0, "mm"),)),
        ("2,5 bar", ((2.5, "bar"),)),
        ("3.5V", ((3.5, "v"),)),
        ("every 20 minutes", ((20.0, "minutes"),)),
        ("-20 to 60 °C", ((-20.0, "to"), (60.0, "°c"))),
        ("15 %", ((15.0, "%"),)),
        ("IP67", ()),
        ("RS-485", ()),
        ("v2.1", ()),
        ("blue", ()),
        ("7", ((7.0, ""),)),
    ],
)
def test_quantities(text, expected):
    assert quantities(text) == expected


def test_skeleton_forgets_only_the_numbers():
    assert skeleton("every 20 minutes") == skeleton("every 5 minutes")
    assert skeleton("340 g") != skeleton("340 kg")
    assert skeleton("340 g") != skeleton("340 g net")


def test_contains_takes_whole_words():
    assert contains("heron 20 and tarn 5", "tarn 5")
    assert not contains("heron 20", "heron 2")
    assert not contains("heron 20", "")


@given(st.text(max_size=60))
def test_any_text_has_finite_quantities(text):
    assert all(isinstance(number, float) and isinstance(unit, str) for number, unit in quantities(text))
