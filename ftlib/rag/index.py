"""A search index of articles in LanceDB, a folder on disk: words (BM25), sentence vectors, or both."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlib.recipe import UserError

MODES = ("bm25", "vector", "hybrid")
FORMAT = 1
_TABLE = "documents"
_META = "index.json"
# Stemmers and stop words that Lance ships; every other language is searched by whole words.
_LANGUAGES = {
    "ar": "Arabic", "da": "Danish", "nl": "Dutch", "en": "English", "fi": "Finnish", "fr": "French", "de": "German",
    "el": "Greek", "hu": "Hungarian", "it": "Italian", "no": "Norwegian", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "es": "Spanish", "sv": "Swedish", "ta": "Tamil", "tr": "Turkish",
}  # fmt: skip
_UNSPACED = ("zh", "ja", "th", "lo", "km", "my")  # words have no spaces between them: ICU's dictionaries cut them
_RRF = 60  # Cormack, Clarke, Büttcher (2009): the constant of reciprocal rank fusion

Embed = Callable[[Sequence[str], bool], Any]  # (texts, is_query) -> float array (texts, dimensions), rows of norm 1


class Index:
    """Articles that can be searched; made by `build`, reopened by `open`.

    Attributes:
        path: the folder.
        mode: ``bm25`` (Okapi BM25, k1 = 1.2, b = 0.75), ``vector`` (cosine, exact) or ``hybrid`` (both, fused by rank).
        size: number of documents.
        seconds: what building it took, embedding included.
    """

    def __init__(self, path: Path, table: Any, meta: Mapping, embed: Embed | None):
        self.path, self.mode, self.size, self.seconds = path, meta["mode"], meta["documents"], meta["seconds"]
        self._table, self._embed = table, embed

    @classmethod
    def build(
        cls,
        path: str | Path,
        documents: Iterable[Mapping],
        *,
        language: str = "en",
        mode: str = "bm25",
        embed: Embed | None = None,
        embed_name: str = "",
    ) -> "Index":
        """Writes the index beside ``path`` and then puts it in its place, so that a kill leaves the old one or the new.

        Args:
            path: folder of the index; an index that stands there is replaced.
            documents: ``{id, text, ...}``; a ``title`` that the text lacks is searched too.
            language: ISO 639-1 code; chooses stemmer and stop words.
            mode: one of `MODES`.
            embed: gives unit vectors to texts; needed for ``vector`` and ``hybrid``.
            embed_name: name of the embedding model, checked again by `open`.

        Returns:
            The index, ready for `search`.

        Raises:
            UserError: a document without id or text, an id that comes twice, or a folder that is no index in the way.
            ValueError: an unknown mode, or no ``embed`` where one is needed.
        """
        _check_mode(mode, embed)
        began = time.perf_counter()
        rows = _rows(documents)
        path = Path(path)
        _refuse_strangers(path)
        partial = path.with_name(path.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write_table(partial, rows, language, embed if mode != "bm25" else None)
        meta = {"format": FORMAT, "mode": mode, "documents": len(rows), "language": language, "embedding": embed_name}
        meta["seconds"] = time.perf_counter() - began
        (partial / _META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
        return cls.open(path, embed=embed, embed_name=embed_name)

    @classmethod
    def open(cls, path: str | Path, *, embed: Embed | None = None, embed_name: str = "") -> "Index":
        """Opens an index that `build` wrote.

        Args:
            path: its folder.
            embed: as given to `build`.
            embed_name: as given to `build`.

        Returns:
            The index.

        Raises:
            UserError: there is none, or it was built with another embedding model or by another version.
        """
        path = Path(path)
        try:
            meta = json.loads((path / _META).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError.of(str(path), f"a search index (a folder with {_META})", "none", "build it first") from None
        if meta.get("format") != FORMAT or meta.get("embedding", "") != embed_name:
            wanted = f"format {FORMAT}, embedding model {embed_name or 'none'}"
            found = f"format {meta.get('format')}, embedding model {meta.get('embedding') or 'none'}"
            raise UserError.of(str(path), wanted, found, "build the index again")
        _check_mode(meta["mode"], embed)
        return cls(path, _connect(path).open_table(_TABLE), meta, embed)

    def search(self, query: str, k: int = 3) -> list[tuple[str, float]]:
        """The best documents for a query, every character of which is text, never syntax.

        Args:
            query: any string; one without a searchable word finds nothing (``bm25``).
            k: how many at most.

        Returns:
            ``(id, score)``, best first; equal scores in the order of the ids, whatever their order on disk.

        Raises:
            ValueError: ``k`` is less than 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        query = _sound(query)
        if self.mode == "bm25":
            return _top(lambda limit: self._by_words(query, limit), k, self.size)
        if self.mode == "vector":
            return _top(lambda limit: self._by_vector(query, limit), k, self.size)
        depth = max(50, k)
        words = _top(lambda limit: self._by_words(query, limit), depth, self.size)
        vectors = _top(lambda limit: self._by_vector(query, limit), depth, self.size)
        return fuse([words, vectors])[:k]

    def _by_words(self, query: str, limit: int) -> list[tuple[str, float]]:
        from lancedb.query import MatchQuery

        # A MatchQuery takes the text as it is: quotes, brackets, AND or -- mean nothing in it.
        found = self._table.search(MatchQuery(query, "text"), query_type="fts").limit(limit).select(["id", "_score"])
        return [(row["id"], round(row["_score"], 5)) for row in found.to_list()]

    def _by_vector(self, query: str, limit: int) -> list[tuple[str, float]]:
        vector = self._embed([query], True)[0]
        found = self._table.search(vector, vector_column_name="vector", query_type="vector").distance_type("cosine")
        return [(row["id"], round(1 - row["_distance"], 5)) for row in found.limit(limit).select(["id"]).to_list()]


def fuse(rankings: Iterable[Sequence[tuple[str, float]]]) -> list[tuple[str, float]]:
    """Reciprocal rank fusion: the score of a document is the sum of 1 / (60 + rank) over the rankings that hold it.

    Args:
        rankings: each ``(id, score)``, best first; the scores themselves are not used.

    Returns:
        ``(id, fused score)``, best first, ties by id.
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


def _write_table(path: Path, rows: list[dict], language: str, embed: Embed | None) -> None:
    import pyarrow as pa

    columns = {"id": pa.array([row["id"] for row in rows], pa.string())}
    columns["text"] = pa.array([row["text"] for row in rows], pa.string())
    if embed is not None:
        vectors = embed(columns["text"].to_pylist(), False)  # (documents, dimensions)
        flat = pa.array(vectors.ravel(), pa.float32())
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    table = _connect(path).create_table(_TABLE, pa.table(columns))
    table.create_index("text", config=_analyser(language))


def _analyser(language: str) -> Any:
    from lancedb.index import FTS

    code = language.lower()[:2]
    if code in _LANGUAGES:
        return FTS(language=_LANGUAGES[code], with_position=False)
    return FTS(base_tokenizer="icu" if code in _UNSPACED else "simple", stem=False, remove_stop_words=False)


def _connect(path: Path) -> Any:
    os.environ.setdefault("LANCEDB_LOG", "error")  # else it warns that a table it is asked to create is not there yet
    import lancedb

    return lancedb.connect(str(path))


def _rows(documents: Iterable[Mapping]) -> list[dict]:
    rows: dict[str, dict] = {}
    for number, document in enumerate(documents, start=1):
        key, text = document.get("id"), document.get("text")
        if not isinstance(key, str) or not key or not isinstance(text, str):
            found = {name: type(value).__name__ for name, value in document.items()}
            raise UserError.of(f"document {number}", "a text `id` and a text `text`", str(found), "mend this document")
        if key in rows:
            raise UserError.of(f"document {number}", "ids that are unique", f"{key!r} again", "rename one of them")
        title = str(document.get("title") or "")
        rows[key] = {"id": key, "text": _sound(text if title in text else f"{title}\n{text}")}
    return [rows[key] for key in sorted(rows)]


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate has no UTF-8 form


def _refuse_strangers(path: Path) -> None:
    if path.exists() and not (path / _META).is_file() and any(path.iterdir() if path.is_dir() else [path]):
        raise UserError.of(str(path), "an index or nothing", "other files", "choose another place for the index")


def _check_mode(mode: str, embed: Embed | None) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if mode != "bm25" and embed is None:
        raise ValueError(f"mode {mode!r} needs an embedding model")
