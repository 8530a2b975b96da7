"""Cost is the stated formula; break-even is where two lines cross."""

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
    price_per_1000,
    price_per_month,
    setup_price,
)
from ftlib.stats import Interval

PRICES = Prices(machine_hour=3.6, million_prompt_tokens=2.0, million_answer_tokens=10.0, questions_per_month=5000)
RAG = Cost("rag", setup_seconds=10, seconds=0.5, prompt_tokens=400, answer_tokens=10)
TUNED = Cost("finetuned", setup_seconds=1000, seconds=0.1, prompt_tokens=40, answer_tokens=10)


def test_prices_by_hand():
    assert setup_price(TUNED, PRICES) == pytest.approx(1.0)
    assert price_per_1000(RAG, PRICES) == pytest.approx(1000 * (0.5 * 0.001 + 400 * 2e-6 + 10 * 1e-5))
    assert price_per_month(TUNED, PRICES) == pytest.approx(1.0 + 5 * price_per_1000(TUNED, PRICES))
    assert price_per_month(TUNED, PRICES._replace(changes_per_month=4)) == pytest.approx(
        4.0 + 5 * price_per_1000(TUNED, PRICES)
    )


def test_break_even_by_hand():
    saved = (price_per_1000(RAG, PRICES) - price_per_1000(TUNED, PRICES)) / 1000
    assert break_even(TUNED, RAG, PRICES) == pytest.approx((1.0 - 0.01) / saved)
    assert break_even(RAG, TUNED, PRICES) is None
    assert break_even(TUNED, TUNED, PRICES) == 0.0
    cheap = TUNED._replace(setup_seconds=0)
    assert break_even(cheap, RAG, PRICES) == 0.0
    assert "from 884 questions" in break_even_sentence(TUNED, RAG, PRICES, {})
    assert "never becomes cheaper" in break_even_sentence(RAG, TUNED, PRICES, {})
    assert "never dearer" in break_even_sentence(cheap, RAG, PRICES, {"rag": "RAG"})


@given(*[st.floats(0.001, 1e4) for _ in range(4)])
def test_at_break_even_both_cost_the_same(setup_a, setup_b, seconds_a, seconds_b):
    a, b = Cost("a", setup_a, seconds_a, 0, 0), Cost("b", setup_b, seconds_b, 0, 0)
    questions = break_even(a, b, Prices(1.0))
    if questions:
        total = [setup_price(c, Prices(1.0)) + questions * price_per_1000(c, Prices(1.0)) / 1000 for c in (a, b)]
        assert total[0] == pytest.approx(total[1], rel=1e-6)


def test_only_the_systems_that_need_it_pay_for_training_and_index(five):
    rows = [
        {"seconds": 0.1, "prompt_tokens": 10, "tokens": 2, "latency_s": 0.4},
        {"seconds": 0.3, "prompt_tokens": 30, "tokens": 4, "latency_s": None},
    ]
    known = {"training_seconds": 100.0, "index_seconds": 1.0, "search_seconds": 0.05}
    costs = {name: cost_of(system, rows, **known) for name, system in five.items()}
    assert {name: cost.setup_seconds for name, cost in costs.items()} == {
        "base": 0, "few_shot": 0, "rag": 1, "finetuned": 100, "rag_ft": 101,
    }  # fmt: skip
    assert cost_of(five["finetuned"]._replace(adapter="some/adapter"), rows, **known).setup_seconds == 0
    assert costs["base"].seconds == pytest.approx(0.2) and costs["rag"].seconds == pytest.approx(0.25)
    assert (costs["rag"].prompt_tokens, costs["rag"].answer_tokens, costs["rag"].latency.n) == (20, 3, 1)


def test_headlines_name_the_system_and_leave_out_what_was_not_measured():
    alone = Interval(0.2, 0.1, 0.3, 20)
    found = {h.key: h for h in cost_headlines([RAG._replace(system="rag_ft", latency=alone), TUNED], PRICES, 50)}
    assert found["latency_rag_ft_seconds"] == ("latency_rag_ft_seconds", 0.2, (0.1, 0.3), 20)
    assert found["tokens_per_question_rag_ft"].value == 410 and found["price_per_1000_finetuned"].n == 50
    assert "latency_finetuned_seconds" not in found
