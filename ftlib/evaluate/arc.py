"""Multiple-choice questions in ARC's schema, scored by log-likelihood exactly as lm-eval scores ARC.

The prompt is `Question: {question}\\nAnswer:` and each choice is scored as the continuation
` {choice}`. `acc` takes the choice with the highest log-likelihood; `acc_norm` divides it by the
choice's length in characters first, `acc_bytes` by its length in UTF-8 bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ftlib.data.prompts import IGNORED, Example
from ftlib.evaluate.arc_questions import Question, load, parse  # noqa: F401 (load and parse belong to this module's face)
from ftlib.evaluate.scores import Headline
from ftlib.evaluate.stats import mcnemar, mean_ci95, paired_difference
from ftlib.progress import progress

METRICS = ("acc", "acc_norm", "acc_bytes")


def encode_pair(tokenizer: Any, context: str, continuation: str, max_length: int | None = None) -> Example:
    """Tokenize a context and its continuation as lm-eval does; only the continuation is labelled.

    The pair is tokenized as one text, with the special tokens that the tokenizer adds by default,
    and cut where the context alone ends; spaces at the end of the context count to the continuation.

    Args:
        tokenizer: a Hugging Face tokenizer.
        context: the text conditioned on, not empty.
        continuation: the text that is scored.
        max_length: tokens the model reads; a longer pair loses its beginning.

    Returns:
        Example with `labels` -100 on the context.
    """
    whole = _ids(tokenizer, context + continuation)
    start = min(len(_ids(tokenizer, context.rstrip())), len(whole))
    cut = max(0, len(whole) - max_length) if max_length else 0
    labels = [IGNORED] * start + whole[start:]
    return Example(whole[cut:], labels[cut:])


def examples(tokenizer: Any, question: Question, max_length: int | None = None) -> list[Example]:
    """The question with each of its choices, one Example a choice."""
    context = f"Question: {question.question}\nAnswer:"
    return [encode_pair(tokenizer, context, f" {choice}", max_length) for choice in question.choices]


def score(question: Question, log_likelihoods: Sequence[float]) -> dict[str, Any]:
    """Score one question from the summed log-likelihoods of its choices.

    Args:
        question: the question.
        log_likelihoods: natural logarithms, one a choice, (choices,).

    Returns:
        `{"id", "log_likelihoods", "chosen", "answer", "acc", "acc_norm", "acc_bytes"}`; `chosen` is the index that
        `acc` judges. Ties go to the first choice, as numpy's argmax has it.

    Raises:
        ValueError: if the numbers of choices and log-likelihoods differ.
    """
    if len(log_likelihoods) != len(question.choices):
        raise ValueError(f"{len(question.choices)} choices but {len(log_likelihoods)} log-likelihoods")
    values = np.asarray(log_likelihoods, dtype=np.float64)
    characters = np.array([float(len(choice)) for choice in question.choices])
    utf8 = np.array([float(len(choice.encode("utf-8"))) for choice in question.choices])
    chosen = {
        "acc": int(np.argmax(values)),
        "acc_norm": int(np.argmax(values / characters)),
        "acc_bytes": int(np.argmax(values / utf8)),
    }
    return {
        "id": question.id,
        "log_likelihoods": values.tolist(),
        "chosen": chosen["acc"],
        "answer": question.answer,
        **{metric: float(choice == question.answer) for metric, choice in chosen.items()},
    }


def evaluate(
    model: Any,
    tokenizer: Any,
    questions: Sequence[Question],
    *,
    batch_rows: int,
    desc: str = "ARC",
    interactive: bool = False,
) -> list[dict[str, Any]]:
    """Score a model on the questions.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        questions: the questions.
        batch_rows: choices per forward pass.
        desc: what the progress line says.
        interactive: a progress bar instead of lines.

    Returns:
        One result of `score` per question, in order.
    """
    from ftlib.core.likelihood import log_likelihood

    if not questions:
        return []
    longest = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    results = []
    step = max(1, 8 * batch_rows // max(len(question.choices) for question in questions))
    bar = progress(total=len(questions), desc=desc, interactive=interactive)
    for start in range(0, len(questions), step):
        part = questions[start : start + step]
        encoded = [examples(tokenizer, question, longest) for question in part]
        flat = log_likelihood(model, tokenizer, [e for each in encoded for e in each], batch_rows=batch_rows)
        values = iter([result.sum_logprob for result in flat])
        results += [score(q, [next(values) for _ in each]) for q, each in zip(part, encoded, strict=True)]
        bar.update(len(part))
    bar.close()
    return results


def summarize(results: dict[str, Sequence[dict[str, Any]]], samples: int, seed: int) -> dict[str, Any]:
    """Accuracies with intervals and, where there are two systems, the paired change.

    Args:
        results: arm name to its results, all over the same questions in the same order; the first is the base.
        samples: bootstrap samples.
        seed: their seed.

    Returns:
        `{"n", "chance", metric: {arm: {"mean", "low", "high", "n"}, "change": {...paired..., "mcnemar_p"}}}`.

    Raises:
        ValueError: the arms were not scored on the same questions.
    """
    arms = list(results)
    identities = [[row["id"] for row in rows] for rows in results.values()]
    if any(ids != identities[0] for ids in identities):
        raise ValueError("the arms hold different questions; score them on the same list")
    chance = float(np.mean([1 / len(row["log_likelihoods"]) for row in results[arms[0]]]))
    summary: dict[str, Any] = {"n": len(identities[0]), "chance": chance}
    for metric in METRICS:
        values = {arm: [row[metric] for row in rows] for arm, rows in results.items()}
        table: dict[str, Any] = {arm: mean_ci95(v, samples=samples, seed=seed)._asdict() for arm, v in values.items()}
        if len(arms) == 2:
            before, after = values[arms[0]], values[arms[1]]
            change = paired_difference(after, before, samples=samples, seed=seed)._asdict()
            table["change"] = {**change, "mcnemar_p": mcnemar(after, before)}
        summary[metric] = table
    return summary


def headlines(summary: Mapping[str, Any], arms: tuple[str, str]) -> list[Headline]:
    """`arc_accuracy_*`, `arc_accuracy_norm_*` and their paired changes, from `summarize` of two arms."""
    found = []
    for metric, key in (("acc", "arc_accuracy"), ("acc_norm", "arc_accuracy_norm")):
        found += [Headline.of(f"{key}_{name}", summary[metric][name]) for name in (*arms, "change")]
    return found


def _ids(tokenizer: Any, text: str) -> list[int]:
    """Ids with the special tokens added by default, less a closing one: the end is no part of a choice."""
    ids = tokenizer(text)["input_ids"]
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids
