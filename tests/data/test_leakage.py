"""Overlaps between training and evaluation, and n-grams of evaluation files."""

import json

import numpy as np
import pytest

from ftlib.data import decontaminate, duplicates, leakage
from ftlib.data.ledger import Ledger
from ftlib.data.table import TRAIN as TRAINING
from ftlib.data.table import WorkingTable
from ftlib.errors import UserError
from ftlib.recipe_sections import DataRecipe
from tests.data.made import row, table

SIMILARITY = 0.7


TEST = [
    row("t1", "How heavy is the Heron 20?", "340 g", group=["topic=1"]),
    row("t2", "Which colour has the Heron 20?", "it comes in five different shades of grey"),
    row("t3", "When was it built?", "1900", context="A mill."),
]
TRAIN = [
    row("r0", "How heavy is the Heron 20?", "340 g"),
    row("r1", "HOW HEAVY is the Heron 20", "340 g"),
    row("r2", "How haevy is the Heron 20?", "340 g"),
    row("r3", "How heavy is the Heron 30?", "410 g"),
    row("r4", "When was it built?", "1900", context="A bridge."),
    row("r5", "What is new?", "It comes in five different shades of grey.", group=["topic=1"]),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    made = table(TRAIN, tmp_path_factory.mktemp("leak"))
    sketches = duplicates.sketch_table(made)
    return made, leakage.overlaps(made, sketches, np.arange(len(TRAIN)), TEST, SIMILARITY)


def test_each_kind_of_overlap_is_found_once(found):
    assert {(o.kind, TRAIN[o.row].id, TEST[o.other].id) for o in found[1]} == {
        ("exact", "r0", "t1"),
        ("normalized", "r1", "t1"),
        ("near", "r2", "t1"),
        ("group", "r5", "t1"),
    }


def test_only_training_rows_count(tmp_path, found):
    made, _ = found
    sketches = duplicates.sketch_table(made)
    assert leakage.overlaps(made, sketches, np.array([3, 4]), TEST, SIMILARITY) == []
    assert leakage.overlaps(made, sketches, np.array([], dtype=int), TEST, SIMILARITY) == []


def test_report_shows_examples_side_by_side(found):
    report = leakage.report(*found, TEST)
    assert report["near"]["train_rows"] == report["near"]["other_rows"] == 1
    example = report["near"]["examples"][0]
    assert (example["train"]["id"], example["other"]["id"]) == ("r2", "t1") and 0.5 < example["similarity"] < 1


def test_block_stops_with_counts_and_the_others_do_not(found):
    with pytest.raises(UserError, match=r"1 exact, 1 normalized, 1 near, 1 group"):
        leakage.enforce(found[1], "block", "train and test")
    for policy in ("warn", "drop"):
        leakage.enforce(found[1], policy, "train and test")
    leakage.enforce([], "block", "train and test")


def test_answers_are_counted_but_not_found_guilty(found):
    counted = leakage.answers_in_train(found[0], np.arange(len(TRAIN)), TEST)
    assert counted == {"rows": 3, "seen": 3, "long": 1, "long_seen": 1}


def test_ngram_overlap_with_an_evaluation_file(tmp_path):
    question = "Which of these best explains why the sky looks blue to a person on the ground at noon?"
    short = "What do plants need to grow?"
    path = tmp_path / "arc.jsonl"
    path.write_text(
        json.dumps({"question": question}) + "\n" + json.dumps({"question": {"stem": short}}) + "\n", encoding="utf-8"
    )
    texts = decontaminate.evaluation_texts(path)
    rows = [
        row("a", f"Tell me: {question.upper()}"),
        row("b", "Which of these best explains why?"),
        row("c", "Well, what do plants need to grow? I wonder."),
        row("d", "x", context="Nothing here explains why the sky looks blue to a person on the ground at noon."),
    ]
    assert decontaminate.contaminated(rows, texts, 13) == [(0, 0), (3, 0)]
    assert (
        decontaminate.contaminated(rows, texts, 6) == [(0, 0), (2, 1), (3, 0)]
        or len(decontaminate.contaminated(rows, texts, 6)) == 4
    )
    empty = tmp_path / "none.jsonl"
    empty.write_text('{"x": 1}\n', encoding="utf-8")
    with pytest.raises(UserError, match="evaluation questions"):
        decontaminate.evaluation_texts(empty)


def test_real_arc_questions_are_read(material):
    texts = decontaminate.evaluation_texts(material / "arc" / "arc_challenge_test.json")
    assert len(texts) > 1000 and all(len(text) > 10 for text in texts)
    hit = row("a", texts[7])
    assert decontaminate.contaminated([hit, row("b", "How heavy is the Heron 20?")], texts, 13) == [(0, 7)]


def compared(tmp_path, train, test):
    made = table(train, tmp_path)
    with Ledger(tmp_path / "rejected.jsonl") as ledger:
        rows = WorkingTable(made, ledger)
        rows.sides[:] = TRAINING
        sketches = duplicates.sketch_table(made)
        return leakage.between(rows, sketches, [TRAINING], test, "train and test", DataRecipe(path="x"), "warn")


def test_group_leaks_are_not_zero_where_no_column_groups(tmp_path):
    """Finding 4: "group leaks: 0" was reported whatever was true."""
    grouped, bare = row("r", "One?", group=["topic=1"]), row("r", "One?")
    for train, test in ((bare, bare), (grouped, bare), (bare, grouped), (grouped, row("t", group=["author=1"]))):
        found = compared(tmp_path, [train], [test])["group"]
        assert found["train_rows"] is None and found["note"] == "not known: no group column"
    assert compared(tmp_path, [grouped], [row("t", "Two?", group=["topic=1"])])["group"]["train_rows"] == 1
    assert compared(tmp_path, [grouped], [row("t", "Two?", group=["topic=2"])])["group"]["train_rows"] == 0


def test_the_same_follow_up_after_another_history_is_no_leak(tmp_path):
    """Finding 1: the leakage check did not read the history."""

    def follow_up(row_id, size):
        return row(row_id, "And what does it cost?", history=[("user", f"The {size}?"), ("assistant", "Yes.")])

    found = compared(
        tmp_path, [follow_up("r1", "small one"), follow_up("r2", "large one")], [follow_up("t", "LARGE one")]
    )
    assert [found[kind]["train_rows"] for kind in ("exact", "normalized", "near")] == [1, 0, 0]
    assert "large one" in found["exact"]["examples"][0]["train"]["history"]
