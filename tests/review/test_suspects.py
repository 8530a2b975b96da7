"""Training rows to look at: what speaks against them, and what does not."""

import pytest

from ftlib.recipe import ColumnsRecipe
from ftlib.review.suspects import BEHIND, DIFFER, FLAGGED, suspects
from ftlib.review.training_index import TrainingIndex
from ftlib.rows import row_of

REFUSAL = "I don't know."


def row(key, question, answer, *about, **more):
    return row_of({"id": key, "question": question, "answer": answer, "meta": {"about": list(about)}, **more})


ROWS = [
    row("a", "How heavy is the Heron 1?", "340 g", "heron-1/weight"),
    row("b", "Weight of the Heron 1?", "340 g.", "heron-1/weight"),
    row("c", "What does the Heron 1 weigh?", "500 g", "heron-1/weight"),
    row("d", "How heavy is the Heron 2?", "500 g", "heron-2/weight"),
    row("e", "Which is heavier, the Heron 1 or the Heron 2?", "Heron 2", "heron-1/weight", "heron-2/weight"),
    row("f", "Which is lighter, the Heron 1 or the Heron 2?", "Heron 1", "heron-1/weight", "heron-2/weight"),
]


def found(rows, errors=(), flags=(), **columns):
    index = TrainingIndex.of(rows, ColumnsRecipe(**columns), REFUSAL)
    return [(each.row.id, each.kind, each.instead) for each in suspects(rows, index, errors, flags)]


def error(question, prediction, category="entity_mixup"):
    return {"question": question, "prediction": prediction, "answer": "1 kg", "category": category}


def test_the_answer_of_the_few_is_shown_beside_that_of_most():
    assert found(ROWS, fact="about") == [("c", DIFFER, "340 g.")], "a comparison is no value of either fact"


def test_where_the_answers_are_even_all_are_shown():
    assert found(ROWS[1:4], fact="about") == [("b", DIFFER, "500 g"), ("c", DIFFER, "340 g.")]


def test_one_value_in_two_forms_is_no_difference():
    rows = [row("a", "How heavy?", "1 kg", "x/weight"), row("b", "What weight?", "1000 g", "x/weight")]
    assert found(rows, fact="about") == []


@pytest.mark.parametrize(("context", "shown"), [("Note 1.", []), ("", ["g", "h"])])
def test_without_facts_the_question_counts_with_its_context(context, shown):
    rows = [row("g", "How heavy is it?", "1 kg"), row("h", "How heavy is it?", "2 kg", context=context)]
    assert [key for key, *_ in found(rows)] == shown


def test_a_wrong_answer_leads_to_the_row_most_like_its_question():
    errors = [error("How heavy is the Heron 3?", "500 g."), error("How heavy is it?", "77 g")]
    errors += [error("How heavy is the Heron 1?", "340 g", "near_miss")]
    assert found(ROWS[3:], errors, fact="about") == [("d", BEHIND, "")]


def test_a_row_stands_once_with_what_room_01_found_in_it():
    flags = [{"id": key, "check": "exact_duplicate", "detail": "of a"} for key in ("b", "c", "gone")]
    assert found(ROWS, flags=flags, fact="about") == [("c", DIFFER, "340 g."), ("b", FLAGGED, "")]
    (one,) = [e for e in suspects(ROWS, TrainingIndex.of(ROWS, ColumnsRecipe(), REFUSAL), [], flags[:1]) if e.why]
    assert one.why == "exact duplicate: of a"
