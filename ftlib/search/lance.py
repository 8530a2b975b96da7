"""Articles in a table of LanceDB's: how their texts become words and vectors that can be searched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlib.data.paraphrases import sentence_encoder
from ftlib.errors import UserError
from ftlib.search.passages import unspaced_share

if TYPE_CHECKING:
    import numpy as np

    from ftlib.recipe import Recipe

TABLE = "documents"
# Stemmers and stop words that Lance ships; every other language is searched by whole words.
_LANGUAGES = {
    "ar": "Arabic", "da": "Danish", "nl": "Dutch", "en": "English", "fi": "Finnish", "fr": "French", "de": "German",
    "el": "Greek", "hu": "Hungarian", "it": "Italian", "no": "Norwegian", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "es": "Spanish", "sv": "Swedish", "ta": "Tamil", "tr": "Turkish",
}  # fmt: skip
_UNSPACED = ("zh", "ja", "th", "lo", "km", "my")  # words have no spaces between them: ICU's dictionaries cut them

Embed = Callable[[Sequence[str], bool], Any]  # (texts, is_query) -> float array (texts, dimensions), rows of norm 1


def write_table(path: Path, rows: Sequence[Mapping[str, str]], language: str | None, embed: Embed | None) -> None:
    """Makes the table and what searches it by words.

    Args:
        path: a new folder. rows: from `searched_rows`.
        language: ISO 639-1 code, or None.
        embed: gives each text its vector; None: searched by words alone.
    """
    import pyarrow as pa

    texts = [row["text"] for row in rows]
    columns = {"id": pa.array([row["id"] for row in rows], pa.string()), "text": pa.array(texts, pa.string())}
    if embed is not None:
        vectors = embed(texts, False)  # (documents, dimensions)
        columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])
    table = connect(path).create_table(TABLE, pa.table(columns))
    table.create_index("text", config=_analyser(language, texts))


def _analyser(language: str | None, texts: Sequence[str]) -> Any:
    """What cuts texts and queries into words: the language's own, else what the texts' script asks for."""
    from lancedb.index import FTS

    code, unspaced = (language or "").lower()[:2], unspaced_share(texts)
    if code in _UNSPACED or unspaced > 0.5 or (unspaced and code not in _LANGUAGES):
        return FTS(base_tokenizer="icu", stem=False, remove_stop_words=False, with_position=False)
    if code in _LANGUAGES:
        return FTS(language=_LANGUAGES[code], with_position=False)
    return FTS(base_tokenizer="simple", stem=False, remove_stop_words=False, with_position=False)


def connect(path: Path) -> Any:
    """Lance's connection to a folder."""
    os.environ.setdefault("LANCEDB_LOG", "error")  # else it warns that a table it is asked to create is not there yet
    import lancedb

    return lancedb.connect(str(path))


def searched_rows(documents: Iterable[Mapping]) -> list[dict[str, str]]:
    """What the table holds of the documents (`{id, text, title?, ...}`): `{id, text}` in the order of the ids.

    Raises:
        UserError: a document without id or text, or an id that comes twice.
    """
    rows: dict[str, dict] = {}
    for number, document in enumerate(documents, start=1):
        key, text = document.get("id"), document.get("text")
        if not isinstance(key, str) or not key or not isinstance(text, str):
            found = {name: type(value).__name__ for name, value in document.items()}
            raise UserError.of(f"document {number}", "a text `id` and a text `text`", str(found), "mend this document")
        if key in rows:
            raise UserError.of(f"document {number}", "ids that are unique", f"{key!r} again", "rename one of them")
        title = str(document.get("title") or "")
        rows[key] = {"id": key, "text": sound(text if title in text else f"{title}\n{text}")}
    return [rows[key] for key in sorted(rows)]


def sound(text: str) -> str:
    """The text with what has no UTF-8 form (a lone surrogate) replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


class Embedder:
    """Texts to unit vectors, pooled and cut as the model's own folder says; for `Index.build` and `Index.open`.

    Args:
        name: local folder or hub name of a sentence-transformers model, or of an encoder (whose states are averaged).
        query_prefix: text put before every query; "": what the model itself asks for.
        document_prefix: the same for documents.

    Raises:
        UserError: there is no such model, or its weights are not safetensors.
    """

    def __init__(self, name: str, *, query_prefix: str = "", document_prefix: str = ""):
        self.name, self.query_prefix, self.document_prefix = name, query_prefix, document_prefix
        self._model = sentence_encoder(name)

    @classmethod
    def of(cls, recipe: Recipe) -> Embedder | None:
        """The embedder that `recipe.rag` names; None where it searches by words.

        Raises:
            UserError: `rag.mode` needs a model and `rag.embedding_model` names none, or an unknown one.
        """
        rag = recipe.rag
        if rag.mode == "bm25":
            return None
        if not rag.embedding_model:
            wanted = f"a sentence-embedding model, because rag.mode is {rag.mode}"
            fix = "name a folder or a hub model, or set rag.mode to bm25"
            raise UserError.of("recipe field rag.embedding_model", wanted, "nothing", fix)
        return cls(rag.embedding_model, query_prefix=rag.query_prefix, document_prefix=rag.document_prefix)

    def __call__(self, texts: Sequence[str], is_query: bool) -> np.ndarray:
        """Unit vectors of texts, float32 (texts, dimensions); each text is cut where the model's own limit is.

        Queries, which `is_query` says they are, some models want marked.
        """
        import numpy as np

        encode = self._model.encode_query if is_query else self._model.encode_document
        prefix = self.query_prefix if is_query else self.document_prefix
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension()), np.float32)
        return encode(list(texts), prompt=prefix or None, normalize_embeddings=True, show_progress_bar=False)
