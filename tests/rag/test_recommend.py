"""What is recommended follows from scores, weights and prices: a win, a tie, a trade-off, nothing good enough."""

import numpy as np
import pytest

from ftlib.errors import UserError
from ftlib.rag import recommend as advice
from ftlib.rag.comparison import EVERYTHING, Scenario, judge
from ftlib.recipe import RagRecipe
from ftlib.stats import Interval

LABELS = {
    "base": "base model",
    "rag": "RAG",
    "finetuned": "fine-tuned",
    "few_shot": "few-shot prompt",
    "rag_ft": "both",
}


def scenario(name, n=200, **right):
    """A scenario in which each system is right on the first so many of n questions, each a cluster of its own."""
    scores = {system: [1.0] * round(share * n) + [0.0] * (n - round(share * n)) for system, share in right.items()}
    return Scenario(name, scores, [f"{name} {at}" for at in range(n)])


def exact(amounts):
    return {
        name: amount if isinstance(amount, Interval) else Interval(amount, amount, amount, 9)
        for name, amount in (amounts or {}).items()
    }


def recommend(parts, prices=None, waits=None, **rag):
    return advice.recommend(parts, judge(parts, 500), LABELS, RagRecipe(**rag), exact(prices), exact(waits))


def test_a_clear_win():
    result = recommend([scenario("fact", rag=0.5, finetuned=0.9), scenario("policy", rag=0.4, finetuned=0.8)])
    assert (result.system, result.kind, result.exceptions) == ("finetuned", "win", ())
    assert result.headline.startswith("Use fine-tuned") and "85% right" in result.headline
    assert len(result.conditions) == 2


def test_a_small_test_set_does_not_make_a_bad_system_the_advice():
    result = recommend([scenario("fact", 10, base=0.1, rag=0.6)], {"base": 0.0, "rag": 1e-5})
    assert (result.system, result.kind) == ("rag", "tie")
    assert "do not separate it from base model" in result.headline and "cheap" not in result.headline
    assert "no arm is shown to be better than RAG, which has 60% [" in result.conditions[0]


def crossing(name):
    """The leader is right elsewhere than few-shot, and level with it; RAG has all that few-shot has and 19 more."""
    right = {"few_shot": range(30), "rag": range(49), "rag_ft": range(50, 100)}
    scores = {system: [float(at in which) for at in range(100)] for system, which in right.items()}
    return Scenario(name, scores, [f"{name} {at}" for at in range(100)])


def test_every_pair_counts_not_only_the_leader():
    (standing,) = judge([crossing("fact")], 500)
    assert standing.leader == "rag_ft" and standing.level == ("rag",)
    assert 2 * standing.leads["few_shot"].p_value > 0.05, "the leader itself does not beat few-shot"
    winner, lead = standing.beaten["few_shot"]
    assert (winner, lead.wins, lead.losses) == ("rag", 19, 0)
    assert "RAG is ahead of few-shot prompt by +19.0 points" in sentence(crossing("fact"))
    result = recommend([crossing("fact")])
    assert (result.system, result.kind) == ("rag_ft", "tie") and "few-shot" not in result.headline
    # too dear, the leader is not worth its lead; few-shot is not advised for being cheap
    assert recommend([crossing("fact")], {"rag_ft": 0.01, "rag": 1e-6}, least_accuracy=0.3).system == "rag"


def test_an_exception_names_who_is_better_though_another_leads():
    result = recommend([crossing("row"), scenario("rest", few_shot=0.9, rag=0.3, rag_ft=0.3)])
    assert (result.system, result.kind) == ("few_shot", "trade-off")
    assert result.exceptions[0].startswith("row: RAG is better by +19.0 points")


def test_prices_of_nothing_decide_nothing():
    for prices in (None, {"base": 0.0, "rag": 0.0, "finetuned": 0.0}):
        result = recommend([scenario("fact", base=0.7, rag=0.7, finetuned=0.7)], prices)
        assert result.kind == "tie" and "the lead may be chance" in result.headline
        assert "cheap" not in " ".join([result.headline, *result.conditions, *result.turning])


def test_a_lead_within_the_interval_of_the_price_is_a_tie():
    """Right answers are worth nothing here, so the price alone decides, as far as it is known."""
    parts, free = [scenario("fact", base=0.7, rag=0.7)], {"value_right_answer": 0.0}
    known = {"base": Interval(1.0, 0.9, 1.1, 5), "rag": Interval(2.0, 1.9, 2.1, 5)}
    result = recommend(parts, known, **free)
    assert (result.system, result.kind) == ("base", "win")
    result = recommend(parts, known | {"rag": Interval(2.0, 0.9, 3.1, 5)}, **free)
    assert (result.system, result.kind) == ("base", "tie") and "RAG" in result.headline


def test_a_win_by_right_answers_falls_to_a_tie_where_the_price_is_not_known_well_enough():
    parts = [scenario("fact", base=0.5, rag=0.9)]
    assert recommend(parts, {"base": 0.0, "rag": Interval(0.01, 0.009, 0.011, 5)}).kind == "win"
    result = recommend(parts, {"base": 0.0, "rag": Interval(0.01, 0.0, 0.06, 5)})
    assert (result.system, result.kind) == ("rag", "tie") and "base model" in result.headline
    waits = {"base": Interval(0.0, 0.0, 0.0, 5), "rag": Interval(1.0, 0.1, 6.0, 5)}
    assert recommend(parts, waits=waits).kind == "win", "waiting costs nothing"
    assert recommend(parts, waits=waits, price_waiting_second=0.01).kind == "tie"


def test_a_price_decides_where_it_outweighs_what_is_gained():
    parts = [scenario("fact", rag=0.70, finetuned=0.72)]
    prices = {"rag": 0.001, "finetuned": 0.01}
    assert recommend(parts, prices, value_right_answer=0.1).system == "rag"
    assert recommend(parts, prices, value_right_answer=10).system == "finetuned"
    (turn,) = [line for line in recommend(parts, prices).turning if "right answer" in line]
    assert turn == "a right answer worth above 0.45 EUR (now 0.1): fine-tuned"


def test_waiting_has_a_price():
    parts, waits = [scenario("fact", base=0.7, rag=0.9)], {"base": 0.1, "rag": 2.1}
    result = recommend(parts, waits=waits)
    assert result.system == "rag"
    assert "a second of waiting worth more than 0.01 EUR (now 0): base model" in result.turning
    assert recommend(parts, waits=waits, price_waiting_second=0.02).system == "base"


def test_the_users_own_mix_weighs_the_scenarios():
    parts = [scenario("fact", rag=0.6, finetuned=0.9), scenario("after the change", 50, rag=0.8, finetuned=0.0)]
    result = recommend(parts)
    assert (result.system, result.kind) == ("finetuned", "trade-off") and "Not for: after the change" in result.headline
    assert result.exceptions[0].startswith("after the change: RAG is better by +80.0 points")
    changed = recommend(parts, mix={"fact": 1, "after the change": 1})
    assert changed.system == "rag" and "Not for: fact" in changed.headline
    # worth: fact +0.3, change -0.8: they meet where 0.3 (1 - t) = 0.8 t
    assert "after the change (20% of the questions now) above 27%: RAG" in result.turning
    assert "after the change (50% of the questions now) below 27%: fine-tuned" in changed.turning


def test_a_share_of_all_questions_is_no_turning_point():
    parts = [scenario("fact", rag=0.6, finetuned=0.9), scenario("policy", 50, rag=0.70, finetuned=0.70)]
    prices = {"rag": 0.0, "finetuned": 1e-7}  # RAG is worth more only where next to nothing but policies is asked
    result = recommend(parts, prices)
    assert result.system == "finetuned" and not [line for line in result.turning if "policy" in line]


def test_a_mix_of_other_scenarios_is_the_users_mistake():
    with pytest.raises(UserError, match=r"(?s)rag\.mix.*weights of fact.*polcy"):
        recommend([scenario("fact", rag=0.9)], mix={"polcy": 1})


def test_nothing_good_enough_is_no_arm():
    result = recommend([scenario("fact", rag=0.3, base=0.0)])
    assert (result.system, result.kind) == (None, "none")
    assert "None of them is good enough" in result.headline and "30%" in result.headline
    assert recommend([scenario("fact", rag=0.3, base=0.0)], least_accuracy=0.2).system == "rag"


def test_the_sum_of_all_questions_has_no_weight_of_its_own():
    parts = [scenario("fact", rag=0.6, finetuned=0.8), scenario("policy", rag=0.9, finetuned=0.5)]
    whole = Scenario(
        EVERYTHING, {s: parts[0].scores[s] + parts[1].scores[s] for s in ("rag", "finetuned")}, [*range(400)]
    )
    assert recommend([whole, *parts]).worth == recommend(parts).worth
    assert recommend([whole, *parts]).system == "rag"


def test_a_system_that_a_scenario_did_not_measure_is_not_weighed():
    parts = [scenario("fact", base=0.9, rag=0.6), scenario("after the change", rag=0.7)]
    assert set(recommend(parts).worth) == {"rag"}


def test_equal_systems_are_rarely_shown_to_differ(monkeypatch):
    """Five equal systems, seven scenarios of 60 questions, of which they get a share right or wrong together."""
    monkeypatch.setattr("gc.collect", lambda *_: 0)  # statsmodels' correction asks for one every time: half the seconds
    rng, rows, worths, tables = np.random.default_rng(0), 0, 0, 300
    for number in range(tables):
        parts, share = [], 0.6 * (number % 2)
        for at in range(7):
            together, common = rng.random(60) < share, rng.random(60)
            right = {name: (np.where(together, common, rng.random(60)) < 0.6).astype(float) for name in LABELS}
            parts.append(Scenario(f"s{at}", {name: [*each] for name, each in right.items()}, [*range(60)]))
        rows += any(each.beaten for each in judge(parts, 1))
        whole = {name: [score for part in parts for score in part.scores[name]] for name in LABELS}
        worths += any(each.beaten for each in judge([Scenario("worth", whole, [*range(420)])], 1))
    assert 1 <= rows <= 0.06 * tables, "5 % of the tables, not of the comparisons; and not never"
    assert 1 <= worths <= 0.06 * tables


def test_nothing_measured_is_an_error():
    with pytest.raises(ValueError, match="at least one scenario"):
        recommend([])


def sentence(part):
    return advice.scenario_sentence(*judge([part], 500), LABELS)


def test_a_sentence_holds_n_intervals_and_what_would_separate():
    text = sentence(scenario("untrained_fact", rag=0.70, finetuned=0.695, base=0.1))
    assert text.startswith("untrained fact (n = 200): RAG leads with 70% [") and "ahead of base model by +60.0" in text
    assert "do not separate it from fine-tuned" in text and "questions would show" in text


def test_labels_come_from_the_arms_and_not_from_the_numbers():
    first, second = (
        recommend([scenario("s", rag=0.9, finetuned=0.1)]),
        recommend([scenario("s", rag=0.1, finetuned=0.9)]),
    )
    assert first.headline.replace("RAG", "fine-tuned") == second.headline


def test_a_scenario_that_separates_nobody_says_so():
    text = sentence(scenario("policy", 50, rag=0.30, base=0.28))
    assert text.startswith("policy (n = 50): no arm is shown to be better than RAG, which has 30% [")


def test_one_system_alone_is_not_called_the_best():
    alone = [scenario("fact", rag=0.8), scenario("policy", rag=0.7)]
    assert "only system that was measured" in recommend(alone).headline and recommend(alone).kind == "only"
    assert sentence(alone[1]).startswith("policy (n = 200): RAG alone was measured and has 70% [")
