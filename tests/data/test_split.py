"""Sides that neither order nor company can change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import candidates, split
from ftlib.data.vocabulary import Lexicon
from ftlib.errors import UserError
from ftlib.recipe import SplitRecipe
from tests.data import made


def table(rows, tmp_path):
    return made.table([made.row(**row) for row in rows], tmp_path)


def sides(rows, tmp_path, seed=0, from_file=False, **options):
    found = table(rows, tmp_path)
    recipe = SplitRecipe(**{"val_fraction": 0.2, "test_fraction": 0.2, **options})
    alive = np.ones(len(found), dtype=bool)
    return split.assign(found, alive, asking(found), recipe, seed, test_from_file=from_file, created="day").tolist()


def asking(rows):
    return candidates.sketch_table(rows, 1.0, Lexicon()).asked


def group_keys(rows, tmp_path):
    found = table(rows, tmp_path)
    return split.group_keys(found, asking(found))


ROWS = [{"row_id": f"r{n}", "question": f"question {n}", "group": [f"g{n // 3}"]} for n in range(300)]


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(60)), kept=st.sets(st.integers(0, 59), min_size=30))
def test_order_and_other_rows_never_move_a_row(order, kept, tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    rows = ROWS[:60]
    before = dict(zip([row["row_id"] for row in rows], sides(rows, folder), strict=True))
    chosen = [rows[n] for n in order if n in kept]
    after = dict(zip([row["row_id"] for row in chosen], sides(chosen, folder), strict=True))
    moved = {row for row in after if after[row] != before[row]}
    # A very small set whose side would be empty borrows its nearest group; nothing else may move.
    assert not moved or set(before[row] for row in after) != {0, 1, 2}


def test_groups_stay_together_and_shares_are_met(tmp_path):
    found = sides(ROWS, tmp_path)
    for start in range(0, 300, 3):
        assert len(set(found[start : start + 3])) == 1
    assert 0.08 < np.mean(np.array(found) == split.VAL) < 0.28
    assert 0.1 < np.mean(np.array(found) == split.TEST) < 0.32


def test_another_seed_is_another_split_and_a_test_file_takes_no_rows(tmp_path):
    assert sides(ROWS, tmp_path, seed=1) != sides(ROWS, tmp_path, seed=2)
    assert split.TEST not in sides(ROWS, tmp_path, from_file=True)


def test_the_validation_rows_do_not_depend_on_the_test_file(tmp_path):
    with_test, without = sides(ROWS, tmp_path), sides(ROWS, tmp_path, from_file=True)
    assert all(b == split.VAL for a, b in zip(with_test, without, strict=True) if a == split.VAL)


def test_rows_that_share_any_group_are_together(tmp_path):
    rows = [{"question": f"{n}?", "group": (f"fact={n}", f"fact={n + 1}")} for n in range(50)]
    assert len(set(group_keys(rows, tmp_path))) == 1


def test_rows_without_a_group_are_grouped_by_their_question(tmp_path):
    keys = group_keys([{"question": "Same?"}, {"question": "same"}, {"question": "other"}], tmp_path)
    assert keys[0] == keys[1] != keys[2]


def test_temporal_split_puts_the_newest_last(tmp_path):
    rows = [{"question": f"{n}?", "group": [f"g{n}"], "day": f"2024-01-{n + 1:02d}"} for n in range(20)]
    found = sides(rows, tmp_path, method="temporal")
    assert found == sorted(found) and {0, 1, 2} == set(found)
    assert sides(rows, tmp_path, method="temporal", val_from="2024-01-05", test_from="2024-01-10").count(split.VAL) == 5
    with pytest.raises(UserError, match="created"):
        sides(ROWS, tmp_path, method="temporal")


def test_a_very_small_set_still_has_validation_rows(tmp_path):
    found = sides(ROWS[:9], tmp_path, val_fraction=0.01, test_fraction=0.01)
    assert sorted(set(found)) == [0, 1, 2]


def test_strata_report_shares_with_intervals(tmp_path):
    rows = table(
        [{"question": f"{n}?", "kind": "a" if n % 2 else "b", "group": [f"g{n}"]} for n in range(200)], tmp_path
    )
    found = split.assign(rows, np.ones(200, dtype=bool), asking(rows), SplitRecipe(), 0, test_from_file=True)
    report = split.strata(rows, found, "kind")
    assert set(report) == {"a", "b"}
    for stratum in report.values():
        low, high = stratum["val_share_ci95"]
        assert low <= stratum["val_share"] <= high and stratum["train"] + stratum["val"] == 100


def test_rows_without_a_group_are_grouped_by_history_and_context_too(tmp_path):
    """Finding 1: follow-ups of different conversations had one key."""
    asked = "And what does it cost?"
    rows = [{"question": asked, "history": [("user", f"The {n}?"), ("assistant", "Yes.")]} for n in "abc"]
    rows += [{"question": asked, "context": "List a"}, {"question": asked, "context": "List b"}, {"question": asked}]
    assert len(set(group_keys(rows, tmp_path))) == 6


def test_joined_groups_have_the_smallest_of_their_keys(tmp_path):
    groups = (("b", "c"), ("c", "d"), ("a",), ("d", "e"))
    rows = [{"question": f"{n}?", "group": group} for n, group in enumerate(groups)]
    assert group_keys(rows, tmp_path) == ["b", "b", "a", "b"]


def test_a_copy_in_another_group_stands_on_the_same_side(tmp_path):
    """A flagged copy stays in the data, so it must not leak."""
    rows = [{"question": f"question {n % 50}", "group": [f"g{n}"]} for n in range(100)]
    found = sides(rows, tmp_path)
    assert found[:50] == found[50:] and set(found) == {0, 1, 2}
    alone = [{"question": "asked once", "group": ["g0"]}, {"question": "asked twice"}, {"question": "Asked twice"}]
    assert group_keys(alone, tmp_path)[0] == "g0"


def test_what_most_rows_belong_to_is_trained(tmp_path):
    rows = [{"question": f"{n}?", "group": ["g"] if n % 4 else [f"g{n}"]} for n in range(40)]
    for seed in range(20):
        assert {at for at, row in zip(sides(rows, tmp_path, seed), rows, strict=True) if row["group"] == ["g"]} == {0}
