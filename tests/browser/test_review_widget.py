"""The review widget in a real JupyterLab and a real browser: clicks and keys become rows, a restart loses nothing."""

import os
from pathlib import Path

import pytest

from ftlib.review.store import Store, current_ratings

pytestmark = pytest.mark.browser

WAIT_MS = 120_000  # a kernel starts slowly on a busy machine
CELL = """
from ftlib.review.session import items_of
from ftlib.review.store import Store
from ftlib.review.widget import ReviewWidget
from ftlib.rows import Turn, row_of
hostile = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> heavy & big"
rows = [row_of({"id": f"t{i}", "question": f"How heavy is the Heron {i}?", "answer": f"{i}00 g", "meta": {"topic": s}})
        for s, places in (("weights", range(1, 7)), ("policy", range(7, 9))) for i in places]
rows = [row._replace(turns=(Turn("user", f"Before: {hostile}"), *row.turns)) for row in rows]
predictions = {(r.id, name): text for r in rows for name, text in (("few_shot", hostile), ("rag_ft", r.answer))}
right = {"few_shot": {r.id: False for r in rows}, "rag_ft": {r.id: True for r in rows}}
ReviewWidget(items_of(rows, predictions, right, "topic"), Store("reviews.sqlite"), reviewer="ada", goal=6)
"""


@pytest.fixture
def notebook(lab) -> Path:
    """A notebook that shows the widget; its folder holds the ratings."""
    return lab.write("review", [CELL.strip()])


@pytest.fixture
def page(lab, chromium, notebook):
    """The notebook, opened and run in Chromium, the widget on the screen."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    page.goto(lab.url(notebook))
    page.locator(".jp-Notebook").first.wait_for()
    page.locator("#jp-main-statusbar", has_text="| Idle").wait_for()  # before that JupyterLab asks which kernel
    lab.execute(page, "notebook:run-all-cells")
    try:
        page.locator(".ft-review .ft-answer").nth(1).wait_for()
        yield page
    finally:
        if folder := os.environ.get("FTLIB_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/review_widget_last.png")


def _saved(page, count: int) -> None:
    page.locator(".ft-review .ft-status", has_text=f"Saved (rating {count})").wait_for()


def test_clicks_and_keys_become_rows_and_a_restart_resumes(lab, page, notebook) -> None:
    """The story of one sitting; the steps build on each other."""
    store = Store(notebook.parent / "reviews.sqlite")
    review = page.locator(".ft-review").first
    first_question = review.locator(".ft-question .ft-text").inner_text()

    # Generated text is shown as text, never run.
    assert "<script>" in review.locator(".ft-answer", has_text="heavy & big").inner_text()
    assert "<script>" in review.locator(".ft-history .ft-text").inner_text()
    assert page.evaluate("window.hacked") is None
    shown = review.inner_text()
    assert "few_shot" not in shown and "rag_ft" not in shown
    if folder := os.environ.get("FTLIB_SCREENSHOTS"):
        review.screenshot(path=f"{folder}/review_widget.png")

    review.get_by_role("button", name="Answer 1 is better").click()
    _saved(page, 1)
    assert review.locator(".ft-question .ft-text").inner_text() != first_question
    rating = store.history()[0]
    assert (rating.reviewer, rating.verdict) == ("ada", rating.first_system)
    assert store.shown()[rating.version].question == first_question

    review.locator("select").nth(2).select_option(label="Wrong unit")
    review.locator("textarea").fill("grams, not <kg>")
    review.get_by_role("button", name="Both wrong").click()
    _saved(page, 2)
    second = store.history()[1]
    assert second.comment == "grams, not <kg>"
    assert list(second.categories.values()) == ["wrong_unit"]

    # Keys, typed without a pause: each counts once, and none reaches the notebook.
    keys = review.locator(".ft-keys input")
    keys.click()
    keys.press_sequentially("35u", delay=15)
    review.locator(".ft-status", has_text="Taken back").wait_for()
    verdicts = [r.verdict for r in store.history()]
    assert verdicts == [rating.verdict, "both_wrong", "both_right", "unsure", "withdrawn"]
    assert store.history()[-1].undoes == 4
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == 1
    standing = review.locator(".ft-question .ft-text").inner_text()

    # A new kernel knows nothing but the file: it goes on at the same question.
    lab.execute(page, "runmenu:restart-and-run-all")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    review.wait_for(state="detached")
    page.locator(".ft-review .ft-answer").nth(1).wait_for()
    again = page.locator(".ft-review").first
    assert again.locator(".ft-question .ft-text").inner_text() == standing
    assert "3 rated of 6" in again.locator(".ft-counts").inner_text()
    assert len(current_ratings(store.history())) == 3

    again.locator("select").nth(0).select_option(label="policy")
    again.locator(".ft-counts", has_text="of 2").wait_for()
