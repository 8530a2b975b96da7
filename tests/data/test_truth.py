"""Scores of detectors, exact values."""

from ftlib import jsonl
from ftlib.data import truth
from ftlib.data.table import Entry
from tests.data import made

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


def test_what_was_mended_masked_and_rejected_counts_as_found(tmp_path):
    planted = [{"id": row, "defects": defects} for row, defects in PLANTED.items()]
    jsonl.write(tmp_path / "truth.jsonl", planted)
    jsonl.write(tmp_path / "rejected.jsonl", [{"id": "b", "reason": "exact_duplicate"}])
    done = {"d": {"changes": ("html",)}, "f": {"pii": ("email",)}, "g": {"changes": ("html",)}}
    entries = [Entry(made.row(row), **done.get(row, {})) for row in PLANTED if row != "b"]
    found = truth.detectors(tmp_path / "truth.jsonl", entries, tmp_path, {"b": "a"})
    assert {name: (one["precision"], one["recall"]) for name, one in found.items()} == {
        "html": (0.5, 0.5),
        "exact_duplicate": (1.0, 1.0),
        "near_duplicate": (None, 0.0),  # nothing was named so
        "duplicate": (1.0, 0.5),
        "email": (1.0, 1.0),
        "pii": (1.0, 1.0),
    }
