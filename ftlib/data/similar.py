"""When two texts are the same: after normalization, or but for typing slips and filler words.

A high Jaccard similarity is not enough for questions: "How heavy is the Heron 20?" and "How heavy is the Heron 30?"
share nearly all their letters and ask different things. So candidates found by MinHash are compared word by word:
numbers, codes and names must be equal and in the same order; other words may differ by one slip of the keyboard.
"""

import re
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from hashlib import blake2b

SHINGLE = 3  # characters; short questions have too few word n-grams to survive a slip
_ONE_SLIP = 2 * SHINGLE - 1  # shingles that two swapped letters can change
_SLACK = 0.05  # share of words that may be new or missing in long texts
_WORD = re.compile(r"(?:(?<![^\W_])[-+])?\d+(?:[.,]\d+)*[^\W_]*|[^\W_]+(?:['’][^\W_]+)?", re.UNICODE)
_SLIPS_OF_FILLERS = ("teh", "hte", "th", "thte")
_POLITE = ("please", "thanks", "thank", "you", "hi", "hello", "hey", "dear", "all", "team", "there", "kindly")
_FILLER = frozenset(("a", "an", "the", "just", "quick", "question", "so", "um", "well", *_POLITE, *_SLIPS_OF_FILLERS))


def words(text: str) -> list[str]:
    """Case-folded words and signed numbers of a text, without punctuation."""
    if text.isascii():  # then the compatible form is the text itself, and letters keep their number when folded
        return _WORD.findall(text.lower())
    return [match.group().casefold() for match in _WORD.finditer(unicodedata.normalize("NFKC", text))]


def normalize(text: str) -> str:
    """The text with case, punctuation and white space taken out of account."""
    return " ".join(words(text))


def fingerprint(*texts: str) -> int:
    """64 bits of a hash over the normalized texts, the same on every machine."""
    return digest(*(normalize(text) for text in texts))


def digest(*texts: str) -> int:
    """64 bits of a hash over texts as they stand."""
    return int.from_bytes(blake2b("\x1f".join(texts).encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=1 << 12)  # about 10 kB each
def shingles(text: str) -> frozenset[bytes]:
    """Character n-grams of the text's content words, as MinHash takes them."""
    flat = " ".join(word for word, _ in _content(text)) or normalize(text)
    return frozenset(flat[i : i + SHINGLE].encode() for i in range(max(1, len(flat) - SHINGLE + 1)))


def numbers(text: str) -> int:
    """64 bits of a hash over the numbers and codes of a text, in order; near-duplicates have the same."""
    return digest(*_numbers(_content(text)))


def jaccard(a: str, b: str) -> float:
    """|A and B| / |A or B| of the two texts' shingles, 0..1."""
    one, other = shingles(a), shingles(b)
    return len(one & other) / len(one | other)


def same(a: str, b: str, similarity: float) -> bool:
    """Whether two texts say the same but for slips and filler words.

    Args:
        a, b: texts.
        similarity: least Jaccard similarity of their shingles, 0..1; a short text may always have one slip.

    Returns:
        True where they are near-duplicates.
    """
    if a == b or normalize(a) == normalize(b):
        return True
    if not a or not b:
        return False
    one, other = _content(a), _content(b)
    allowed = int(_SLACK * min(len(one), len(other)))
    if abs(len(one) - len(other)) > allowed or _numbers(one) != _numbers(other):
        return False
    size = len(shingles(a))
    least = min(similarity, (size - _ONE_SLIP) / (size + _ONE_SLIP))
    return jaccard(a, b) >= least and _unmatched(one, other, allowed) <= allowed


def _numbers(content: tuple[tuple[str, bool], ...]) -> list[str]:
    return [word for word, exact in content if exact and any(char.isdigit() for char in word)]


@lru_cache(maxsize=1 << 14)
def _content(text: str) -> tuple[tuple[str, bool], ...]:
    """(word, must be equal) without filler and doubled words; numbers, codes and names must be equal."""
    found: list[tuple[str, bool]] = []
    shouting = text.isupper()
    for position, raw in enumerate(_WORD.findall(text if text.isascii() else unicodedata.normalize("NFKC", text))):
        word = raw.casefold()
        name = position > 0 and not shouting and raw != word
        if word not in _FILLER and (not found or found[-1][0] != word):
            found.append((word, name or any(char.isdigit() for char in raw)))
    return tuple(found)


def _unmatched(one: tuple[tuple[str, bool], ...], other: tuple[tuple[str, bool], ...], allowed: int) -> int:
    """Words without a partner; a name or number without one counts as too many."""
    if len(one) == len(other):
        pairs: Iterator = zip(one, other, strict=True)
        wrong = sum(not _equal(a, b) for a, b in pairs)
        if wrong == 0 or allowed == 0:
            return wrong
    elif allowed == 0:
        return 1
    missing = 0
    matcher = SequenceMatcher(None, [w for w, _ in one], [w for w, _ in other], autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag != "equal":
            left, right = one[i:i_end], other[j:j_end]
            if len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right, strict=True)):
                continue
            if any(exact for _, exact in left + right):
                return allowed + 1
            missing += max(len(left), len(right))
    return missing


def _equal(a: tuple[str, bool], b: tuple[str, bool]) -> bool:
    if a[0] == b[0]:
        return True
    # Where one text is in capitals throughout, names can't be told from words: then both must be equal.
    return not (a[1] or b[1]) and min(len(a[0]), len(b[0])) > 3 and is_slip(a[0], b[0])


@lru_cache(maxsize=1 << 16)
def is_slip(a: str, b: str) -> bool:
    """One letter changed, added, left out, or two neighbours swapped (Damerau-Levenshtein distance 1)."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    rest_a, rest_b = a[start:], b[start:]
    if len(a) == len(b):
        swapped = rest_a[:2] == rest_b[1::-1] and rest_a[2:] == rest_b[2:]
        return rest_a[1:] == rest_b[1:] or swapped
    return rest_a[1:] == rest_b or rest_a == rest_b[1:]
