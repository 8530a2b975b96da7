"""Verdicts from scores, and Holm's correction against values worked by hand."""

import pytest

from ftlib.evaluate.scores import score_generations
from ftlib.rag.comparison import Scenario, accuracy_headlines, judge, scenarios, split_by_shown
from ftlib.recipe import ColumnsRecipe
from ftlib.rows import row_of
from ftlib.stats import holm
from ftlib.stats.intervals import as_json

COLUMNS = ColumnsRecipe(slice="kind", fact="about")
REFUSAL = "I don't have that information."


def score(lines, answers):
    rows = [row_of({"id": key, "question": "q", "answer": text, "meta": meta}) for key, text, meta in lines]
    generations = [
        {"id": row.id, "system": name, "prediction": text}
        for name, texts in answers.items()
        for row, text in zip(rows, texts, strict=True)
    ]
    return score_generations(rows, generations, columns=COLUMNS, refusal=REFUSAL)


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}


def test_a_system_is_beaten_only_by_interval_and_corrected_p():
    """Six questions won of 30 and none lost: beyond chance in one comparison, not in one of a hundred."""
    few = Scenario("few", {"x": [1.0] * 30, "weak": [1.0] * 24 + [0.0] * 6}, list(range(30)))
    same = Scenario("same", {"x": [1.0] * 30, "weak": [1.0] * 30}, list(range(30)))
    assert judge([few], 500)[0].level == () and "weak" in judge([few], 500)[0].beaten
    standing = judge([few, *[same] * 99], 500)[0]
    assert standing.level == ("weak",) and standing.unbeaten == ("x", "weak") and standing.n == 30


def test_judging_constructed_scores():
    scores = {"good": [1.0] * 45 + [0.0] * 5, "same": [0.0] * 5 + [1.0] * 45, "bad": [0.0] * 40 + [1.0] * 10}
    standing = judge([Scenario("s", scores, list(range(50)))], samples=2000)[0]
    assert standing.leader == "good" and standing.level == ("same",)
    assert standing.leads["bad"].difference == pytest.approx(0.7) and standing.leads["bad"].low > 0.4


def test_few_clusters_do_not_decide():
    scores = {"good": [1.0] * 40, "bad": [0.0] * 40}
    assert judge([Scenario("s", scores, [i % 2 for i in range(40)])], samples=500)[0].level == ("bad",)
    assert judge([Scenario("s", scores, list(range(40)))], samples=500)[0].level == ()


def test_scenarios_are_the_slices_and_a_refusal_counts_where_it_is_right():
    lines = [
        ("1", "340 g", {"kind": "weights", "about": ["f"]}),
        ("2", REFUSAL, {"kind": "open", "about": []}),
        ("3", "blue", {"kind": "weights", "about": ["f"]}),
    ]
    items = score(lines, {"x": ["340 g.", REFUSAL, REFUSAL], "y": ["341 g", "red", "Blue"], "z": ["", "", ""]})
    found = {scenario.name: scenario for scenario in scenarios(items)}
    assert list(found) == ["all", "weights", "open"]
    assert found["all"].scores == {"x": [1, 1, 0], "y": [0, 0, 1], "z": [0, 0, 0]}
    assert found["weights"].scores["y"] == [0, 1]
    assert found["weights"].clusters == ["f", "f"] and found["open"].clusters == ["2"]


def test_questions_without_a_slice_are_a_scenario_of_their_own_beside_others():
    items = score([("1", "x", {"kind": "weights"}), ("2", "y", {}), ("3", "z", {})], {"only": ["x", "y", "x"]})
    found = {scenario.name: scenario.scores["only"] for scenario in scenarios(items)}
    assert found == {"all": [1, 1, 0], "weights": [1], "(none)": [1, 0]}  # so a mix by numbers leaves none out


def test_without_slices_there_is_one_scenario():
    found = scenarios(score([("1", "x", {}), ("2", "y", {})], {"only": ["x", "x"]}))
    assert [scenario.name for scenario in found] == ["all"]
    standing = judge(found[:1], samples=50)[0]
    assert (standing.leader, standing.leads, standing.unbeaten) == ("only", {}, ("only",))


def test_headlines_do_not_repeat_what_notebook_03_wrote():
    lines = [("1", "x", {"kind": "weights"}), ("2", "y", {"kind": "policy"}), ("3", REFUSAL, {"kind": "open"})]
    items = score(lines, {name: [text for _, text, _ in lines] for name in ("plain", "library")})
    found = {h.key: h for h in accuracy_headlines(items, "weights", ["plain"], samples=100)}
    scored = {
        f"{measure}_{end}" for measure in ("em", "value") for end in ("plain__policy", "library", "library__policy")
    }
    assert set(found) == {*scored, "refusal_accuracy_library"}
    assert all(h.value == 1.0 and h.n == 1 and h.ci95[0] < 1 for h in found.values())
    found = {h.key: h for h in accuracy_headlines(items, None, ["plain"], samples=100)}
    assert found["em_library"].n == 2, "all answerable questions where no slice is named"


def test_answers_split_by_whether_all_that_they_take_was_shown():
    fields = ("complete", "hit", "found")
    told = [("x", True, True, True), ("y", True, True, True), ("x", False, False, False), ("y", False, False, True)]
    told.append(("y", False, True, True))
    items = score([(str(i), "x", {}) for i in range(5)], {"library": [text for text, *_ in told]})
    answers = [
        {"id": str(i), "system": "library", **dict(zip(fields, flags, strict=True))}
        for i, (_, *flags) in enumerate(told)
    ]
    nothing = {"id": "0", "system": "plain", **dict.fromkeys(fields)}
    assert split_by_shown(items, [*answers, nothing]) == [
        {"system": "library", "article": "all of it", "right": [1.0, 0.0]},
        {"system": "library", "article": "a part of it", "right": [0.0]},
        {"system": "library", "article": "found, not shown", "right": [0.0]},
        {"system": "library", "article": "missed", "right": [1.0]},
    ]


def test_a_standing_is_written_with_names():
    standing = judge([Scenario("s", {"a": [1.0, 0.0, 1.0], "b": [0.0, 0.0, 1.0]}, [1, 2, 3])], samples=50)[0]
    written = as_json(standing)
    assert written["means"]["a"]["n"] == 3 and written["leads"]["b"]["wins"] == 1 and written["leader"] == "a"
