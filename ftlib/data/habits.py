"""What is usual in this data, learned from all rows before any is judged.

Whether a sentence is a phrase, a tag is debris, an end is a cut, depends on the other rows: a detector's precision is a
property of the data.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ftlib.data import boilerplate, clean, language, markup, unfinished
from ftlib.data.boilerplate import Phrases
from ftlib.data.unfinished import Ends
from ftlib.rows import Row

_NO_PHRASES = Phrases(frozenset(), frozenset())
_SAMPLED = 20_000  # answers that show how texts of this data end and in which language they are
_TAGGED_ROWS = 5  # so many rows about markup, and at least as many as others with tags, say that tags are content


class Habits(NamedTuple):
    """What `learn_habits` found."""

    phrases: Phrases = _NO_PHRASES
    ends: Ends = Ends()
    language: str | None = None  # the wanted one, an ISO 639-1 code; None judges none
    markup: bool = False  # whether tags, where there are any, mostly are what a row is about


def learn_habits(rows: Iterable[Row], count: int, data) -> Habits:
    """Learns from the questions and answers of `count` rows (`turns` and `references`), as they came, in one pass.

    Phrases are learned only where `data.mend` takes them off.
    """
    sample: list[str] = []
    tagged: Counter[bool] = Counter()

    def answers() -> Iterator[str]:
        for number, row in enumerate(rows):
            text = row.answer
            if clean.has_tags(text):
                tagged[markup.is_about_markup(turn.content for turn in row.turns) or markup.is_source(text)] += 1
            if number % max(1, count // _SAMPLED) == 0:
                sample.append(text)
            yield text

    phrases = _NO_PHRASES
    if "boilerplate" in data.mend:
        phrases = boilerplate.learn_phrases((clean.repair(text, data.mend).text for text in answers()), count)
    else:
        deque(answers(), maxlen=0)
    spoken = language.spoken(data.language, sample)
    phrases = boilerplate.without_content(phrases, language.usual_words(spoken))
    subject = tagged[True] >= max(_TAGGED_ROWS, tagged[False])
    return Habits(phrases, unfinished.learn_ends(sample, language.function_words(spoken)), spoken, subject)
