"""The stale-knowledge arithmetic and the file of changed facts."""

import pytest

from ftlib import jsonl
from ftlib.errors import UserError
from ftlib.rag.comparison import judge
from ftlib.rag.staleness import (
    changed_scenario,
    load_updates,
    staleness_headlines,
    staleness_of,
    staleness_sentence,
)
from ftlib.recipe import ColumnsRecipe
from ftlib.rows import row_of

COLUMNS = ColumnsRecipe(fact="about", documents="articles", slice="kind")
UPDATES = [
    row_of(
        {
            "id": str(i),
            "question": "q",
            "references": ["45 days", "45"],
            "meta": {"about": f"f{i}", "old_answer": "30 days"},
        }
    )
    for i in range(10)
]


def measure(system, updates, before, after, samples):
    return staleness_of(system, updates, before, after, COLUMNS, samples)


def test_a_system_that_keeps_the_old_answer_falls():
    answers = {row.id: "30 days" if int(row.id) < 8 else "7 days" for row in UPDATES}
    stale = measure("finetuned", UPDATES, answers, answers, samples=500)
    assert (stale.before.mean, stale.after.mean, stale.repeats_old.mean) == (0.8, 0.0, 0.8)
    assert (stale.change.difference, stale.change.losses, stale.after.n) == (pytest.approx(-0.8), 8, 10)


def test_a_system_that_reads_the_new_articles_follows():
    before = {row.id: "30 days" for row in UPDATES}
    after = {row.id: "45" if int(row.id) < 7 else "30 days" for row in UPDATES}
    stale = measure("rag", UPDATES, before, after, samples=500)
    assert (stale.before.mean, stale.after.mean, stale.repeats_old.mean) == (1.0, 0.7, pytest.approx(0.3))
    assert stale.scores == [1.0] * 7 + [0.0] * 3


def test_form_counts_where_the_recipe_says_so_and_both_values_are_neither():
    texts = ["It is 45 days now."] * 4 + ["First 30 days, now 45 days."] * 3 + ["Still 30 days."] * 3
    answers = {row.id: text for row, text in zip(UPDATES, texts, strict=True)}
    found = measure("rag", UPDATES, answers, answers, samples=100)
    assert (found.before.mean, found.after.mean, found.repeats_old.mean) == (0.3, 0.4, 0.3)
    exact = staleness_of("rag", UPDATES, answers, answers, COLUMNS, 100, right="exact")
    assert (exact.before.mean, exact.after.mean, exact.repeats_old.mean) == (0.0, 0.0, 0.0)
    assert found.by_measure == exact.by_measure, "headlines are the same by either rule"


def test_an_exact_answer_counts_although_it_holds_the_other():
    words = {"old_answer": "red"}
    (row,) = [row_of({"id": "0", "question": "q", "answer": "dark red", "meta": words})]
    found = measure("rag", [row], {"0": "red"}, {"0": "dark red"}, samples=50)
    assert (found.before.mean, found.after.mean, found.repeats_old.mean) == (1.0, 1.0, 0.0)
    both = {"0": "It was red and became dark red."}
    found = measure("rag", [row], both, both, samples=50)
    assert (found.before.mean, found.after.mean, found.repeats_old.mean) == (0.0, 0.0, 0.0)


def test_an_answer_that_is_missing_counts_as_wrong():
    nothing = dict.fromkeys((row.id for row in UPDATES), None)
    assert measure("rag", UPDATES, nothing, nothing, samples=100).after.mean == 0.0


def test_updates_are_completed_and_checked_and_keep_every_column(tmp_path):
    path = tmp_path / "updates.jsonl"
    row = {"id": "u1", "about": "f", "question": "q?", "old_answer": "30 days", "answer": "45 days", "document": "a"}
    jsonl.write(path, [{**row, "kind": "x", "mine": 7}, {**row, "document": None, "references": ["45 days", "45"]}])
    first, second = load_updates(path, COLUMNS)
    assert (first.references, first.meta["articles"], first.question) == (("45 days",), "a", "q?")
    assert (first.meta["kind"], first.meta["mine"], first.meta["old_answer"]) == ("x", 7, "30 days")
    assert second.references == ("45 days", "45") and "articles" not in second.meta
    assert load_updates(path, ColumnsRecipe())[0].meta["document"] == "a", "no columns, no loss"
    jsonl.write(path, [row, {**row, "old_answer": ""}])
    with pytest.raises(UserError, match=r"row 2[\s\S]*no old_answer"):
        load_updates(path, COLUMNS)
    jsonl.write(path, [{**row, "answer": "30 days."}])
    with pytest.raises(UserError, match="differs from the old"):
        load_updates(path, COLUMNS)


def test_the_sentence_follows_the_numbers():
    old, new = ({row.id: text for row in UPDATES} for text in ("30 days", "45 days"))
    fallen, risen = measure("x", UPDATES, old, old, 500), measure("x", UPDATES, old, new, 500)
    assert "X falls: 100% right before the change, 0% after it (-100.0 points" in staleness_sentence(fallen, "X")
    assert staleness_sentence(fallen, "X").endswith("and the old answer to 100%.")
    assert staleness_sentence(risen, "X").startswith("X does not change as far as the data show")
    assert staleness_sentence(measure("x", UPDATES, new, new, 500), "X").startswith("X rises")


def test_headlines_have_interval_and_n():
    answers = {row.id: "30 days" for row in UPDATES}
    found = {h.key: h for h in staleness_headlines([measure("rag_ft", UPDATES, answers, answers, samples=100)])}
    assert {key: h.value for key, h in found.items()} == {
        "em_stale_rag_ft": 0.0,
        "em_before_change_rag_ft": 1.0,
        "value_stale_rag_ft": 0.0,
        "value_before_change_rag_ft": 1.0,
        "repeats_old_rag_ft": 1.0,
    }
    assert all(h.n == 10 and h.ci95[0] <= h.value <= h.ci95[1] for h in found.values())


def test_the_changed_facts_are_a_scenario_to_judge():
    old = {row.id: "30 days" for row in UPDATES}
    new = {row.id: "45 days" for row in UPDATES}
    measured = [measure("finetuned", UPDATES, old, old, samples=50), measure("rag", UPDATES, old, new, samples=50)]
    (standing,) = judge([changed_scenario(UPDATES, measured, COLUMNS)], samples=200)
    assert (standing.scenario, standing.leader, standing.level) == ("after the change", "rag", ())
    assert standing.leads["finetuned"].n == 10
