"""Whoever plays a model: asked as a chat server is, in token ids; PyTorch or llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ftlib.errors import UserError
from ftlib.progress import progress

if TYPE_CHECKING:
    import numpy as np
    import torch

Messages = Sequence[Mapping[str, str]]


class Player(Protocol):
    """What parity is measured on.

    Attributes:
        engine: what computes, in words.
        ends: tokens that end its answers.
    """

    engine: str
    ends: frozenset[int]

    def encode(self, messages: Messages) -> list[int]:
        """Token ids of a prompt, by the template and the tokenizer that the model carries."""

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
        """log p in nats of each token of (what stands before, what is scored)."""

    def write(self, prompts: Sequence[Sequence[int]], max_new_tokens: int, desc: str) -> list[list[int]]:
        """Greedy answers, the end token included."""

    def text(self, ids: Sequence[int]) -> str:
        """An answer without special tokens, stripped."""


class TorchPlayer:
    """A model in this process, through transformers.

    Args:
        model: a language model, with or without PEFT.
        tokenizer: with a chat template.
        ends: tokens that end an answer.
        batch_rows: rows computed together.
        engine: in words.
    """

    def __init__(self, model: torch.nn.Module, tokenizer, ends: Sequence[int], batch_rows: int, engine: str):
        self.model, self.tokenizer, self.engine = model, tokenizer, engine
        self.ends, self._batch_rows = frozenset(ends), batch_rows

    def encode(self, messages: Messages) -> list[int]:
        """See `Player`; an encoder's input ends with the end-of-sequence token."""
        from ftlib.core.loss import has_encoder

        text = self.tokenizer.apply_chat_template([*messages], add_generation_prompt=True, tokenize=False)
        ids = self.tokenizer(text.rstrip() if has_encoder(self.model) else text, add_special_tokens=False)["input_ids"]
        return [*ids, self.tokenizer.eos_token_id] if has_encoder(self.model) else ids

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
        """See `Player`."""
        import torch

        from ftlib.core.batches import IGNORED, PaddingCollator
        from ftlib.core.loss import autocast, has_encoder, labelled_logits

        kind, found = has_encoder(self.model), []
        collate = PaddingCollator(self.tokenizer.pad_token_id, encoder_decoder=kind)
        for start in range(0, len(pairs), self._batch_rows):
            rows = [
                {"input_ids": [*before], "labels": [*said]}
                if kind
                else {"input_ids": [*before, *said], "labels": [IGNORED] * len(before) + [*said]}
                for before, said in pairs[start : start + self._batch_rows]
            ]
            batch = {name: each.to(self.model.device) for name, each in collate(rows).items()}
            with torch.no_grad(), autocast(self.model):
                logits = labelled_logits(self.model, batch)  # (labelled, vocabulary)
            told = logits.float().log_softmax(-1).gather(1, batch["targets"].unsqueeze(1)).squeeze(1).tolist()
            for row in rows:
                size = sum(label != IGNORED for label in row["labels"])
                found.append(told[:size])
                del told[:size]
        return found

    def write(self, prompts: Sequence[Sequence[int]], max_new_tokens: int, desc: str) -> list[list[int]]:
        """See `Player`; prompts of like length share a batch."""
        from ftlib.core.generate import greedy

        answers: list[list[int]] = [[]] * len(prompts)
        order = sorted(range(len(prompts)), key=lambda at: -len(prompts[at]))
        with progress(total=len(order), desc=desc, interactive=False) as bar:
            for start in range(0, len(order), self._batch_rows):
                chosen = order[start : start + self._batch_rows]
                batch = [prompts[at] for at in chosen]
                told = greedy(self.model, batch, max_new_tokens, sorted(self.ends), self.tokenizer.pad_token_id)
                for at, ids in zip(chosen, told, strict=True):
                    answers[at] = ids
                bar.update(len(chosen))
        return answers

    def text(self, ids: Sequence[int]) -> str:
        """See `Player`."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()


class LlamaCppPlayer:
    """A GGUF file, read back through llama-cpp-python.

    Args:
        file: the GGUF.
        window: tokens of the longest prompt with its answer.

    Raises:
        UserError: llama-cpp-python is not installed, or it cannot load the file.
    """

    def __init__(self, file: Path, window: int):
        require_llama_cpp()
        import llama_cpp as llama
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        try:
            self._llama = llama.Llama(str(file), n_ctx=window, logits_all=True, verbose=False, seed=0)
        except (ValueError, RuntimeError) as error:
            fix = "look at the file with gguf-dump; export it again"
            raise UserError.of(str(file), "a GGUF that llama.cpp loads", str(error), fix) from error
        self.engine = f"llama.cpp (llama-cpp-python {llama.__version__}), {Path(file.stem).suffix.strip('.')}"
        self._vocab = llama.llama_model_get_vocab(self._llama.model)
        size = self._llama.n_vocab()
        self.ends = frozenset(at for at in range(size) if llama.llama_vocab_is_eog(self._vocab, at))
        special = {name: self._piece(getattr(self._llama, f"token_{name}")()) for name in ("bos", "eos")}
        self._format = Jinja2ChatFormatter(
            self._llama.metadata["tokenizer.chat_template"],
            eos_token=special["eos"],
            bos_token=special["bos"],
        )

    def _piece(self, token: int) -> str:
        return self._llama.detokenize([token], special=True).decode("utf-8", "replace") if token >= 0 else ""

    def encode(self, messages: Messages) -> list[int]:
        """See `Player`: the file's own template and tokenizer."""
        prompt = self._format(messages=[*messages]).prompt
        return self._llama.tokenize(prompt.encode("utf-8"), add_bos=False, special=True)

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
        """See `Player`."""
        found = []
        with progress(total=len(pairs), desc="llama.cpp: log-probabilities", interactive=False) as bar:
            for before, said in pairs:
                ids = [*before, *said]
                self._llama.reset()
                self._llama.eval(ids)
                likely = _log_softmax(self._llama.scores[len(before) - 1 : len(ids) - 1])  # (said, vocabulary)
                found.append([float(row[token]) for row, token in zip(likely, said, strict=True)])
                bar.update(1)
        return found

    def write(self, prompts: Sequence[Sequence[int]], max_new_tokens: int, desc: str) -> list[list[int]]:
        """See `Player`: one prompt at a time."""
        answers = []
        with progress(total=len(prompts), desc=desc, interactive=False) as bar:
            for prompt in prompts:
                said: list[int] = []
                for token in self._llama.generate([*prompt], temp=0.0, repeat_penalty=1.0):
                    said.append(token)
                    if token in self.ends or len(said) == max_new_tokens:
                        break
                answers.append(said)
                bar.update(1)
        return answers

    def text(self, ids: Sequence[int]) -> str:
        """See `Player`."""
        said = [token for token in ids if token not in self.ends]
        return self._llama.detokenize(said).decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Give its memory back."""
        self._llama.close()


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """(rows, vocabulary) float32 -> float64."""
    from scipy.special import log_softmax

    return log_softmax(logits.astype("float64"), axis=-1)


def has_llama_cpp() -> bool:
    """Whether llama-cpp-python is installed."""
    return find_spec("llama_cpp") is not None


def require_llama_cpp() -> None:
    """Raises UserError where there is nothing to read a GGUF back with."""
    if not has_llama_cpp():
        fix = "pip install 'ftlib[gguf]' (it is compiled on the spot), or write it unproven with --force"
        raise UserError.of("--to gguf", "llama-cpp-python, to read the file back", "not installed", fix)


@contextmanager
def llama_cpp_player(file: Path, window: int) -> Iterator[LlamaCppPlayer]:
    """A `LlamaCppPlayer` that is closed at the end."""
    player = LlamaCppPlayer(file, window)
    try:
        yield player
    finally:
        player.close()
