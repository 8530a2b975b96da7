"""Decisions about training rows: given in the widget, kept with the ratings, exported, and followed by room 01."""

import pytest

from ftlib import jsonl
from ftlib.data.reviewed import follow, read_decisions
from ftlib.data.table import Entry, Judged
from ftlib.review.decisions import RowSession, decided, export_decisions, row_items
from ftlib.review.export import export_ratings
from ftlib.review.preferences import preference_pairs
from ftlib.review.row_widget import RowWidget
from ftlib.review.store import Store, current_ratings
from ftlib.review.suspects import DIFFER, FLAGGED, Suspect
from ftlib.rows import row_of

HOSTILE = "<script>alert(1)</script>"


def suspect(key, instead="340 g", kind=DIFFER):
    row = row_of({"id": key, "question": f"How heavy is {key}? {HOSTILE}", "references": ["500 g", "half a kilo"]})
    return Suspect(row, kind, f"2 of 3 rows answer {instead!r}", instead)


SUSPECTS = [suspect(f"r{i}") for i in range(4)] + [suspect("r4", "", FLAGGED)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "reviews.sqlite")


def decide(store, reviewer, **verdicts):
    session = RowSession(row_items(SUSPECTS), store, reviewer)
    for _ in SUSPECTS:
        verdict = verdicts.get(session.item.id, "unsure")
        session.rate(verdict, {"mend": "341 g"}, "read it twice")


def show(widget, key):
    widget.session.position = [item.id for item in widget.session.items].index(key)
    widget._show()


def test_a_click_keeps_mends_or_drops(store):
    widget = RowWidget(row_items(SUSPECTS), store, reviewer="ada", goal=5)
    show(widget, "r0")
    assert HOSTILE not in widget._question.value and "Why it is shown" in widget._question.value
    assert "500 g" in widget._answers[0].value and "340 g" in widget._answers[1].value
    assert widget._said_below[0].value == "340 g", "the other answer is offered"
    widget._verdicts["mend"].click()
    show(widget, "r1")
    widget._typed(widget._keys.value + "1")
    show(widget, "r4")
    assert "No other answer is known" in widget._answers[1].value
    widget._verdicts["mend"].click()
    assert "Type the mended answer first" in widget._status.value and len(store.history()) == 2
    widget._said_below[0].value = " half a kilogram "
    widget._verdicts["mend"].click()
    show(widget, "r2")
    widget._typed(widget._keys.value + "3")
    found = {line["id"]: (line["decision"], line["answer"]) for line in decided(store)}
    assert found == {"r0": ("mend", "340 g"), "r1": ("keep", ""), "r2": ("drop", ""), "r4": ("mend", "half a kilogram")}
    show(widget, "r4")
    assert widget._said_below[0].value == "half a kilogram" and "You rated this row before" in widget._status.value
    widget._undo.click()
    assert {line["id"] for line in decided(store)} == {"r0", "r1", "r4"}, "the last one is taken back"
    widget._export.click()
    assert "Exported: 3 decisions" in widget._status.value
    assert len(jsonl.read(store.path.with_name("decisions.jsonl"))) == 3


def test_all_done_and_no_rows_at_all(store):
    decide(store, "ada")
    widget = RowWidget(row_items(SUSPECTS), store, reviewer="ada")
    assert "All 5 rows under these filters are rated" in widget._question.value
    assert "No row passes these filters" in RowWidget([], store, reviewer="ada")._question.value
    assert decided(store) == [], "undecided is no decision"


def test_most_reviewers_decide_and_a_tie_decides_nothing(store):
    decide(store, "ada", r0="drop", r1="drop", r2="mend")
    decide(store, "ben", r0="drop", r1="keep", r2="mend")
    decide(store, "cai", r0="keep", r1="unsure", r2="unsure")
    lines = decided(store)
    assert [(line["id"], line["decision"], line["for"], line["of"]) for line in lines] == [
        ("r0", "drop", 2, 3),
        ("r2", "mend", 2, 2),
    ]
    assert lines[0]["was"] == "500 g" and lines[0]["comments"] == ["read it twice"] * 2


def test_decisions_are_no_ratings_of_answers(store):
    decide(store, "ada", r0="drop", r1="keep", r2="mend")
    ratings = list(current_ratings(store.history()).values())
    assert preference_pairs(ratings, store.shown()) == []
    assert export_ratings(store)[1] == 0


def test_room_01_follows_what_was_exported(store):
    decide(store, "ada", r0="drop", r1="keep", r2="mend", r3="drop")
    path, count = export_decisions(store)
    decisions = read_decisions(path)
    assert count == len(decisions) == 4

    def done(key, answer="500 g", reason=""):
        row = next(each.row for each in SUSPECTS if each.row.id == key)._replace(references=(answer, "half a kilo"))
        judged, what = follow(Judged(Entry(row), reason, flags=[("truncated", "")]), decisions)
        return judged.reason, what, judged.entry.row.references, judged.entry.changes, len(judged.flags)

    own = ("500 g", "half a kilo")
    assert done("r0") == ("review", "dropped", own, (), 1)
    assert done("r1") == ("", "kept", own, (), 0)
    assert done("r2") == ("", "mended", ("341 g", "half a kilo"), ("review",), 0)
    assert done("r3", "1 kg") == ("", "has another answer now", ("1 kg", "half a kilo"), (), 1)
    assert done("r3", reason="empty") == ("empty", "", own, (), 1)
    assert done("r4") == ("", "", own, (), 1)
