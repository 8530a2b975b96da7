"""What is kept of every row, and which rows may be alike, found without comparing all with all.

Signatures and the choice of bands are datasketch's; the index is sorted arrays instead of its dictionaries, because
a million rows times ten bands of Python objects would not fit into 3 GiB (Leskovec, Rajaraman, Ullman: Mining of
Massive Datasets, chapter 3).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count as numbered
from typing import NamedTuple

import numpy as np

from ftlib.data.pool import mapped
from ftlib.data.similar import bag, digest, normal_form, numbers, shingles, words
from ftlib.data.table import SAID, Watch, each, said_before, subject
from ftlib.data.vocabulary import Lexicon
from ftlib.rows import Row

PERMUTATIONS = 64
_MARGIN = 0.2  # bands are chosen for a similarity this much lower, so that few true pairs are missed
_CROWD = 300  # rows of one band bucket that are compared all with all; in larger ones each with its next _NEXT
_NEXT = 20
_DOUBT = 0.2  # three standard errors of a similarity estimated from 64 permutations
_PAIRS_AT_ONCE = 50_000


class Sketches(NamedTuple):
    """What is kept in memory of every row: 40 bytes of hashes, uint64 (n,) each, and a MinHash signature."""

    content: np.ndarray  # of history, question, context and answer
    asked: np.ndarray  # of history, question and context
    bag: np.ndarray  # of the question's words in any order
    numbers: np.ndarray  # of the numbers and codes in the question
    before: np.ndarray  # of the history; 0 where there is none
    minhash: np.ndarray  # uint32 (n, 64), of the question; (0, 64) where nothing near is looked for


def sketch(rows: Iterable[Row], count: int, similarity: float, lexicon: Lexicon) -> Sketches:
    """Hashes and signatures of `count` rows (turns, context and references), in one pass.

    `similarity` is the least of near-duplicates, 0..1; at 1 there are none and no signatures are made.
    """
    hashes = np.empty((5, count), np.uint64)

    def subjects() -> Iterator[str]:
        for number, row in enumerate(rows):
            text = subject(row)
            asks, context, said = map(normal_form, (text, row.context, said_before(row)))
            asked = (asks, *filter(None, (context, said)))
            content, before = digest(*asked, normal_form(row.answer)), digest(said) if said else 0
            hashes[:, number] = (content, digest(*asked), bag(text, lexicon), numbers(text, lexicon), before)
            if lexicon.learns:
                lexicon.learn(set(words(text)))
            yield text

    if similarity < 1:
        return Sketches(*hashes, signatures(subjects(), count, lexicon))
    for _ in subjects():
        pass
    return Sketches(*hashes, signatures((), 0, lexicon))


def sketch_table(table, similarity: float, lexicon: Lexicon, watch: Watch = iter) -> Sketches:
    """`sketch` of a whole table, whose rows pass through `watch` to show progress."""
    said = (entry.row for entry in watch(each(table, SAID)))
    if lexicon.learns:  # from one row after the other
        return sketch(said, len(table), similarity, lexicon)
    parts = mapped(partial(_sketcher, similarity, lexicon), said, len(table))
    return Sketches(*map(np.concatenate, zip(*parts, strict=True)))


def _sketcher(similarity: float, lexicon: Lexicon) -> Callable[[list[Row]], Sketches]:
    return lambda rows: sketch(rows, len(rows), similarity, lexicon)


def signatures(texts: Iterable[str], count: int, lexicon: Lexicon) -> np.ndarray:
    """MinHash signatures of `count` texts: uint32 array (count, PERMUTATIONS)."""
    from datasketch import MinHash

    made = MinHash.generator((shingles(text, lexicon) for text in texts), num_perm=PERMUTATIONS, hashfunc=zlib.crc32)
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
