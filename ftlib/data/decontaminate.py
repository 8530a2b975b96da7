"""Does the training set hold the text of a public evaluation such as ARC? Overlap of word n-grams."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ftlib.data import files
from ftlib.data.similar import words
from ftlib.recipe import UserError


def evaluation_texts(path: str | Path) -> list[str]:
    """The questions of an evaluation file such as ARC.

    Args:
        path: a file or folder of records with ``question`` (text, or ``{"stem": ...}``), ``instruction``, ``prompt``,
            ``query`` or ``text``.

    Raises:
        UserError: no question in it.
    """
    texts = []
    for record in files.records(path):
        value = record.value or {}
        text = next((value[n] for n in ("question", "instruction", "prompt", "query", "text") if n in value), "")
        text = text.get("stem", "") if isinstance(text, dict) else text
        if isinstance(text, str) and text.strip():
            texts.append(text)
    if not texts:
        raise UserError.of(str(path), "evaluation questions", "none", "check data.decontaminate and evaluate.arc_path")
    return texts


def ngrams(text: str, n: int) -> set[int]:
    """Hashes of the word n-grams; a text shorter than n is one n-gram if it has at least half as many words."""
    found = words(text)
    if len(found) < n:
        return {hash(tuple(found))} if len(found) >= (n + 1) // 2 else set()
    return {hash(tuple(found[i : i + n])) for i in range(len(found) - n + 1)}


def contaminated(rows: Iterable[dict[str, Any]], evaluation: Sequence[str], n: int) -> list[tuple[int, int]]:
    """Rows that share an n-gram with an evaluation text, as in the decontamination of GPT-3 and lm-eval.

    Args:
        rows: dicts with question, context and answer.
        evaluation: evaluation texts.
        n: words an n-gram.

    Returns:
        (row number, number of the evaluation text) of each row with an overlap.
    """
    lengths = sorted({min(n, len(words(text))) for text in evaluation if ngrams(text, n)})
    owner = {gram: number for number, text in enumerate(evaluation) for gram in ngrams(text, n)}
    found = []
    for number, row in enumerate(rows):
        flat = words(f"{row['question']} {row['context']} {row['answer']}")
        for size in lengths:
            grams = (hash(tuple(flat[i : i + size])) for i in range(len(flat) - size + 1))
            if (hit := next((gram for gram in grams if gram in owner), None)) is not None:
                found.append((number, owner[hit]))
                break
    return found
