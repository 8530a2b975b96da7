"""Every error one category, with evidence, in the stated order."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.evaluate.scores import is_right, score_generations
from ftlib.recipe import ColumnsRecipe
from ftlib.review.taxonomy import CATEGORIES, LABELS, categorize, category_shares, errors_of
from ftlib.review.training_index import TrainingIndex
from ftlib.rows import row_of

REFUSAL = "I don't have that information."
COLUMNS = ColumnsRecipe(slice="topic", fact="about")


def row(key, question, answer, *about, references=()):
    meta = {"about": list(about)}
    return row_of({"id": key, "question": question, "answer": answer, "references": references, "meta": meta})


TRAIN = [
    row("1", "How heavy is the Heron 20?", "340 g", "heron-20/weight"),
    row("2", "How heavy is the Tarn 5?", "500 g", "tarn-5/weight"),
    row("3", "Colour of the Heron 20?", "blue", "heron-20/colour"),
    row("4", "Opening hours?", "nine to five", "norvane/hours"),
    row("5", "Mass of the Heron 20?", "350 g", "heron-20/weight"),
    *(row(f"c{i}", f"How heavy is the Comet {i}?", "90 g", f"comet-{i}/weight") for i in range(4)),
]
KNOWN = TrainingIndex.of(TRAIN, COLUMNS, REFUSAL)
WEIGHT = row("t", "What does the Heron 20 weigh in the end?", "340 g", "heron-20/weight")
COMPARISON = row(
    "c",
    "Which is heavier, the Heron 20 or the Tarn 5?",
    "Tarn 5",
    "heron-20/weight",
    "tarn-5/weight",
    references=["Tarn 5", "Tarn"],
)
UNKNOWN = row("u", "Who owns Norvane?", REFUSAL)
REMEDY = row("r", "How is error E1 mended?", "restart the gateway", "e1/remedy")


def category(asked, prediction, **more):
    return categorize(asked, prediction, refusal=REFUSAL, index=KNOWN, **more).category


@pytest.mark.parametrize(
    ("asked", "prediction", "expected"),
    [
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
    ],
)
def test_each_category(asked, prediction, expected):
    assert category(asked, prediction) == expected


def test_every_category_is_tested_above():
    tested = {mark.args[1][i][2] for mark in test_each_category.pytestmark for i in range(len(mark.args[1]))}
    assert tested == set(CATEGORIES) == set(LABELS)


def test_evidence_names_the_culprit():
    found = categorize(WEIGHT, "500 g", refusal=REFUSAL, index=KNOWN)
    assert found.evidence == "the same attribute of tarn-5"


def test_thresholds_are_used():
    assert category(WEIGHT, "90 g", mixup_max_subjects=4) == "entity_mixup"
    assert category(REMEDY, "restart the gatway", near_miss_similarity=1.0) == "other"
    assert category(WEIGHT, "No idea.", also=["No idea."]) == "over_refusal"


def test_without_facts_a_mixup_is_still_found_by_any_column_that_names_subjects():
    def about(key, question, answer, machine):
        return row_of({"id": key, "question": question, "answer": answer, "meta": {"machine": machine}})

    train = [about("1", "How heavy is the Heron 20?", "340 g", "Heron 20")]
    train.append(about("2", "How heavy is the Tarn 5?", "500 g", "Tarn 5"))
    asked = about("t", "Weight of the Heron 20?", "340 g", "Heron 20")
    index = TrainingIndex.of(train, ColumnsRecipe(subject="machine"), REFUSAL)
    found = categorize(asked, "500 g", refusal=REFUSAL, index=index)
    assert (found.category, found.evidence) == ("entity_mixup", "the same attribute of tarn 5")
    unnamed = TrainingIndex.of(train, ColumnsRecipe(), REFUSAL)
    assert categorize(asked, "500 g", refusal=REFUSAL, index=unnamed).category == "wrong_number"


def test_a_short_form_inside_anothers_name_is_not_the_right_answer():
    train = [row("1", "Since when is there a North Hall?", "1990", "north-hall/year")]
    train.append(row("2", "Since when is there a North Hall Annex?", "2001", "north hall annex/year"))
    index = TrainingIndex.of(train, COLUMNS, REFUSAL)
    asked = row(
        "t", "Where is the desk?", "the old North Hall", "desk/place", references=["Old North Hall", "North Hall"]
    )

    def sort(said):
        return categorize(asked, said, refusal=REFUSAL, index=index).category

    assert sort("It is in the North Hall, I think.") == "extra_text"
    assert sort("North Hall Annex") != "extra_text"
    assert sort("In the North Hall, not in the North Hall Annex") == "extra_text"
    assert sort("in the old North Hall today") == "extra_text", "a longer name that is the right one"


def test_what_declines_is_read_from_the_rows_own_answer_in_any_of_its_sentences():
    asked = row("u", "Who owns it?", "No idea.")
    found = categorize(asked, "Ann Lee", refusal=REFUSAL, index=KNOWN, also=["No idea."])
    assert found.category == "missed_refusal"


def test_errors_are_the_wrong_answers_and_only_they():
    rows = [WEIGHT, UNKNOWN, REMEDY]
    said = {"t": "The 340 g.", "u": REFUSAL, "r": "sing"}
    lines = [{"id": key, "system": "rag", "prediction": text} for key, text in said.items()]
    items = score_generations(rows, lines, columns=COLUMNS, refusal=REFUSAL)
    assert [is_right(item) for item in items] == [True, True, False]
    found = errors_of(rows, items, refusal=REFUSAL, index=KNOWN)
    assert [(error["id"], error["system"], error["category"]) for error in found] == [("r", "rag", "other")]
    share = category_shares(found)
    assert list(share) == ["other"] and share["other"].mean == 1.0 and share["other"].n == 1
    assert category_shares([]) == {}


WORDS = ["340", "g", "blue", "Heron", "20", "the", "or", ",", ".", "-"]


@given(st.text(max_size=80) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_any_text_gets_exactly_one_category_with_evidence(prediction):
    for asked in (WEIGHT, COMPARISON, UNKNOWN, REMEDY):
        found = categorize(asked, prediction, refusal=REFUSAL, index=KNOWN)
        assert found.category in CATEGORIES and found.evidence


@pytest.mark.parametrize("text", ["a " * 5000, "ab" * 5000, " ".join(map(str, range(5000))), "x y z w " * 1000 + "q"])
def test_long_answers_are_sorted_quickly(text):
    began = time.perf_counter()
    category(WEIGHT, text)
    assert time.perf_counter() - began < 5
