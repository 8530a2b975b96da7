"""Texts in another language than the wanted one, where a text is long enough to say.

Names, lists, formulas and code are in no language, and a translation is meant to be in another one. So a text is
foreign only if most of it surely is, it is made of sentences, and it has words in it that its language cannot do
without.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import islice

_JUDGED_CHARACTERS = 400  # enough to know a language by, and a long answer costs no more than a short one
_JUDGED_LETTERS = 24  # shorter texts say too little about their language ...
_JUDGED_SIGNS = 8  # ... where a letter is not half a word
_SAMPLED = 400  # texts that say which language most rows are in
_FUNCTION_WORDS = 150
_FREQUENT_WORDS = 8000
_OTHER_SCRIPT = ("ru", "uk", "el", "zh", "ja", "ko", "ar", "he", "hi", "th")
_UNSPACED = ("zh", "ja", "ko", "th")
# The large languages of each script; many more would make short texts unsure.
_LARGE = ("ENGLISH", "GERMAN", "FRENCH", "SPANISH", "ITALIAN", "PORTUGUESE", "DUTCH", "POLISH", "CZECH", "SWEDISH")
_LARGE += ("DANISH", "BOKMAL", "FINNISH", "HUNGARIAN", "ROMANIAN", "TURKISH", "INDONESIAN", "VIETNAMESE", "RUSSIAN")
_LARGE += ("UKRAINIAN", "GREEK", "CHINESE", "JAPANESE", "KOREAN", "ARABIC", "HEBREW", "HINDI", "THAI")
_UNJUDGED = re.compile(  # code, what is quoted, addresses, what was masked
    r"```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]{1,200}\"|[“„«][^”“»\n]{1,200}[”“»]|(?<!\w)'[^'\n]{1,200}'(?!\w)"
    r"|\bhttps?://\S+|\bwww\.\S+|\S+@\S+|\[[A-Z_]+\]",
    re.S,
)
_QUOTED = re.compile(r"\"([^\"\n]{3,})\"|[“„«]([^”“»\n]{3,})[”“»]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_ENDS = re.compile(r"(?<=[.!?。！？])\s*|\n+")
_PARTS = re.compile(r"[,;:\n、，]|\s[-–|/]\s")
# Who asks for a translation, or about a language, wants an answer in another one.
_OTHER_LANGUAGE = re.compile(
    r"\b(?:translat\w*|bilingual|multilingual|language|übersetz\w*|traduc\w*|traduz\w*|traduis\w*|traduire|tradurr\w*"
    r"|перев[её]д\w*|перевод\w*|english|german|french|spanish|italian|portuguese|dutch|polish|czech|swedish|danish"
    r"|norwegian|finnish|hungarian|romanian|turkish|indonesian|malay|vietnamese|russian|ukrainian|greek|chinese"
    r"|mandarin|cantonese|japanese|korean|arabic|hebrew|hindi|sanskrit|urdu|bengali|thai|latin|swahili|esperanto"
    r"|englisch\w*|deutsch\w*|französisch\w*|spanisch\w*|italienisch\w*|lateinisch\w*|russisch\w*|anglais\w*|allemand\w*"
    r"|français\w*|espagnol\w*|italien\w*|inglés|alemán|francés|español|italiano|inglês|alemão|francês|espanhol|inglese"
    r"|tedesco|francese|spagnolo|английск\w*|немецк\w*|французск\w*|испанск\w*)\b"
    r"|翻译|翻譯|(?:英|法|德|日|韩|俄|意大利|西班牙|葡萄牙|阿拉伯|拉丁|外|双)[语語文]|訳",
    re.I,
)


def may_be_foreign(asked: str, answer: str) -> bool:
    """Whether an answer may be in another language: asked for a translation, about a language, for quoted words."""
    quoted = (next(filter(None, groups)) for groups in _QUOTED.findall(asked))
    return bool(_OTHER_LANGUAGE.search(asked)) or any(words in answer for words in quoted)


def usual_words(language: str | None) -> frozenset[str]:
    """The few thousand words that a language uses most; none where wordfreq does not know it."""
    return frozenset(_frequent(language)) if language else frozenset()


@cache
def western_words() -> frozenset[str]:
    """The words of the large languages in Latin letters that are seen now and then."""
    from wordfreq import available_languages, get_frequency_dict

    codes = {found.iso_code_639_1.name.lower() for found in _lingua_languages()} & set(available_languages("small"))
    return frozenset().union(*(get_frequency_dict(code, "small") for code in codes.difference(_OTHER_SCRIPT)))


def most_common(texts: Iterable[str]) -> str | None:
    """The ISO 639-1 code of the language of most of these texts; None where there is no such language."""
    judge, found = _lingua(None), Counter()
    for text in texts:
        plain = _UNJUDGED.sub(" ", text[:_JUDGED_CHARACTERS])
        if sum(map(str.isalpha, plain)) >= _JUDGED_LETTERS:
            found[judge.detect_language_of(plain)] += 1
            if found.total() == _SAMPLED:
                break
    language, count = next(iter(found.most_common(1)), (None, 0))
    return language.iso_code_639_1.name.lower() if language and 2 * count > found.total() else None


def spoken(wanted: str | None, texts: Iterable[str]) -> str | None:
    """The language that the recipe names (`data.language`); where that is `auto`, the one of most of these texts."""
    return most_common(texts) if wanted == "auto" else wanted


class Detector:
    """Says of a text which other language (its ISO 639-1 code) most of it surely is in, or "".

    `confidence` is the least probability that a sentence is not in the wanted language.

    Raises:
        ValueError: lingua does not know the code.
    """

    def __init__(self, wanted: str, confidence: float = 0.9):
        from lingua import IsoCode639_1, Language

        self._own = Language.from_iso_code_639_1(IsoCode639_1.from_str(wanted))
        self._wanted, self._confidence, self._judge = wanted, confidence, _lingua(self._own)
        self._words, function = _own_words(wanted), function_words(wanted)
        self._alphabet = frozenset("".join(self._words))
        codes = {found.iso_code_639_1.name.lower() for found in _lingua_languages()} - {wanted}
        self._signs = {code: function_words(code) - function for code in codes}  # what no text of the wanted one has
        self._any_sign = frozenset().union(*self._signs.values())

    def __call__(self, text: str) -> str:
        found = self._most_of(text[:_JUDGED_CHARACTERS])  # a title or a quote at the start says little of the rest
        longer = found and len(text) > _JUDGED_CHARACTERS
        return self._most_of(text[: 5 * _JUDGED_CHARACTERS]) if longer else found

    def _most_of(self, text: str) -> str:
        strange = self._is_strange(text)
        if not (strange or _has(text, self._any_sign)) or (not strange and _speaks(text, self._words)):
            return ""
        size: Counter[str] = Counter()
        plain = _UNJUDGED.sub(" ", text)
        for sentence in _SENTENCE_ENDS.split(plain):
            letters = sum(map(str.isalpha, sentence)) * (3 if _is_dense(sentence) else 1)
            if letters >= _JUDGED_SIGNS:
                size[self._other(sentence) if _is_said(sentence, letters) else ""] += letters
        found, letters = next(iter(size.most_common(1)), ("", 0))
        surely = found in _UNSPACED or self._is_strange(plain) or _has(plain, self._signs.get(found, frozenset()))
        return found if surely and 2 * letters > size.total() else ""

    def _is_strange(self, text: str) -> bool:
        """Whether most of a text is in a script that the wanted language, one with an alphabet, is not written in."""
        if text.isascii() or not self._alphabet or self._wanted in _UNSPACED:
            return False
        letters = [char for char in text.casefold() if char.isalpha()]
        return 2 * sum(char in self._alphabet for char in letters) < len(letters)

    def _other(self, sentence: str) -> str:
        """The language of a sentence where it is surely not the wanted one."""
        if self._wanted in _UNSPACED and _is_dense(sentence):
            return ""
        weights = {found.language: found.value for found in self._judge.compute_language_confidence_values(sentence)}
        best = max(weights, key=weights.__getitem__)
        return "" if weights.get(self._own, 0.0) > 1 - self._confidence else best.iso_code_639_1.name.lower()


detector = lru_cache(maxsize=4)(Detector)  # models are large, so one is kept


def _lingua_languages() -> set:
    from lingua import Language

    return set(map(Language.from_str, _LARGE))


@lru_cache(maxsize=4)
def _lingua(own):
    from lingua import LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_languages(*_lingua_languages(), *([own] if own else [])).build()


@lru_cache(maxsize=64)
def frequencies(language: str) -> dict[str, float]:
    """word -> share of all words, the most frequent first; empty where wordfreq does not know the language."""
    from wordfreq import available_languages, get_frequency_dict

    found = get_frequency_dict(language, "small") if language in available_languages("small") else {}
    return {word: share for word, share in found.items() if word.isalpha()}


def _frequent(language: str) -> dict[str, float]:
    return dict(islice(frequencies(language).items(), _FREQUENT_WORDS))


@lru_cache(maxsize=4)
def _own_words(language: str) -> frozenset[str]:
    """Frequent words that are five times as frequent in this language as in any other large one."""
    codes = {found.iso_code_639_1.name.lower() for found in _lingua_languages()} - {language}
    others, own = list(map(frequencies, codes)), _frequent(language)
    return frozenset(word for word, share in own.items() if all(5 * other.get(word, 0) < share for other in others))


def function_words(language: str | None) -> frozenset[str]:
    """The words that a language cannot do without; none where wordfreq does not know it."""
    return frozenset(islice(frequencies(language), _FUNCTION_WORDS)) if language else frozenset()


def _speaks(text: str, words: frozenset[str]) -> bool:
    """Whether two fifths of the first words are a language's own: most texts need no detector then."""
    said = _WORD.findall(text[:_JUDGED_CHARACTERS].casefold())
    return 5 * sum(word in words for word in said) >= 2 * len(said) > 0


def _is_dense(text: str) -> bool:
    """Whether a letter of this text is about half a word, as in Chinese."""
    return any("\u2e80" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af" for char in text)


def _is_said(sentence: str, letters: int) -> bool:
    """Whether this is long enough to be judged and a sentence: no names, no items of a list."""
    if letters < _JUDGED_LETTERS or (not sentence.isascii() and any(unicodedata.category(c) == "Lo" for c in sentence)):
        return letters >= _JUDGED_LETTERS
    words = _WORD.findall(sentence)
    items = sum(bool(part.strip()) for part in _PARTS.split(sentence))
    return 2 * sum(word[0].isupper() for word in words) <= len(words) and len(words) >= max(4, 2.5 * items)


def _has(text: str, words: frozenset[str]) -> bool:
    """Whether two of these words stand in a text."""
    return len(words & {word.casefold() for word in _WORD.findall(text)}) > 1
