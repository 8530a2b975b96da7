"""Ratings written out, and recorded examples, which are nobody's and never become anybody's."""

from pathlib import Path

import pytest

from ftlib import jsonl
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.review import preferences
from ftlib.review.export import export_ratings, rated_table, read_examples
from ftlib.review.store import Shown, Store
from ftlib.rows import Turn

ROOT = Path(__file__).parents[2]
SHOWN = Shown(
    "t1", "Its weight?", (Turn("user", "The Heron."),), "manual", ("340 g",), {"base": "1 kg", "rag": "340 g"}
)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "reviews.sqlite")
    first = made.rate(SHOWN, "ada", "base", first_system="rag")
    made.rate(SHOWN, "ada", "withdrawn", first_system="rag", undoes=first)
    made.rate(SHOWN, "ada", "rag", first_system="rag", categories={"base": "wrong_unit"}, comment="<kg>", seconds=2.5)
    made.rate(SHOWN, "ben", "both_wrong", first_system="base")
    return made


def test_what_counts_is_written_with_all_that_was_on_the_screen(store):
    path, count = export_ratings(store)
    ada, ben = jsonl.read(path)
    assert count == 2 and path == store.path.with_suffix(".jsonl")
    assert (ada["reviewer"], ada["verdict"], ada["categories"]) == ("ada", "rag", {"base": "wrong_unit"})
    assert (ada["comment"], ada["seconds"]) == ("<kg>", 2.5) and ada["created"].startswith("20")
    assert (ben["question"], ben["answers"], ben["accepted"]) == (SHOWN.question, dict(SHOWN.answers), ["340 g"])
    assert ben["history"] == [{"role": "user", "content": "The Heron."}] and ben["context"] == "manual"
    assert len(store.history()) == 4, "writing out adds nothing"


def test_an_export_is_no_example_until_it_is_marked_as_one(store, tmp_path):
    path, _ = export_ratings(store)
    with pytest.raises(UserError, match="example: true"):
        read_examples(path)
    jsonl.write(tmp_path / "marked.jsonl", [line | {"example": True} for line in jsonl.read(path)])
    found = read_examples(tmp_path / "marked.jsonl")
    assert found.shown == {SHOWN.version: SHOWN} and [each.verdict for each in found.ratings] == ["rag", "both_wrong"]
    (line,) = rated_table(found.ratings, found.shown)
    expected = {"question": "Its weight?", "expected": "340 g", "base": "1 kg", "rag": "340 g"}
    assert line == expected | {"ada": "rag", "ben": "both wrong"}


def test_a_line_without_its_fields_is_named(tmp_path):
    jsonl.write(tmp_path / "bad.jsonl", [{"example": True, "item": "t1"}])
    with pytest.raises(UserError, match=r"(?s)row 1.*question, accepted"):
        read_examples(tmp_path / "bad.jsonl")


def test_the_recorded_examples_of_the_demo_say_what_they_are():
    """What notebook 04 says of them: 30 questions, two invented reviewers who differ on three, alpha .83."""
    path = Recipe.load(ROOT / "data" / "recipes" / "demo.yaml").review.examples_path
    assert "example" in path.name
    assert all(line["example"] is True and "nobody" in line["note"] for line in jsonl.iterate(path))
    found = read_examples(path)
    report = preferences.ratings_report(found.ratings, {})
    assert report["reviewers"] == ["example A", "example B"] and report["items"] == len(found.shown) == 30
    table = rated_table(found.ratings, found.shown)
    assert sum(line["example A"] != line["example B"] for line in table) == 3
    assert report["verdict_alpha"]["value"] == pytest.approx(0.83, abs=0.005)
