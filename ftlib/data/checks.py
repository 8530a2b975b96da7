"""One pass over all rows: mend, mask, measure, and say of each row whether it can stay."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ftlib.data import boilerplate, clean, language, privacy
from ftlib.data.boilerplate import Phrases
from ftlib.data.load import batched, schema
from ftlib.recipe import UserError

_NO_PHRASES = Phrases(frozenset(), frozenset())
_SAMPLED = 50_000  # answers that show whether sentences end with a full stop
_SPARE = 16  # bytes between a text surely short enough and one that is counted
_REPEATED = 4096  # contexts and earlier turns that are remembered, because many rows share them
_TEXTS = ("question", "context", "answer")


def checked_schema():
    """The columns of a checked table: those of a row and what was found."""
    import pyarrow as pa

    found = [("changes", pa.list_(pa.string())), ("pii", pa.list_(pa.string())), ("reason", pa.string())]
    return pa.unify_schemas([schema(), pa.schema([*found, ("detail", pa.large_string())])])


class Habits(NamedTuple):
    """What is usual in this data, learned from all answers before any is judged.

    Attributes:
        phrases: boiler-plate.
        punctuated: whether sentences end with a full stop.
    """

    phrases: Phrases
    punctuated: bool


def habits(rows: Iterable[dict[str, Any]], count: int) -> Habits:
    """Learns the habits of rows in one pass over their answers.

    Args:
        rows: dicts with answer.
        count: how many they are.
    """
    sample: list[str] = []

    def answers() -> Iterator[str]:
        for row in rows:
            text = clean.repair(row["answer"]).text
            if len(sample) < _SAMPLED:
                sample.append(text)
            yield text

    phrases = boilerplate.learn(answers(), count)
    return Habits(phrases, clean.ends_sentences(sample))


class Checker:
    """Mends rows and finds the reason why one can't stay.

    Args:
        data: the recipe's data section.
        usual: from :func:`habits`.
        count_tokens: texts -> tokens of each, as numpy ints.
        overhead: tokens that the prompt template adds to a row.

    Raises:
        UserError: ``data.language`` is no language code that the detector knows.
    """

    def __init__(self, data, usual: Habits, count_tokens, overhead: int):
        self._data, self._usual = data, usual
        self._count_tokens, self._overhead = count_tokens, overhead
        self._mend_context = lru_cache(maxsize=_REPEATED)(self._mend_text)
        self._actions = privacy.actions(data.pii.kinds, data.pii.action, data.pii.actions)
        self._masked = [kind for kind, action in self._actions.items() if action != "report"]
        self._reported = [kind for kind, action in self._actions.items() if action == "report"]
        try:
            self._is_foreign = language.detector(data.language) if data.language else lambda text: False
        except ValueError as error:
            raise UserError.of(
                "data.language", "an ISO 639-1 code such as en, or null to accept all", repr(data.language), str(error)
            ) from None

    def rows(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Checks rows.

        Args:
            rows: dicts of :func:`ftlib.data.load.schema`.

        Yields:
            The mended rows with ``changes``, ``pii``, and ``reason`` and ``detail`` ("" where they stay).
        """
        for batch in batched(rows):
            mended = [self._mend(row) for row in batch]
            overlong = self._overlong(mended)
            for number, row in enumerate(mended):
                row["reason"], row["detail"] = self._judge(row, overlong.get(number, 0))
                yield row

    def _overlong(self, rows: list[dict[str, Any]]) -> dict[int, int]:
        """Tokens of the rows that have more than allowed, by their number in the list."""
        texts = [" ".join((*row["history"], *(row[name] for name in _TEXTS))) for row in rows]
        room = self._data.max_tokens - self._overhead
        # No tokenizer makes more tokens than bytes, but for a few that it or its normalizer may put in.
        doubtful = [n for n, text in enumerate(texts) if not text.isascii() or len(text) + _SPARE > room]
        counts = self._count_tokens([texts[n] for n in doubtful]) if doubtful else np.zeros(0, np.int32)
        return {n: int(c) + self._overhead for n, c in zip(doubtful, counts, strict=True) if c > room}

    def _mend(self, row: dict[str, Any]) -> dict[str, Any]:
        asked = self._shortened(*self._mend_text(row["question"]), _NO_PHRASES)
        context = self._mend_context(row["context"])
        answered = self._shortened(*self._mend_text(row["answer"]), self._usual.phrases)
        row = row | {name: mended[0] for name, mended in zip(_TEXTS, (asked, context, answered), strict=True)}
        row["history"] = [self._mend_context(text)[0] for text in row["history"]]
        row["changes"] = list(dict.fromkeys((*asked[1], *context[1], *answered[1])))
        row["pii"] = list(dict.fromkeys((*asked[2], *context[2], *answered[2])))
        return row

    def _mend_text(self, text: str) -> tuple[str, tuple[str, ...], list[str]]:
        """(mended text, what was changed, personal data found)"""
        mended, steps = clean.repair(text)
        regions, allow = self._data.pii.phone_regions, self._data.pii.allow
        # What is only reported stays; what makes the row go is masked all the same, because the row is written down.
        mended, found = privacy.redact(mended, self._masked, regions, allow)
        found += [place.kind for place in privacy.scan(mended, self._reported, regions, allow)]
        return mended, steps, found

    def _shortened(self, text: str, steps: tuple[str, ...], found: list[str], phrases: Phrases):
        shorter = boilerplate.strip(text, phrases)
        return (text, steps, found) if shorter == text else (shorter, (*steps, "boilerplate"), found)

    def _judge(self, row: dict[str, Any], tokens: int) -> tuple[str, str]:
        question, answer = row["question"], row["answer"]
        drop = [kind for kind in row["pii"] if self._actions[kind] == "drop"]
        if drop:
            return f"pii_{drop[0]}", ", ".join(drop)
        if clean.is_empty(answer) or (row["format"] != "text" and clean.is_empty(question)):
            return "empty", "answer" if clean.is_empty(answer) else "question"
        if tokens:
            return "overlong", f"{tokens} tokens, data.max_tokens is {self._data.max_tokens}"
        if boilerplate.says_nothing(answer, self._usual.phrases):
            return "boilerplate", "the answer says nothing"
        if row["format"] != "text" and clean.is_truncated(answer, punctuated=self._usual.punctuated):
            return "truncated", f"ends with {answer[-30:]!r}"
        if self._is_foreign(f"{question} {answer}"):
            return "language", f"not {self._data.language}"
        return "", ""


def token_counter(tokenizer):
    """A function from texts to their numbers of tokens, without special tokens.

    Args:
        tokenizer: a Hugging Face tokenizer.
    """

    def count(texts: Sequence[str]) -> np.ndarray:
        if tokenizer.is_fast:  # without the places of tokens, which nobody asks for here
            ids = tokenizer.backend_tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        else:
            ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return np.fromiter((len(row) for row in ids), dtype=np.int32, count=len(ids))

    return count


def template_overhead(renderer) -> int:
    """Tokens that a prompt template adds to question, context and answer.

    Args:
        renderer: :class:`ftlib.data.prompts.Renderer`.
    """
    count = token_counter(renderer.tokenizer)
    whole = len(renderer.example("question", "answer", context="context").input_ids)
    return whole - int(count(["question context answer"])[0])
