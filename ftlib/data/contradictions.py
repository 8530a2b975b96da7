"""When two answers to one question can't both be right.

Most different answers can: rewordings, longer versions, second opinions, another poem. So only what is sure counts:
"yes" against "no", another number with the same unit, another name or a "not" in the same sentence, or two short
answers to a question that have no word of content in common.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from itertools import groupby

from rapidfuzz.distance import Levenshtein

from ftlib.data.similar import is_slip, words
from ftlib.data.vocabulary import Lexicon

_SHORT = 10  # words; longer answers give reasons, and reasons differ
_MOST_OPEN = 6  # different answers, from which on a question has no right one
_MARKS = re.compile("[?？؟;]\\s*$")
_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+")
_Answer = list[tuple[str, bool]]  # (word, is a name)


def contradicting(question: str, answers: Sequence[str], lexicon: Lexicon) -> list[tuple[int, int]]:
    """Pairs (i < j) of different answers to a question that contradict each other.

    None where what is asked is no question ("Write a poem") or has so many answers that it can't have a right one.
    """
    if not 1 < len(answers) <= _MOST_OPEN or not _asks(question, lexicon):
        return []
    said = [_answer(answer, lexicon) for answer in answers]
    pairs = ((i, j) for j in range(len(said)) for i in range(j))
    return [(i, j) for i, j in pairs if _contradict(question, said[i], said[j], lexicon)]


def _asks(question: str, lexicon: Lexicon) -> bool:
    first = words(lexicon.bare(question))[:1]
    return bool(_MARKS.search(question)) or not lexicon.asking.isdisjoint(first)


def _answer(text: str, lexicon: Lexicon) -> _Answer:
    """Words with number words as digits and short forms written out; a capital within a sentence makes a name."""
    said: _Answer = []
    for sentence in _SENTENCE.split(text):
        lower, raw = words(sentence), words(sentence, fold=False)
        for at, (word, written) in enumerate(zip(lower, raw, strict=True)):
            parts = lexicon.parts(lexicon.numerals.get(word, word))
            said += [(part, at > 0 and written != word) for part in parts if part not in lexicon.fillers]
    return said


def _contradict(question: str, one: _Answer, other: _Answer, lexicon: Lexicon) -> bool:
    if not one or not other or [word for word, _ in one] == [word for word, _ in other]:
        return False
    first, second = one[0][0], other[0][0]
    polar = lexicon.yes | lexicon.no
    if first in polar and second in polar:
        return (first in lexicon.yes) != (second in lexicon.yes)
    if _differ_in_one_thing(one, other, lexicon):
        return True
    if max(len(one), len(other)) > _SHORT:
        return False
    numbers = [[at for at, (word, _) in enumerate(answer) if word[0].isdigit()] for answer in (one, other)]
    if all(numbers):
        return _other_number(one, other, *numbers)
    return first not in polar and second not in polar and _nothing_in_common(question, one, other, lexicon)


def _differ_in_one_thing(one: _Answer, other: _Answer, lexicon: Lexicon) -> bool:
    """Whether they are the same sentence but for numbers, names, or a negation that one has and the other lacks."""
    if abs(len(one) - len(other)) > 2:
        return False
    steps = Levenshtein.opcodes([word for word, _ in one], [word for word, _ in other])
    kept = sum(step.src_end - step.src_start for step in steps if step.tag == "equal")
    if 2 * kept < max(len(one), len(other)):
        return False
    for equal, run in groupby(steps, key=lambda step: step.tag == "equal"):
        parts = list(run)
        a, b = one[parts[0].src_start : parts[-1].src_end], other[parts[0].dest_start : parts[-1].dest_end]
        if not equal and not (_same_kind(a, b) or lexicon.negations.issuperset(word for word, _ in a + b)):
            return False
    return True


def _same_kind(a: _Answer, b: _Answer) -> bool:
    """Other numbers against numbers, or other names against names."""
    if len(a) != len(b):
        return False
    if all(word[0].isdigit() for word, _ in a + b):
        return not all(_rounded(one, other) for (one, _), (other, _) in zip(a, b, strict=True))
    names = all(name and not word[0].isdigit() for word, name in a + b)
    return names and not any(is_slip(one, other) for (one, _), (other, _) in zip(a, b, strict=True))


def _rounded(a: str, b: str) -> bool:
    """Whether one number is the other, or it with fewer decimals."""
    try:
        one, other = (Decimal(number.replace(",", "")) for number in (a, b))
    except InvalidOperation:
        return a == b
    return one == other or one.quantize(other) == other or other.quantize(one) == one


def _other_number(one: _Answer, other: _Answer, here: Sequence[int], there: Sequence[int]) -> bool:
    """Whether no number is in both answers, and what is counted is the same: 24 months may be 2 years."""
    if any(_rounded(one[i][0], other[j][0]) for i in here for j in there):
        return False
    after = [
        answer[at + 1] if at + 1 < len(answer) else ("", True) for answer, (*_, at) in ((one, here), (other, there))
    ]
    return after[0][0] == after[1][0] or all(name for _, name in after) or ("", True) in after  # "31 May", "15 July"


def _nothing_in_common(question: str, one: _Answer, other: _Answer, lexicon: Lexicon) -> bool:
    """Whether two short answers have no word of content in common beside those of the question."""
    asked = words(lexicon.bare(question))
    if not lexicon.open.isdisjoint(asked):
        return False
    content = [{_stem(w, lexicon) for w, _ in answer if not lexicon.is_function(w)} for answer in (one, other)]
    left = [said - {_stem(word, lexicon) for word in asked} for said in content]
    return all(left) and not left[0] & left[1]


def _stem(word: str, lexicon: Lexicon) -> str:
    return word.removesuffix(lexicon.plural) if len(word) > 3 else word
