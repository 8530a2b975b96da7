"""The audit: what the data is like, and what a model could learn from it that nobody meant to teach."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ftlib import rows as row_values
from ftlib.data.similar import normal_form
from ftlib.data.table import all_text
from ftlib.data.tokens import coverage, forecast, percentiles
from ftlib.rows import Row
from ftlib.stats import wilson

_MOST_ROWS = 20_000  # rendered for lengths; more would not change a percentile that anybody acts on
_MOST_VALUES, _LONGEST_VALUE = 50, 60  # number and characters, of a column that divides the rows into kinds
_BATCH_ROWS = 16  # of the batches whose waste is shown


def audit_rows(
    train: Sequence[Row], test: Sequence[Row], renderer, recipe, words
) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    """What the audit measures of training and test rows: parts of audit.json by name, and `lengths` of the first.

    `words` are the lists of `data.bias` for these rows' language.
    """
    named = (recipe.data.columns.slice, recipe.data.columns.subject)
    columns = dividing_columns(train, named)
    whole, trained = lengths(train, renderer)
    longest = recipe.train.max_length
    report = {
        "lengths": {
            "row": percentiles(whole),
            "trained": percentiles(trained),
            "over_max_length": int((whole > longest).sum()),
            "efficiency": forecast(whole, longest, _BATCH_ROWS, recipe.seed),
        },
        "vocabulary": coverage(map(all_text, train), renderer.tokenizer),
        "balance": {"train": balance(train, columns), "test": balance(test, dividing_columns(test, named))},
        "label_leakage": label_leakage(train, columns),
        "bias": bias(train, words),
    }
    return report, (whole, trained)


def lengths(rows: Sequence[Row], renderer) -> tuple[np.ndarray, np.ndarray]:
    """Two int arrays: tokens of each rendered row, and how many of them are trained."""
    examples = [renderer.example(row) for row in rows[:_MOST_ROWS]]
    whole = [max(len(example.input_ids), len(example.labels)) for example in examples]
    trained = [sum(label >= 0 for label in example.labels) for example in examples]
    return np.array(whole, dtype=np.int64), np.array(trained, dtype=np.int64)


def dividing_columns(rows: Sequence[Row], named: Sequence[str | None]) -> list[str]:
    """The owner's columns that divide the rows into a few kinds.

    First those of `named` that hold something (None is passed over), then every other of at most 50 short values,
    each of which two rows share on average.
    """
    seen: dict[str, set[str]] = {}
    filled: Counter[str] = Counter()
    for row in rows:
        for column in row.meta:
            held = row_values.value(row, column)
            filled[column] += bool(held)
            if held and len(listed := seen.setdefault(column, set())) <= _MOST_VALUES:
                listed.add(held)
    first = [column for column in dict.fromkeys(named) if column and seen.get(column)]
    short = {column: held for column, held in seen.items() if max(map(len, held)) <= _LONGEST_VALUE}
    few = [column for column, held in short.items() if len(held) <= min(_MOST_VALUES, filled[column] // 2)]
    return list(dict.fromkeys(first + few))


def balance(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, Any]:
    """Rows by value of each of these columns, the twenty most frequent."""
    counts = {column: Counter(row_values.value(row, column, row_values.NO_VALUE) for row in rows) for column in columns}
    return {column: {"values": len(count), "top": dict(count.most_common(20))} for column, count in counts.items()}


def label_leakage(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, Any]:
    """What gives the answer away without understanding: shortcuts that a model will find.

    Returns:
        `answer_in_question` (share of rows without context and history whose question holds the answer),
        `majority_answer` (the share that always giving the most frequent answer gets right, and that answer), and
        `by_<column>`: the share that knowing only the column gets right. Each with its n.
    """
    closed = [row for row in rows if row.question and not row.context and not row.history]
    inside = sum(f" {normal_form(row.answer)} " in f" {normal_form(row.question)} " for row in closed)
    answers = [normal_form(row.answer) for row in rows]
    most, times = Counter(answers).most_common(1)[0] if answers else ("", 0)
    out: dict[str, Any] = {
        "answer_in_question": {"share": _share(inside, len(closed)), "n": len(closed)},
        "majority_answer": {"share": _share(times, len(rows)), "answer": most, "n": len(rows)},
    }
    for column in columns:
        by_value: dict[str, Counter[str]] = defaultdict(Counter)
        for row, answer in zip(rows, answers, strict=True):
            by_value[row_values.value(row, column)][answer] += 1
        right = sum(count.most_common(1)[0][1] for count in by_value.values())
        out[f"by_{column}"] = {"share": _share(right, len(rows)), "values": len(by_value), "n": len(rows)}
    return out


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def bias(rows: Iterable[Row], recipe) -> dict[str, Any]:
    """How often questions and answers speak of each group of people, and with positive or negative words beside it.

    Returns:
        group -> {rows, terms: term -> rows, positive, negative: rows with such a word}; `(all)` is the base rate.
    """
    terms = {term.casefold(): group for group, listed in recipe.groups.items() for term in listed}
    tone = {w.casefold(): "positive" for w in recipe.positive} | {w.casefold(): "negative" for w in recipe.negative}
    found: dict[str, Counter[str]] = {group: Counter() for group in ("(all)", *recipe.groups)}
    seen_terms: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        spoken = set(re.findall(r"[^\W\d_]+", f"{row.question} {row.answer}".casefold()))
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


def note_headlines(stage, report: dict[str, Any]) -> None:
    """Notes the stage's headline numbers: rows, and each detector's precision and recall with Wilson intervals."""
    stage.headline("rows_in", report["rows"]["in"])
    stage.headline("rows_kept", report["rows"]["kept"], n=report["rows"]["in"])
    flags = sum(each["flagged"] for each in report["rows"]["flags"])
    stage.headline("flags", flags, n=report["rows"]["in"])  # a row may have several
    for name, figure in report.get("detectors", {}).items():
        for measure, n in (("precision", figure["found"]), ("recall", figure["n"])):
            if n and figure[measure] is not None:
                right = round(figure[measure] * n)
                stage.headline(f"{measure}_{name}", figure[measure], ci95=wilson(right, n), n=n)
