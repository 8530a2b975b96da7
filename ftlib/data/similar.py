"""When two texts ask the same: after normalization, or but for typing slips, filler words and a harmless word order.

A high Jaccard similarity is not enough for questions: "How heavy is the Model 20?" and "How heavy is the Model 30?"
share nearly all their letters and ask different things, and so do "weight" and "height". So candidates found by
MinHash are compared word by word: every word needs its partner, and two words are partners only where they are equal
or a slip of the keyboard apart and one of them is no word at all. Numbers, codes and names never slip.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby

from rapidfuzz.distance import OSA, Levenshtein

from ftlib.data.vocabulary import Lexicon

SHINGLE = 3  # characters; short questions have too few word n-grams to survive a slip
_ONE_SLIP = 2 * SHINGLE - 1  # shingles that two swapped letters can change
_SHORTEST_SLIP = 4  # letters; half of all shorter strings are words
_FEWEST_MOVED = 4  # words of a text whose order may differ; in three words it is all that tells
_LONGEST_MOVED = 60  # words
# Numbers with their signs, operators between them, signs that mean something (units, money, +, =), words ("C++").
_SIGNS = "+<=>%^$°±×÷¢-¥€₠-⃏←-⋿☀-➿\U0001f000-\U0001faff"
_WORD = re.compile(
    r"(?:(?<![^\W_])[-+])?\d+(?:[.,]\d+)*[^\W_]*|(?:(?<=\d)|(?<=\d ))[-*/](?= ?\d)"
    rf"|[^\W_]+(?:'[^\W_]+)?[+#]*|[{_SIGNS}]"
)
_PUNCTUATION = ".,;:!?\"'()[]{}“”‘’«»„‚…¿¡、。，！？：；（）「」『』؟،·"
_SPACELESS = ("\u0e00", "\u1e00")  # scripts between write no spaces (or syllables): their "words" are sentences
_Content = tuple[tuple[str, bool], ...]  # (word, must be equal)


def normal_form(text: str) -> str:
    """The text with case, white space and the punctuation around words taken out of account."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    bare = [word.strip(_PUNCTUATION) for word in text.lower().split()]
    return " ".join([word for word in bare if word])


def words(text: str, fold: bool = True) -> list[str]:
    """Words, signed numbers and signs of a text, without punctuation; case-folded, or as they stand."""
    found = _WORD.findall(text if text.isascii() else unicodedata.normalize("NFKC", text).replace("’", "'"))
    return [word.casefold() for word in found] if fold else found


def digest(*texts: str) -> int:
    """64 bits of a hash over texts as they stand, the same on every machine."""
    return int.from_bytes(blake2b("\x1f".join(texts).encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=1 << 12)  # about 10 kB each
def shingles(text: str, lexicon: Lexicon) -> frozenset[bytes]:
    """Character n-grams of the text's content words, as MinHash takes them."""
    flat = " ".join(word for word, _ in _content(text, lexicon)) or normal_form(text)
    return frozenset([flat[i : i + SHINGLE].encode() for i in range(max(1, len(flat) - SHINGLE + 1))])


def numbers(text: str, lexicon: Lexicon) -> int:
    """64 bits of a hash over the numbers and codes of a text, in order; near-duplicates have the same."""
    return digest(*_numbers(_content(text, lexicon)))


def bag(text: str, lexicon: Lexicon) -> int:
    """64 bits of a hash over what the text asks in any order; of a text without content words, over all of them."""
    return digest(*sorted(_moving(text, lexicon)) or (normal_form(text),))


def jaccard(a: str, b: str, lexicon: Lexicon) -> float:
    """|A and B| / |A or B| of the two texts' shingles, 0..1."""
    one, other = shingles(a, lexicon), shingles(b, lexicon)
    return len(one & other) / len(one | other)


def same(a: str, b: str, similarity: float, lexicon: Lexicon) -> bool:
    """Whether two texts say the same but for slips, filler words and a word order that changes nothing.

    `similarity` is the least Jaccard similarity of their shingles, 0..1; a short text may always have one slip. At 1
    only texts of equal normal form are the same.
    """
    return alike(a, b, similarity, lexicon) or (similarity < 1 and reordered(a, b, lexicon))


def alike(a: str, b: str, similarity: float, lexicon: Lexicon) -> bool:
    """The same, in the same order of words."""
    if a == b or normal_form(a) == normal_form(b):
        return True
    if not a or not b or similarity >= 1:
        return False
    one, other = _content(a, lexicon), _content(b, lexicon)
    if not one or not other or _numbers(one) != _numbers(other):
        return False
    moving = _moving(a, lexicon)
    if _joined(one) == _joined(other) or (len(moving) >= _FEWEST_MOVED and moving == _moving(b, lexicon)):
        return True
    size = len(shingles(a, lexicon))
    least = min(similarity, (size - _ONE_SLIP) / (size + _ONE_SLIP))
    return jaccard(a, b, lexicon) >= least and _all_partners(one, other, lexicon)


@lru_cache(maxsize=1 << 14)
def _content(text: str, lexicon: Lexicon) -> _Content:
    """Words without greetings, fillers and doubled ones, short forms written out; names and numbers must be equal."""
    found: list[tuple[str, bool]] = []
    shouting = text.isupper()
    for position, raw in enumerate(words(lexicon.bare(text), fold=False)):
        word = raw.casefold()
        exact = (position > 0 and not shouting and raw != word) or not word.isalpha()
        for part in lexicon.parts(word):
            filler = part in lexicon.fillers and not (exact and len(part) == 1)  # "vitamin A"
            if not filler and (not found or found[-1][0] != part or part.isdigit()):
                found.append((part, exact and part == word))
    return tuple(found)


def _numbers(content: _Content) -> list[str]:
    return [word for word, exact in content if exact and any(char.isdigit() for char in word)]


def _joined(content: Sequence[tuple[str, bool]]) -> str:
    return "".join(word for word, _ in content)


def _all_partners(one: _Content, other: _Content, lexicon: Lexicon) -> bool:
    """Whether every word has a partner; a word may also be written as two ("set up", "setup")."""
    steps = Levenshtein.opcodes([word for word, _ in one], [word for word, _ in other])
    for equal, run in groupby(steps, key=lambda step: step.tag == "equal"):
        if equal:
            continue
        parts = list(run)
        a, b = one[parts[0].src_start : parts[-1].src_end], other[parts[0].dest_start : parts[-1].dest_end]
        paired = len(a) == len(b) and all(_partners(*pair, lexicon) for pair in zip(a, b, strict=True))
        if not paired and _joined(a) != _joined(b):
            return False
    return True


def _partners(a: tuple[str, bool], b: tuple[str, bool], lexicon: Lexicon) -> bool:
    # Where one text is in capitals throughout, names can't be told from words: then both must be equal.
    if a[0] == b[0] or a[1] or b[1] or min(len(a[0]), len(b[0])) < _SHORTEST_SLIP:
        return a[0] == b[0]
    if any(_SPACELESS[0] <= max(word) < _SPACELESS[1] or max(word) >= "\u2000" for word in (a[0], b[0])):
        return False
    if not is_slip(a[0], b[0]):
        return False
    return lexicon.known(a[0]) != lexicon.known(b[0]) or (_mechanical(a[0], b[0]) and lexicon.outnumbers(a[0], b[0]))


def _mechanical(a: str, b: str) -> bool:
    """Whether the slip is two letters swapped or one doubled, by which words of one's own choice rarely differ."""
    return sorted(a) == sorted(b) or [letter for letter, _ in groupby(a)] == [letter for letter, _ in groupby(b)]


@lru_cache(maxsize=1 << 16)
def is_slip(a: str, b: str) -> bool:
    """One letter changed, added, left out, or two neighbours swapped (Damerau-Levenshtein distance 1)."""
    return OSA.distance(a, b, score_cutoff=1) == 1


@lru_cache(maxsize=1 << 14)
def _moving(text: str, lexicon: Lexicon) -> tuple[str, ...]:
    """The content words in order, without what comes and goes with the order: "does", "of", endings."""
    end = lexicon.plural
    found = [word for word, _ in _content(text, lexicon) if word not in lexicon.loose]
    if end:
        plain = [word.removesuffix(f"'{end}") for word in found]
        found = [w[: -len(end)] if len(w) > 3 and w.endswith(end) and not w.endswith(end * 2) else w for w in plain]
    return tuple(found)


def reordered(a: str, b: str, lexicon: Lexicon) -> bool:
    """Whether two texts have the same words in an order that asks the same.

    "In winter, when does it open?" and "When does it open in winter?" ask the same, "from A to B" and "from B to A"
    do not: there two things of a kind have changed places, and what follows "from" has changed.
    """
    one, other = _moving(a, lexicon), _moving(b, lexicon)
    if not _FEWEST_MOVED <= len(one) == len(other) <= _LONGEST_MOVED or sorted(one) != sorted(other):
        return False
    numbered_words = ([word for word in side if not word.isalpha()] for side in (one, other))
    if len(set(map(tuple, numbered_words))) > 1 or _bound(one, lexicon) != _bound(other, lexicon):
        return False
    return not _exchanged(one, other, lexicon)


def _bound(content: Sequence[str], lexicon: Lexicon) -> list[tuple[str, str]]:
    return sorted(pair for pair in zip(content, (*content[1:], ""), strict=True) if pair[0] in lexicon.bound)


def _exchanged(one: Sequence[str], other: Sequence[str], lexicon: Lexicon) -> bool:
    """Whether two parts of a kind have changed places: x m y became y m x."""
    while one and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    for i in range(1, len(one) - 1):
        if one[:i] != other[-i:]:
            continue
        for j in range(1, len(one) - i):
            x, between, y = one[:i], one[i:-j], one[-j:]
            # A question word and what it asks about may, two things that do something to each other may not.
            of_a_kind = lexicon.asking.isdisjoint(x) == lexicon.asking.isdisjoint(y)
            if of_a_kind and y == other[:j] and between == other[j:-i] and not lexicon.joining.issuperset(between):
                return True
    return False
