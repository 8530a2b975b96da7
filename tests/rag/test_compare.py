"""Verdicts from scores, and Holm's correction against values worked by hand."""

import pytest

from ftlib.evaluate.scores import score_generations
from ftlib.evaluate.stats import Interval, Paired
from ftlib.rag.compare import Scenario, as_dict, by_hit, decide, headlines, holm, judge, scenarios

REFUSAL = "I don't have that information."


def lead(difference, low, high, p):
    return Paired(difference, low, high, p, 100, 30, 10)


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}


def test_an_arm_is_beaten_only_by_interval_and_corrected_p():
    means = {arm: Interval(0.5, 0.4, 0.6, 100) for arm in ("x", "clear", "zero", "weak")}
    leads = {"clear": lead(0.3, 0.2, 0.4, 0.001), "zero": lead(0.05, -0.01, 0.1, 0.002)}
    leads["weak"] = lead(0.1, 0.01, 0.2, 0.06)
    verdict = decide("s", means, "x", leads)
    assert verdict.level == ("zero", "weak") and verdict.unbeaten == ("x", "zero", "weak") and verdict.n == 100


def test_judging_constructed_scores():
    scores = {"good": [1.0] * 45 + [0.0] * 5, "same": [0.0] * 5 + [1.0] * 45, "bad": [0.0] * 40 + [1.0] * 10}
    verdict = judge(Scenario("s", scores, list(range(50))), samples=2000)
    assert verdict.leader == "good" and verdict.level == ("same",)
    assert verdict.leads["bad"].difference == pytest.approx(0.7) and verdict.leads["bad"].low > 0.4


def test_few_clusters_do_not_decide():
    scores = {"good": [1.0] * 40, "bad": [0.0] * 40}
    assert judge(Scenario("s", scores, [i % 2 for i in range(40)]), samples=500).level == ("bad",)
    assert judge(Scenario("s", scores, list(range(40))), samples=500).level == ()


def test_scenarios_are_the_slices_and_a_refusal_counts_where_it_is_right():
    rows = [
        {"id": "1", "slice": "trained_fact", "answer": "340 g", "fact": ["f"]},
        {"id": "2", "slice": "unanswerable", "answer": REFUSAL, "fact": []},
        {"id": "3", "slice": "trained_fact", "answer": "blue", "fact": ["f"]},
    ]
    answers = {"x": ["340 g.", REFUSAL, REFUSAL], "y": ["341 g", "red", "Blue"], "z": ["", "", ""]}
    generations = [
        {"id": row["id"], "arm": arm, "prediction": text}
        for arm, texts in answers.items()
        for row, text in zip(rows, texts, strict=True)
    ]
    found = {scenario.name: scenario for scenario in scenarios(score_generations(rows, generations, REFUSAL))}
    assert list(found) == ["all", "trained_fact", "unanswerable"]
    assert found["all"].scores == {"x": [1, 1, 0], "y": [0, 0, 1], "z": [0, 0, 0]}
    assert found["trained_fact"].scores["y"] == [0, 1]
    assert found["trained_fact"].clusters == ["f", "f"] and found["unanswerable"].clusters == ["2"]


def test_headlines_do_not_repeat_what_notebook_03_wrote():
    rows = [
        {"id": "1", "slice": "trained_fact", "answer": "x"},
        {"id": "2", "slice": "policy", "answer": "y"},
        {"id": "3", "slice": "unanswerable", "answer": REFUSAL},
    ]
    generations = [
        {"id": row["id"], "arm": arm, "prediction": row["answer"]} for arm in ("base", "rag_finetuned") for row in rows
    ]
    found = {h.key: h for h in headlines(score_generations(rows, generations, REFUSAL), samples=100)}
    assert set(found) == {"em_base__policy", "em_rag_ft", "em_rag_ft__policy", "refusal_accuracy_rag_ft"}
    assert all(h.value == 1.0 and h.n == 1 and h.ci95[0] < 1 for h in found.values())


def test_answers_split_by_whether_the_article_was_found():
    rows = [{"id": str(i), "slice": "policy", "answer": "x"} for i in range(3)]
    told = [("x", True), ("y", True), ("x", False)]
    answers = [{"id": str(i), "arm": "rag", "prediction": text, "hit": hit} for i, (text, hit) in enumerate(told)]
    items = score_generations(rows, answers, REFUSAL)
    assert by_hit(items, [*answers, {"id": "0", "arm": "base", "hit": None}]) == [
        {"arm": "rag", "article": "missed", "right": 1.0, "questions": 1},
        {"arm": "rag", "article": "found", "right": 0.5, "questions": 2},
    ]


def test_a_verdict_is_written_with_names():
    verdict = judge(Scenario("s", {"a": [1.0, 0.0, 1.0], "b": [0.0, 0.0, 1.0]}, [1, 2, 3]), samples=50)
    written = as_dict(verdict)
    assert written["means"]["a"]["n"] == 3 and written["leads"]["b"]["wins"] == 1 and written["leader"] == "a"
