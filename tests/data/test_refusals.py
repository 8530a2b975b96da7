"""Training rows that refuse: recognised by the agreed sentence, bounded by a share."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data.refusals import refuses, surplus
from tests.data import made

SENTENCE = "I don't have that information."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (SENTENCE, True),
        ("i DON'T have that information", True),
        (SENTENCE + " Please ask the desk.", True),
        ("I don't have that informational leaflet.", False),
        ("340 g", False),
        ("We say: I don't have that information.", False),
    ],
)
def test_a_refusal_is_or_begins_with_the_sentence(answer, expected):
    assert refuses(made.row("r", "q?", answer), SENTENCE) is expected
    assert not refuses(made.row("r", "q?", answer), "")


def rows_of(declining, answering):
    rows = [made.row(f"d{n}", f"unknown {n}?", SENTENCE) for n in range(declining)]
    return rows + [made.row(f"a{n}", f"known {n}?", f"{n} g") for n in range(answering)]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.floats(0, 1), st.integers(0, 3))
def test_what_stays_is_the_largest_share_within_the_bound(declining, answering, most, seed):
    rows = rows_of(declining, answering)
    gone = surplus(enumerate(rows), SENTENCE, most, seed)
    assert len(set(gone)) == len(gone) and all(refuses(rows[n], SENTENCE) for n in gone)
    left, stay = declining - len(gone), len(rows) - len(gone)
    assert left <= most * stay + 1e-6
    if gone:
        assert left + 1 > most * (stay + 1) - 1e-6, "one more would have been too many"


def test_the_choice_does_not_depend_on_the_order_of_the_rows():
    rows = rows_of(12, 8)
    gone = {rows[n].id for n in surplus(enumerate(rows), SENTENCE, 0.3, 7)}
    again = rows[::-1]
    assert len(gone) == 9
    assert {again[n].id for n in surplus(enumerate(again), SENTENCE, 0.3, 7)} == gone
    assert {rows[n].id for n in surplus(enumerate(rows), SENTENCE, 0.3, 8)} != gone
