"""A search index of articles in LanceDB, a folder on disk: words (BM25), sentence vectors, or both.

The folder holds one folder for each time it was built and a small file that names the one that counts. That file is
replaced in one step, so a reader or a kill at any moment meets the old index or the new one; what a reader has opened
stays until it is closed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from ftlib.atomic import read_json, write_json
from ftlib.errors import UserError
from ftlib.search.lance import TABLE, Embed, connect, searched_rows, sound, write_table

MODES = ("bm25", "vector", "hybrid")
FORMAT = 2
_POINTER, _LOCK, _BUILT = "index.json", ".lock", "built-"
_RRF = 60  # Cormack, Clarke, Büttcher (2009): the constant of reciprocal rank fusion


class Index:
    """Articles that can be searched; made by `build`, reopened by `open`.

    Attributes:
        path: the folder.
        mode: `bm25` (Okapi BM25, k1 = 1.2, b = 0.75), `vector` (cosine, exact) or `hybrid` (both, fused by rank).
        size: number of documents.
        seconds: what building it took, embedding included.
    """

    def __init__(self, path: Path, meta: Mapping, descriptor: int, embed: Embed | None):
        self.path, self.mode, self.size, self.seconds = path, meta["mode"], meta["documents"], meta["seconds"]
        self._table, self._embed = connect(path / meta["folder"]).open_table(TABLE), embed
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def build(
        cls,
        path: str | Path,
        documents: Iterable[Mapping],
        *,
        language: str | None = "en",
        mode: str = "bm25",
        embed: Embed | None = None,
        embed_name: str = "",
    ) -> Index:
        """Builds the index beside the one that stands there, then lets the folder's pointer name the new one.

        Args:
            path: folder of the index; a second builder waits for the first.
            documents: `{id, text, ...}`; a `title` that the text lacks is searched too.
            language: ISO 639-1 code; chooses stemmer and stop words. None: neither, words as the script has them.
            mode: one of `MODES`.
            embed: gives unit vectors to texts; needed for `vector` and `hybrid`.
            embed_name: name of the embedding model, checked again by `open`.

        Raises:
            UserError: a document without id or text, an id that comes twice, or a folder that is no index in the way.
            ValueError: an unknown mode, or no `embed` where one is needed.
        """
        _check_mode(mode, embed)
        began, rows, path = time.perf_counter(), searched_rows(documents), Path(path)
        _refuse_strangers(path)
        path.mkdir(parents=True, exist_ok=True)
        with FileLock(path / _LOCK):
            folder = path / f"{_BUILT}{uuid.uuid4().hex}"
            folder.mkdir()
            write_table(folder, rows, language, embed if mode != "bm25" else None)
            meta = {"format": FORMAT, "folder": folder.name, "mode": mode, "documents": len(rows)}
            meta |= {"language": language, "embedding": embed_name, "seconds": time.perf_counter() - began}
            write_json(path / _POINTER, meta)
            _sweep(path, folder)
        return cls.open(path, embed=embed, embed_name=embed_name)

    @classmethod
    def open(cls, path: str | Path, *, embed: Embed | None = None, embed_name: str = "") -> Index:
        """Opens an index that `build` wrote, as it stands now; building it again does not change what is open.

        Args:
            path: its folder.
            embed, embed_name: as given to `build`.

        Raises:
            UserError: there is none, or it was built with another embedding model or by another version.
        """
        path = Path(path)
        while True:
            meta = _pointer(path, embed_name)
            _check_mode(meta["mode"], embed)
            try:
                descriptor = os.open(path / meta["folder"], os.O_RDONLY)
            except FileNotFoundError:
                if _pointer(path, embed_name) == meta:
                    raise _no_index(path) from None
                continue  # built again between the two lines
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # `_sweep` leaves it while this is held
            if _pointer(path, embed_name) == meta:
                return cls(path, meta, descriptor, embed)
            os.close(descriptor)

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Whether a whole index stands there."""
        return bool(read_json(Path(path) / _POINTER))

    def search(self, query: str, k: int = 3) -> list[tuple[str, float]]:
        """The best documents for a query, every character of which is text, never syntax.

        Args:
            query: any string; one without a searchable word finds nothing (`bm25`).
            k: how many at most.

        Returns:
            `(id, score)`, best first; equal scores in the order of the ids, whatever their order on disk.

        Raises:
            ValueError: `k` is less than 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        query = sound(query)
        if self.mode == "bm25":
            return _top(lambda limit: self._by_words(query, limit), k, self.size)
        vector = self._embed([query], True)[0]
        if self.mode == "vector":
            return _top(lambda limit: self._by_vector(vector, limit), k, self.size)
        depth = max(50, k)
        words = _top(lambda limit: self._by_words(query, limit), depth, self.size)
        return fuse_ranks([words, _top(lambda limit: self._by_vector(vector, limit), depth, self.size)])[:k]

    def _by_words(self, query: str, limit: int) -> list[tuple[str, float]]:
        from lancedb.query import MatchQuery

        # A MatchQuery takes the text as it is: quotes, brackets, AND or -- mean nothing in it.
        found = self._table.search(MatchQuery(query, "text"), query_type="fts").limit(limit).select(["id", "_score"])
        return [(row["id"], round(row["_score"], 5)) for row in found.to_list()]

    def _by_vector(self, vector: Any, limit: int) -> list[tuple[str, float]]:
        found = self._table.search(vector, vector_column_name="vector", query_type="vector").distance_type("cosine")
        return [(row["id"], round(1 - row["_distance"], 5)) for row in found.limit(limit).select(["id"]).to_list()]


def fuse_ranks(rankings: Iterable[Sequence[tuple[str, float]]]) -> list[tuple[str, float]]:
    """Reciprocal rank fusion: the score of a document is the sum of 1 / (60 + rank) over the rankings that hold it.

    Lance's own fusion orders equal scores by chance. Rankings are `(id, score)`, best first; the scores are not used.
    Returns `(id, fused score)`, best first, ties by id.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, (key, _) in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1 / (_RRF + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _top(fetch: Callable[[int], list[tuple[str, float]]], k: int, size: int) -> list[tuple[str, float]]:
    # Lance breaks ties by position on disk: fetch past the last tie with rank k, then order ties by id.
    limit = k + 16
    while True:
        hits = sorted(fetch(limit), key=lambda hit: (-hit[1], hit[0]))
        if len(hits) < limit or limit >= size or hits[-1][1] < hits[k - 1][1]:
            return hits[:k]
        limit *= 4


def _pointer(path: Path, embed_name: str) -> dict[str, Any]:
    meta = read_json(path / _POINTER)
    if not meta:
        raise _no_index(path)
    if meta.get("format") != FORMAT or meta.get("embedding", "") != embed_name:
        wanted = f"format {FORMAT}, embedding model {embed_name or 'none'}"
        found = f"format {meta.get('format')}, embedding model {meta.get('embedding') or 'none'}"
        raise UserError.of(str(path), wanted, found, "build the index again")
    return meta


def _no_index(path: Path) -> UserError:
    return UserError.of(str(path), f"a search index (a folder with {_POINTER})", "none", "build it first")


def _sweep(path: Path, keep: Path) -> None:
    """Removes earlier builds that nobody has open."""
    for folder in path.glob(f"{_BUILT}*"):
        if folder != keep:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            except BlockingIOError:
                pass  # the next build sweeps again
            finally:
                os.close(descriptor)


def _refuse_strangers(path: Path) -> None:
    entries = [path] if path.is_file() else path.iterdir() if path.is_dir() else []
    strange = [entry for entry in entries if entry.name != _LOCK and not entry.name.startswith((_BUILT, "."))]
    if strange and not (path / _POINTER).is_file():
        raise UserError.of(str(path), "an index or nothing", "other files", "choose another place for the index")


def _check_mode(mode: str, embed: Embed | None) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if mode != "bm25" and embed is None:
        raise ValueError(f"mode {mode!r} needs an embedding model")
