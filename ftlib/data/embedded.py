"""Evaluation questions that stand, as whole sentences, in something longer that a training row's user says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ftlib.data.similar import normal_form, words
from ftlib.rows import Row

_FEWEST = 6  # words of a question that stands for itself wherever it stands
_GRAM = 4  # words that the search starts from
_BORDER = re.compile(r"([.!?:;,…。！？：，\"“”»)\n]+(?=\s|$)|\n|\()")


def embedded(rows: Iterable[tuple[int, Row]], others: Sequence[Row]) -> Iterator[tuple[int, int, float]]:
    """(row number, evaluation row, share of the text) wherever a turn of a row's user holds an evaluation question.

    A question that follows up on others does not stand for itself, and one with a context only beside the same one.
    """
    alone = {at: words(row.question) for at, row in enumerate(others) if row.turns and not _follows_up(row)}
    wanted = {at: asked for at, asked in alone.items() if len(asked) >= _FEWEST}
    often = Counter(gram for asked in wanted.values() for gram in set(_grams(asked)))
    by_gram: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, asked in wanted.items():
        by_gram[min(_grams(asked), key=often.__getitem__)].append(at)  # the rarest, so that few rows are looked at
    sentences = {at: _sentences(others[at].question) for at in wanted}
    for number, row in rows if wanted else ():
        for at, share in _inside(row, by_gram, sentences).items():
            if not others[at].context or normal_form(others[at].context) == normal_form(row.context):
                yield number, at, share


def _inside(row: Row, by_gram, sentences) -> dict[int, float]:
    found: dict[int, float] = {}
    for turn in row.turns:
        grams = [gram for gram in _grams(words(turn.content)) if gram in by_gram] if turn.role == "user" else ()
        text = _sentences(turn.content, fold=False) if grams else ""
        for at in {at for gram in grams for at in by_gram[gram]}:
            if _holds(text, sentences[at]):
                found[at] = round(len(sentences[at]) / len(text), 3)
    return found


def _holds(text: str, asked: str) -> bool:
    """Whether a sentence begins and ends where the question does; if no mark says so, by capitals.

    What goes on in brackets or with a name ("the mode of repayment (student loans)") makes another question of it.
    """
    asked = asked.rstrip("|(")
    start = text.lower().find(asked)
    if start < 0 or not (text[:start][-1:] in ("", "|", "(") or text[start + 1].isupper()):
        return False
    end = start + len(asked)
    first, second = [*text[end : end + 80].split()[:2], "", ""][:2]
    return first == "|" or (first[:1].isupper() and second.islower())


def _follows_up(row: Row) -> bool:
    return any(turn.role == "user" for turn in row.history)


def _grams(found: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(found[at:] for at in range(_GRAM)), strict=False)


def _sentences(text: str, fold: bool = True) -> str:
    """The words of a text with a mark at the end of every sentence or clause; case-folded, or as they stand."""
    parts = [*_BORDER.split(text), ""]  # text and what ends it by turns
    said = ((words(part, fold), "(" if "(" in border else "|") for part, border in zip(*[iter(parts)] * 2, strict=True))
    return "".join(f" {' '.join(found)} {mark}" for found, mark in said if found)
