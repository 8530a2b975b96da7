"""How long answers take, all systems measured alike: the same questions, in turn, after a warm-up that is not counted.

Machines drift: they warm up, share their cores, throttle. Whoever is measured first, or apart, is measured under other
conditions. So every question (or batch) goes to all systems one after the other, and each time another one begins.
A system that is alone on its machine stays switched on; here another has answered before it. So each is switched on,
one token long, right before its clock starts: what an adapter's change costs is no part of any answer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ftlib import jsonl
from ftlib.evaluate.answers import read_answers
from ftlib.rag.arms import Ask
from ftlib.stats import Interval, few_ci95

if TYPE_CHECKING:
    from ftlib.core.engine import Engine
    from ftlib.systems import System

K = TypeVar("K", bound=Hashable)


def measure_latency(
    engine: Engine,
    systems: Mapping[str, System],
    asked: Mapping[str, Sequence[Ask]],
    path: str | Path,
    *,
    count: int,
    max_new_tokens: int,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Seconds from question to whole answer with one question at a time, search included.

    Args:
        engine, systems: who generates, who is asked.
        asked: system to its asks, from `ftlib.rag.arms.ask_all`, of the same questions.
        path: JSON lines `{id, system, latency_s}`; what it holds already is not measured again.
        count, seed: of the questions to ask, a sample that is the same for every system.
        max_new_tokens: longest answer.

    Returns:
        System to question id to seconds.
    """
    done = {(line["system"], line["id"]): line["latency_s"] for line in read_answers(path)}
    asks = {name: {each.prompt.id: each for each in asked[name]} for name in systems}
    chosen = _sample(asks, count, str(seed))

    def seconds(name: str, key: str) -> float:
        each = asks[name][key]
        return _seconds(engine, systems[name], [each], max_new_tokens, 1) + each.search_seconds

    for name, key in _left(systems, chosen, done, lambda name: seconds(name, chosen[0])):
        done[name, key] = seconds(name, key)
        jsonl.append(path, {"id": key, "system": name, "latency_s": done[name, key]})
    return {name: {key: done[name, key] for key in chosen} for name in systems}


def measure_throughput(
    engine: Engine,
    systems: Mapping[str, System],
    asked: Mapping[str, Sequence[Ask]],
    path: str | Path,
    *,
    rounds: int,
    batch_rows: int,
    max_new_tokens: int,
    seed: int = 0,
) -> dict[str, Interval]:
    """Seconds a question takes in a batch, without its search: what a machine's time is divided by.

    Args:
        engine, systems, asked, max_new_tokens: as of `measure_latency`.
        path: JSON lines `{round, system, questions, seconds}`; what it holds already is not measured again.
        rounds: batches to time a system, each of other random questions, the same for every system.
        batch_rows, seed: questions in a batch, and of their draws.

    Returns:
        System to mean seconds a question; `n` batches, which the interval is over.
    """
    done = {(line["system"], line["round"]): line for line in read_answers(path)}
    asks = {name: {each.prompt.id: each for each in asked[name]} for name in systems}
    batches = [_sample(asks, batch_rows, f"{seed}/{turn}") for turn in range(rounds)]

    def seconds(name: str, batch: Sequence[str]) -> float:
        return _seconds(engine, systems[name], [asks[name][key] for key in batch], max_new_tokens, batch_rows)

    for name, turn in _left(systems, range(rounds), done, lambda name: seconds(name, batches[0])):
        took, count = seconds(name, batches[turn]), len(batches[turn])
        done[name, turn] = {"round": turn, "system": name, "questions": count, "seconds": took}
        jsonl.append(path, done[name, turn])
    lines = {name: [done[name, turn] for turn in range(rounds)] for name in systems}
    found = {name: few_ci95([line["seconds"] / line["questions"] for line in each]) for name, each in lines.items()}
    return {name: each._replace(low=max(each.low, 0.0)) for name, each in found.items()}  # of time, 0 is the least


def _seconds(engine: Engine, system: System, asks: Sequence[Ask], max_new_tokens: int, batch_rows: int) -> float:
    prompts = [each.prompt for each in asks]
    if system.endpoint is None:  # adapters of one model share the weights that they are merged into
        engine.generate(system, prompts[:1], max_new_tokens=1, batch_rows=1)
    began = time.perf_counter()
    engine.generate(system, prompts, max_new_tokens=max_new_tokens, batch_rows=batch_rows)
    return time.perf_counter() - began


def _sample(asks: Mapping[str, Mapping[str, Ask]], count: int, seed: str) -> list[str]:
    ids = sorted(next(iter(asks.values()), {}))
    return random.Random(seed).sample(ids, min(count, len(ids)))


def _left(
    systems: Mapping[str, System], wanted: Sequence[K], done: Mapping, warm_up: Callable[[str], object]
) -> Iterator[tuple[str, K]]:
    """What is not measured yet, system by system in turn; each time another one begins.

    Those with something left are warmed up before: their first answer of this process pays for what is set up once.
    """
    names = list(systems)
    for name in names:
        if any((name, each) not in done for each in wanted):
            warm_up(name)
    for turn, each in enumerate(wanted):
        first = turn % max(len(names), 1)
        yield from ((name, each) for name in names[first:] + names[:first] if (name, each) not in done)
