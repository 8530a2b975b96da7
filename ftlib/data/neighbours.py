"""Pairs of rows that may be the same, out of millions: MinHash signatures and their bands.

Signatures and the choice of bands are datasketch's; the index is sorted arrays instead of its dictionaries, because
a million rows times ten bands of Python objects would not fit into 3 GiB (Leskovec, Rajaraman, Ullman: Mining of
Massive Datasets, chapter 3).
"""

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
            keep the thousand questions apart that differ in nothing but a product's number.
        similarity: Jaccard similarity of interest, 0..1.
        first: if given, only pairs of a row before this index with one at or after it.

    Yields:
        Two int64 arrays i, j with i < j, whose estimated similarity is not far below ``similarity``.
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


class Clusters:
    """Disjoint sets of row numbers (union-find with path halving)."""

    def __init__(self, count: int):
        self.parent = np.arange(count)

    def find(self, row: int) -> int:
        """The row that stands for ``row``'s cluster."""
        parent = self.parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return int(row)

    def join(self, a: int, b: int) -> None:
        """Puts two rows' clusters together under the smaller number."""
        a, b = self.find(a), self.find(b)
        if a != b:
            self.parent[max(a, b)] = min(a, b)

    def groups(self) -> list[np.ndarray]:
        """Clusters of two or more rows, in order."""
        parent = self.parent
        while not np.array_equal(up := parent[parent], parent):
            parent = up
        self.parent = parent
        crowded = np.flatnonzero(np.bincount(parent, minlength=len(parent))[parent] > 1)
        order = crowded[np.argsort(parent[crowded], kind="stable")]
        edges = np.flatnonzero(np.diff(parent[order])) + 1
        return [part for part in np.split(order, edges) if len(part)]
