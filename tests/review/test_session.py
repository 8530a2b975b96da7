"""Order, blinding, filters, undo and resuming."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.errors import UserError
from ftlib.review.schema import Shown
from ftlib.review.session import CHOICES, Item, Session, items_of
from ftlib.review.store import Store, current_ratings
from ftlib.rows import Turn, row_of

PAIR = ("few_shot", "rag")


def item(key, first, second, slice_name="", right=(False, True)):
    shown = Shown(key, f"q{key}", (), "", ("x",), dict(zip(PAIR, (first, second), strict=True)))
    return Item(shown, slice_name, dict(zip(PAIR, right, strict=True)))


ITEMS = [
    item(f"t{i}", f"b{i}", "x" if i % 2 else f"b{i}", "odd" if i % 2 else "even", (False, bool(i % 2)))
    for i in range(12)
]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "reviews.sqlite")


def test_all_reviewers_share_the_order_but_not_the_sides(store):
    ada, ben = Session(ITEMS, store, "ada"), Session(ITEMS[::-1], store, "ben")
    assert [i.id for i in ada.items] == [i.id for i in ben.items] != [i.id for i in ITEMS]
    sides = {}
    for session in (ada, ben):
        for position in range(len(ITEMS)):
            session.position = position
            sides[session.reviewer, session.item.id] = session.order[0]
            assert session.answers[session.order.index("few_shot")] == session.item.shown.answers["few_shot"]
    assert set(sides.values()) == set(PAIR)
    assert any(sides["ada", each.id] != sides["ben", each.id] for each in ITEMS)


def test_sides_are_balanced():
    items = [item(f"t{i}", "b", "f") for i in range(2000)]
    session = Session.__new__(Session)
    session.items, session.seed, session.reviewer = items, 0, "ada"
    firsts = 0
    for session.position in range(len(items)):
        firsts += session.order[0] == "few_shot"
    assert 900 < firsts < 1100


def test_a_choice_is_stored_by_system_not_by_side(store):
    session = Session(ITEMS, store, "ada")
    first, other = session.order
    session.rate("second", {session.order[0]: "other"}, comment="hm")
    saved = store.history()[0]
    assert (saved.verdict, saved.first_system, saved.comment) == (other, first, "hm")
    assert saved.categories == {first: "other"}


def test_resumes_at_the_first_open_item(store):
    session = Session(ITEMS, store, "ada")
    for choice in ("first", "both_right", "unsure"):
        session.rate(choice)
    again = Session(ITEMS, store, "ada")
    assert again.position == session.position == 3 and again.done == 3
    assert Session(ITEMS, store, "ben").position == 0


def test_new_answers_are_to_be_rated_again(store):
    session = Session(ITEMS, store, "ada")
    rated = session.item
    session.rate("first")
    other = item(rated.id, rated.shown.answers["few_shot"], "new")
    changed = [other if one is rated else one for one in ITEMS]
    assert Session(changed, store, "ada").item.id == rated.id
    assert Session(ITEMS, store, "ada").item.id != rated.id


def test_filters(store):
    session = Session(ITEMS, store, "ada")
    assert session.slices == ["even", "odd"]
    session.choose("odd")
    assert {each.slice for each in session.items} == {"odd"} and len(session.items) == 6
    session.choose("", "differ")
    assert all(len(set(each.shown.answers.values())) == 2 for each in session.items) and len(session.items) == 6
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
    assert len(store.history()) == 4 and current_ratings(store.history()) == {}


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
            done = session.undo() is not None
            assert done == (standing > 0)
            standing, written = standing - done, written + done
        else:
            session.move(1 if step == "next" else -1)
    assert len(store.history()) == written
    assert session.done == len(current_ratings(store.history())) <= standing
    assert Session(ITEMS, store, "ada").done == session.done


def test_items_of_rows_hold_what_can_be_stored():
    asked = row_of({"id": 7, "question": "q", "answer": "a", "context": "c", "meta": {"topic": "s"}})
    asked = asked._replace(turns=(Turn("user", "half \ud83d"), Turn("assistant", "yes"), *asked.turns))
    predictions = {("7", "few_shot"): None, ("7", "rag"): "half \ud83d"}
    right = {"few_shot": {"7": False}, "rag": {"7": True}}
    (found,) = items_of([asked], predictions, right, "topic")
    history = (Turn("user", "half ?"), Turn("assistant", "yes"))
    assert found.shown == Shown("7", "q", history, "c", ("a",), {"few_shot": "", "rag": "half ?"})
    assert (found.slice, found.right) == ("s", {"few_shot": False, "rag": True})
    assert items_of([asked], predictions, right)[0].slice == "", "no column, no slices to choose from"


@pytest.mark.parametrize("names", [("base",), ("base", "unsure"), ("a", "b", "c")])
def test_a_pair_is_two_systems_whose_names_can_stand_for_a_verdict(names):
    with pytest.raises(UserError, match=r"review\.pair"):
        items_of([], {}, {name: {} for name in names})


def test_any_pair_is_reviewed_beside_another_in_one_file(store):
    def sitting(pair, choice):
        shown = Shown("t", "q", (), "", ("x",), {name: f"said by {name}" for name in pair})
        session = Session([Item(shown, "", dict.fromkeys(pair, False))], store, "ada")
        better = session.order[0 if choice == "first" else 1]
        session.rate(choice)
        return better

    verdicts = [sitting(("base", "finetuned"), "first"), sitting(("few_shot", "rag"), "second")]
    counted = current_ratings(store.history())
    assert [rating.verdict for rating in counted.values()] == verdicts and len(counted) == 2
