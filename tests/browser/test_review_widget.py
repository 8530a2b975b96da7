"""The review widget in a real JupyterLab and a real browser: clicks and keys become rows, a restart loses nothing."""

import os
from pathlib import Path

import pytest

from ftlib import jsonl
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
ROWS_CELL = """
from ftlib.review.decisions import row_items
from ftlib.review.row_widget import RowWidget
from ftlib.review.store import Store
from ftlib.review.suspects import DIFFER, Suspect
from ftlib.rows import row_of
rows = [row_of({"id": f"r{i}", "question": f"How heavy is the Heron {i}?", "answer": "<b>500 g</b>"}) for i in range(3)]
found = [Suspect(row, DIFFER, "2 of 3 rows about the same answer '340 g'", "340 g") for row in rows]
RowWidget(row_items(found), Store("reviews.sqlite"), reviewer="ada", goal=3)
"""


@pytest.fixture
def notebook(lab, request) -> Path:
    """A notebook that shows the widget (that of the answers unless the test asks otherwise), beside its ratings."""
    return lab.write(request.function.__name__, [getattr(request, "param", CELL).strip()])


@pytest.fixture
def page(lab, chromium, notebook):
    """The notebook, opened and run in Chromium, the widget on the screen."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    lab.run_all(page, notebook)
    try:
        page.locator(".ft-review .ft-answer:visible").first.wait_for()  # of a training row there is one
        yield page
    finally:
        if folder := os.environ.get("FTLIB_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/review_widget_last.png")


def _saved(page, count: int) -> None:
    page.locator(".ft-review .ft-status", has_text=f"Saved (rating {count})").wait_for()


def _click_into(page, field, share: float = 0.5) -> None:
    """A real click of the mouse, so far from the field's left end as `share` of its width says."""
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


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
    _click_into(page, keys)
    page.keyboard.type("35u", delay=15)
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
    assert "rated 3 of the 6 questions" in again.locator(".ft-counts").inner_text()
    assert len(current_ratings(store.history())) == 3

    again.locator("select").nth(0).select_option(label="policy")
    again.locator(".ft-counts", has_text="of 2").wait_for()


def test_mouse_and_keys_mixed_lose_no_key_and_no_comment(page, notebook) -> None:
    """Whoever changes between mouse and keys goes on: each key counts once, wherever the mouse was in between."""
    store = Store(notebook.parent / "reviews.sqlite")
    review = page.locator(".ft-review").first
    keys, comment = review.locator(".ft-keys input"), review.locator("textarea")
    for saved, (key, share) in enumerate([("3", 0.5), ("4", 0.02), ("3", 0.3), ("5", 0.98)], start=1):
        _click_into(page, keys, share)  # the caret may not go where the mouse was
        page.keyboard.press(key)
        _saved(page, saved)
    assert [each.verdict for each in store.history()] == ["both_right", "both_wrong", "both_right", "unsure"]

    review.get_by_role("button", name="Both right").click()
    _saved(page, 5)
    comment.click()
    page.keyboard.type("135 u", delay=15)  # keys typed into the comment are a comment
    _click_into(page, keys, 0.2)
    page.keyboard.press("4")
    _saved(page, 6)
    assert store.history()[-1].comment == "135 u"
    page.keyboard.press("u")
    review.locator(".ft-status", has_text="Taken back").wait_for()
    assert comment.input_value() == "135 u"

    comment.click()
    page.keyboard.press("Home")
    page.keyboard.type("now: ")
    page.keyboard.press("Tab")
    keys.focus()
    keys.select_text()  # as Tab does: the next key types over all that stood there
    page.keyboard.press("4")
    _saved(page, 8)
    assert store.history()[-1].comment == "now: 135 u"
    page.keyboard.press("Home")
    page.keyboard.press("5")
    _saved(page, 9)
    assert [each.verdict for each in store.history()][4:] == [
        "both_right", "both_wrong", "withdrawn", "both_wrong", "unsure",
    ]  # fmt: skip
    review.get_by_role("button", name="Export").click()
    review.locator(".ft-status", has_text="Exported: 7 ratings").wait_for()
    assert (notebook.parent / "reviews.jsonl").read_text().count("\n") == 7


@pytest.mark.parametrize("notebook", [ROWS_CELL], indirect=True)
def test_flagged_rows_are_kept_mended_and_dropped(page, notebook) -> None:
    """By mouse and by key; the mended answer is what stands in its field, and the decisions are written out."""
    store = Store(notebook.parent / "reviews.sqlite")
    review = page.locator(".ft-review").first
    shown = review.inner_text()
    assert "2 of 3 rows about the same answer '340 g'" in shown and "<b>500 g</b>" in shown
    if folder := os.environ.get("FTLIB_SCREENSHOTS"):
        review.screenshot(path=f"{folder}/row_widget.png")
    mended = review.locator("textarea").nth(0)
    assert mended.input_value() == "340 g"
    mended.fill("341 g")
    review.get_by_role("button", name="Mend: take the answer typed here").click()
    _saved(page, 1)
    _click_into(page, review.locator(".ft-keys input"))
    page.keyboard.type("31", delay=15)
    _saved(page, 3)
    assert [(each.verdict, dict(each.categories)) for each in store.history()] == [
        ("mend", {"mend": "341 g"}), ("drop", {"mend": "340 g"}), ("keep", {"mend": "340 g"}),
    ]  # fmt: skip
    assert "You have rated 3 of the 3 rows" in review.locator(".ft-counts").inner_text()
    review.get_by_role("button", name="Export").click()
    review.locator(".ft-status", has_text="Exported: 3 decisions").wait_for()
    lines = {line["decision"]: line["answer"] for line in jsonl.iterate(notebook.parent / "decisions.jsonl")}
    assert lines == {"mend": "341 g", "drop": "", "keep": ""}


def test_a_narrow_window_shows_all_of_it(page) -> None:
    review = page.locator(".ft-review").first
    page.set_viewport_size({"width": 620, "height": 1000})
    page.wait_for_function("document.querySelector('.ft-review').clientWidth < 560")
    assert review.evaluate("box => box.scrollWidth <= box.clientWidth")
    tops = [box.bounding_box()["y"] for box in review.locator(".ft-answer").all()]
    assert tops[1] > tops[0], "one answer below the other"
    if folder := os.environ.get("FTLIB_SCREENSHOTS"):
        review.screenshot(path=f"{folder}/review_widget_narrow.png")
