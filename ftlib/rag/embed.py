"""Sentence vectors from a transformers model named in the recipe, for vector and hybrid search."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ftlib.recipe import UserError

_MAX_TOKENS = 512


class Embedder:
    """Texts to unit vectors; pass it to `Index.build` and `Index.open`.

    The last hidden states are pooled (mean over the text's tokens, or the first token's) and scaled to norm 1, so
    that the dot product is the cosine. Which pooling and which prefixes are right stands on the model's card.

    Args:
        name: local folder or hub name of an encoder.
        pooling: ``mean`` or ``cls``.
        query_prefix: text put before every query.
        document_prefix: text put before every document.
        batch_rows: texts per forward pass.

    Raises:
        UserError: there is no such model.
    """

    def __init__(
        self,
        name: str,
        *,
        pooling: str = "mean",
        query_prefix: str = "",
        document_prefix: str = "",
        batch_rows: int = 32,
    ):
        self.name, self.pooling, self.batch_rows = name, pooling, batch_rows
        self._prefixes = {True: query_prefix, False: document_prefix}
        self._tokenizer, self._model = _load(name)

    @classmethod
    def of(cls, recipe: Any) -> "Embedder | None":
        """The embedder that ``recipe.rag`` names; None where it searches by words.

        Raises:
            UserError: ``rag.mode`` needs a model and ``rag.embedding_model`` names none, or an unknown one.
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
        return cls(
            rag.embedding_model,
            pooling=rag.embedding_pooling,
            query_prefix=rag.query_prefix,
            document_prefix=rag.document_prefix,
        )

    def __call__(self, texts: Sequence[str], is_query: bool) -> np.ndarray:
        """Unit vectors.

        Args:
            texts: what to embed; each is cut after 512 tokens or what the tokenizer says its model takes.
            is_query: whether they are queries, which some models want marked.

        Returns:
            float32 array (texts, dimensions).
        """
        prefix = self._prefixes[is_query]
        batches = [texts[start : start + self.batch_rows] for start in range(0, len(texts), self.batch_rows)]
        vectors = [self._batch([prefix + text for text in batch]) for batch in batches]
        return np.concatenate(vectors) if vectors else np.zeros((0, self._model.config.hidden_size), np.float32)

    def _batch(self, texts: list[str]) -> np.ndarray:
        import torch

        limit = min(_MAX_TOKENS, self._tokenizer.model_max_length)
        tokens = self._tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        tokens = tokens.to(self._model.device)
        with torch.inference_mode():
            hidden = self._model(**tokens).last_hidden_state  # (texts, tokens, dimensions)
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)  # (texts, tokens, 1)
            pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        return torch.nn.functional.normalize(pooled.float(), dim=-1).cpu().numpy()


def _load(name: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise UserError.of(
            "recipe field rag.embedding_model",
            "a folder or hub name of an encoder saved as safetensors",
            f"{name}: {str(error).splitlines()[0]}",
            "correct the name, download the model first, or set rag.mode to bm25",
        ) from None
    return tokenizer, model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
