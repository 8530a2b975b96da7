"""Pairs of rows that may be the same, out of millions: MinHash signatures and their bands.

Signatures and the choice of bands are datasketch's; the index is sorted arrays instead of its dictionaries, because
a million rows times ten bands of Python objects would not fit into 3 GiB (Leskovec, Rajaraman, Ullman: Mining of
Massive Datasets, chapter 3).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from ftlib.data.similar import shingles

PERMUTATIONS = 64
_MARGIN = 0.2  # bands are chosen for a similarity this much lower, so that few true pairs are missed
_CROWD = 300  # rows of one band bucket that are compared all with all; in larger ones each with its next _NEXT
_NEXT = 20
_DOUBT = 0.2  # three standard errors of a similarity estimated from 64 permutations
_PAIRS_AT_ONCE = 50_000


def signatures(texts: Iterable[str], count: int) -> np.ndarray:
    """MinHash signatures.

    Args:
        texts: one text a row.
        count: number of rows.

    Returns:
        uint32 array (count, PERMUTATIONS).
    """
    from datasketch import MinHash

    out = np.empty((count, PERMUTATIONS), dtype=np.uint32)
    sets = (shingles(text) for text in texts)
    for row, sketch in enumerate(MinHash.generator(sets, num_perm=PERMUTATIONS, hashfunc=zlib.crc32)):
        out[row] = sketch.hashvalues
    return out


@lru_cache(maxsize=8)
def bands(similarity: float) -> tuple[int, int]:
    """(number of bands, rows a band) that find pairs of this Jaccard similarity."""
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=max(0.05, similarity - _MARGIN), num_perm=PERMUTATIONS, weights=(0.2, 0.8))
    return index.b, index.r


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
    keys = _keys(sketches, numbers, *bands(similarity))
    for band in range(keys.shape[1]):
        for i, j in _within_buckets(keys[:, band], first):
            new = ~(keys[i, :band] == keys[j, :band]).any(axis=1)  # else an earlier band has shown the pair
            i, j = i[new], j[new]
            likely = (sketches[i] == sketches[j]).mean(axis=1) >= similarity - _DOUBT
            if likely.any():
                yield i[likely], j[likely]


def _keys(sketches: np.ndarray, numbers: np.ndarray, count: int, width: int) -> np.ndarray:
    """The bucket of every row in every band, uint64 (n, bands)."""
    rng = np.random.default_rng(1)  # any odd multipliers do; fixed, so that results repeat
    mix = rng.integers(1, 2**63, size=width, dtype=np.uint64) | np.uint64(1)
    keys = np.empty((len(sketches), count), np.uint64)
    for band in range(count):
        block = sketches[:, band * width : (band + 1) * width].astype(np.uint64)
        keys[:, band] = (block * mix).sum(axis=1, dtype=np.uint64) ^ numbers
    return keys


def _within_buckets(key: np.ndarray, first: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows with the same key, collected over many buckets to keep numpy busy."""
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order])) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(key)]])
    held: list[tuple[np.ndarray, np.ndarray]] = []
    size = 0
    for at in np.flatnonzero(ends - starts > 1):
        held.append(_all_pairs(np.sort(order[starts[at] : ends[at]]), first))
        size += len(held[-1][0])
        if size > _PAIRS_AT_ONCE:
            yield np.concatenate([h[0] for h in held]), np.concatenate([h[1] for h in held])
            held, size = [], 0
    if size:
        yield np.concatenate([h[0] for h in held]), np.concatenate([h[1] for h in held])


def _all_pairs(members: np.ndarray, first: int | None) -> tuple[np.ndarray, np.ndarray]:
    if first is not None:
        before, after = members[members < first][:_CROWD], members[members >= first]
        return np.repeat(before, len(after)), np.tile(after, len(before))
    if len(members) <= _CROWD:
        i, j = np.triu_indices(len(members), k=1)
        return members[i], members[j]
    steps = [(members[:-step], members[step:]) for step in range(1, _NEXT + 1)]
    return np.concatenate([s[0] for s in steps]), np.concatenate([s[1] for s in steps])


def components(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which rows are joined, directly or through others.

    Args:
        count: number of rows.
        one, other: int64 (m,), the rows of each joined pair.

    Returns:
        int32 (count,), equal for rows that are joined.
    """
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
