"""The committed part of the demo company's data is what its script writes."""

from __future__ import annotations

import filecmp
import json

from data.company import cut

PART = cut.HERE.parent / "company_cut"


def test_the_committed_part_is_what_the_script_writes(tmp_path):
    counts = cut.cut(tmp_path, 8, 210)
    assert all(counts.values()) and {str(path.relative_to(PART)) for path in PART.rglob("*.jsonl")} == set(counts)
    for name in counts:
        assert filecmp.cmp(tmp_path / name, PART / name, shallow=False), name


def test_it_asks_about_eight_products_and_what_it_asks_is_trained():
    lines = [json.loads(line) for line in (PART / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = {line["product"] for line in lines if line["slice"] == "trained_fact"}
    raw = [
        json.loads(line)
        for path in (PART / "raw").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert len(asked) == 8 and asked <= {row["product"] for row in raw}
    assert {line["slice"] for line in lines} == {"trained_fact", "reworded_fact", "untrained_fact", "unanswerable"}


def test_rows_are_taken_from_each_kind_in_turn():
    rows = [{"id": str(number), "kind": number % 3 if number < 9 else 0} for number in range(30)]
    taken = cut.evenly(rows, 10, lambda row: row["kind"])
    assert sorted(row["kind"] for row in taken) == [0] * 4 + [1] * 3 + [2] * 3
