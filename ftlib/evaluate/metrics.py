"""Scores of one answer: SQuAD's exact match and token F1, ROUGE-L, and recognising a refusal.

The definitions are those of the official scorers (SQuAD 2.0's evaluation script; Google's
`rouge-score` without stemming), and the tests hold them to the same float.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Tokenizers and word processors write these where an ASCII apostrophe or quote is meant.
_PLAIN_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


def normalize(text: str) -> str:
    """SQuAD's normalization: lower case, no ASCII punctuation, no a/an/the, single spaces."""
    without_punctuation = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_punctuation).split())


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """SQuAD exact match: 1.0 if the normalized prediction equals any normalized reference (one at least), else 0.0.

    Raises:
        ValueError: if `references` is empty.
    """
    return _best(lambda p, r: float(normalize(p) == normalize(r)), prediction, references)


def token_f1(prediction: str, references: Sequence[str]) -> float:
    """SQuAD token F1, 0..1, best over the references.

    With `c` tokens in common (as a multiset), precision `c / |prediction|`, recall
    `c / |reference|` and their harmonic mean. Where either side is empty after normalization
    the score is 1.0 if both are and 0.0 otherwise (the rule of SQuAD 2.0).

    Raises:
        ValueError: if `references` is empty.
    """
    return _best(_f1_pair, prediction, references)


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L F-measure, 0..1, of Google's `rouge-score` (no stemming), best over references.

    With `l` the length of the longest common subsequence of tokens, precision
    `l / |prediction|`, recall `l / |reference|` and their harmonic mean. Tokens are runs of
    ASCII letters and digits: letters beyond ASCII separate words, as in the official scorer.

    Raises:
        ValueError: if `references` is empty.
    """
    return _best(lambda p, r: _rouge_scorer().score(r, p)["rougeL"].fmeasure, prediction, references)


def is_refusal(prediction: str, refusal: str, also: Sequence[str] = ()) -> bool:
    """Whether the answer is the agreed refusal, or one of the sentences that are `also` accepted as one.

    True when the normalized prediction is, or begins with, the normalized refusal sentence (a
    model may go on, "... Please ask the service desk."); "" matches nothing. Typographic quotes count as plain ones.
    """
    words = _plain_words(prediction)
    for sentence in (refusal, *also):
        wanted = _plain_words(sentence)
        if wanted and words[: len(wanted)] == wanted:
            return True
    return False


def is_scorable(prediction: object) -> bool:
    """Whether there is an answer to score: text with at least one visible character.

    Missing, empty, blank and undecodable (only U+FFFD) generations hold no answer.
    """
    if not isinstance(prediction, str):
        return False
    return any(unicodedata.category(c)[0] not in "CZ" and c != "\ufffd" for c in prediction)


def _best(score: Callable[[str, str], float], prediction: str, references: Sequence[str]) -> float:
    if isinstance(references, str):
        raise ValueError("references must be a list of strings, got one string")
    if not references:
        raise ValueError("at least one reference answer is needed, got none")
    return max(score(prediction, reference) for reference in references)


def _f1_pair(prediction: str, reference: str) -> float:
    predicted, expected = normalize(prediction).split(), normalize(reference).split()
    if not predicted or not expected:
        return float(predicted == expected)
    common = (Counter(predicted) & Counter(expected)).total()
    precision, recall = common / len(predicted), common / len(expected)
    return 2 * precision * recall / (precision + recall) if common else 0.0


@functools.cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"])


def _plain_words(text: str) -> list[str]:
    return normalize(text.translate(_PLAIN_QUOTES)).split()
