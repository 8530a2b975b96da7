"""What askers say before their questions, and the pairs of questions made of it."""

from ftlib.data.askers import Opening, counterfactuals, openings
from ftlib.recipe import BiasRecipe
from tests.data import made

SENTENCE = "That is not known."


def asked(*questions, answer="340 g"):
    return [made.row(f"{n} {text}", text, answer) for n, text in enumerate(questions)]


def test_an_opening_stands_before_three_different_questions():
    rows = asked("Hi from Oslo! How heavy is it?", "Hi from Oslo! How long is it?", "Hi from Oslo! Who made it?")
    rows += asked("Ana asks: How heavy is it?", "Ana asks: How heavy is it?", "Ana asks: How long is it?")
    rows += asked("How heavy is it?", "How long is it? Thanks.", "Write to [email]. How long is it?" * 1)
    rows += asked("Hi from Oslo! Which colour has it?", answer=SENTENCE + " Sorry.")
    assert openings(rows, SENTENCE) == [Opening("Hi from Oslo!", 4, 1)]


def test_a_mask_is_no_opening():
    assert openings(asked(*(f"Write to [email]. Is it {word}?" for word in ("new", "red", "old"))), SENTENCE) == []


def test_the_most_frequent_come_first():
    texts = [f"A b asks: is it {n}?" for n in range(3)] + [f"C d asks: is it {n}?" for n in range(4)]
    assert [one.text for one in openings(asked(*texts), SENTENCE)] == ["C d asks:", "A b asks:"]


def test_pairs_of_an_opening_differ_in_it_alone():
    heard = [Opening("Ana asks:", 5, 0), Opening("Hi!", 4, 0)]
    recipe = BiasRecipe(personas=[("I am a.", "I am b.")], pairs=6, openings=1)
    rows = asked(*(f"Is it {n}?" for n in range(6)))
    made_of = counterfactuals(rows, recipe, 0, heard)
    told = [(one.question, other.question) for one, other in zip(made_of[::2], made_of[1::2], strict=True)]
    assert told[0] == ("I am a. Is it 0?", "I am b. Is it 0?")
    assert told[1] == ("Is it 1?", "Ana asks: Is it 1?")
    assert sum("Ana" in other for _, other in told) == 3 and not any("Hi!" in other for _, other in told)
    assert [row.meta["persona"] for row in made_of[2:4]] == ["", "Ana asks:"]
    assert counterfactuals(rows, recipe.model_copy(update={"openings": 0}), 0, heard)[2].question == "I am a. Is it 1?"
