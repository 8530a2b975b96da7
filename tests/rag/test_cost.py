"""Cost is the stated formula, with the intervals of what was measured; break-even is where two lines cross."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.rag.cost import (
    Cost,
    Prices,
    break_even,
    break_even_sentence,
    cost_headlines,
    cost_of,
    mean_of,
    price_per_1000,
    price_per_month,
    setup_price,
)
from ftlib.stats import Interval

PRICES = Prices(machine_hour=3.6, million_prompt_tokens=2.0, million_answer_tokens=10.0, questions_per_month=5000)


def exact(value, n=5):
    return Interval(value, value, value, n)


def cost(system, setup, seconds, prompt, answer, prices=PRICES, **more):
    paid = (prompt * prices.million_prompt_tokens + answer * prices.million_answer_tokens) / 1e6
    seconds = seconds if isinstance(seconds, Interval) else exact(seconds)
    return Cost(system, setup, seconds, prompt, answer, exact(prompt + answer, 50), exact(paid, 50), **more)


RAG, TUNED = cost("rag", 10, 0.5, 400, 10), cost("finetuned", 1000, 0.1, 40, 10)


def test_prices_by_hand():
    assert setup_price(TUNED, PRICES) == pytest.approx(1.0)
    assert price_per_1000(RAG, PRICES).mean == pytest.approx(1000 * (0.5 * 0.001 + 400 * 2e-6 + 10 * 1e-5))
    each = price_per_1000(TUNED, PRICES).mean
    assert price_per_month(TUNED, PRICES).mean == pytest.approx(1.0 + 5 * each)
    assert price_per_month(TUNED, PRICES._replace(changes_per_month=4)).mean == pytest.approx(4.0 + 5 * each)


def test_a_price_has_the_interval_of_its_seconds_and_its_tokens():
    timed = RAG._replace(seconds=Interval(0.5, 0.2, 0.9, 6), token_price=Interval(0.0009, 0.0005, 0.0012, 50))
    found = price_per_1000(timed, PRICES)
    assert found == pytest.approx((1.4, 1.4 - 0.5, 1.4 + 0.5, 6))  # 0.3 and 0.4; 0.4 and 0.3
    month = price_per_month(timed, PRICES)
    assert month == pytest.approx((7.01, 7.01 - 2.5, 7.01 + 2.5, 6)), "setting up is known"
    assert price_per_1000(timed, PRICES._replace(machine_hour=0)) == pytest.approx((0.9, 0.5, 1.2, 50))


def test_break_even_by_hand():
    saved = (price_per_1000(RAG, PRICES).mean - price_per_1000(TUNED, PRICES).mean) / 1000
    assert break_even(TUNED, RAG, PRICES) == pytest.approx((1.0 - 0.01) / saved)
    assert break_even(RAG, TUNED, PRICES) is None
    assert break_even(TUNED, TUNED, PRICES) == 0.0
    cheap = TUNED._replace(setup_seconds=0)
    assert break_even(cheap, RAG, PRICES) == 0.0
    told = break_even_sentence(TUNED, RAG, PRICES, {})
    assert "from about 880 questions" in told and "chance" not in told
    assert "never becomes cheaper" in break_even_sentence(RAG, TUNED, PRICES, {})
    assert "never dearer" in break_even_sentence(cheap, RAG, PRICES, {"rag": "RAG"})


def test_break_even_says_where_the_prices_may_be_equal():
    unsure = RAG._replace(seconds=Interval(0.5, -0.8, 1.8, 6))
    assert "may be chance" in break_even_sentence(TUNED, unsure, PRICES, {})
    free = Prices(machine_hour=0.0)
    same = break_even_sentence(cost("a", 9, 1, 4, 2, free), cost("b", 0, 2, 4, 2, free), free, {"a": "A", "b": "B"})
    assert same == "A and B cost the same at these prices."


@given(*[st.floats(0.001, 1e4) for _ in range(4)])
def test_at_break_even_both_cost_the_same(setup_a, setup_b, seconds_a, seconds_b):
    hour = Prices(1.0)
    a, b = cost("a", setup_a, seconds_a, 0, 0, hour), cost("b", setup_b, seconds_b, 0, 0, hour)
    questions = break_even(a, b, hour)
    if questions:
        total = [setup_price(c, hour) + questions * price_per_1000(c, hour).mean / 1000 for c in (a, b)]
        assert total[0] == pytest.approx(total[1], rel=1e-6)


def test_only_the_systems_that_need_it_pay_for_training_and_index(five):
    rows = [
        {"prompt_tokens": 10, "tokens": 2, "latency_s": 0.4},
        {"prompt_tokens": 30, "tokens": 4, "latency_s": None},
    ]
    known = {"training_seconds": 100.0, "index_seconds": 1.0, "search_seconds": exact(0.05, 40)}
    costs = {name: cost_of(system, rows, exact(0.2), PRICES, **known) for name, system in five.items()}
    assert {name: cost.setup_seconds for name, cost in costs.items()} == {
        "base": 0, "few_shot": 0, "rag": 1, "finetuned": 100, "rag_ft": 101,
    }  # fmt: skip
    other = five["finetuned"]._replace(adapter="some/adapter")
    assert cost_of(other, rows, exact(0.2), PRICES, **known).setup_seconds == 0
    assert costs["base"].seconds == exact(0.2) and costs["rag"].seconds.mean == pytest.approx(0.25)
    assert (costs["rag"].prompt_tokens, costs["rag"].answer_tokens, costs["rag"].latency.n) == (20, 3, 1)
    assert costs["rag"].tokens.mean == 23 and costs["rag"].token_price.mean == pytest.approx((20 * 2 + 3 * 10) / 1e6)
    assert cost_of(other, rows, exact(0.2), Prices(1.0), **known).token_price == exact(0, 2), "none has a price"


def test_the_interval_of_seconds_may_leave_one():
    assert mean_of([0.5, 1.0, 1.5, 4.0], 500).high > 1.75 > mean_of([0.5, 1.0, 1.5, 4.0], 500).low


def test_headlines_name_the_system_and_leave_out_what_was_not_measured():
    alone = Interval(0.2, 0.1, 0.3, 20)
    timed = TUNED._replace(seconds=Interval(0.1, 0.05, 0.2, 6))
    found = {h.key: h for h in cost_headlines([RAG._replace(system="rag_ft", latency=alone), timed], PRICES)}
    assert found["latency_rag_ft_seconds"] == ("latency_rag_ft_seconds", 0.2, (0.1, 0.3), 20)
    assert found["tokens_per_question_rag_ft"].value == 410 and found["tokens_per_question_rag_ft"].n == 50
    price = found["price_per_1000_finetuned"]
    assert (price.value, *price.ci95) == pytest.approx((0.28, 0.23, 0.38)) and price.n == 6
    assert "latency_finetuned_seconds" not in found
