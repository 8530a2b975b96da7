"""What is recommended follows from the intervals: a win, a tie, a loss, a trade-off."""

import pytest

from ftlib.rag import recommend as advice
from ftlib.rag.comparison import decide
from ftlib.stats import Interval, Paired

LABELS = {"base": "base model", "rag": "RAG", "finetuned": "fine-tuned"}


def recommend(given, costs=None):
    return advice.recommend(given, LABELS, costs)


def sentence(given):
    return advice.scenario_sentence(given, LABELS)


def standing(name, means, unsure=()):
    """A scenario with these accuracies in which the leader beats all arms but the unsure ones."""
    leader = max(means, key=means.get)
    leads = {}
    for arm, mean in means.items():
        if arm != leader:
            difference = means[leader] - mean
            spread = 2 * difference + 0.01 if arm in unsure else difference / 2
            p_value = 0.4 if arm in unsure else 0.0001
            leads[arm] = Paired(difference, difference - spread, difference + spread, p_value, 200, 60, 20)
    intervals = {arm: Interval(mean, mean - 0.05, mean + 0.05, 200) for arm, mean in means.items()}
    return decide(name, intervals, leader, leads)


def test_a_clear_win():
    given = [standing("all", {"rag": 0.5, "finetuned": 0.9}), standing("policy", {"rag": 0.4, "finetuned": 0.8})]
    result = recommend(given, {"rag": 1.0, "finetuned": 100.0})
    assert (result.system, result.kind, result.exceptions) == ("finetuned", "win", ())
    assert "only arm" in result.headline and len(result.conditions) == 2


def test_overlapping_intervals_are_called_so_and_the_price_decides():
    given = [standing("all", {"rag": 0.70, "finetuned": 0.72, "base": 0.1}, unsure=("rag",))]
    result = recommend(given, {"rag": 5.0, "finetuned": 9.0, "base": 0.0})
    assert (result.system, result.kind) == ("rag", "tie")
    assert "do not decide between RAG and fine-tuned" in result.headline and "cheapest" in result.headline
    without = recommend(given)
    assert without.system == "finetuned" and "chance" in without.headline


def test_the_cheapest_arm_does_not_win_where_it_is_beaten():
    given = [standing("all", {"base": 0.2, "finetuned": 0.9})]
    assert recommend(given, {"base": 0.0, "finetuned": 1e6}).system == "finetuned"


def test_each_beaten_somewhere_is_a_trade_off_with_its_exceptions():
    given = [
        standing("all", {"rag": 0.6, "finetuned": 0.8}),
        standing("after the change", {"rag": 0.7, "finetuned": 0.0}),
    ]
    result = recommend(given)
    assert (result.system, result.kind) == ("finetuned", "trade-off")
    assert "not for: after the change" in result.headline
    assert len(result.exceptions) == 1 and "RAG is better than fine-tuned by +70.0 points" in result.exceptions[0]


def test_a_tie_in_one_scenario_does_not_make_a_loser():
    given = [
        standing("all", {"rag": 0.6, "finetuned": 0.8}),
        standing("policy", {"rag": 0.62, "finetuned": 0.6}, unsure=("finetuned",)),
    ]
    assert recommend(given).kind == "win" and recommend(given).system == "finetuned"


def test_an_arm_that_a_scenario_did_not_measure_is_not_beaten_there():
    given = [standing("all", {"base": 0.9, "rag": 0.5}), standing("after the change", {"rag": 0.5, "finetuned": 0.1})]
    assert recommend(given).system == "base"


def test_nothing_measured_is_an_error():
    with pytest.raises(ValueError, match="at least one scenario"):
        recommend([])


def test_a_sentence_holds_n_intervals_and_what_would_separate():
    text = sentence(standing("untrained_fact", {"rag": 0.7, "finetuned": 0.6, "base": 0.1}, unsure=("finetuned",)))
    assert text.startswith("untrained fact (n = 200): RAG leads with 70% [65%, 75%]")
    assert "ahead of base model by +60.0 points [+30.0, +90.0]" in text
    assert "do not separate it from fine-tuned" in text and "questions would show" in text


def test_labels_come_from_the_arms_and_not_from_the_numbers():
    first = recommend([standing("all", {"rag": 0.9, "finetuned": 0.1})])
    second = recommend([standing("all", {"rag": 0.1, "finetuned": 0.9})])
    assert first.headline.replace("RAG", "fine-tuned") == second.headline


def test_the_best_of_bad_systems_is_called_bad():
    assert "right on only 30% of all test questions" in recommend([standing("all", {"rag": 0.3, "base": 0.0})]).headline
    assert "only 90%" not in recommend([standing("all", {"rag": 0.9, "base": 0.0})]).headline


def test_a_scenario_that_separates_nobody_says_so():
    text = sentence(standing("policy", {"rag": 0.3, "base": 0.29}, unsure=("base",)))
    assert text == "policy (n = 200): no arm is shown to be better than RAG, which has 30% [25%, 35%], nor to be worse."


def test_one_system_alone_is_not_called_the_best():
    alone = [standing("all", {"rag": 0.8}), standing("policy", {"rag": 0.7})]
    assert "only system that was measured" in recommend(alone).headline and recommend(alone).kind == "win"
    assert sentence(alone[1]) == "policy (n = 200): RAG alone was measured and has 70% [65%, 75%]."
