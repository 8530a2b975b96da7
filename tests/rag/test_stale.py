"""The stale-knowledge arithmetic and the file of changed facts."""

import pytest

from ftlib import jsonl
from ftlib.rag.compare import judge
from ftlib.rag.stale import headlines, load_updates, measure, scenario
from ftlib.recipe import UserError

UPDATES = [
    {"id": str(i), "fact": f"f{i}", "old_answer": "30 days", "answer": "45 days", "references": ["45 days", "45"]}
    for i in range(10)
]


def test_an_arm_that_keeps_the_old_answer_falls():
    answers = {row["id"]: "30 days" if int(row["id"]) < 8 else "7 days" for row in UPDATES}
    stale = measure("finetuned", UPDATES, answers, answers, samples=500)
    assert (stale.before.mean, stale.after.mean, stale.repeats_old.mean) == (0.8, 0.0, 0.8)
    assert (stale.change.difference, stale.change.losses, stale.after.n) == (pytest.approx(-0.8), 8, 10)


def test_an_arm_that_reads_the_new_articles_follows():
    before = {row["id"]: "30 days" for row in UPDATES}
    after = {row["id"]: "45" if int(row["id"]) < 7 else "30 days" for row in UPDATES}
    stale = measure("rag", UPDATES, before, after, samples=500)
    assert (stale.before.mean, stale.after.mean, stale.repeats_old.mean) == (1.0, 0.7, pytest.approx(0.3))
    assert stale.hits == [1.0] * 7 + [0.0] * 3


def test_an_answer_that_is_missing_counts_as_wrong():
    nothing = dict.fromkeys((row["id"] for row in UPDATES), None)
    assert measure("rag", UPDATES, nothing, nothing, samples=100).after.mean == 0.0


def test_updates_are_completed_and_checked(tmp_path):
    path = tmp_path / "updates.jsonl"
    row = {"id": "u1", "fact": "f", "question": "q?", "old_answer": "30 days", "answer": "45 days", "document": "a"}
    jsonl.write(path, [row, {**row, "document": None, "references": ["45 days", "45"]}])
    first, second = load_updates(path)
    assert (first["references"], first["documents"]) == (["45 days"], ["a"])
    assert (second["references"], second["documents"]) == (["45 days", "45"], [])
    jsonl.write(path, [row, {**row, "old_answer": ""}])
    with pytest.raises(UserError, match=r"row 2[\s\S]*no old_answer"):
        load_updates(path)
    jsonl.write(path, [{**row, "answer": "30 days."}])
    with pytest.raises(UserError, match="differs from the old"):
        load_updates(path)


def test_headlines_have_interval_and_n():
    answers = {row["id"]: "30 days" for row in UPDATES}
    found = {h.key: h for h in headlines([measure("rag_finetuned", UPDATES, answers, answers, samples=100)])}
    assert {key: h.value for key, h in found.items()} == {
        "em_stale_rag_ft": 0.0,
        "em_before_change_rag_ft": 1.0,
        "repeats_old_rag_ft": 1.0,
    }
    assert all(h.n == 10 and h.ci95[0] <= h.value <= h.ci95[1] for h in found.values())


def test_the_changed_facts_are_a_scenario_to_judge():
    old = {row["id"]: "30 days" for row in UPDATES}
    new = {row["id"]: "45 days" for row in UPDATES}
    measured = [measure("finetuned", UPDATES, old, old, samples=50), measure("rag", UPDATES, old, new, samples=50)]
    verdict = judge(scenario(UPDATES, measured), samples=200)
    assert (verdict.scenario, verdict.leader, verdict.level) == ("after the change", "rag", ())
    assert verdict.leads["finetuned"].n == 10
