"""What a system costs: setting it up once per change of the knowledge, and answering each question.

With the recipe's prices, of a machine hour H and of a million prompt and answer tokens P and A (0 on an own machine),

    setup    = setup seconds / 3600 * H
    question = seconds / 3600 * H + prompt tokens / 1e6 * P + answer tokens / 1e6 * A
    month    = changes * setup + questions * question

Seconds are those of batched work (throughput); how long a person waits is the latency, measured apart. The prices of
hours and tokens are given, the seconds and tokens are measured: a price has their interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ftlib.rag.arms import retrieves
from ftlib.stats import Headline, Interval, linear, ratio_ci95
from ftlib.systems import TRAINED, System
from ftlib.tables import number

if TYPE_CHECKING:
    from ftlib.recipe import Recipe


class Prices(NamedTuple):
    """Prices and volumes, as the recipe states them."""

    machine_hour: float
    million_prompt_tokens: float = 0.0
    million_answer_tokens: float = 0.0
    questions_per_month: float = 10_000
    changes_per_month: float = 1.0
    currency: str = "EUR"

    @classmethod
    def of(cls, recipe: Recipe) -> Prices:
        """The prices of `recipe.rag`."""
        rag = recipe.rag
        tokens = rag.price_million_prompt_tokens, rag.price_million_answer_tokens
        return cls(rag.price_machine_hour, *tokens, rag.questions_per_month, rag.changes_per_month, rag.currency)


class Cost(NamedTuple):
    """What was measured of one system.

    Attributes:
        system: its name.
        setup_seconds: training, indexing or both; 0 where there is nothing to set up.
        seconds: per question, in batches, its search included.
        prompt_tokens, answer_tokens: per question, means; `tokens` both together, `token_price` what they cost.
        latency: seconds per question asked alone; None where not measured.
    """

    system: str
    setup_seconds: float
    seconds: Interval
    prompt_tokens: float
    answer_tokens: float
    tokens: Interval
    token_price: Interval
    latency: Interval | None = None


def cost_of(
    system: System,
    answers: Sequence[Mapping],
    seconds: Interval,
    prices: Prices,
    *,
    training_seconds: float,
    index_seconds: float,
    search_seconds: Interval | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> Cost:
    """Puts together what was measured of a system, in seconds and tokens.

    Args:
        system, answers: who answered; its lines of arms.jsonl.
        seconds: a question's in a batch, from `ftlib.rag.timing.measure_throughput`.
        prices: of tokens.
        training_seconds: of this run's adapter, counted where the system uses it.
        index_seconds, search_seconds: of the index and of one search, counted where it searches.
        samples, seed: of the bootstrap.
    """
    setup = training_seconds * (system.adapter == TRAINED) + index_seconds * retrieves(system)
    counts = [(line["prompt_tokens"], line["tokens"]) for line in answers]
    paid = [(p * prices.million_prompt_tokens + a * prices.million_answer_tokens) / 1e6 for p, a in counts]
    alone = [line["latency_s"] for line in answers if line["latency_s"] is not None]
    return Cost(
        system.name,
        setup,
        linear((1, seconds), (1, search_seconds)) if retrieves(system) and search_seconds else seconds,
        sum(p for p, _ in counts) / len(counts),
        sum(a for _, a in counts) / len(counts),
        mean_of([p + a for p, a in counts], samples, seed),
        mean_of(paid, samples, seed) if any(paid) else Interval(0.0, 0.0, 0.0, len(paid)),
        mean_of(alone, samples, seed) if alone else None,
    )


def mean_of(amounts: Sequence[float], samples: int = 2000, seed: int = 0) -> Interval:
    """Mean and 95 % interval of seconds, tokens or money, which have no upper end (bootstrap-t).

    Their order does not matter.
    """
    return ratio_ci95(sorted(amounts), [1.0] * len(amounts), samples, seed)


def cost_headlines(costs: Sequence[Cost], prices: Prices) -> list[Headline]:
    """`latency_<system>_seconds`, `tokens_per_question_<system>` and `price_per_1000_<system>`.

    Their n are questions of latency and tokens, and timed batches of the price.
    """
    found = []
    for cost in costs:
        if cost.latency:
            found.append(Headline.of(f"latency_{cost.system}_seconds", cost.latency))
        found.append(Headline.of(f"tokens_per_question_{cost.system}", cost.tokens))
        found.append(Headline.of(f"price_per_1000_{cost.system}", price_per_1000(cost, prices)))
    return found


def setup_price(cost: Cost, prices: Prices) -> float:
    """Price of setting the system up once."""
    return cost.setup_seconds / 3600 * prices.machine_hour


def price_per_1000(cost: Cost, prices: Prices) -> Interval:
    """Price of answering 1,000 questions, without setting up."""
    return linear((1000 / 3600 * prices.machine_hour, cost.seconds), (1000, cost.token_price))


def price_per_month(cost: Cost, prices: Prices) -> Interval:
    """Price of a month at the stated questions and changes of the knowledge."""
    setting_up = prices.changes_per_month * setup_price(cost, prices)
    return linear((prices.questions_per_month / 1000, price_per_1000(cost, prices)), plus=setting_up)


def break_even(a: Cost, b: Cost, prices: Prices) -> float | None:
    """Questions between two changes of the knowledge after which `a` has become the cheaper of the two.

    Returns:
        `(setup_a - setup_b) / (question_b - question_a)`; 0 where `a` is never dearer, None where it never
        becomes cheaper.
    """
    extra = setup_price(a, prices) - setup_price(b, prices)
    saved = saved_per_1000(a, b, prices).mean / 1000
    if extra <= 0 and saved >= 0:
        return 0.0
    return extra / saved if saved > 0 else None


def saved_per_1000(a: Cost, b: Cost, prices: Prices) -> Interval:
    """What 1,000 questions cost less with `a` than with `b`."""
    return linear((1, price_per_1000(b, prices)), (-1, price_per_1000(a, prices)))


def break_even_sentence(a: Cost, b: Cost, prices: Prices, labels: Mapping[str, str]) -> str:
    """`break_even` in words, with the numbers it was computed from, and whether they may be chance."""
    questions, saved = break_even(a, b, prices), saved_per_1000(a, b, prices)
    first, second, money = labels.get(a.system, a.system), labels.get(b.system, b.system), prices.currency
    ups, answers = ([f(each, prices) for each in (a, b)] for f in (setup_price, price_per_1000))
    if not saved.mean and ups[0] == ups[1]:
        return f"{first} and {second} cost the same at these prices."
    sums = (
        f"setting up {money} {number(ups[0])} against {number(ups[1])}, "
        f"1,000 questions {money} {number(answers[0].mean)} against {number(answers[1].mean)}"
    )
    if questions is None:
        told = f"{first} never becomes cheaper than {second}"
    elif questions == 0:
        told = f"{first} is never dearer than {second}"
    else:
        about = float(f"{questions:.2g}")  # more figures than the measured seconds have would be none
        told = f"{first} is cheaper than {second} from about {about:,.0f} questions per change of the knowledge on"
    chance = "; the difference between the latter may be chance" if saved.low <= 0 <= saved.high else ""
    return f"{told} ({sums}{chance})."
