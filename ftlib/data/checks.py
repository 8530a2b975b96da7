"""One pass over all rows: mend, mask, measure, and say of each row whether it can stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ftlib.data import boilerplate, clean, language, markup, privacy, unfinished
from ftlib.data.boilerplate import Phrases
from ftlib.data.formats import Reading
from ftlib.data.habits import Habits
from ftlib.data.table import Entry, Judged, all_text, batched
from ftlib.errors import UserError
from ftlib.rows import Row, Turn

_NO_PHRASES = Phrases(frozenset(), frozenset())
_SPARE = 16  # bytes between a text surely short enough and one that is counted
_LONGEST_TOKEN = 32  # characters; of a text that is longer than max_tokens of these, only the beginning is counted
_ASKED = 4000  # characters of a conversation that may ask for another language
_REPEATED = 4096  # contexts, earlier turns and values that are remembered, because many rows share them


class Mended(NamedTuple):
    """A mended text, what was changed in it, and the kinds of personal data that were found."""

    text: str
    changes: tuple[str, ...]
    pii: tuple[str, ...]


class Overhead(NamedTuple):
    """Tokens that a prompt template adds: to a question with context and answer, and for each earlier turn."""

    row: int
    turn: int


class Fault(NamedTuple):
    """What a check found in a row."""

    check: str
    detail: str
    sure: bool = True  # a row is not rejected for what is not


class Checker:
    """Mends rows and finds what is wrong with them.

    Personal data is masked in what the model reads and in the owner's columns that play no part in the recipe. Rows do
    not depend on each other, so a process of its own may make a checker of the same arguments for some of them.

    Attributes:
        tokens: of every over-long row, how many it has.

    Raises:
        UserError: `data.language` is no language code that the detector knows.
    """

    def __init__(self, data, usual: Habits, count_tokens: Callable[[Sequence[str]], np.ndarray], overhead: Overhead):
        self._data, self._usual = data, usual
        self._count_tokens, self._overhead = count_tokens, overhead
        self.tokens: list[int] = []
        self._steps = tuple(step for step in clean.STEPS if step in data.mend)
        self._answers = data.checks.model_dump()
        self._mend_repeated = lru_cache(maxsize=_REPEATED)(self._mend_text)
        self._mask_repeated = lru_cache(maxsize=_REPEATED)(self._mask_text)
        reading = Reading.of(data)
        self._playing = {*reading.columns.values(), *reading.group_by, data.split.stratify_by}
        self._actions = privacy.actions(data.pii.kinds, data.pii.action, data.pii.actions)
        self._masked = [kind for kind, action in self._actions.items() if action != "report"]
        self._reported = [kind for kind, action in self._actions.items() if action == "report"]
        self._wanted = usual.language if data.language == "auto" else data.language
        self._foreign = self._detector() if self._wanted and self._answers["language"] != "off" else lambda text: ""

    def _detector(self) -> Callable[[str], str]:
        try:
            return language.detector(self._wanted.lower(), self._data.language_confidence)
        except ValueError as error:
            wanted = "an ISO 639-1 code such as en, auto, or null to accept all"
            raise UserError.of("data.language", wanted, repr(self._wanted), str(error)) from None

    def judged(self, entries: Iterable[Entry]) -> Iterator[Judged]:
        """Yields the mended entries, each with the reason why it can't stay and with what else was found."""
        for batch in batched(entries):
            mended = [self._mend(entry) for entry in batch]
            overlong = self._overlong([entry.row for entry in mended])
            self.tokens += overlong.values()
            for number, entry in enumerate(mended):
                yield self._judge(entry, overlong.get(number, 0))

    def _overlong(self, rows: Sequence[Row]) -> dict[int, int]:
        """Tokens of the rows that have more than allowed, by their number in the list."""
        if self._answers["overlong"] == "off":
            return {}
        texts = list(map(all_text, rows))
        added = [self._overhead.row + max(0, len(row.turns) - 1) * self._overhead.turn for row in rows]
        # No tokenizer makes more tokens than bytes, but for a few that it or its normalizer may put in.
        limit = self._data.max_tokens
        doubtful = [n for n, text in enumerate(texts) if not text.isascii() or len(text) + _SPARE + added[n] > limit]
        # A text of many megabytes would cost gigabytes to count; its beginning mostly says enough.
        cut = _LONGEST_TOKEN * (limit + _SPARE)
        counts = self._count_tokens([texts[n][:cut] for n in doubtful]) if doubtful else ()
        tokens = {n: int(count) for n, count in zip(doubtful, counts, strict=True)}
        for n in doubtful:
            if len(texts[n]) > cut:
                whole = tokens[n] * len(texts[n]) // cut
                tokens[n] = whole if tokens[n] > limit else int(self._count_tokens([texts[n]])[0])
        return {n: count + added[n] for n, count in tokens.items() if count + added[n] > limit}

    def _mend(self, entry: Entry) -> Entry:
        row, tags = entry.row, self._is_about_markup(entry.row)
        earlier = [self._mend_repeated(turn.content, tags) for turn in row.history]
        asked = self._shortened(self._mend_text(row.question, tags), _NO_PHRASES)
        context = self._mend_repeated(row.context, tags)
        answers = [self._shortened(self._mend_text(text, tags), self._usual.phrases) for text in row.references]
        said = [*earlier, asked] if row.turns else []
        turns = tuple(turn._replace(content=mended.text) for turn, mended in zip(row.turns, said, strict=True))
        references = (answers[0].text, *(other.text for other in answers[1:] if other.text))
        in_meta: list[str] = []
        meta = {k: v if k in self._playing else self._mask_value(v, in_meta) for k, v in row.meta.items()}
        row = row._replace(turns=turns, context=context.text, references=references, meta=meta)
        parts = (*earlier, asked, context, *answers, Mended("", (), tuple(in_meta)))
        changes, pii = (list(dict.fromkeys(name for part in parts for name in part[at])) for at in (1, 2))
        return entry._replace(row=row, changes=changes, pii=pii)

    def _is_about_markup(self, row: Row) -> bool:
        said = [turn.content for turn in row.turns]
        if not any("<" in text or "&" in text for text in (*said, row.context, *row.references)):
            return False
        return self._usual.markup or markup.is_about_markup(said)

    def _mend_text(self, text: str, markup_is_subject: bool) -> Mended:
        mended, steps = clean.repair(text, self._steps, markup_is_subject=markup_is_subject)
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
        if "boilerplate" not in self._data.mend:
            return mended
        shorter = boilerplate.strip(mended.text, phrases)
        return mended if shorter == mended.text else Mended(shorter, (*mended.changes, "boilerplate"), mended.pii)

    def _judge(self, entry: Entry, tokens: int) -> Judged:
        drop = [kind for kind in entry.pii if self._actions[kind] == "drop"]
        if drop:
            return Judged(entry, f"pii_{drop[0]}", ", ".join(drop))
        faults = list(self._faults(entry.row, tokens))
        reject = [fault for fault in faults if fault.sure and self._answers[fault.check] == "reject"]
        flags = [(fault.check, fault.detail) for fault in faults if fault not in reject]
        return Judged(entry, *(reject[0][:2] if reject else ("", "")), flags)

    def _faults(self, row: Row, tokens: int) -> Iterator[Fault]:
        """All that the checks that are on find in a mended row."""
        asks, question, answer = bool(row.turns), row.question, row.answer
        on = {check for check, does in self._answers.items() if does != "off"}
        if "empty" in on:
            yield from self._empty(row)
        if tokens:
            yield Fault("overlong", f"{tokens} tokens, data.max_tokens is {self._data.max_tokens}")
        if "boilerplate" in on and boilerplate.says_nothing(answer, question):
            yield Fault("boilerplate", "the answer says nothing")
        if "truncated" in on and asks:
            sign = unfinished.truncation(answer, self._usual.ends, self._wanted)
            if sign:
                yield Fault("truncated", f"{sign}: ends with {answer[-30:]!r}")
        if "language" in on:
            yield from self._spoken({"question": question, "answer": answer} if asks else {"text": answer}, row)

    def _empty(self, row: Row) -> Iterator[Fault]:
        tags = self._is_about_markup(row)
        found = unfinished.emptiness(row.answer, row.question, markup_is_subject=tags)
        part = "answer"
        if not found and row.turns:
            found, part = unfinished.emptiness(row.question, markup_is_subject=tags), "question"
        if found:
            yield Fault("empty", part if found == "surely" else f"{part}, perhaps", found == "surely")

    def _spoken(self, texts: dict[str, str], row: Row) -> Iterator[Fault]:
        found = {part: spoken for part, text in texts.items() if (spoken := self._foreign(text))}
        asked = "\n".join((*(turn.content for turn in row.turns), row.context))[:_ASKED]
        if found and not (row.turns and language.may_be_foreign(asked, row.answer)):
            said = ", ".join(f"{part} in {spoken}" for part, spoken in found.items())
            yield Fault("language", f"{said}, not {self._wanted}")


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
