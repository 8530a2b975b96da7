"""Questions that mean the same in other words, by sentence vectors: reported, never acted on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ftlib.errors import UserError
from ftlib.rows import Row

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

LEAST = 0.85  # cosine; below it neighbours in meaning ("return it", "repair it") are most of what is found
_AT_ONCE = 1000
Embed = Callable[[Sequence[str]], np.ndarray]  # texts -> float32 (texts, dimensions), rows of norm 1


def sentence_encoder(name: str) -> SentenceTransformer:
    """A sentence-transformers model, or an encoder whose states are averaged, by its local folder or hub name.

    Raises:
        UserError: there is no such model, or its weights are not safetensors.
    """
    from sentence_transformers import SentenceTransformer

    try:
        # A pickle can run code when it is opened; safetensors holds numbers only.
        return SentenceTransformer(name, trust_remote_code=False, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError) as error:
        wanted, found = "a folder or hub name of an encoder saved as safetensors", str(error).splitlines()[0]
        fix = "correct the name, download the model first, or leave the field out and set rag.mode to bm25"
        raise UserError.of("recipe field rag.embedding_model", wanted, f"{name}: {found}", fix) from None


def embedder(name: str) -> Embed:
    """Unit vectors by `sentence_encoder`, which raises what it raises."""
    model = sentence_encoder(name)
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def paraphrased(
    rows: Iterable[tuple[int, Row]], others: Sequence[Row], embed: Embed
) -> Iterator[tuple[int, int, float]]:
    """(row number, evaluation row, cosine) of each row whose question is near in meaning to an evaluation question.

    Only the nearest evaluation row is given. Rows that continue a conversation or have a context ask something else in
    the same words, and are passed over.
    """
    alone = [at for at, other in enumerate(others) if other.question and not other.history and not other.context]
    wanted = embed([others[at].question for at in alone]) if alone else None  # (evaluation rows, dimensions)
    asked = ((number, row.question) for number, row in rows if row.question and not row.history and not row.context)
    while wanted is not None and (block := list(islice(asked, _AT_ONCE))):
        cosines = embed([question for _, question in block]) @ wanted.T  # (rows, evaluation rows)
        for (number, _), nearest, cosine in zip(
            block, cosines.argmax(1).tolist(), cosines.max(1).tolist(), strict=True
        ):
            if cosine >= LEAST:
                yield number, alone[nearest], round(cosine, 3)
