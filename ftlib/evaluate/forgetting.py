"""What fine-tuning cost: perplexity on general text that no training saw, and on the test answers.

Perplexity per token is `exp(-sum(log p) / tokens)`; per byte the sum is divided by the UTF-8 bytes of the text, so
that models with different tokenizers compare. Both sum over all texts before they divide. Intervals come from a
bootstrap over texts on the logarithm (nats), and the change from base to fine-tuned is paired text by text.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ftlib import jsonl
from ftlib.data.prompts import IGNORED, Example, Renderer
from ftlib.evaluate.scores import Headline
from ftlib.evaluate.stats import Interval, ratio_ci95
from ftlib.recipe import UserError


class TextLikelihood(NamedTuple):
    """Summed log-likelihood (nats) of one text over `tokens` scored tokens and `bytes` UTF-8 bytes."""

    id: str
    sum_logprob: float
    tokens: int
    bytes: int


def load_texts(path: str | Path, limit: int | None = None) -> list[str]:
    """Read held-out text.

    Args:
        path: JSON lines with a field `text`.
        limit: the first so many texts; None for all.

    Returns:
        The texts that are not blank.

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


def windows(tokenizer: Any, text: str, max_length: int) -> list[Example]:
    """Cut a text into windows in which every token is scored exactly once.

    Each window after the first starts with up to half its length of context that is read but not scored again; the
    first token is scored only where a begin-of-sequence token stands before it.

    Args:
        tokenizer: a Hugging Face tokenizer.
        text: the text.
        max_length: tokens per window, at least 2.

    Returns:
        Examples of at most `max_length` tokens; none where nothing can be scored.
    """
    bos = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    ids = bos + tokenizer(text, add_special_tokens=False)["input_ids"]
    found, scored = [], 1  # position 0 has nothing before it to be predicted from
    while scored < len(ids):
        start = 0 if scored == 1 else max(0, scored - max_length // 2)
        end = min(len(ids), start + max_length)
        labels = [IGNORED] * (scored - start) + ids[scored:end]
        found.append(Example(ids[start:end], labels))
        scored = end
    return found


def score_texts(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    max_length: int,
    batch_rows: int,
) -> list[TextLikelihood]:
    """Log-likelihood of whole texts.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        texts: the texts.
        max_length: tokens per window.
        batch_rows: windows per forward pass.

    Returns:
        One TextLikelihood per text, `id` its number; texts of a single token without a begin-of-sequence token have
        `tokens` 0.
    """
    from ftlib.core.likelihood import log_likelihood

    parts = [windows(tokenizer, text, max_length) for text in texts]
    owners = [number for number, part in enumerate(parts) for _ in part]
    scored = log_likelihood(model, tokenizer, [w for part in parts for w in part], batch_rows=batch_rows)
    sums, tokens = [0.0] * len(texts), [0] * len(texts)
    for owner, result in zip(owners, scored, strict=True):
        sums[owner] += result.sum_logprob
        tokens[owner] += result.tokens
    sizes = [len(text.encode("utf-8")) for text in texts]
    return [TextLikelihood(str(i), *each) for i, each in enumerate(zip(sums, tokens, sizes, strict=True))]


def score_answers(
    model: Any,
    tokenizer: Any,
    renderer: Renderer,
    rows: Sequence[dict],
    *,
    batch_rows: int,
) -> list[TextLikelihood]:
    """Log-likelihood of the right answers, given their questions, closed book.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        renderer: makes the prompts, as in training.
        rows: test rows with `id`, `question`, `answer`.
        batch_rows: rows per forward pass.

    Returns:
        One TextLikelihood per row, over the answer's tokens and the end-of-sequence token.
    """
    from ftlib.core.likelihood import log_likelihood

    encoded = [renderer.example(row["question"], row["answer"]) for row in rows]
    scored = log_likelihood(model, tokenizer, encoded, batch_rows=batch_rows)
    return [
        TextLikelihood(row["id"], result.sum_logprob, result.tokens, len(row["answer"].encode("utf-8")))
        for row, result in zip(rows, scored, strict=True)
    ]


def perplexity(scored: Sequence[TextLikelihood], per: str, samples: int, seed: int) -> Interval:
    """Perplexity over all texts with a 95 % interval.

    Args:
        scored: likelihoods of the texts.
        per: "tokens" or "bytes".
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        Interval over `n` texts; 1 would be a perfect prediction.
    """
    used = [text for text in scored if text.tokens]
    nats = ratio_ci95([-t.sum_logprob for t in used], [getattr(t, per) for t in used], samples, seed)
    return Interval(*(_exp(limit) for limit in nats[:3]), nats.n)


def change(
    before: Sequence[TextLikelihood], after: Sequence[TextLikelihood], per: str, samples: int, seed: int
) -> Interval:
    """By which factor perplexity grew, paired text by text: `exp` of the change in nats.

    Args:
        before: likelihoods under the base model.
        after: likelihoods of the same texts, in the same order, under the fine-tuned one.
        per: "tokens" or "bytes"; the counts of `before` are used for both.
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        Interval of perplexity after / perplexity before; above 1 is forgetting.

    Raises:
        ValueError: the texts differ.
    """
    if [t.id for t in before] != [t.id for t in after]:
        raise ValueError("both models must be scored on the same texts in the same order")
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if b.tokens]
    lost = [b.sum_logprob - a.sum_logprob for b, a in pairs]
    nats = ratio_ci95(lost, [getattr(b, per) for b, _ in pairs], samples, seed)
    return Interval(*(_exp(limit) for limit in nats[:3]), nats.n)


def summarize(
    before: Sequence[TextLikelihood], after: Sequence[TextLikelihood], samples: int, seed: int
) -> dict[str, Any]:
    """Perplexities of both models and their ratio, per token and per byte.

    Args:
        before: likelihoods under the base model.
        after: likelihoods of the same texts under the fine-tuned one.
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        `{"n", "tokens", "bytes", "per_token": {"base", "finetuned", "ratio"}, "per_byte": {...}}`, each an interval.
    """
    table: dict[str, Any] = {
        "n": len(before),
        "tokens": sum(text.tokens for text in before),
        "bytes": sum(text.bytes for text in before),
    }
    for name, per in (("per_token", "tokens"), ("per_byte", "bytes")):
        table[name] = {
            "base": perplexity(before, per, samples, seed)._asdict(),
            "finetuned": perplexity(after, per, samples, seed)._asdict(),
            "ratio": change(before, after, per, samples, seed)._asdict(),
        }
    return table


def headlines(tables: Mapping[str, Mapping[str, Any]]) -> list[Headline]:
    """`perplexity_*` (general text) and `perplexity_answers_*`, per token: base, finetuned and their ratio.

    Args:
        tables: what `summarize` returned, under "general" and "answers"; either may be missing.
    """
    named = [("general", "perplexity"), ("answers", "perplexity_answers")]
    return [
        Headline.of(f"{key}_{column}", tables[name]["per_token"][column])
        for name, key in named
        if name in tables
        for column in ("base", "finetuned", "ratio")
    ]


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
