"""Rules beside their placebos: what fires where its reason is absent shows nothing."""

import pytest

from ftlib.recipe import ColumnsRecipe
from ftlib.review import placebo, taxonomy
from ftlib.review.training_index import TrainingIndex
from ftlib.rows import row_of

REFUSAL = "I don't know."
COLUMNS = ColumnsRecipe(fact="about")


def row(key, question, answer, fact):
    return row_of({"id": key, "question": question, "answer": answer, "meta": {"about": fact}})


TAUGHT = [row(f"r{i}", f"How heavy is the Heron {i}?", f"{i}00 g", f"heron-{i}/weight") for i in range(1, 9)]
ASKED = [row(f"q{i}", f"What does the Heron {i} weigh?", f"{i}00 g", f"heron-{i}/weight") for i in range(1, 9)]
OPTIONS = {"refusal": REFUSAL, "index": TrainingIndex.of(TAUGHT, COLUMNS, REFUSAL)}


def test_all_rules_that_fire_come_in_order_and_the_first_is_the_category():
    fired = taxonomy.firing(ASKED[0], "200 g", **OPTIONS)
    assert list(fired) == ["entity_mixup", "common_value", "wrong_number", "near_miss", "other_answer"]
    assert fired["entity_mixup"] == "the same attribute of heron-2"
    assert taxonomy.categorize(ASKED[0], "200 g", **OPTIONS).category == next(iter(fired))
    assert taxonomy.firing(ASKED[0], "nobody said this", **OPTIONS) == {}


def test_swapped_rules_name_the_same_answer_otherwise():
    order = {rule.name: rule for rule in taxonomy.RULES}
    swapped = [order["wrong_number"], *(rule for rule in taxonomy.RULES if rule.name != "wrong_number")]
    assert taxonomy.categorize(ASKED[0], "200 g", rules=swapped, **OPTIONS).category == "wrong_number"
    assert next(iter(taxonomy.firing(ASKED[0], "200 g", rules=swapped, **OPTIONS))) == "wrong_number"


def test_every_category_has_a_mend():
    assert set(taxonomy.MENDS) == set(taxonomy.CATEGORIES)


def test_nobody_keeps_his_own_answer_when_they_are_dealt_anew():
    right = [each.answer for each in ASKED]  # each fires nothing but at another's question
    dealt = placebo.dealt_anew(ASKED, right, 3, **OPTIONS)
    assert len(dealt) == len(ASKED) and all("entity_mixup" in each for each in dealt)
    assert dealt == placebo.dealt_anew(ASKED, right, 3, **OPTIONS)
    assert placebo.dealt_anew([], [], 3, **OPTIONS) == []


def test_a_rule_counts_against_its_placebos():
    often, seldom = [["attribute_mixup"]] * 40, [["other_answer"]] * 40
    keys = list(range(40))
    found = placebo.against_placebos(often, keys, {"another system": (seldom, keys), placebo.DEALT: (seldom, keys)})
    traced, mixed = found
    assert (traced.rule, mixed.rule) == (placebo.REPEATS, "Attribute mix-up")
    assert traced.share.mean == 1 and set(traced.placebos) == {"another system", placebo.DEALT}
    told = "not told apart: shows little (dealing can't tell)"
    assert traced.verdict == told, "the other system's errors repeat training as often"
    assert mixed.verdict == "more than the placebos"
    rare = placebo.against_placebos([*seldom, ["attribute_mixup"]], [*keys, 40], {"another system": (often, keys)})
    assert rare[1].verdict == "less than a placebo"


def test_dealing_says_nothing_of_a_rule_that_sees_the_answer_alone():
    declined, none = [["over_refusal"]] * 40, [[]] * 40
    keys = list(range(40))
    (found,) = placebo.against_placebos(
        declined, keys, {"another system": (none, keys), placebo.DEALT: (declined, keys)}
    )
    assert found.alone and found.verdict == "more than the placebo (dealing can't tell)"


def test_dealing_says_nothing_of_what_training_gives_somewhere():
    """Whether some training row gives an answer does not depend on the question that it is dealt to."""
    said = ["300 g", "400 g", "500 g", "600 g", "700 g", "800 g", "100 g", "200 g"]
    fired = [list(taxonomy.firing(row, text, **OPTIONS)) for row, text in zip(ASKED, said, strict=True)]
    dealt = placebo.dealt_anew(ASKED, said, 3, **OPTIONS)
    assert all("other_answer" in each for each in (*fired, *dealt))
    keys, none = list(range(8)), [[]] * 8
    found = placebo.against_placebos(fired, keys, {"another system": (none, keys), placebo.DEALT: (dealt, keys)})
    verdicts = {each.rule: each.verdict for each in found}
    assert verdicts[placebo.REPEATS] == verdicts["Answer to another question"]
    assert verdicts[placebo.REPEATS] == "more than the placebo (dealing can't tell)"
    assert "dealing" not in verdicts["Entity mix-up"]


@pytest.mark.parametrize("placebos", [{}, {"another system": ([], [])}])
def test_without_errors_or_placebos_nothing_is_claimed(placebos):
    assert placebo.against_placebos([], [], placebos) == []
    (traced, _) = placebo.against_placebos([["entity_mixup"]] * 9, list(range(9)), placebos)
    assert traced.placebos == {} and "shows little" in traced.verdict
