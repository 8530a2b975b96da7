"""Scores of detectors, exact values."""

from ftlib.data import truth

PLANTED = {
    "a": [],
    "b": [{"kind": "exact_duplicate", "of": "a"}],
    "c": [{"kind": "near_duplicate", "of": "a"}],
    "d": [{"kind": "html"}],
    "e": [{"kind": "html"}],
    "f": [{"kind": "email"}],
    "g": [],
}


def flagged(rejected, changes=(), pii=()):
    ids = sorted(PLANTED)
    rows = [{"id": i, "changes": ["html"] if i in changes else [], "pii": ["email"] if i in pii else []} for i in ids]
    return truth.flags(rows, [{"id": i, "reason": reason} for i, reason in rejected.items()])


def test_precision_and_recall_of_row_defects():
    found = truth.score(PLANTED, flagged({}, changes={"d", "g"}, pii={"f"}), {})
    assert (found["html"]["precision"], found["html"]["recall"], found["html"]["n"]) == (0.5, 0.5, 2)
    assert (found["html"]["missed"], found["html"]["wrong"]) == (["e"], ["g"])
    assert found["email"]["recall"] == found["pii"]["precision"] == 1.0
    assert "card" not in found


def test_a_copy_counts_only_with_its_own_original_and_either_of_them_may_go():
    right = {"a": "b", "c": "b"}  # b was kept, because it is older in the detector's eyes
    found = truth.score(PLANTED, flagged({"a": "exact_duplicate", "c": "near_duplicate"}), right)
    assert found["exact_duplicate"]["recall"] == found["near_duplicate"]["recall"] == 1.0
    assert found["duplicate"]["precision"] == 1.0
    wrong = {"b": "g"}
    found = truth.score(PLANTED, flagged({"b": "exact_duplicate"}), wrong)
    assert (found["exact_duplicate"]["precision"], found["exact_duplicate"]["recall"]) == (0.0, 0.0)


def test_a_near_copy_that_normalization_makes_exact_is_found():
    found = truth.score(PLANTED, flagged({"b": "exact_duplicate", "c": "exact_duplicate"}), {"b": "a", "c": "a"})
    assert found["near_duplicate"]["recall"] == 1.0 and found["near_duplicate"]["precision"] is None
    assert found["exact_duplicate"]["precision"] == 1.0
