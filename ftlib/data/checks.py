"""One pass over all rows: mend, mask, measure, and say of each row whether it can stay."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ftlib.data import boilerplate, clean, privacy
from ftlib.data.boilerplate import Phrases
from ftlib.data.load import batched, each, schema
from ftlib.recipe import UserError

_NO_PHRASES = Phrases(frozenset(), frozenset())
_SAMPLED = 50_000  # answers that show whether sentences end with a full stop
_TEXTS = ("question", "context", "answer")


def checked_schema():
    """The columns of a checked table: those of a row and what was found."""
    import pyarrow as pa

    found = [("changes", pa.list_(pa.string())), ("pii", pa.list_(pa.string())), ("reason", pa.string())]
    return pa.unify_schemas([schema(), pa.schema([*found, ("detail", pa.large_string()), ("tokens", pa.int32())])])


class Habits(NamedTuple):
    """What is usual in this data, learned from all answers before any is judged.

    Attributes:
        phrases: boiler-plate.
        punctuated: whether sentences end with a full stop.
    """

    phrases: Phrases
    punctuated: bool


def habits(table) -> Habits:
    """Learns the habits of a table in one pass over its answers."""
    sample: list[str] = []

    def answers() -> Iterator[str]:
        for row in each(table, ["answer"]):
            text = clean.repair(row["answer"]).text
            if len(sample) < _SAMPLED:
                sample.append(text)
            yield text

    phrases = boilerplate.learn(answers(), len(table))
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
        self._actions = privacy.actions(data.pii.kinds, data.pii.action, data.pii.actions)
        self._masked = [kind for kind, action in self._actions.items() if action != "report"]
        self._reported = [kind for kind, action in self._actions.items() if action == "report"]
        try:
            self._is_foreign = clean.language_detector(data.language) if data.language else lambda text: False
        except ValueError as error:
            raise UserError.of(
                "data.language", "an ISO 639-1 code such as en, or null to accept all", repr(data.language), str(error)
            ) from None

    def rows(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Checks rows.

        Args:
            rows: dicts of :func:`ftlib.data.load.schema`.

        Yields:
            The mended rows with ``changes``, ``pii``, ``tokens``, and ``reason`` and ``detail`` ("" where they stay).
        """
        for batch in batched(rows):
            mended = [self._mend(row) for row in batch]
            tokens = self._count_tokens([" ".join((*r["history"], *(r[t] for t in _TEXTS))) for r in mended])
            for row, count in zip(mended, tokens + self._overhead, strict=True):
                row["tokens"] = int(count)
                row["reason"], row["detail"] = self._judge(row)
                yield row

    def _mend(self, row: dict[str, Any]) -> dict[str, Any]:
        changes: dict[str, None] = {}
        kinds: dict[str, None] = {}
        row = dict(row)
        for name in _TEXTS:
            row[name], steps, found = self._mend_text(row[name], name)
            changes.update(dict.fromkeys(steps))
            kinds.update(dict.fromkeys(found))
        row["history"] = [self._mend_text(text, "context")[0] for text in row["history"]]
        return row | {"changes": list(changes), "pii": list(kinds)}

    def _mend_text(self, text: str, name: str) -> tuple[str, tuple[str, ...], list[str]]:
        mended, steps = clean.repair(text)
        regions, allow = self._data.pii.phone_regions, self._data.pii.allow
        # What is only reported stays; what makes the row go is masked all the same, because the row is written down.
        mended, found = privacy.redact(mended, self._masked, regions, allow)
        found += [place.kind for place in privacy.scan(mended, self._reported, regions, allow)]
        if name != "context":
            shorter = boilerplate.strip(mended, self._usual.phrases if name == "answer" else _NO_PHRASES)
            if shorter != mended:
                mended, steps = shorter, (*steps, "boilerplate")
        return mended, steps, found

    def _judge(self, row: dict[str, Any]) -> tuple[str, str]:
        question, answer = row["question"], row["answer"]
        drop = [kind for kind in row["pii"] if self._actions[kind] == "drop"]
        if drop:
            return f"pii_{drop[0]}", ", ".join(drop)
        if clean.is_empty(answer) or (row["format"] != "text" and clean.is_empty(question)):
            return "empty", "answer" if clean.is_empty(answer) else "question"
        if row["tokens"] > self._data.max_tokens:
            return "overlong", f"{row['tokens']} tokens, data.max_tokens is {self._data.max_tokens}"
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
