"""The answers of an arm, resumable line by line, and how long one answer takes when nothing else is asked."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlib import jsonl
from ftlib.evaluate.answers import read_answers
from ftlib.progress import progress
from ftlib.rag.arms import LABELS, Prompt
from ftlib.recipe import UserError


def answer(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    path: str | Path,
    *,
    arm: str,
    max_new_tokens: int,
    batch_rows: int,
    latency: Mapping[str, float] | None = None,
    interactive: bool = False,
) -> list[dict]:
    """Answers every prompt that the file does not hold yet and appends the answers, batch by batch.

    Args:
        model: what generates.
        tokenizer: its tokenizer.
        prompts: this arm's.
        path: JSON lines; rows of other arms may stand in it.
        arm: name written into the rows.
        max_new_tokens: longest answer.
        batch_rows: prompts a batch.
        latency: seconds of the questions asked one at a time, by id (see `measure_latency`).
        interactive: a bar instead of plain progress lines.

    Returns:
        This arm's rows in the order of ``prompts``: ``{id, arm, prediction, retrieved, hit, latency_s, prompt_tokens,
        tokens, shown, seconds}``; ``latency_s`` is None where it was not measured alone, ``seconds`` is the share of
        its batch (throughput, not latency).
    """
    done = {row["id"]: row for row in read_answers(Path(path)) if row["arm"] == arm}
    pending = sorted((prompt for prompt in prompts if prompt.id not in done), key=lambda prompt: -len(prompt.ids))
    with progress(total=len(prompts), desc=LABELS.get(arm, arm), interactive=interactive) as bar:
        bar.update(len(prompts) - len(pending))
        for start in range(0, len(pending), batch_rows):
            batch = pending[start : start + batch_rows]
            generations = _generate(model, tokenizer, batch, max_new_tokens)
            for prompt, made in zip(batch, generations, strict=True):
                row = _row(prompt, arm, made.text, made.tokens, made.seconds, (latency or {}).get(prompt.id))
                jsonl.append(path, row)
                done[prompt.id] = row
            bar.update(len(batch))
    return [done[prompt.id] for prompt in prompts]


def adopt(
    prompts: Sequence[Prompt],
    generations: Iterable[Mapping],
    path: str | Path,
    *,
    arm: str,
    latency: Mapping[str, float] | None = None,
) -> list[dict]:
    """Takes answers that notebook 03 generated for the identical prompts instead of generating them again.

    Args:
        prompts: this arm's.
        generations: rows ``{id, arm, prediction, tokens, seconds}``.
        path: JSON lines that the answers are appended to where they are not in it yet.
        arm: whose answers.
        latency: as in `answer`.

    Returns:
        As `answer`.

    Raises:
        UserError: an answer is missing.
    """
    given = {row["id"]: row for row in generations if row["arm"] == arm}
    done = {row["id"]: row for row in read_answers(Path(path)) if row["arm"] == arm}
    for prompt in prompts:
        if prompt.id in done:
            continue
        if prompt.id not in given:
            wanted = f"an answer of arm {arm} to {prompt.id}"
            raise UserError.of("03_evaluate/generations.jsonl", wanted, "none", "run notebook 03 again")
        row, alone = given[prompt.id], (latency or {}).get(prompt.id)
        done[prompt.id] = _row(prompt, arm, row["prediction"], row["tokens"], row["seconds"], alone)
        jsonl.append(path, done[prompt.id])
    return [done[prompt.id] for prompt in prompts]


def measure_latency(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    path: str | Path,
    *,
    arm: str,
    count: int,
    max_new_tokens: int,
    seed: int = 0,
) -> dict[str, float]:
    """Seconds from question to whole answer with one question at a time, search included.

    A seeded sample, the same questions for every arm; one question before it warms up and is not counted.

    Args:
        model: what generates.
        tokenizer: its tokenizer.
        prompts: this arm's.
        path: JSON lines ``{id, arm, latency_s}``; what it holds already is not measured again.
        arm: name written into the rows.
        count: questions to ask.
        max_new_tokens: longest answer.
        seed: of the sample.

    Returns:
        Question id to seconds.
    """
    done = {row["id"]: row["latency_s"] for row in read_answers(Path(path)) if row["arm"] == arm}
    chosen = set(random.Random(seed).sample(sorted(prompt.id for prompt in prompts), min(count, len(prompts))))
    pending = [prompt for prompt in prompts if prompt.id in chosen - set(done)]
    if pending:
        _generate(model, tokenizer, pending[:1], max_new_tokens)
    for prompt in pending:
        began = time.perf_counter()
        _generate(model, tokenizer, [prompt], max_new_tokens)
        done[prompt.id] = time.perf_counter() - began + prompt.search_seconds
        jsonl.append(path, {"id": prompt.id, "arm": arm, "latency_s": done[prompt.id]})
    return done


def max_prompt_tokens(model: Any, max_new_tokens: int) -> int:
    """The longest prompt that leaves room for the answer in the model's context window."""
    window = getattr(model.config, "max_position_embeddings", None) or 1 << 30
    return window - max_new_tokens


def _generate(model: Any, tokenizer: Any, prompts: Sequence[Prompt], max_new_tokens: int) -> list:
    from ftlib.core.generate import generate

    ids = [prompt.ids for prompt in prompts]
    return generate(
        model,
        tokenizer,
        ids,
        max_new_tokens=max_new_tokens,
        batch_rows=len(ids),
        progress_desc=f"a batch of {len(ids)}",
        interactive=False,
    )


def _row(prompt: Prompt, arm: str, text: str, tokens: int, seconds: float, latency: float | None) -> dict:
    return {
        "id": prompt.id,
        "arm": arm,
        "prediction": text,
        "retrieved": list(prompt.retrieved),
        "hit": prompt.hit,
        "latency_s": latency,
        "prompt_tokens": len(prompt.ids),
        "tokens": tokens,
        "shown": prompt.shown,
        "seconds": seconds,
    }
