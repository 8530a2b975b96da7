"""The page's widget without a browser: which systems it asks, what it shows, what it escapes."""

from __future__ import annotations

import pytest

from ftlib.ask.standing import open_run
from ftlib.serve import sheets
from ftlib.serve.page import AskPage, answer_of, example_rows, usual_systems
from ftlib.systems import System
from tests.ask.conftest import COLOURS, run_dir  # noqa: F401

SYSTEM = System("a", "<i>A</i>", None, "question", None)
TOLD = {"answer": "<b>1</b>", "error": "", "seconds": 0.5, "passages": None, "is_cut": False, "declined": None}


@pytest.fixture(scope="module")
def page(run_dir):  # noqa: F811
    """A page over three systems that were really loaded."""
    return AskPage.of(run_dir)


def test_base_adapter_and_passages_stand_side_by_side(page, run_dir):  # noqa: F811
    assert [(s.adapter, s.prompt) for s in usual_systems(open_run(run_dir))] == [
        (None, "question"),
        ("trained", "question"),
        (None, "retrieved"),
    ]
    assert len(page.cards) == 3 and len(page.offered) == 4


def test_one_question_is_answered_by_all_and_asked_once(page):
    question = page.offered[0].description
    product, colour = next((name, colour) for name, colour in COLOURS.items() if name in question)
    page.question.value = question  # as Enter does
    base, tuned, rag = (card.value for card in page.cards)
    assert f'<div class="ft-text ft-answer">{colour}</div>' in tuned and colour not in base
    assert f"The {product} is {colour}." in rag and "passage" not in tuned
    assert f"The test set expects: {colour}" in page.expected.value and not page.button.disabled
    page.cards[1].value = ""
    page.button.click()
    assert page.cards[1].value == "", "the same question is not asked again"
    page.question.value = "Something else entirely?"
    assert page.cards[1].value and page.expected.value == ""


def test_an_offered_question_is_asked_by_a_click(page):
    page.offered[1].click()
    assert page.question.value == page.offered[1].description
    assert "The test set expects" in page.expected.value


def test_a_question_that_is_too_long_is_an_error_in_the_card(page):
    (system, *_) = page.asker.systems.values()
    told = answer_of(page.asker, system, "long " * 600)
    assert "tokens" in told.error and told.answer == ""
    assert "ft-problem" in sheets.told_card(system, told._asdict())


def test_the_examples_stand_alone_and_a_run_without_a_test_set_offers_none(run_dir, tmp_path):  # noqa: F811
    run = open_run(run_dir)
    assert all(len(row.turns) == 1 and not row.context for row in example_rows(run))
    (tmp_path / "recipe.yaml").write_bytes((run_dir / "recipe.yaml").read_bytes())
    assert example_rows(open_run(tmp_path)) == []


def test_every_text_of_a_card_is_escaped():
    bad = "<script>alert(1)</script>"
    told = TOLD | {"answer": bad, "passages": ((bad, bad),), "declined": bad}
    shown = sheets.told_card(SYSTEM, told) + sheets.told_card(SYSTEM, TOLD | {"error": bad})
    shown += sheets.expected_card([bad]) + sheets.title_card(bad, bad) + sheets.waiting_card(SYSTEM)
    assert "<script" not in shown and "<i>A" not in shown
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 8


def test_an_empty_answer_and_a_cut_passage_are_said():
    assert "(an empty answer)" in sheets.told_card(SYSTEM, TOLD | {"answer": " \n"})
    cut = sheets.told_card(SYSTEM, TOLD | {"passages": (("p", "text"),), "is_cut": True})
    assert "cut in the prompt" in cut and "1 passage shown" in cut
    assert "No passage was found" in sheets.told_card(SYSTEM, TOLD | {"passages": ()})
