"""An answer's text, told while its tokens are written."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers.generation.streamers import BaseStreamer

_HALF = "\ufffd"  # what a tokenizer makes of a character whose last bytes are still to come


class Teller(BaseStreamer):
    """Hands on an answer piece by piece; all pieces together are the answer as `generate` decodes it.

    transformers' own TextStreamer begins anew after each line break, where tokenizers of SentencePiece's kind lose a
    space. Here the whole answer is decoded at every token; white space at its end, and a character that is not whole,
    wait for what follows.

    Args:
        tokenizer: the model's.
        say: is given each piece, never an empty one.
    """

    def __init__(self, tokenizer, say: Callable[[str], None]):
        self._tokenizer, self._say = tokenizer, say
        self._ids: list[int] = []
        self._told = 0  # characters

    def put(self, value: torch.Tensor) -> None:
        """Take the next token, (1,); a prompt, (1, seq), is passed over."""
        if value.dim() == 1:
            self._ids += value.tolist()
            self._tell(self._text().rstrip(_HALF).rstrip())

    def end(self) -> None:
        """Tell what is left."""
        self._tell(self._text())

    def _text(self) -> str:
        return self._tokenizer.decode(self._ids, skip_special_tokens=True).strip()

    def _tell(self, text: str) -> None:
        if piece := text[self._told :]:
            self._say(piece)
            self._told = len(text)
