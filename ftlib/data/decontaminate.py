"""Does the training set hold the text of a public evaluation such as ARC? Overlap of word n-grams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ftlib.data import files, leakage
from ftlib.data.json_files import unreadable
from ftlib.data.similar import words
from ftlib.data.table import SAID, TRAIN, VAL, WorkingTable, all_text, each
from ftlib.errors import UserError
from ftlib.rows import Row

_EXAMPLES = 10


def evaluation_texts(path: str | Path) -> list[str]:
    """The questions of an evaluation file or folder such as ARC's: `question` (text, or `{"stem": ...}`) or the like.

    Raises:
        UserError: no question in it, or a record that can't be read.
    """
    texts = []
    for record in files.records(path, field="data.decontaminate or evaluate.choices_path"):
        if record.problem:
            raise unreadable(record)
        value = record.value or {}
        text = next((value[n] for n in ("question", "instruction", "prompt", "query", "text") if n in value), "")
        text = text.get("stem", "") if isinstance(text, dict) else text
        if isinstance(text, str) and text.strip():
            texts.append(text)
    if not texts:
        hint = "check data.decontaminate and evaluate.choices_path"
        raise UserError.of(str(path), "evaluation questions", "none", hint)
    return texts


def ngrams(text: str, n: int) -> set[int]:
    """Hashes of the word n-grams; a text shorter than n is one n-gram if it has at least half as many words."""
    found = words(text)
    if len(found) < n:
        return {hash(tuple(found))} if len(found) >= (n + 1) // 2 else set()
    return {hash(tuple(found[i : i + n])) for i in range(len(found) - n + 1)}


def contaminated(rows: Iterable[Row], evaluation: Sequence[str], n: int) -> list[tuple[int, int]]:
    """(row number, number of the evaluation text) of rows whose turns, context or answer share a word n-gram with one.

    As in the decontamination of GPT-3 and lm-eval.
    """
    sized = [(number, words(text)) for number, text in enumerate(evaluation)]
    lengths = sorted({min(n, len(found)) for _, found in sized if len(found) >= (n + 1) // 2})
    owner = {gram: number for number, text in enumerate(evaluation) for gram in ngrams(text, n)}
    shortest = min(lengths, default=0)
    # How grams begin: nearly no row has such a beginning, and only those that do are looked at closer.
    starts = {hash(tuple(f[i : i + shortest])) for _, f in sized for i in range(max(0, len(f) - shortest) + 1)}
    found = []
    for number, row in enumerate(rows if lengths else ()):
        flat = words(all_text(row))
        if starts.isdisjoint(map(hash, zip(*(flat[at:] for at in range(shortest)), strict=False))):
            continue
        grams = (hash(tuple(flat[i : i + size])) for size in lengths for i in range(len(flat) - size + 1))
        if (hit := next((gram for gram in grams if gram in owner), None)) is not None:
            found.append((number, owner[hit]))
    return found


def against(path: str | Path, rows: WorkingTable, n: int, policy: str) -> dict[str, Any]:
    """Compares training and validation rows with an evaluation file by n-grams of n words, as the policy says.

    Under `drop` the rows that overlap are taken out, under `warn` flagged, under `block` there is a UserError as of
    `leakage.enforce`. Returns `ngram`, `texts`, `train_rows` and `examples`.
    """
    texts = evaluation_texts(path)
    found = contaminated((entry.row for entry in each(rows.table, SAID)), texts, n)
    hits = {row: text for row, text in found if rows.sides[row] in (TRAIN, VAL)}
    shown = zip(rows.shown(list(hits)[:_EXAMPLES]), hits.values(), strict=False)
    examples = [row | {"evaluation": texts[text]} for row, text in shown]
    leakage.enforce([leakage.Overlap("exact", *hit, 1.0) for hit in hits.items()], policy, f"train and {path}")
    leakage.act(rows, ((row, "ngram", texts[text][:80]) for row, text in hits.items()), policy)
    return {"ngram": n, "texts": len(texts), "train_rows": len(hits), "examples": examples}
