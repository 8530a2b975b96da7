"""What is known of the words of a language: which are words at all, and which say nothing of their own.

Which letters make a word is asked of wordfreq (Speer 2022), whose lists come from books, news, subtitles and the web;
of a language that it does not have, the data itself is asked. What no frequency tells (that "please" asks nothing,
that "don't" is "do not") stands in `word_lists.yaml`, by language; a language that is not there goes without.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml

_FUNCTION = 1e-3  # frequency of "more", "into", "your"; what is more frequent joins words and says little itself
_MISSPELLED = 1000  # times; "untied" and "united" are 250 apart
_SHORTEST_SPELLED = 4  # letters; "hour" and "rise" have one spelling
_BINS = 1 << 22  # of the counts of words, a byte each; two words in one make a word known that isn't, which is harmless


class Lexicon:
    """One language's words; equal only to itself, so that functions can be cached by it.

    Args:
        language: ISO 639-1 code, or None where it is not known: then no list applies.

    Attributes:
        fillers: words that can go from a question without changing it.
        loose: further words that come and go where a question is put in another order ("does", "of", "it").
        joining: words around which two things can change places ("and").
        bound: words that belong to the next one, which must stay the same: negations and directions ("not", "from").
        negations, yes, no: words that deny; that an answer begins with.
        asking, open: words that a question begins with; those of them that many answers are right to.
        numerals: number words -> digits.
        plural: ending that a word may have or lack in another order of words.
    """

    def __init__(self, language: str | None = None):
        lists = _lists().get(language or "", {})

        def named(name: str) -> frozenset[str]:
            return frozenset(str(lists.get(name, "")).split())

        self.language = language
        self.fillers, self.loose, self.joining = named("fillers"), named("loose"), named("joining")
        self.negations, self.yes, self.no, self.asking = named("negations"), named("yes"), named("no"), named("asking")
        self.open = named("open")
        self.bound = named("directions") | self.negations
        self._contractions = {short: tuple(full.split()) for short, full in lists.get("contractions", {}).items()}
        self._spellings: dict[str, str] = lists.get("spellings", {})
        self._endings = tuple(sorted(self._spellings, key=len, reverse=True))
        self.numerals = {word: str(number) for number, word in enumerate(str(lists.get("numerals", "")).split())}
        self.plural = str(lists.get("plural", ""))
        self._greeting = _pattern(lists.get("greeting"), r"^\W*{}")
        self._thanks = _pattern(lists.get("thanks"), r"\b{}$")
        self._frequency = _frequencies(language)
        self._seen = None if self._frequency else np.zeros(_BINS, np.uint8)

    def bare(self, text: str) -> str:
        """The text without a greeting before and thanks behind it; as it is where nothing else stands in it."""
        for pattern in filter(None, (self._greeting, self._thanks)):
            text = pattern.sub("", text) or text
        return text

    def parts(self, word: str) -> tuple[str, ...]:
        """A short form's words (don't: do, not), another word in the one of its spellings (centre: center)."""
        if (full := self._contractions.get(word)) is not None:
            return full
        if len(word) > _SHORTEST_SPELLED and word.endswith(self._endings):
            end = next(end for end in self._endings if word.endswith(end))
            return (word.removesuffix(end) + self._spellings[end],)
        return (word,)

    @property
    def learns(self) -> bool:
        """Whether the data itself has to say what is a word."""
        return self._seen is not None

    def learn(self, words: Iterable[str]) -> None:
        """Counts the different words of a text, up to 255 each."""
        bins = [_bin(word) for word in words]
        self._seen[bins] += self._seen[bins] < 255

    def known(self, word: str) -> bool:
        """Whether this is a word: of the language as wordfreq has it, else one that more than one text has."""
        return word in self._frequency if self._seen is None else bool(self._seen[_bin(word)] > 1)

    def outnumbers(self, a: str, b: str) -> bool:
        """Whether one of two words is so much more frequent that the other is rather a misspelling ("adn") of it."""
        less, more = sorted((self._frequency.get(a, 0.0), self._frequency.get(b, 0.0)))
        return more > _MISSPELLED * less

    def is_function(self, word: str) -> bool:
        """Whether it is among the hundred words of the language that join others and say little themselves."""
        return self._frequency.get(word, 0.0) >= _FUNCTION


def _bin(word: str) -> int:
    return zlib.crc32(word.encode()) % _BINS


def _pattern(phrase: str | None, place: str) -> re.Pattern[str] | None:
    return re.compile(place.format(rf"(?:(?:{phrase})\b\W*)+"), re.IGNORECASE) if phrase else None


def words_of_all_languages(name: str) -> list[list[str]]:
    """A list of `word_lists.yaml` by its name ("negations", "numerals"): the words of each language that has it."""
    return [str(lists[name]).split() for lists in _lists().values() if name in lists]


@lru_cache(maxsize=1)
def _lists() -> dict[str, Mapping]:
    return yaml.safe_load(Path(__file__).with_name("word_lists.yaml").read_text(encoding="utf-8"))


@lru_cache(maxsize=4)
def _frequencies(language: str | None) -> Mapping[str, float]:
    """word -> share of all words of the language; empty where wordfreq does not have it."""
    from wordfreq import available_languages, get_frequency_dict

    return get_frequency_dict(language) if language in available_languages("best") else {}
