"""Decisions of notebook 04 in notebook 01: a run with them keeps, mends and drops the rows that they name."""

import json

import pytest
import yaml

from ftlib import jsonl, rows
from ftlib.data.reviewed import read_decisions
from ftlib.errors import UserError
from ftlib.run import Run
from tests.data.made import prepare

SOUND = {"id": "r1", "decision": "mend", "answer": "blue", "was": "red"}


@pytest.mark.parametrize("wrong", [{"decision": "burn"}, {"answer": " "}, {"id": ""}, {"was": None, "decision": "x"}])
def test_a_line_that_decides_nothing_is_named(tmp_path, wrong):
    jsonl.write(tmp_path / "d.jsonl", [SOUND, SOUND | wrong])
    with pytest.raises(UserError, match=r"d\.jsonl, row 2"):
        read_decisions(tmp_path / "d.jsonl")


def test_a_line_must_say_what_it_was_decided_about(tmp_path):
    jsonl.write(tmp_path / "d.jsonl", [{name: SOUND[name] for name in ("id", "decision", "answer")}])
    with pytest.raises(UserError, match="was"):
        read_decisions(tmp_path / "d.jsonl")


def test_a_run_with_decisions(tmp_path, tiny_model_dir):
    colours = ["red", "green", "grey"]
    made = [{"id": f"r{i}", "question": f"Colour of Crane {i}?", "answer": colours[i % 3]} for i in range(60)]
    jsonl.write(tmp_path / "raw.jsonl", made)
    lines = [SOUND | {"id": f"r{i}", "was": colours[i % 3]} for i in (3, 6)]
    lines += [{"id": "r9", "decision": "drop", "answer": "", "was": "red"}]
    lines += [{"id": "r12", "decision": "drop", "answer": "", "was": "no longer"}]
    lines += [{"id": "r15", "decision": "keep", "answer": "", "was": "red"}]
    jsonl.write(tmp_path / "decisions.jsonl", lines)
    data = {"path": "raw.jsonl", "decisions_path": "decisions.jsonl", "language": None}
    recipe = {"name": "toy", "data": data, "model": {"base": str(tiny_model_dir)}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = prepare(Run.open(tmp_path / "run", tmp_path / "recipe.yaml"))
    kept = {row.id: row.answer for name in ("train", "val", "test") for row in rows.iterate(done / f"{name}.jsonl")}
    assert kept["r3"] == kept["r6"] == "blue" and kept["r12"] == kept["r15"] == "red" and len(kept) == 59
    assert [(line["id"], line["reason"]) for line in jsonl.iterate(done / "rejected.jsonl")] == [("r9", "review")]
    audit = json.loads((done / "audit.json").read_text())
    assert audit["decisions"] == {"mended": 2, "dropped": 1, "has another answer now": 1, "kept": 1}
    assert audit["clean"]["changed"] == {"review": 2} and audit["rows"]["in"] == 60
