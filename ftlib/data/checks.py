"""One pass over all rows: mend, mask, measure, and say of each row whether it can stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ftlib.data import boilerplate, clean, language, privacy
from ftlib.data.boilerplate import Phrases
from ftlib.data.formats import Reading
from ftlib.data.table import Entry, Judged, all_text, batched
from ftlib.errors import UserError
from ftlib.rows import Row, Turn

_NO_PHRASES = Phrases(frozenset(), frozenset())
_SAMPLED = 50_000  # answers that show whether sentences end with a full stop
_SPARE = 16  # bytes between a text surely short enough and one that is counted
_REPEATED = 4096  # contexts, earlier turns and values that are remembered, because many rows share them


class Mended(NamedTuple):
    """A mended text, what was changed in it, and the kinds of personal data that were found."""

    text: str
    changes: tuple[str, ...]
    pii: tuple[str, ...]


class Habits(NamedTuple):
    """What is usual in this data, learned from all answers before any is judged."""

    phrases: Phrases
    punctuated: bool  # whether sentences end with a full stop


def habits(rows: Iterable[Row], count: int) -> Habits:
    """Learns the habits of `count` rows in one pass over their answers."""
    sample: list[str] = []

    def answers() -> Iterator[str]:
        for row in rows:
            text = clean.repair(row.answer).text
            if len(sample) < _SAMPLED:
                sample.append(text)
            yield text

    phrases = boilerplate.learn_phrases(answers(), count)
    return Habits(phrases, clean.ends_sentences(sample))


class Overhead(NamedTuple):
    """Tokens that a prompt template adds: to a question with context and answer, and for each earlier turn."""

    row: int
    turn: int


class Checker:
    """Mends rows and finds the reason why one can't stay.

    Personal data is masked in what the model reads and in the owner's columns that play no part in the recipe.

    Raises:
        UserError: `data.language` is no language code that the detector knows.
    """

    def __init__(self, data, usual: Habits, count_tokens: Callable[[Sequence[str]], np.ndarray], overhead: Overhead):
        self._data, self._usual = data, usual
        self._count_tokens, self._overhead = count_tokens, overhead
        self._mend_repeated = lru_cache(maxsize=_REPEATED)(self._mend_text)
        self._mask_repeated = lru_cache(maxsize=_REPEATED)(self._mask_text)
        reading = Reading.of(data)
        self._playing = {*reading.columns.values(), *reading.group_by, data.split.stratify_by}
        self._actions = privacy.actions(data.pii.kinds, data.pii.action, data.pii.actions)
        self._masked = [kind for kind, action in self._actions.items() if action != "report"]
        self._reported = [kind for kind, action in self._actions.items() if action == "report"]
        try:
            self._is_foreign = language.detector(data.language) if data.language else lambda text: False
        except ValueError as error:
            wanted = "an ISO 639-1 code such as en, or null to accept all"
            raise UserError.of("data.language", wanted, repr(data.language), str(error)) from None

    def judged(self, entries: Iterable[Entry]) -> Iterator[Judged]:
        """Yields the mended entries with `changes` and `pii`, and the reason why one can't stay ("" where it can)."""
        for batch in batched(entries):
            mended = [self._mend(entry) for entry in batch]
            overlong = self._overlong([entry.row for entry in mended])
            for number, entry in enumerate(mended):
                yield Judged(entry, *self._judge(entry, overlong.get(number, 0)))

    def _overlong(self, rows: Sequence[Row]) -> dict[int, int]:
        """Tokens of the rows that have more than allowed, by their number in the list."""
        texts = list(map(all_text, rows))
        added = [self._overhead.row + max(0, len(row.turns) - 1) * self._overhead.turn for row in rows]
        # No tokenizer makes more tokens than bytes, but for a few that it or its normalizer may put in.
        limit = self._data.max_tokens
        doubtful = [n for n, text in enumerate(texts) if not text.isascii() or len(text) + _SPARE + added[n] > limit]
        counts = self._count_tokens([texts[n] for n in doubtful]) if doubtful else ()
        tokens = {n: int(count) + added[n] for n, count in zip(doubtful, counts, strict=True)}
        return {n: count for n, count in tokens.items() if count > limit}

    def _mend(self, entry: Entry) -> Entry:
        row = entry.row
        earlier = [self._mend_repeated(turn.content) for turn in row.history]
        asked = self._shortened(self._mend_text(row.question), _NO_PHRASES)
        context = self._mend_repeated(row.context)
        answers = [self._shortened(self._mend_text(text), self._usual.phrases) for text in row.references]
        said = [*earlier, asked] if row.turns else []
        turns = tuple(turn._replace(content=mended.text) for turn, mended in zip(row.turns, said, strict=True))
        references = (answers[0].text, *(other.text for other in answers[1:] if other.text))
        in_meta: list[str] = []
        meta = {k: v if k in self._playing else self._mask_value(v, in_meta) for k, v in row.meta.items()}
        row = row._replace(turns=turns, context=context.text, references=references, meta=meta)
        parts = (*earlier, asked, context, *answers, Mended("", (), tuple(in_meta)))
        changes, pii = (list(dict.fromkeys(name for part in parts for name in part[at])) for at in (1, 2))
        return entry._replace(row=row, changes=changes, pii=pii)

    def _mend_text(self, text: str) -> Mended:
        mended, steps = clean.repair(text)
        masked, found = self._mask_text(mended)
        return Mended(masked, steps, found)

    def _mask_text(self, text: str) -> tuple[str, tuple[str, ...]]:
        regions, allow = self._data.pii.phone_regions, self._data.pii.allow
        # What is only reported stays; what makes the row go is masked all the same, because the row is written down.
        masked, found = privacy.redact(text, self._masked, regions, allow)
        reported = privacy.scan(masked, self._reported, regions, allow)
        return masked, (*found, *(place.kind for place in reported))

    def _mask_value(self, value: Any, kinds: list[str]) -> Any:
        """A value of the owner's with its texts masked; the kinds found are added to `kinds`."""
        if isinstance(value, str):
            value, found = self._mask_repeated(value)
            kinds += found
        elif isinstance(value, list):
            return [self._mask_value(item, kinds) for item in value]
        elif isinstance(value, dict):
            return {name: self._mask_value(item, kinds) for name, item in value.items()}
        return value

    def _shortened(self, mended: Mended, phrases: Phrases) -> Mended:
        shorter = boilerplate.strip(mended.text, phrases)
        return mended if shorter == mended.text else Mended(shorter, (*mended.changes, "boilerplate"), mended.pii)

    def _judge(self, entry: Entry, tokens: int) -> tuple[str, str]:
        asks, question, answer = bool(entry.row.turns), entry.row.question, entry.row.answer
        drop = [kind for kind in entry.pii if self._actions[kind] == "drop"]
        if drop:
            return f"pii_{drop[0]}", ", ".join(drop)
        if clean.is_empty(answer) or (asks and clean.is_empty(question)):
            return "empty", "answer" if clean.is_empty(answer) else "question"
        if tokens:
            return "overlong", f"{tokens} tokens, data.max_tokens is {self._data.max_tokens}"
        if boilerplate.says_nothing(answer, self._usual.phrases):
            return "boilerplate", "the answer says nothing"
        if asks and clean.is_truncated(answer, punctuated=self._usual.punctuated):
            return "truncated", f"ends with {answer[-30:]!r}"
        if self._is_foreign(f"{question} {answer}"):
            return "language", f"not {self._data.language}"
        return "", ""


def token_counter(tokenizer) -> Callable[[Sequence[str]], np.ndarray]:
    """A function from texts to their numbers of tokens, without special tokens."""

    def count(texts: Sequence[str]) -> np.ndarray:
        if tokenizer.is_fast:  # without the places of tokens, which nobody asks for here
            ids = tokenizer.backend_tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        else:
            ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return np.array([len(row) for row in ids], dtype=np.int32)

    return count


def template_overhead(renderer) -> Overhead:
    """What the template of a renderer adds."""
    count = token_counter(renderer.tokenizer)

    def added(row: Row) -> int:
        example = renderer.example(row)
        whole = len(example.input_ids) + len(example.labels) * renderer.encoder_decoder
        return whole - int(count([all_text(row)])[0])

    asked = (Turn("user", "question"),)
    one = added(Row("", asked, "context", ("answer",)))
    two = added(Row("", (*asked, Turn("assistant", "answer"), *asked), "context", ("answer",)))
    return Overhead(one, max(0, -(-(two - one) // 2)))
