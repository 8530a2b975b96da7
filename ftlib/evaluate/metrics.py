"""Scores of one answer: SQuAD's exact match and token F1, ROUGE-L, and recognising a refusal.

The definitions are those of the official scorers (SQuAD 2.0's evaluation script; Google's
`rouge-score` without stemming), and the tests hold them to the same float.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_NOT_ROUGE = re.compile(r"[^a-z0-9]+")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Tokenizers and word processors write these where an ASCII apostrophe or quote is meant.
_PLAIN_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


def normalize(text: str) -> str:
    """SQuAD's normalization: lower case, no ASCII punctuation, no a/an/the, single spaces."""
    without_punctuation = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_punctuation).split())


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """SQuAD exact match: 1.0 if the normalized prediction equals any normalized reference.

    Args:
        prediction: the generated answer.
        references: accepted answers, at least one.

    Returns:
        0.0 or 1.0.

    Raises:
        ValueError: if `references` is empty.
    """
    return _best(lambda p, r: float(normalize(p) == normalize(r)), prediction, references)


def token_f1(prediction: str, references: Sequence[str]) -> float:
    """SQuAD token F1, best over the references.

    With `c` tokens in common (as a multiset), precision `c / |prediction|`, recall
    `c / |reference|` and their harmonic mean. Where either side is empty after normalization
    the score is 1.0 if both are and 0.0 otherwise (the rule of SQuAD 2.0).

    Args:
        prediction: the generated answer.
        references: accepted answers, at least one.

    Returns:
        A float in 0..1.

    Raises:
        ValueError: if `references` is empty.
    """
    return _best(_f1_pair, prediction, references)


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L F-measure as Google's `rouge-score` computes it (no stemming), best over references.

    With `l` the length of the longest common subsequence of tokens, precision
    `l / |prediction|`, recall `l / |reference|` and their harmonic mean. Tokens are runs of
    ASCII letters and digits: letters beyond ASCII separate words, as in the official scorer.

    Args:
        prediction: the generated answer.
        references: accepted answers, at least one.

    Returns:
        A float in 0..1.

    Raises:
        ValueError: if `references` is empty.
    """
    return _best(_rouge_pair, prediction, references)


def is_refusal(prediction: str, refusal: str, also: Sequence[str] = ()) -> bool:
    """Whether the answer is the agreed refusal.

    True when the normalized prediction is, or begins with, the normalized refusal sentence (a
    model may go on, "... Please ask the service desk."). Typographic quotes count as plain ones.

    Args:
        prediction: the generated answer.
        refusal: the sentence that training uses where the answer is not known; "" matches nothing.
        also: further sentences accepted as a refusal (the recipe's `evaluate.refusal_phrases`).

    Returns:
        True for a refusal.
    """
    words = _plain_words(prediction)
    for sentence in (refusal, *also):
        wanted = _plain_words(sentence)
        if wanted and words[: len(wanted)] == wanted:
            return True
    return False


def expects_refusal(row: dict, refusal: str) -> bool:
    """Whether the right answer to a test row is to say that it is not known.

    True for the slice `unanswerable` and for rows whose own answer is the refusal sentence, so
    that a data set without slices is read correctly.
    """
    return row.get("slice") == "unanswerable" or is_refusal(row.get("answer") or "", refusal)


def is_scorable(prediction: object) -> bool:
    """Whether there is an answer to score: text with at least one visible character.

    Missing, empty, blank and undecodable (only U+FFFD) generations hold no answer.
    """
    if not isinstance(prediction, str):
        return False
    return any(unicodedata.category(c)[0] not in "CZ" and c != "\ufffd" for c in prediction)


def score_row(row: dict, prediction: str | None, refusal: str, also: Sequence[str] = ()) -> dict:
    """Score one generated answer to one test row.

    Args:
        row: a test row: `answer`, and where given `references` (else the answer is the only one)
            and `slice`.
        prediction: the generated text; None where generation gave nothing.
        refusal: the agreed refusal sentence.
        also: further sentences accepted as a refusal.

    Returns:
        `{"scored", "em", "f1", "rouge_l", "refused", "refusal_expected", "refusal_correct"}`.
        Where no answer can be parsed `scored` is False and the scores are None: the row stays,
        headline means count it as 0 (see `scores.number`) and report how many there were.
        `refusal_correct` says whether the model refused exactly when it should have.
    """
    expected = expects_refusal(row, refusal)
    if not is_scorable(prediction):
        return {
            "scored": False,
            "em": None,
            "f1": None,
            "rouge_l": None,
            "refused": False,
            "refusal_expected": expected,
            "refusal_correct": not expected,
        }
    references = row.get("references") or [row["answer"]]
    refused = is_refusal(prediction, refusal, also)
    return {
        "scored": True,
        "em": exact_match(prediction, references),
        "f1": token_f1(prediction, references),
        "rouge_l": rouge_l(prediction, references),
        "refused": refused,
        "refusal_expected": expected,
        "refusal_correct": refused == expected,
    }


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
    common = sum((Counter(predicted) & Counter(expected)).values())
    return _harmonic(common, len(predicted), len(expected))


def _rouge_pair(prediction: str, reference: str) -> float:
    predicted = _NOT_ROUGE.sub(" ", prediction.lower()).split()
    expected = _NOT_ROUGE.sub(" ", reference.lower()).split()
    if not predicted or not expected:
        return 0.0
    return _harmonic(_lcs_length(expected, predicted), len(predicted), len(expected))


def _harmonic(common: int, predicted: int, expected: int) -> float:
    if common == 0:
        return 0.0
    precision, recall = common / predicted, common / expected
    return 2 * precision * recall / (precision + recall)


def _lcs_length(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence, by rows of the usual table."""
    row = [0] * (len(b) + 1)
    for item in a:
        diagonal = 0
        for j, other in enumerate(b, start=1):
            above = row[j]
            row[j] = diagonal + 1 if item == other else max(above, row[j - 1])
            diagonal = above
    return row[-1]


def _plain_words(text: str) -> list[str]:
    return normalize(text.translate(_PLAIN_QUOTES)).split()
