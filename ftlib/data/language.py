"""Rows in another language than the wanted one, where a text is long enough to say."""

from __future__ import annotations

import re
from functools import lru_cache

_JUDGED_CHARACTERS = 300  # enough to know a language by, and a long answer costs no more than a short one
_JUDGED_LETTERS = 16  # shorter texts say too little about their language
# The large languages of each script; many more would make short texts unsure.
_LARGE = ["ENGLISH", "GERMAN", "FRENCH", "SPANISH", "ITALIAN", "PORTUGUESE", "DUTCH", "POLISH", "CZECH", "SWEDISH"]
_LARGE += ["TURKISH", "RUSSIAN", "GREEK", "CHINESE", "JAPANESE", "KOREAN", "ARABIC", "HEBREW", "HINDI", "THAI"]
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+")
# What English cannot do without and its neighbours do not write; most texts need no detector then.
_ENGLISH = frozenset(
    ["the", "are", "how", "what", "which", "with", "from", "does", "that", "this", "you", "your", "and", "when"]
)


@lru_cache(maxsize=4)
def detector(wanted: str):
    """A function from a text to True where it is surely not in the wanted language (an ISO 639-1 code).

    A lingua detector decides, over that language and the large ones of each script.

    Raises:
        ValueError: lingua does not know the code.
    """
    from lingua import IsoCode639_1, Language, LanguageDetectorBuilder

    own = Language.from_iso_code_639_1(IsoCode639_1.from_str(wanted))
    judge = LanguageDetectorBuilder.from_languages(own, *map(Language.from_str, _LARGE)).build()
    own_words = _ENGLISH if wanted.lower() == "en" else frozenset()

    @lru_cache(maxsize=64)
    def weighed(text: str) -> tuple[bool, bool]:
        """(surely in another language, perhaps in the wanted one)"""
        weights = {found.language: found.value for found in judge.compute_language_confidence_values(text)}
        best, share = max(weights.values()), weights.get(own, 0.0)
        return best >= 0.5 and share <= best / 3, share > best / 2

    def is_foreign(text: str) -> bool:
        """A text is foreign if it is as a whole and no sentence of it may be in the wanted language."""
        text = text[:_JUDGED_CHARACTERS]
        parts = {part for part in (text, *_SENTENCE_ENDS.split(text)) if sum(map(str.isalpha, part)) >= _JUDGED_LETTERS}
        if not parts or any(_speaks(part, own_words) for part in parts):
            return False
        # The shortest part costs least, and one that may be in the wanted language is enough.
        perhaps = any(weighed(part)[1] for part in sorted(parts, key=lambda part: (len(part), part)))
        return not perhaps and weighed(text)[0]

    return is_foreign


def _speaks(text: str, words: frozenset[str]) -> bool:
    """Whether a quarter of the words, and at least two different ones, are function words of a language."""
    said = text.casefold().split()
    known = [word for word in said if word in words]
    return 4 * len(known) >= len(said) and len(set(known)) > 1
