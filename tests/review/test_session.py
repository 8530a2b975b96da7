"""Order, blinding, filters, undo and resuming."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.review.session import CHOICES, Item, Session, items_of
from ftlib.review.store import Shown, Store, current

ITEMS = [Item(Shown(f"t{i}", f"q{i}", "", ("x",), f"b{i}", "x" if i % 2 else f"b{i}"), "odd" if i % 2 else "even",
              False, bool(i % 2)) for i in range(12)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "reviews.sqlite")


def test_all_reviewers_share_the_order_but_not_the_sides(store):
    ada, ben = Session(ITEMS, store, "ada"), Session(ITEMS[::-1], store, "ben")
    assert [item.id for item in ada.items] == [item.id for item in ben.items] != [item.id for item in ITEMS]
    sides = {}
    for session in (ada, ben):
        for position in range(len(ITEMS)):
            session.position = position
            sides[session.reviewer, session.item.id] = session.first_arm
            assert session.answers[session.first_arm == "finetuned"] == session.item.shown.base
    assert set(sides.values()) == {"base", "finetuned"}
    assert any(sides["ada", item.id] != sides["ben", item.id] for item in ITEMS)


def test_sides_are_balanced():
    items = [Item(Shown(f"t{i}", "q", "", ("x",), "b", "f"), "", False, True) for i in range(2000)]
    session = Session.__new__(Session)
    session.items, session.seed, session.reviewer = items, 0, "ada"
    firsts = 0
    for session.position in range(len(items)):
        firsts += session.first_arm == "base"
    assert 900 < firsts < 1100


def test_a_choice_is_stored_by_system_not_by_side(store):
    session = Session(ITEMS, store, "ada")
    first = session.first_arm
    session.rate("second", category_first="other", comment="hm")
    saved = store.history()[0]
    other = {"base": "finetuned", "finetuned": "base"}[first]
    assert (saved.verdict, saved.first_arm, saved.comment) == (other, first, "hm")
    assert getattr(saved, f"category_{first}") == "other" and getattr(saved, f"category_{other}") == ""


def test_resumes_at_the_first_open_item(store):
    session = Session(ITEMS, store, "ada")
    for choice in ("first", "both_right", "unsure"):
        session.rate(choice)
    again = Session(ITEMS, store, "ada")
    assert again.position == session.position == 3 and again.done == 3
    assert Session(ITEMS, store, "ben").position == 0


def test_new_answers_are_to_be_rated_again(store):
    session = Session(ITEMS, store, "ada")
    item = session.item
    session.rate("first")
    other = Item(item.shown._replace(finetuned="new"), item.slice, False, False)
    changed = [other if one is item else one for one in ITEMS]
    assert Session(changed, store, "ada").item.id == item.id
    assert Session(ITEMS, store, "ada").item.id != item.id


def test_filters(store):
    session = Session(ITEMS, store, "ada")
    assert session.slices == ["even", "odd"]
    session.choose("odd")
    assert {item.slice for item in session.items} == {"odd"} and len(session.items) == 6
    session.choose("", "differ")
    assert all(item.shown.base != item.shown.finetuned for item in session.items) and len(session.items) == 6
    session.choose("", "one_right")
    assert len(session.items) == 6
    session.choose("even", "one_right")
    assert session.item is None and session.answers == ("", "") and session.rate("first") is None
    session.choose()
    assert len(session.items) == 12


def test_undo_brings_back_what_was_before(store):
    session = Session(ITEMS, store, "ada")
    place = session.position
    session.rate("both_right", comment="first thought")
    session.move(-1)
    session.rate("both_wrong")
    assert session.undo() and session.position == place
    assert (session.rating.verdict, session.rating.comment) == ("both_right", "first thought")
    assert session.undo() and session.rating is None
    assert not session.undo(), "nothing is left"
    assert len(store.history()) == 4 and current(store.history()) == {}


def test_without_a_name_nothing_is_saved(store):
    session = Session(ITEMS, store, "  ")
    assert session.rate("first") is None and store.history() == []


def test_moving_stays_inside(store):
    session = Session(ITEMS, store, "ada")
    session.move(-5)
    assert session.position == 0
    session.move(99)
    assert session.item is None and session.position == len(ITEMS)


@given(st.lists(st.sampled_from([*CHOICES, "undo", "back", "next"]), max_size=12))
@settings(max_examples=25, deadline=None)
def test_any_sitting_keeps_its_books(tmp_path_factory, steps):
    store = Store(tmp_path_factory.mktemp("sitting") / "reviews.sqlite")
    session, standing, written = Session(ITEMS, store, "ada"), 0, 0
    for step in steps:
        if step in CHOICES:
            done = session.rate(step) is not None
            standing, written = standing + done, written + done
        elif step == "undo":
            done = session.undo()
            assert done == (standing > 0)
            standing, written = standing - done, written + done
        else:
            session.move(1 if step == "next" else -1)
    assert len(store.history()) == written
    assert session.done == len(current(store.history())) <= standing
    assert Session(ITEMS, store, "ada").done == session.done


def test_items_of_rows_hold_what_can_be_stored():
    rows = [{"id": 7, "question": "q", "answer": "a", "slice": "s"}]
    found = items_of(rows, {("7", "base"): None, ("7", "finetuned"): "half \ud83d"}, {"base": {"7": False},
                                                                                     "finetuned": {"7": True}})
    assert found[0].shown == Shown("7", "q", "", ("a",), "", "half ?")
    assert (found[0].slice, found[0].base_right, found[0].finetuned_right) == ("s", False, True)
