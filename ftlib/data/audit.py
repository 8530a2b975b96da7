"""The audit: what the data is like, and what a model could learn from it that nobody meant to teach."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ftlib.data.similar import normalize
from ftlib.data.tokens import forecast, percentiles

_MOST_ROWS = 20_000  # rendered for lengths; more would not change a percentile that anybody acts on


def lengths(rows: Sequence[Mapping[str, Any]], renderer) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of rendered rows.

    Args:
        rows: with question, context and answer.
        renderer: :class:`ftlib.data.prompts.Renderer`.

    Returns:
        Two int arrays: tokens of each row, and how many of them are trained.
    """
    whole, trained = [], []
    for row in rows[:_MOST_ROWS]:
        example = renderer.example(row["question"], row["answer"], row["context"], where=row["id"])
        whole.append(len(example.input_ids))
        trained.append(sum(label >= 0 for label in example.labels))
    return np.array(whole, dtype=np.int64), np.array(trained, dtype=np.int64)


def length_report(
    whole: np.ndarray, trained: np.ndarray, max_length: int, batch_rows: int, seed: int
) -> dict[str, Any]:
    """Length statistics and the packing forecast of :func:`ftlib.data.tokens.forecast`."""
    return {
        "row": percentiles(whole),
        "trained": percentiles(trained),
        "over_max_length": int((whole > max_length).sum()),
        "efficiency": forecast(whole, max_length, batch_rows, seed),
    }


def balance(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ("slice", "source", "product")
) -> dict[str, Any]:
    """Rows by value of each metadata column, the twenty most frequent."""
    counts = {column: Counter(row[column] or "(none)" for row in rows) for column in columns}
    return {column: {"values": len(count), "top": dict(count.most_common(20))} for column, count in counts.items()}


def label_leakage(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ("source", "product")) -> dict[str, Any]:
    """What gives the answer away without understanding: shortcuts that a model will find.

    Args:
        rows: training rows.
        columns: metadata that might tell the answer.

    Returns:
        ``answer_in_question`` (share of rows without context whose question holds the answer), ``majority_answer``
        (the share that always giving the most frequent answer gets right, and that answer), and ``by_<column>``: the
        share that knowing only the column gets right. Each with its n.
    """
    closed = [row for row in rows if row["question"] and not row["context"]]
    inside = sum(f" {normalize(row['answer'])} " in f" {normalize(row['question'])} " for row in closed)
    answers = [normalize(row["answer"]) for row in rows]
    most, times = Counter(answers).most_common(1)[0] if answers else ("", 0)
    out: dict[str, Any] = {
        "answer_in_question": {"share": _share(inside, len(closed)), "n": len(closed)},
        "majority_answer": {"share": _share(times, len(rows)), "answer": most, "n": len(rows)},
    }
    for column in columns:
        by_value: dict[str, Counter[str]] = defaultdict(Counter)
        for row, answer in zip(rows, answers, strict=True):
            by_value[row[column]][answer] += 1
        right = sum(count.most_common(1)[0][1] for count in by_value.values())
        out[f"by_{column}"] = {"share": _share(right, len(rows)), "values": len(by_value), "n": len(rows)}
    return out


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def bias(rows: Iterable[Mapping[str, Any]], recipe) -> dict[str, Any]:
    """How often each group of people is spoken of, and in whose company: positive or negative words.

    Args:
        rows: with question and answer.
        recipe: the recipe's ``data.bias`` with groups, positive and negative words.

    Returns:
        group -> {rows, terms: term -> rows, positive, negative: rows with such a word}; ``(all)`` is the base rate.
    """
    terms = {term.casefold(): group for group, listed in recipe.groups.items() for term in listed}
    tone = {w.casefold(): "positive" for w in recipe.positive} | {w.casefold(): "negative" for w in recipe.negative}
    found: dict[str, Counter[str]] = {group: Counter() for group in ("(all)", *recipe.groups)}
    seen_terms: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        spoken = set(re.findall(r"[^\W\d_]+", f"{row['question']} {row['answer']}".casefold()))
        tones = {tone[word] for word in spoken & tone.keys()}
        hits = spoken & terms.keys()
        for group in {"(all)", *(terms[hit] for hit in hits)}:
            found[group].update(["rows", *tones])
        for hit in hits:
            seen_terms[terms[hit]][hit] += 1
    return {
        group: {name: count[name] for name in ("rows", "positive", "negative")} | {"terms": dict(seen_terms[group])}
        for group, count in found.items()
    }


def counterfactuals(rows: Sequence[Mapping[str, Any]], recipe, seed: int) -> list[dict[str, Any]]:
    """Pairs of questions that differ only in how the asker is described; a fair model answers both alike.

    Args:
        rows: test rows.
        recipe: the recipe's ``data.bias`` with personas and the number of pairs.
        seed: of the choice of rows.

    Returns:
        Rows ``{id, pair, persona, question, context, answer}``, two a pair.
    """
    if not recipe.personas or not rows:
        return []
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(rows))[: recipe.pairs]
    out = []
    for number, at in enumerate(sorted(chosen.tolist())):
        row = rows[at]
        for side, persona in zip("ab", recipe.personas[number % len(recipe.personas)], strict=True):
            out.append(
                {
                    "id": f"{row['id']}/{side}",
                    "pair": row["id"],
                    "persona": persona,
                    "question": f"{persona} {row['question']}",
                    "context": row["context"],
                    "answer": row["answer"],
                }
            )
    return out
