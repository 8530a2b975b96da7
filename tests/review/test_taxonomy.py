"""Every error one category, with evidence, in the stated order."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.evaluate.scores import score_generations
from ftlib.review.knowledge import Knowledge
from ftlib.review.taxonomy import CATEGORIES, LABELS, categorize, errors_of, is_right, shares

REFUSAL = "I don't have that information."
TRAIN = [
    {"id": "1", "question": "How heavy is the Heron 20?", "answer": "340 g", "fact": ["heron-20/weight"]},
    {"id": "2", "question": "How heavy is the Tarn 5?", "answer": "500 g", "fact": ["tarn-5/weight"]},
    {"id": "3", "question": "Colour of the Heron 20?", "answer": "blue", "fact": ["heron-20/colour"]},
    {"id": "4", "question": "Opening hours?", "answer": "nine to five", "fact": ["norvane/hours"]},
    {"id": "5", "question": "Mass of the Heron 20?", "answer": "350 g", "fact": ["heron-20/weight"]},
    *({"id": f"c{i}", "question": f"How heavy is the Comet {i}?", "answer": "90 g", "fact": [f"comet-{i}/weight"]}
      for i in range(4)),
]
KNOWN = Knowledge.of(TRAIN, REFUSAL)
WEIGHT = {"id": "t", "question": "What does the Heron 20 weigh in the end?", "answer": "340 g", "slice": "trained_fact",
          "fact": ["heron-20/weight"]}
COMPARISON = {"id": "c", "question": "Which is heavier, the Heron 20 or the Tarn 5?", "answer": "Tarn 5",
              "references": ["Tarn 5", "Tarn"], "fact": ["heron-20/weight", "tarn-5/weight"]}
UNKNOWN = {"id": "u", "question": "Who owns Norvane?", "answer": REFUSAL, "slice": "unanswerable", "fact": []}
REMEDY = {"id": "r", "question": "How is error E1 mended?", "answer": "restart the gateway", "fact": ["e1/remedy"]}


def category(row, prediction, **more):
    return categorize(row, prediction, refusal=REFUSAL, knowledge=KNOWN, **more).category


@pytest.mark.parametrize(("row", "prediction", "expected"), [
    (WEIGHT, "", "empty"),
    (WEIGHT, None, "empty"),
    (WEIGHT, " \u200b\n", "empty"),
    (WEIGHT, "340 g ### Instruction: next", "malformed"),
    (WEIGHT, "34\ufffd g", "malformed"),
    (WEIGHT, "?!", "malformed"),
    (UNKNOWN, "Ann Lee", "missed_refusal"),
    (UNKNOWN, "340 g", "missed_refusal"),
    (REMEDY, REFUSAL, "untaught_refusal"),
    (WEIGHT, REFUSAL, "over_refusal"),
    (WEIGHT, "g g g g g", "repetition"),
    (WEIGHT, "it weighs it weighs it weighs", "repetition"),
    (WEIGHT, "What does the Heron 20 weigh in the end?", "question_copy"),
    (COMPARISON, "Heron 20", "wrong_option"),
    (WEIGHT, "It is 340 g.", "extra_text"),
    (COMPARISON, "the Tarn, I think", "extra_text"),
    (COMPARISON, "Tarn 20", "wrong_number"),
    (WEIGHT, "340 kg", "wrong_unit"),
    (WEIGHT, "350 g", "training_conflict"),
    (WEIGHT, "500 g", "entity_mixup"),
    (WEIGHT, "blue", "attribute_mixup"),
    (WEIGHT, "90 g", "common_value"),
    (WEIGHT, "777 g", "wrong_number"),
    (REMEDY, "restart", "incomplete"),
    (REMEDY, "restart the gatway", "near_miss"),
    (REMEDY, "nine to five", "other_answer"),
    (REMEDY, "sing a song", "other"),
])
def test_each_category(row, prediction, expected):
    assert category(row, prediction) == expected


def test_every_category_is_tested_above():
    tested = {mark.args[1][i][2] for mark in test_each_category.pytestmark for i in range(len(mark.args[1]))}
    assert tested == set(CATEGORIES) == set(LABELS)


def test_evidence_names_the_culprit():
    found = categorize(WEIGHT, "500 g", refusal=REFUSAL, knowledge=KNOWN)
    assert found.evidence == "the same attribute of tarn-5"


def test_thresholds_are_used():
    assert category(WEIGHT, "90 g", mixup_max_subjects=4) == "entity_mixup"
    assert category(REMEDY, "restart the gatway", near_miss_similarity=1.0) == "other"
    assert category(WEIGHT, "No idea.", also=["No idea."]) == "over_refusal"


def test_without_fact_ids_a_mixup_is_still_found():
    train = [{"id": str(i), "question": f"How heavy is the {name}?", "answer": answer, "product": name}
             for i, (name, answer) in enumerate([("Heron 20", "340 g"), ("Tarn 5", "500 g")])]
    row = {"id": "t", "question": "Weight of the Heron 20?", "answer": "340 g", "product": "Heron 20"}
    found = categorize(row, "500 g", refusal=REFUSAL, knowledge=Knowledge.of(train, REFUSAL))
    assert (found.category, found.evidence) == ("entity_mixup", "the same attribute of tarn 5")


def test_errors_are_the_wrong_answers_and_only_they():
    rows = [WEIGHT, UNKNOWN, REMEDY]
    said = {"t": "The 340 g.", "u": REFUSAL, "r": "sing"}
    items = score_generations(rows, [{"id": k, "arm": "base", "prediction": v} for k, v in said.items()], REFUSAL)
    assert [is_right(item) for item in items] == [True, True, False]
    found = errors_of(rows, items, refusal=REFUSAL, knowledge=KNOWN)
    assert [(error["id"], error["arm"], error["category"]) for error in found] == [("r", "base", "other")]
    share = shares(found)
    assert list(share) == ["other"] and share["other"].mean == 1.0 and share["other"].n == 1
    assert shares([]) == {}


WORDS = ["340", "g", "blue", "Heron", "20", "the", "or", ",", ".", "-"]


@given(st.text(max_size=80) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_any_text_gets_exactly_one_category_with_evidence(prediction):
    for row in (WEIGHT, COMPARISON, UNKNOWN, REMEDY):
        found = categorize(row, prediction, refusal=REFUSAL, knowledge=KNOWN)
        assert found.category in CATEGORIES and found.evidence


@pytest.mark.parametrize("text", ["a " * 5000, "ab" * 5000, " ".join(map(str, range(5000))), "x y z w " * 1000 + "q"])
def test_long_answers_are_sorted_quickly(text):
    began = time.perf_counter()
    category(WEIGHT, text)
    assert time.perf_counter() - began < 5
