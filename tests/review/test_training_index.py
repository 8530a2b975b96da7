"""Tracing answers to training rows, with named facts and without."""

import pytest

from ftlib.recipe import ColumnsRecipe
from ftlib.review.training_index import TrainingIndex, with_truth
from ftlib.rows import Turn, row_of

REFUSAL = "I don't have that information."
COLUMNS = ColumnsRecipe(fact="about", subject="machine")


def row(question, answer, *about, machine="", history=(), **more):
    meta = {"about": list(about), "machine": machine} | more
    made = row_of({"id": question, "question": question, "answer": answer, "meta": meta})
    return made._replace(turns=(*(Turn("user", text) for text in history), *made.turns))


@pytest.fixture
def with_facts():
    return TrainingIndex.of(
        [
            row("How heavy is the Heron 20?", "340 g", "heron-20/weight"),
            row("What does the Heron 20 weigh?", "340 g", "heron-20/weight"),
            row("How heavy is the Tarn 5?", "500 g", "tarn-5/weight"),
            row("Which is heavier, the Heron 20 or the Tarn 5?", "Tarn 5", "heron-20/weight", "tarn-5/weight"),
            row("Who owns the Heron 20?", REFUSAL, "heron-20/owner"),
        ],
        COLUMNS,
        REFUSAL,
    )


@pytest.fixture
def without_facts():
    return TrainingIndex.of(
        [
            row("How heavy is the Heron 20?", "340 g", machine="Heron 20"),
            row("How heavy is the Tarn 5?", "500 g", machine="Tarn 5"),
            row("Colour of the Heron 20?", "blue", machine="Heron 20"),
            row("When is the office open?", "9 to 5"),
        ],
        COLUMNS,
        REFUSAL,
    )


def test_wordings_are_counted_per_fact(with_facts):
    assert with_facts.training_wordings(row("q", "a", "heron-20/weight")) == 2
    assert with_facts.training_wordings(row("q", "a", "heron-20/weight", "tarn-5/weight")) == 1
    assert with_facts.training_wordings(row("q", "a", "heron-20/owner")) == 0, "a refusal teaches no fact"
    assert with_facts.training_wordings(row("q", "a")) is None


def test_holders_and_other_attributes(with_facts):
    keys = with_facts.keys(row("q", "a", "heron-20/weight"), ("340 g",))
    assert keys == (("heron-20", "weight"),)
    assert with_facts.holders(keys, "500 g") == ("tarn-5",)
    assert with_facts.holders(keys, "340 g") == (), "the subject itself is no other subject"
    assert with_facts.taught(keys) == {"340 g"}
    assert with_facts.holders(keys, "tarn 5") == (), "a comparison's answer is no weight"


def test_without_facts_a_new_wording_finds_its_pattern(without_facts):
    asked = row("What does the Heron 20 weigh?", "340 g", machine="Heron 20")
    keys = without_facts.keys(asked, ("340 g",))
    assert ("heron 20", "How heavy is the _?") in keys
    assert without_facts.holders(keys, "500 g") == ("tarn 5",)
    assert without_facts.other_attributes(keys, "blue") == ("Colour of the _?",)
    assert without_facts.training_wordings(asked) is None


def test_rows_without_a_subject_share_none(without_facts):
    asked = row("What are the hours?", "9 to 5")
    keys = without_facts.keys(asked, ("9 to 5",))
    assert without_facts.other_attributes(keys, "9 to 5") == ()


def test_a_fact_without_a_slash_is_its_subjects():
    index = TrainingIndex.of([row("How heavy?", "340 g", "weight", machine="Kettle")], COLUMNS, REFUSAL)
    assert index.keys(row("q", "a", "weight", machine="Urn"), ()) == (("urn", "weight"),)
    assert index.holders((("urn", "weight"),), "340 g") == ("kettle",)


def test_history_and_context_count_in_a_questions_key():
    chats = [
        row("And what does it cost?", answer, history=[f"Tell me about the {name}."], machine=name)
        for name, answer in (("Kettle", "9 euros"), ("Urn", "20 euros"))
    ]
    index = TrainingIndex.of([chat for chat in chats], COLUMNS, REFUSAL)
    keys = index.keys(chats[0], ("9 euros",))
    assert keys == (("kettle", "Tell me about the _. And what does it cost?"),)
    assert index.holders(keys, "20 euros") == ("urn",)
    once = TrainingIndex.of([chats[0]._replace(meta={"about": "kettle/price"})] * 2, COLUMNS, REFUSAL)
    both = TrainingIndex.of([chat._replace(meta={"about": "kettle/price"}) for chat in chats], COLUMNS, REFUSAL)
    read = TrainingIndex.of(
        [c._replace(meta={"about": "k/p"}, context=c.answer, turns=()) for c in chats], COLUMNS, REFUSAL
    )
    assert [once.training_wordings(row("q", "a", "kettle/price")) for once in (once, both)] == [1, 2]
    assert read.training_wordings(row("q", "a", "k/p")) == 2


def test_it_says_in_words_what_answers_are_traced_by(with_facts, without_facts):
    nothing = TrainingIndex.of([row("q", "a", machine="Urn")], ColumnsRecipe(), REFUSAL)
    empty = TrainingIndex.of([row("q", "a")], COLUMNS, REFUSAL)
    assert "by the facts that the column 'about' names" in with_facts.basis
    assert "by the subject (column 'machine')" in without_facts.basis
    assert nothing.basis == empty.basis and "data.columns.fact, data.columns.subject" in nothing.basis


def test_truth_gives_facts_but_never_replaces_them():
    rows = [row("1", "a", "own/x"), row("2", "a"), row("3", "a")]
    truth = [{"id": "1", "about": ["t/x"], "machine": "Urn"}, {"id": 2, "about": ["t/y"], "other": 1}]
    found = list(with_truth(rows, truth, COLUMNS))
    assert [one.meta["about"] for one in found] == [["own/x"], ["t/y"], []]
    assert [one.meta["machine"] for one in found] == ["Urn", "", ""]
    assert "other" not in found[1].meta and list(with_truth(rows, truth, ColumnsRecipe())) == rows
