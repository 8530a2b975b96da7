"""The widget without a browser: what it shows, what a click or a key does."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib import jsonl
from ftlib.review import cards
from ftlib.review.schema import Shown
from ftlib.review.session import Item
from ftlib.review.store import Store
from ftlib.review.taxonomy import CATEGORIES
from ftlib.review.widget import BUTTONS, CATEGORY_OPTIONS, NO_KEY, ReviewWidget, new_keys
from ftlib.rows import Turn

SYSTEMS = {"few_shot", "rag"}
HOSTILE = "</div><script>alert(1)</script> & \"'"


class Tags(HTMLParser):
    """Collects the tags and the text of a piece of HTML."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def items():
    right, answers = {"few_shot": False, "rag": True}, {"few_shot": HOSTILE, "rag": "340 g"}
    return [Item(Shown(f"t{i}", f"{HOSTILE} {i}", (), "", ("340 g",), answers), f"s{i % 2}", right) for i in range(6)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "reviews.sqlite")


@pytest.fixture
def widget(items, store):
    return ReviewWidget(items, store, reviewer="ada", goal=4)


@given(st.text(max_size=50))
def test_no_text_becomes_markup(text):
    shown = Shown("t", text, (Turn("user", text), Turn(text, text)), text, (text,), {})
    for made in (
        cards.question_card(shown, text),
        cards.answer_card(text, text),
        cards.status_line(text, problem=True),
    ):
        assert set(Tags(made).tags) <= {"div", "span", "b"}
    assert (
        text.strip() in Tags(cards.answer_card(text, text)).text or not text.strip() or "\r" in text or "\x00" in text
    )


def test_hostile_texts_are_shown_as_text(widget):
    shown = widget._question.value + "".join(answer.value for answer in widget._answers)
    assert "<script>" not in shown and "&lt;script&gt;" in shown
    assert HOSTILE in Tags(shown).text


def test_nothing_shown_names_a_system(widget):
    shown = widget._question.value + widget._progress.value + "".join(answer.value for answer in widget._answers)
    assert not any(name in shown for name in SYSTEMS)


def test_a_multi_turn_question_shows_what_was_said_before_as_text():
    history = (
        Turn("system", "Be brief."),
        Turn("user", f"I have the kettle {HOSTILE}"),
        Turn("assistant", "<i>Ask</i>"),
    )
    made = cards.question_card(Shown("t", "And its weight?", history, "the manual", ("340 g",), {}))
    assert "<script>" not in made and "<i>" not in made
    text = Tags(made).text
    places = [
        text.index(part) for part in ("Be brief.", HOSTILE, "<i>Ask</i>", "And its weight?", "the manual", "340 g")
    ]
    assert places == sorted(places), "in the order in which it was said"
    assert "Before that" not in cards.question_card(Shown("t", "q", (), "", ("a",), {}))


@pytest.mark.parametrize(("choice", "key"), [(choice, key) for choice, key, _ in BUTTONS])
def test_a_click_and_a_key_do_the_same(widget, store, choice, key):
    widget._verdicts[choice].click()
    widget._keys.value = key
    clicked, typed = store.history()
    assert clicked.item != typed.item
    sides = [
        rating.verdict == rating.first_system if rating.verdict in SYSTEMS else rating.verdict
        for rating in (clicked, typed)
    ]
    assert sides[0] == sides[1]
    assert "You have rated 2 of the 4 questions that you are asked to rate; 6 pass" in Tags(widget._progress.value).text


def test_fast_typing_counts_each_key_once(widget, store):
    for text in ("1", "13", "134", "134u", "134ux"):
        widget._keys.value = text
    assert [rating.undoes is not None for rating in store.history()] == [False, False, False, True]
    widget._keys.value = ""
    widget._keys.value = "5"
    assert store.history()[-1].verdict == "unsure"


@pytest.mark.parametrize(
    ("before", "now", "typed"),
    [
        ("13", "135", "5"),
        ("13", "513", "5"),  # the caret stood at the beginning
        ("13", "153", "5"),
        ("13", "1u3", "u"),
        ("11", "111", "1"),
        ("13", "1", ""),  # backspace types nothing
        ("", "", ""),
    ],
)
def test_keys_count_wherever_the_caret_stands(before, now, typed):
    assert new_keys(NO_KEY + before, NO_KEY + now) == typed
    assert new_keys(NO_KEY + before, typed + NO_KEY + before) == typed, "at the very beginning"


@pytest.mark.parametrize(
    ("before", "now", "typed"), [("13", "1", "1"), ("13", "3", "3"), ("1", "1", "1"), ("", "", "")]
)
def test_keys_count_when_all_that_stood_there_was_typed_over(before, now, typed):
    assert new_keys(NO_KEY + before, now) == typed


@given(st.text("12345upn", max_size=4), st.text("12345upn", min_size=1, max_size=3), st.integers(0, 4))
def test_no_key_is_lost_or_counted_twice(before, typed, caret):
    now = NO_KEY + before[:caret] + typed + before[caret:]
    assert sorted(new_keys(NO_KEY + before, now)) == sorted(typed)


def test_a_field_that_was_typed_over_rates_and_goes_on(widget, store):
    widget._keys.value += "1"
    widget._keys.value = "1"  # all marked, then the same key again
    widget._keys.value += "5"
    assert len(store.history()) == 3 and store.history()[-1].verdict == "unsure"


def test_category_and_comment_are_saved_and_come_back(widget, store):
    widget._said_below[0].value = "near_miss"
    widget._comment.value = "  one letter  "
    widget._verdicts["both_wrong"].click()
    assert (widget._said_below[0].value, widget._comment.value) == ("", ""), "the next question starts empty"
    widget._back.click()
    assert (widget._said_below[0].value, widget._comment.value) == ("near_miss", "one letter")
    assert "You rated this question before: Both wrong" in widget._status.value


def test_undo_keeps_what_was_chosen_and_typed(widget, store):
    asked = widget.session.item.id
    widget._said_below[1].value = "wrong_unit"
    widget._comment.value = "kg, not g"
    widget._verdicts["both_wrong"].click()
    widget._comment.value = "half a thought on the next one"
    widget._undo.click()
    assert widget.session.item.id == asked and widget.session.rating is None and "Taken back" in widget._status.value
    assert (widget._said_below[1].value, widget._comment.value) == ("wrong_unit", "kg, not g")
    widget._verdicts["first"].click()
    again = store.history()[-1]
    assert (again.item, again.comment, list(again.categories.values())) == (asked, "kg, not g", ["wrong_unit"])
    assert widget._comment.value == "half a thought on the next one"


def test_what_is_typed_stays_with_its_question_and_its_reviewer(widget):
    widget._comment.value = "ada's"
    widget._next.click()
    assert widget._comment.value == ""
    widget._back.click()
    assert widget._comment.value == "ada's"
    widget._name.value = "ben"
    assert widget._comment.value == ""
    widget._name.value = "ada"
    assert widget._comment.value == "ada's"


def test_export_writes_what_counts_and_says_where(widget, store):
    widget._verdicts["first"].click()
    widget._verdicts["unsure"].click()
    widget._undo.click()
    widget._export.click()
    (line,) = jsonl.read(store.path.with_suffix(".jsonl"))
    assert line["reviewer"] == "ada" and line["verdict"] == line["first_system"] and set(line["answers"]) == SYSTEMS
    assert "Exported: 1 ratings" in widget._status.value and "reviews.jsonl" in widget._status.value
    store.path.with_suffix(".jsonl").unlink()
    store.path.with_suffix(".jsonl").mkdir()
    widget._export.click()
    assert "Not exported" in widget._status.value


def test_a_note_stands_above_the_questions_as_text(items, store):
    shown = [child.value for child in ReviewWidget(items, store, note=HOSTILE).box.children if hasattr(child, "value")]
    assert any(HOSTILE in Tags(each).text for each in shown) and not any("<script>" in each for each in shown)


def test_a_new_widget_resumes(widget, items, store):
    widget._verdicts["first"].click()
    standing = widget.session.item.id
    again = ReviewWidget(items, store, reviewer="ada")
    assert again.session.item.id == standing and again.session.done == 1


def test_without_a_name_the_buttons_wait(items, store):
    widget = ReviewWidget(items, store)
    assert all(button.disabled for button in widget._verdicts.values()) and "Write your name" in widget._status.value
    widget._keys.value = "1"
    assert store.history() == []
    widget._name.value = "ben"
    assert not widget._verdicts["first"].disabled
    widget._verdicts["first"].click()
    assert store.history()[0].reviewer == "ben"


def test_filters_and_the_end(widget):
    widget._slice.value = "s1"
    assert len(widget.session.items) == 3
    for _ in range(3):
        widget._verdicts["both_right"].click()
    assert "All 3 questions" in widget._question.value
    assert all(button.disabled for button in widget._verdicts.values()) and not widget._back.disabled


def test_a_rating_that_cannot_be_saved_stays_on_the_screen(widget, store):
    widget._comment.value = "typed with care"
    for file in store.path.parent.glob("reviews.sqlite*"):
        file.unlink()
    store.path.mkdir()
    before = widget.session.item.id
    widget._verdicts["first"].click()
    assert "Not saved" in widget._status.value and "ft-problem" in widget._status.value
    assert widget.session.item.id == before and widget._comment.value == "typed with care"


def test_all_categories_are_offered():
    assert {name for _, name in CATEGORY_OPTIONS} == {"", "acceptable", *CATEGORIES}


def test_it_displays_as_a_widget(widget):
    data = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in (data[0] if isinstance(data, tuple) else data)


def test_preview_is_complete_html():
    made = cards.preview_card(Shown("t", HOSTILE, (), "context", ("340 g", "0.34 kg"), {}), (HOSTILE, ""), "a_slice")
    assert "Answer 1" in made and "Answer 2" in made and "(empty)" in made and "a slice" in made
    assert "A preview:" in made
    assert "<script>" not in made
