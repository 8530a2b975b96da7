"""When two texts are the same: after normalization, or but for typing slips and filler words.

A high Jaccard similarity is not enough for questions: "How heavy is the Model 20?" and "How heavy is the Model 30?"
share nearly all their letters and ask different things. So candidates found by MinHash are compared word by word:
numbers, codes and names must be equal and in the same order; other words may differ by one slip of the keyboard.

Signatures and the choice of bands are datasketch's; the index is sorted arrays instead of its dictionaries, because
a million rows times ten bands of Python objects would not fit into 3 GiB (Leskovec, Rajaraman, Ullman: Mining of
Massive Datasets, chapter 3).
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import count as numbered
from itertools import zip_longest

import numpy as np
from rapidfuzz.distance import OSA, Levenshtein

SHINGLE = 3  # characters; short questions have too few word n-grams to survive a slip
_ONE_SLIP = 2 * SHINGLE - 1  # shingles that two swapped letters can change
_SLACK = 0.05  # share of words that may be new or missing in long texts
_WORD = re.compile(r"(?:(?<![^\W_])[-+])?\d+(?:[.,]\d+)*[^\W_]*|[^\W_]+(?:['’][^\W_]+)?", re.UNICODE)
_POLITE = ("please", "thanks", "thank", "you", "hi", "hello", "hey", "dear", "all", "team", "there", "kindly")
_Content = tuple[tuple[str, bool], ...]  # (word, must be equal)
_FILLER = frozenset(("a", "an", "the", "just", "quick", "question", "so", "um", "well", *_POLITE))


def words(text: str) -> list[str]:
    """Case-folded words and signed numbers of a text, without punctuation."""
    if text.isascii():  # then the compatible form is the text itself, and letters keep their number when folded
        return _WORD.findall(text.lower())
    return [match.group().casefold() for match in _WORD.finditer(unicodedata.normalize("NFKC", text))]


def normal_form(text: str) -> str:
    """The text with case, punctuation and white space taken out of account."""
    return " ".join(words(text))


def digest(*texts: str) -> int:
    """64 bits of a hash over texts as they stand, the same on every machine."""
    return int.from_bytes(blake2b("\x1f".join(texts).encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=1 << 12)  # about 10 kB each
def shingles(text: str) -> frozenset[bytes]:
    """Character n-grams of the text's content words, as MinHash takes them."""
    flat = " ".join(word for word, _ in _content(text)) or normal_form(text)
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

    `similarity` is the least Jaccard similarity of their shingles, 0..1; a short text may always have one slip.
    """
    if a == b or normal_form(a) == normal_form(b):
        return True
    if not a or not b:
        return False
    one, other = _content(a), _content(b)
    if len(one) != len(other):
        one, other = _without_slips_of_fillers(one, b), _without_slips_of_fillers(other, a)
    allowed = int(_SLACK * min(len(one), len(other)))
    if abs(len(one) - len(other)) > allowed or _numbers(one) != _numbers(other):
        return False
    size = len(shingles(a))
    least = min(similarity, (size - _ONE_SLIP) / (size + _ONE_SLIP))
    return jaccard(a, b) >= least and _unmatched(one, other, allowed) <= allowed


@lru_cache(maxsize=1 << 14)
def _content(text: str) -> _Content:
    """Words without fillers and doubled ones; numbers, codes and names must be equal."""
    found: list[tuple[str, bool]] = []
    shouting = text.isupper()
    for position, raw in enumerate(_WORD.findall(text if text.isascii() else unicodedata.normalize("NFKC", text))):
        word = raw.casefold()
        name = position > 0 and not shouting and raw != word
        if word not in _FILLER and (not found or found[-1][0] != word):
            found.append((word, name or any(char.isdigit() for char in raw)))
    return tuple(found)


def _numbers(content: _Content) -> list[str]:
    return [word for word, exact in content if exact and any(char.isdigit() for char in word)]


def _without_slips_of_fillers(content: _Content, other: str) -> _Content:
    """Without words that are a slip away from a filler of the other text."""
    fillers = _FILLER.intersection(words(other))
    return tuple((w, exact) for w, exact in content if exact or not any(is_slip(w, filler) for filler in fillers))


def _unmatched(one: _Content, other: _Content, allowed: int) -> int:
    """Words without a partner; a name or number without one counts as too many."""
    missing = 0
    for _, i, i_end, j, j_end in Levenshtein.opcodes([w for w, _ in one], [w for w, _ in other]):
        # As many words on either side, or none on one.
        apart = [pair for pair in zip_longest(one[i:i_end], other[j:j_end]) if None in pair or not _equal(*pair)]
        missing += len(apart)
        if any(word[1] for pair in apart for word in pair if word):
            return allowed + 1
    return missing


def _equal(a: tuple[str, bool], b: tuple[str, bool]) -> bool:
    # Where one text is in capitals throughout, names can't be told from words: then both must be equal.
    return a[0] == b[0] or (not (a[1] or b[1]) and min(len(a[0]), len(b[0])) > 3 and is_slip(a[0], b[0]))


@lru_cache(maxsize=1 << 16)
def is_slip(a: str, b: str) -> bool:
    """One letter changed, added, left out, or two neighbours swapped (Damerau-Levenshtein distance 1)."""
    return OSA.distance(a, b, score_cutoff=1) == 1


PERMUTATIONS = 64
_MARGIN = 0.2  # bands are chosen for a similarity this much lower, so that few true pairs are missed
_CROWD = 300  # rows of one band bucket that are compared all with all; in larger ones each with its next _NEXT
_NEXT = 20
_DOUBT = 0.2  # three standard errors of a similarity estimated from 64 permutations
_PAIRS_AT_ONCE = 50_000


def signatures(texts: Iterable[str], count: int) -> np.ndarray:
    """MinHash signatures of `count` texts: uint32 array (count, PERMUTATIONS)."""
    from datasketch import MinHash

    made = MinHash.generator(map(shingles, texts), num_perm=PERMUTATIONS, hashfunc=zlib.crc32)
    each = np.dtype((np.uint32, PERMUTATIONS))
    return np.fromiter((sketch.hashvalues for sketch in made), dtype=each, count=count)


def pairs(
    sketches: np.ndarray, numbers: np.ndarray, similarity: float, first: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Candidate pairs, each once, in blocks.

    Args:
        sketches: uint32 array (n, PERMUTATIONS).
        numbers: uint64 array (n,), hashes of what near-duplicates have in common for sure: numbers and codes. They
            keep the thousand questions apart that differ in nothing but a number.
        similarity: Jaccard similarity of interest, 0..1.
        first: if given, only pairs of a row before this index with one at or after it.

    Yields:
        Two int64 arrays i, j with i < j, whose estimated similarity is not far below `similarity`.
    """
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=max(0.05, similarity - _MARGIN), num_perm=PERMUTATIONS, weights=(0.2, 0.8))
    rng = np.random.default_rng(1)  # any odd multipliers do; fixed, so that results repeat
    mix = rng.integers(1, 2**63, size=index.r, dtype=np.uint64) | np.uint64(1)
    keys = np.empty((len(sketches), index.b), np.uint64)  # the bucket of every row in every band
    for band in range(index.b):
        block = sketches[:, band * index.r : (band + 1) * index.r].astype(np.uint64)
        keys[:, band] = (block * mix).sum(axis=1, dtype=np.uint64) ^ numbers
        for i, j in _within_buckets(keys[:, band], first):
            new = ~(keys[i, :band] == keys[j, :band]).any(axis=1)  # else an earlier band has shown the pair
            i, j = i[new], j[new]
            likely = (sketches[i] == sketches[j]).mean(axis=1) >= similarity - _DOUBT
            if likely.any():
                yield i[likely], j[likely]


def _within_buckets(key: np.ndarray, first: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows with the same key: each row with the next of its bucket, then with the next but one, ..."""
    order = np.argsort(key, kind="stable")
    _, start, bucket, size = np.unique(key[order], return_index=True, return_inverse=True, return_counts=True)
    at = np.arange(len(key))
    rank = at - start[bucket]
    if first is not None:  # such rows stand first in their buckets
        at = at[(order < first) & (rank < _CROWD)]
    for step in numbered(1):
        at = at[rank[at] + step < size[bucket[at]]]
        if first is None and step > _NEXT:
            at = at[size[bucket[at]] <= _CROWD]
        if not len(at):
            return
        for part in range(0, len(at), _PAIRS_AT_ONCE):
            here = at[part : part + _PAIRS_AT_ONCE]
            i, j = order[here], order[here + step]
            across = j >= (first or 0)
            yield i[across], j[across]


def components(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """int32 (count,), equal for rows that are joined by pairs `one`, `other` (int64), directly or through others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def members(labels: np.ndarray) -> list[np.ndarray]:
    """Row numbers of each label that two or more rows have, in the order of their first rows."""
    crowded = np.flatnonzero(np.bincount(labels)[labels] > 1)
    order = crowded[np.argsort(labels[crowded], kind="stable")]
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return sorted((part for part in parts if len(part)), key=lambda part: int(part[0]))
