"""Tracing answers to training rows, with fact ids and without."""

import pytest

from ftlib.review.knowledge import Knowledge, fact_ids, with_facts

REFUSAL = "I don't have that information."


def row(question, answer, fact=(), product="", **more):
    return {"id": question, "question": question, "answer": answer, "fact": list(fact), "product": product, **more}


@pytest.fixture
def with_ids():
    return Knowledge.of([
        row("How heavy is the Heron 20?", "340 g", ["heron-20/weight"]),
        row("What does the Heron 20 weigh?", "340 g", ["heron-20/weight"]),
        row("How heavy is the Tarn 5?", "500 g", ["tarn-5/weight"]),
        row("Which is heavier, the Heron 20 or the Tarn 5?", "Tarn 5", ["heron-20/weight", "tarn-5/weight"]),
        row("Who owns the Heron 20?", REFUSAL, ["heron-20/owner"]),
    ], REFUSAL)


@pytest.fixture
def without_ids():
    return Knowledge.of([
        row("How heavy is the Heron 20?", "340 g", product="Heron 20"),
        row("How heavy is the Tarn 5?", "500 g", product="Tarn 5"),
        row("Colour of the Heron 20?", "blue", product="Heron 20"),
        row("When is the office open?", "9 to 5"),
    ], REFUSAL)


@pytest.mark.parametrize("fact", [["a/x", "b/y"], "a/x,b/y", ("a/x", "b/y"), " a/x , b/y "])
def test_fact_ids_in_any_form(fact):
    assert fact_ids({"fact": fact}) == ("a/x", "b/y")


def test_no_fact_ids():
    assert fact_ids({}) == fact_ids({"fact": None}) == fact_ids({"fact": ""}) == ()


def test_wordings_are_counted_per_fact(with_ids):
    assert with_ids.training_wordings({"fact": ["heron-20/weight"]}) == 2
    assert with_ids.training_wordings({"fact": ["heron-20/weight", "tarn-5/weight"]}) == 1
    assert with_ids.training_wordings({"fact": ["heron-20/owner"]}) == 0, "a refusal teaches no fact"
    assert with_ids.training_wordings({"fact": []}) is None


def test_holders_and_other_attributes(with_ids):
    keys = with_ids.keys({"fact": ["heron-20/weight"]}, ("340 g",))
    assert keys == (("heron-20", "weight"),)
    assert with_ids.holders(keys, "500 g") == ("tarn-5",)
    assert with_ids.holders(keys, "340 g") == (), "the subject itself is no other subject"
    assert with_ids.taught(keys) == {"340 g"}
    assert with_ids.holders(keys, "tarn 5") == (), "a comparison's answer is no weight"


def test_without_ids_a_new_wording_finds_its_pattern(without_ids):
    asked = row("What does the Heron 20 weigh?", "340 g", product="Heron 20")
    keys = without_ids.keys(asked, ("340 g",))
    assert ("heron 20", "How heavy is the _?") in keys
    assert without_ids.holders(keys, "500 g") == ("tarn 5",)
    assert without_ids.other_attributes(keys, "blue") == ("Colour of the _?",)
    assert without_ids.training_wordings(asked) is None


def test_rows_without_product_share_no_subject(without_ids):
    asked = row("What are the hours?", "9 to 5")
    keys = without_ids.keys(asked, ("9 to 5",))
    assert without_ids.other_attributes(keys, "9 to 5") == ()


def test_truth_gives_facts_but_never_replaces_them():
    rows = with_facts([{"id": 1, "fact": ["own/x"]}, {"id": 2}, {"id": 3}], [{"id": 1, "fact": ["t/x"]},
                                                                              {"id": 2, "fact": ["t/y"]}])
    assert [one["fact"] for one in rows] == [["own/x"], ["t/y"], []]
