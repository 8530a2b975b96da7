"""What an arm costs: setting it up once per change of the knowledge, and answering each question.

With the recipe's prices, of a machine hour H and of a million prompt and answer tokens P and A (0 on an own machine),

    setup    = setup seconds / 3600 * H
    question = seconds / 3600 * H + prompt tokens / 1e6 * P + answer tokens / 1e6 * A
    month    = changes * setup + questions * question

Seconds are those of batched work (throughput); how long a person waits is the latency, measured apart.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.evaluate.scores import Headline
from ftlib.evaluate.stats import Interval, mean_ci95
from ftlib.rag.arms import ADAPTED, KEYS, RETRIEVING


class Prices(NamedTuple):
    """Prices and volumes, as the recipe states them."""

    machine_hour: float
    million_prompt_tokens: float = 0.0
    million_answer_tokens: float = 0.0
    questions_per_month: float = 10_000
    changes_per_month: float = 1.0
    currency: str = "EUR"

    @classmethod
    def of(cls, recipe: Any) -> "Prices":
        """The prices of ``recipe.rag``."""
        rag = recipe.rag
        return cls(
            rag.price_machine_hour,
            rag.price_million_prompt_tokens,
            rag.price_million_answer_tokens,
            rag.questions_per_month,
            rag.changes_per_month,
            rag.currency,
        )


class Cost(NamedTuple):
    """What was measured of one arm.

    Attributes:
        arm: its name.
        setup_seconds: training, indexing or both; 0 where there is nothing to set up.
        seconds: per question, in batches.
        prompt_tokens: per question, mean.
        answer_tokens: per question, mean.
        latency: seconds per question asked alone, with interval; None where not measured.
    """

    arm: str
    setup_seconds: float
    seconds: float
    prompt_tokens: float
    answer_tokens: float
    latency: Interval | None = None


def measure(
    arm: str,
    answers: Sequence[Mapping],
    *,
    training_seconds: float,
    index_seconds: float,
    search_seconds: float = 0.0,
) -> Cost:
    """Averages an arm's answers.

    Args:
        arm: its name.
        answers: rows of arms.jsonl.
        training_seconds: of the adapter, counted for the arms that use it.
        index_seconds: of the index, counted for the arms that search.
        search_seconds: mean of one search, counted for the arms that search.

    Returns:
        The cost in seconds and tokens.
    """
    retrieves = arm in RETRIEVING
    setup = training_seconds * (arm in ADAPTED) + index_seconds * retrieves
    alone = [row["latency_s"] for row in answers if row["latency_s"] is not None]
    return Cost(
        arm,
        setup,
        _mean(answers, "seconds") + search_seconds * retrieves,
        _mean(answers, "prompt_tokens"),
        _mean(answers, "tokens"),
        mean_ci95(alone) if alone else None,
    )


def headlines(costs: Sequence[Cost], prices: Prices, n: int) -> list[Headline]:
    """``latency_<arm>_seconds``, ``tokens_per_question_<arm>`` and ``price_per_1000_<arm>``.

    Args:
        costs: one an arm.
        prices: what things cost.
        n: questions that the means of tokens and seconds are over.

    Returns:
        Headlines.
    """
    found = []
    for cost in costs:
        end = KEYS.get(cost.arm, cost.arm)
        if cost.latency:
            limits = (cost.latency.low, cost.latency.high)
            found.append(Headline(f"latency_{end}_seconds", cost.latency.mean, limits, cost.latency.n))
        found.append(Headline(f"tokens_per_question_{end}", cost.prompt_tokens + cost.answer_tokens, None, n))
        found.append(Headline(f"price_per_1000_{end}", price_per_1000(cost, prices), None, n))
    return found


def setup_price(cost: Cost, prices: Prices) -> float:
    """Price of setting the arm up once."""
    return cost.setup_seconds / 3600 * prices.machine_hour


def price_per_1000(cost: Cost, prices: Prices) -> float:
    """Price of answering 1,000 questions, without setting up."""
    machine = cost.seconds / 3600 * prices.machine_hour
    tokens = cost.prompt_tokens * prices.million_prompt_tokens + cost.answer_tokens * prices.million_answer_tokens
    return 1000 * (machine + tokens / 1e6)


def price_per_month(cost: Cost, prices: Prices) -> float:
    """Price of a month at the stated questions and changes of the knowledge."""
    answering = prices.questions_per_month / 1000 * price_per_1000(cost, prices)
    return prices.changes_per_month * setup_price(cost, prices) + answering


def break_even(a: Cost, b: Cost, prices: Prices) -> float | None:
    """Questions between two changes of the knowledge after which ``a`` has become the cheaper of the two.

    Args:
        a: the arm in question.
        b: the one it is compared with.
        prices: what things cost.

    Returns:
        ``(setup_a - setup_b) / (question_b - question_a)``; 0 where ``a`` is never dearer, None where it never
        becomes cheaper.
    """
    extra = setup_price(a, prices) - setup_price(b, prices)
    saved = (price_per_1000(b, prices) - price_per_1000(a, prices)) / 1000
    if extra <= 0 and saved >= 0:
        return 0.0
    return extra / saved if saved > 0 else None


def break_even_sentence(a: Cost, b: Cost, prices: Prices, labels: Mapping[str, str]) -> str:
    """`break_even` in words, with the numbers it was computed from."""
    questions = break_even(a, b, prices)
    first, second, money = labels.get(a.arm, a.arm), labels.get(b.arm, b.arm), prices.currency
    sums = (
        f"setting up {money} {setup_price(a, prices):.4g} against {setup_price(b, prices):.4g}, "
        f"1,000 questions {money} {price_per_1000(a, prices):.4g} against {price_per_1000(b, prices):.4g}"
    )
    if questions is None:
        return f"{first} never becomes cheaper than {second} ({sums})."
    if questions == 0:
        return f"{first} is never dearer than {second} ({sums})."
    return f"{first} is cheaper than {second} from {questions:,.0f} questions per change of the knowledge on ({sums})."


def _mean(rows: Sequence[Mapping], field: str) -> float:
    return sum(row[field] for row in rows) / len(rows)
