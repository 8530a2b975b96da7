"""Sentence vectors from a model named in the recipe, for vector and hybrid search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftlib.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from ftlib.recipe import Recipe


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
        from sentence_transformers import SentenceTransformer

        self.name, self.query_prefix, self.document_prefix = name, query_prefix, document_prefix
        try:
            # A pickle can run code when it is opened; safetensors holds numbers only.
            self._model = SentenceTransformer(name, trust_remote_code=False, model_kwargs={"use_safetensors": True})
        except (OSError, ValueError) as error:
            raise UserError.of(
                "recipe field rag.embedding_model",
                "a folder or hub name of an encoder saved as safetensors",
                f"{name}: {str(error).splitlines()[0]}",
                "correct the name, download the model first, or set rag.mode to bm25",
            ) from None

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
            raise UserError.of(
                "recipe field rag.embedding_model",
                f"a sentence-embedding model, because rag.mode is {rag.mode}",
                "nothing",
                "name a folder or a hub model, or set rag.mode to bm25",
            )
        return cls(rag.embedding_model, query_prefix=rag.query_prefix, document_prefix=rag.document_prefix)

    def __call__(self, texts: Sequence[str], is_query: bool) -> np.ndarray:
        """Unit vectors.

        Args:
            texts: what to embed; each is cut where the model's own limit is.
            is_query: whether they are queries, which some models want marked.

        Returns:
            float32 array (texts, dimensions).
        """
        import numpy as np

        encode = self._model.encode_query if is_query else self._model.encode_document
        prefix = self.query_prefix if is_query else self.document_prefix
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension()), np.float32)
        return encode(list(texts), prompt=prefix or None, normalize_embeddings=True, show_progress_bar=False)
