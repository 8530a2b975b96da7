"""What fine-tuning cost: perplexity on held-out text, and on the test answers.

Held-out text is whatever the recipe names (`evaluate.holdout_path`); the numbers speak of its kind of text only.

Perplexity per token is `exp(-sum(log p) / tokens)`; per byte the sum is divided by the UTF-8 bytes of what was scored,
so that models with different tokenizers compare. Both sum over all texts before they divide. Intervals are made on the
logarithm (nats), and the change from the first system to another is paired text by text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ftlib import jsonl
from ftlib.data.prompts import IGNORED, Example, Renderer
from ftlib.errors import UserError
from ftlib.rows import Row, cluster
from ftlib.stats import Headline, Interval, ratio_ci95

UNITS = {"per_token": "tokens", "per_byte": "bytes"}


class TextLikelihood(NamedTuple):
    """Summed log-likelihood (nats) of one text over `tokens` scored tokens and `bytes` UTF-8 bytes."""

    id: str
    sum_logprob: float
    tokens: int
    bytes: int
    cluster: str = ""  # texts with one key stand or fall together; "" stands alone


def load_texts(path: str | Path, limit: int | None = None) -> list[str]:
    """The first `limit` texts, or all, of held-out text: JSON lines with a field `text`, blank ones passed over.

    Raises:
        UserError: the file or a field is missing, or no text is left.
    """
    texts = []
    for number, row in enumerate(jsonl.iterate(path), start=1):
        if not isinstance(row.get("text"), str):
            found = f"fields {sorted(row)}"
            raise UserError.of(f"{path}, row {number}", 'a field "text" with text', found, "mend or remove this row")
        if row["text"].strip():
            texts.append(row["text"])
    if not texts:
        raise UserError.of(str(path), "one or more texts", "none", "check evaluate.holdout_path")
    return texts[:limit]


def windows(tokenizer: Any, text: str, max_length: int, *, encoder_decoder: bool = False) -> list[Example]:
    """Cut a text into windows of at most `max_length` (2 or more) tokens in which every token is scored exactly once.

    Each window after the first starts with up to half its length of context that is read but not scored again; the
    first token is scored only where a begin-of-sequence token stands before it. An encoder-decoder reads half a
    window (of a short text half of it) and is scored on the tokens that follow. No window where nothing can be scored.
    """
    bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    ids = bos + tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    half = max_length // 2
    if encoder_decoder:
        half = max(2, min(half, len(ids) // 2))
        ends = range(half - 1, len(ids), half)
        return [Example([*ids[at - half + 1 : at], tokenizer.eos_token_id], ids[at : at + half]) for at in ends]
    found, scored = [], 1  # position 0 has nothing before it to be predicted from
    while scored < len(ids):
        start = 0 if scored == 1 else max(0, scored - half)
        end = min(len(ids), start + max_length)
        found.append(Example(ids[start:end], [IGNORED] * (scored - start) + ids[scored:end]))
        scored = end
    return found


def score_texts(
    model: Any, tokenizer: Any, texts: Sequence[str], *, max_length: int, batch_rows: int
) -> list[TextLikelihood]:
    """Log-likelihood of whole texts under a language model in evaluation mode.

    Args:
        max_length: tokens per window.
        batch_rows: windows per forward pass.

    Returns:
        One TextLikelihood per text in which a token can be scored, `id` its number.
    """
    from ftlib.core.loss import has_encoder, log_likelihood

    kind = has_encoder(model)
    parts = [windows(tokenizer, text, max_length, encoder_decoder=kind) for text in texts]
    results = iter(log_likelihood(model, tokenizer, [w for part in parts for w in part], batch_rows=batch_rows))
    found = []
    for number, (text, part) in enumerate(zip(texts, parts, strict=True)):
        scored = [next(results) for _ in part]
        tokens = sum(result.tokens for result in scored)
        size = len(text.encode("utf-8"))
        if kind:  # only a part of its tokens is scored
            size = sum(len(tokenizer.decode(window.labels).encode("utf-8")) for window in part)
        if tokens:
            found.append(TextLikelihood(str(number), sum(each.sum_logprob for each in scored), tokens, size))
    return found


def score_answers(
    model: Any,
    renderer: Renderer,
    rows: Sequence[Row],
    *,
    fact: str | None = None,
    window: int | None = None,
    batch_rows: int,
) -> list[TextLikelihood]:
    """Log-likelihood of the right answers, given all that was said before them.

    Args:
        model: a language model in evaluation mode.
        renderer: makes the prompts, as in training: history and context count.
        rows: test rows; `fact` is `data.columns.fact`, and rows about one fact are one cluster.
        window: tokens the model reads at most; a longer row loses its beginning. None where no limit is known.
        batch_rows: rows per forward pass.

    Returns:
        One TextLikelihood per row, over the answer's tokens and the end-of-sequence token.
    """
    from ftlib.core.loss import log_likelihood

    examples = [renderer.example(row) for row in rows]
    if window:
        examples = [Example(ids[-window:], labels[-window:]) for ids, labels in examples]
    scored = log_likelihood(model, renderer.tokenizer, examples, batch_rows=batch_rows)
    return [
        TextLikelihood(row.id, each.sum_logprob, each.tokens, len(row.answer.encode("utf-8")), cluster(row, fact))
        for row, each in zip(rows, scored, strict=True)
    ]


def perplexity(scored: Sequence[TextLikelihood], per: str, samples: int, seed: int) -> Interval:
    """Perplexity over all texts (one or more) with a 95 % interval; 1 would be a perfect prediction.

    `per` is "tokens" or "bytes"; samples and seed are those of the bootstrap over texts.
    """
    return _exp_ratio([-text.sum_logprob for text in scored], scored, per, samples, seed)


def perplexity_ratio(
    before: Sequence[TextLikelihood], after: Sequence[TextLikelihood], per: str, samples: int, seed: int
) -> Interval:
    """By which factor perplexity grew, paired text by text: `exp` of the change in nats; above 1 is forgetting.

    The counts (`per` "tokens" or "bytes") of `before` are used for both.

    Raises:
        ValueError: the two did not score the same texts in the same order.
    """
    if [text.id for text in before] != [text.id for text in after]:
        raise ValueError("both systems must be scored on the same texts in the same order")
    lost = [b.sum_logprob - a.sum_logprob for b, a in zip(before, after, strict=True)]
    return _exp_ratio(lost, before, per, samples, seed)


def perplexity_table(scored: Mapping[str, Sequence[TextLikelihood]], samples: int, seed: int) -> dict[str, Any]:
    """Perplexities of all systems and their ratios to the first, per token and per byte.

    Args:
        scored: system -> likelihoods of the same texts in the same order, at least one.
        samples, seed: of the bootstrap.

    Returns:
        `{"n", "tokens", "bytes", "per_token": {"systems": {name: Interval}, "ratios": {name: Interval}}, "per_byte":
        {...}}`, the ratios without the first system.
    """
    first, *others = scored
    table: dict[str, Any] = {"n": len(scored[first])}
    table |= {per: sum(getattr(text, per) for text in scored[first]) for per in UNITS.values()}
    for name, per in UNITS.items():
        table[name] = {
            "systems": {system: perplexity(scored[system], per, samples, seed) for system in scored},
            "ratios": {
                system: perplexity_ratio(scored[first], scored[system], per, samples, seed) for system in others
            },
        }
    return table


def perplexity_headlines(tables: Mapping[str, Mapping[str, Any]]) -> list[Headline]:
    """`perplexity_*` (held-out text) and `perplexity_answers_*`, per token: each system's, and the ratio to the first.

    The tables, of `perplexity_table`, stand under "held_out" and "answers"; either may be missing.
    """
    found = []
    for name, key in (("held_out", "perplexity"), ("answers", "perplexity_answers")):
        if name not in tables:
            continue
        measured = tables[name]["per_token"]
        found += Headline.compared(key, measured["systems"], "ratio", measured["ratios"])
    return found


def _exp_ratio(nats: Sequence[float], texts: Sequence[TextLikelihood], per: str, samples: int, seed: int) -> Interval:
    keys = [text.cluster or text.id for text in texts]
    found = ratio_ci95(nats, [getattr(text, per) for text in texts], samples, seed, clusters=keys)
    return Interval(*(_exp(limit) for limit in found[:3]), found.n)


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
