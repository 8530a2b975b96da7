"""What a system costs: setting it up once per change of the knowledge, and answering each question.

With the recipe's prices, of a machine hour H and of a million prompt and answer tokens P and A (0 on an own machine),

    setup    = setup seconds / 3600 * H
    question = seconds / 3600 * H + prompt tokens / 1e6 * P + answer tokens / 1e6 * A
    month    = changes * setup + questions * question

Seconds are those of batched work (throughput); how long a person waits is the latency, measured apart.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ftlib import jsonl
from ftlib.evaluate.answers import read_answers
from ftlib.rag.arms import Ask, retrieves
from ftlib.stats import Headline, Interval, mean_ci95
from ftlib.systems import TRAINED, System

if TYPE_CHECKING:
    from ftlib.core.engine import Engine
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
        return cls(
            rag.price_machine_hour,
            rag.price_million_prompt_tokens,
            rag.price_million_answer_tokens,
            rag.questions_per_month,
            rag.changes_per_month,
            rag.currency,
        )


class Cost(NamedTuple):
    """What was measured of one system.

    Attributes:
        system: its name.
        setup_seconds: training, indexing or both; 0 where there is nothing to set up.
        seconds: per question, in batches.
        prompt_tokens: per question, mean.
        answer_tokens: per question, mean.
        latency: seconds per question asked alone, with interval; None where not measured.
    """

    system: str
    setup_seconds: float
    seconds: float
    prompt_tokens: float
    answer_tokens: float
    latency: Interval | None = None


def measure_latency(
    engine: Engine,
    system: System,
    asked: Sequence[Ask],
    path: str | Path,
    *,
    count: int,
    max_new_tokens: int,
    seed: int = 0,
) -> dict[str, float]:
    """Seconds from question to whole answer with one question at a time, search included.

    A seeded sample, the same questions for every system; one question before it warms up and is not counted.

    Args:
        engine: generates.
        system: who is asked.
        asked: from `ftlib.rag.arms.ask_all`.
        path: JSON lines `{id, system, latency_s}`; what it holds already is not measured again.
        count: questions to ask.
        max_new_tokens: longest answer.
        seed: of the sample.

    Returns:
        Question id to seconds.
    """
    done = {line["id"]: line["latency_s"] for line in read_answers(path) if line["system"] == system.name}
    ids = sorted(each.prompt.id for each in asked)
    chosen = set(random.Random(seed).sample(ids, min(count, len(ids))))
    pending = [each for each in asked if each.prompt.id in chosen - set(done)]
    for number, each in enumerate([*pending[:1], *pending]):
        began = time.perf_counter()
        engine.generate(system, [each.prompt], max_new_tokens=max_new_tokens, batch_rows=1)
        if number:
            done[each.prompt.id] = time.perf_counter() - began + each.search_seconds
            line = {"id": each.prompt.id, "system": system.name, "latency_s": done[each.prompt.id]}
            jsonl.append(path, line)
    return done


def cost_of(
    system: System,
    answers: Sequence[Mapping],
    *,
    training_seconds: float,
    index_seconds: float,
    search_seconds: float = 0.0,
) -> Cost:
    """Averages a system's answers.

    Args:
        system: who answered.
        answers: its lines of arms.jsonl.
        training_seconds: of this run's adapter, counted where the system uses it.
        index_seconds: of the index, counted where it searches.
        search_seconds: mean of one search, counted where it searches.

    Returns:
        The cost in seconds and tokens.
    """
    setup = training_seconds * (system.adapter == TRAINED) + index_seconds * retrieves(system)
    alone = [line["latency_s"] for line in answers if line["latency_s"] is not None]
    return Cost(
        system.name,
        setup,
        _mean(answers, "seconds") + search_seconds * retrieves(system),
        _mean(answers, "prompt_tokens"),
        _mean(answers, "tokens"),
        mean_ci95(alone) if alone else None,
    )


def cost_headlines(costs: Sequence[Cost], prices: Prices, n: int) -> list[Headline]:
    """`latency_<system>_seconds`, `tokens_per_question_<system>` and `price_per_1000_<system>`.

    Args:
        costs: one a system.
        prices: what things cost.
        n: questions that the means of tokens and seconds are over.

    Returns:
        Headlines.
    """
    found = []
    for cost in costs:
        if cost.latency:
            found.append(Headline.of(f"latency_{cost.system}_seconds", cost.latency))
        tokens = cost.prompt_tokens + cost.answer_tokens
        found.append(Headline(f"tokens_per_question_{cost.system}", tokens, None, n))
        found.append(Headline(f"price_per_1000_{cost.system}", price_per_1000(cost, prices), None, n))
    return found


def setup_price(cost: Cost, prices: Prices) -> float:
    """Price of setting the system up once."""
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
    """Questions between two changes of the knowledge after which `a` has become the cheaper of the two.

    Args:
        a: the system in question.
        b: the one it is compared with.
        prices: what things cost.

    Returns:
        `(setup_a - setup_b) / (question_b - question_a)`; 0 where `a` is never dearer, None where it never
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
    first, second, money = labels.get(a.system, a.system), labels.get(b.system, b.system), prices.currency
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
