"""Text as tokens in which form no longer counts: words, and numbers, quantities and dates by what they say.

"1.5 kg", "1500 g" and "1,5 Kilogramm" are one token, "31 May 2024" and "2024-05-31" another. Names of units, months
and currencies are those of the Unicode CLDR (through Babel) in the languages of `LANGUAGES`; factors are exact by
definition. Months and days, degrees Celsius and Fahrenheit, and two currencies are not converted into each other.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from ftlib.data.vocabulary import words_of_all_languages

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "fi", "cs", "tr", "ru", "el", "ja", "zh")
CLAUSE, SENTENCE = ",", "."  # tokens that stand for a mark between clauses, and between sentences
# Dimension -> CLDR unit -> how many of the first one it is.
_UNITS = {
    "mass": {"gram": 1, "milligram": 1e-3, "microgram": 1e-6, "kilogram": 1e3, "tonne": 1e6, "ounce": 28.349523125}
    | {"pound": 453.59237},
    "length": {"meter": 1, "millimeter": 1e-3, "micrometer": 1e-6, "nanometer": 1e-9, "centimeter": 0.01}
    | {"decimeter": 0.1, "kilometer": 1e3, "inch": 0.0254, "foot": 0.3048, "yard": 0.9144, "mile": 1609.344},
    "area": {"square-meter": 1, "square-centimeter": 1e-4, "square-kilometer": 1e6, "square-foot": 0.09290304}
    | {"hectare": 1e4, "acre": 4046.8564224},
    "volume": {"liter": 1, "milliliter": 1e-3, "centiliter": 0.01, "deciliter": 0.1, "cubic-meter": 1e3}
    | {"cubic-centimeter": 1e-3, "gallon": 3.785411784},
    "duration": {"second": 1, "millisecond": 1e-3, "microsecond": 1e-6, "nanosecond": 1e-9, "minute": 60}
    | {"hour": 3600, "day": 86400, "week": 604800},
    "calendar": {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200},
    "power": {"watt": 1, "milliwatt": 1e-3, "kilowatt": 1e3, "megawatt": 1e6, "gigawatt": 1e9},
    "energy": {"joule": 1, "kilojoule": 1e3, "kilowatt-hour": 3.6e6, "calorie": 4.184, "kilocalorie": 4184},
    "electric-volt": {"volt": 1},
    "electric-ampere": {"ampere": 1, "milliampere": 1e-3},
    "electric-ohm": {"ohm": 1},
    "frequency": {"hertz": 1, "kilohertz": 1e3, "megahertz": 1e6, "gigahertz": 1e9},
    "pressure": {"pascal": 1, "hectopascal": 100, "kilopascal": 1e3, "megapascal": 1e6, "millibar": 100, "bar": 1e5},
    "digital": {"byte": 8, "kilobyte": 8e3, "megabyte": 8e6, "gigabyte": 8e9, "terabyte": 8e12, "bit": 1}
    | {"kilobit": 1e3, "megabit": 1e6, "gigabit": 1e9},
    "speed": {"meter-per-second": 3.6, "kilometer-per-hour": 1, "mile-per-hour": 1.609344, "knot": 1.852},
    "celsius": {"celsius": 1},
    "fahrenheit": {"fahrenheit": 1},
    "angle": {"degree": 1},
    "percent": {"percent": 1, "permille": 0.1},
    "light-lumen": {"lumen": 1},
    "light-lux": {"lux": 1},
}
_BY_HAND = {"ft": "foot", "in": "inch", "mins": "minute", "secs": "second", "hrs": "hour", "s": "second", "h": "hour"}
_BY_HAND |= {"Jahren": "year", "Monaten": "month", "Tagen": "day"}  # the CLDR has the nominative alone
_CURRENCIES = ("EUR", "USD", "GBP", "JPY", "CHF", "CNY", "INR", "SEK", "DKK", "NOK", "PLN", "CZK", "TRY", "BRL", "CAD")

_NUMBER = re.compile(
    r"(?<![\w.,])(?<![^\W\d_][-\u2010])(?<!\d:)(?:(?<!\d)[-+\u2212](?=\d))?"
    r"(?:\d{1,3}(?:[ '\u2019]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)(?!\d|:\d)"
)
_WORD_NUMBER = re.compile(r"(?<!\w)[^\W\d_]+(?=[ -])")
_FRACTION = re.compile(r"(\d*)\s?([\u00bc-\u00be\u2150-\u215e])")
_BEFORE = re.compile(r"(?:([€$£¥₹])|(?<!\w)([A-Z]{3})) ?$")
_AFTER = re.compile(r"[ -]?([^\s,;:!?()]+(?: [^\s,;:!?()]+){0,2})")
_WHOLE = re.compile(r"[-+\u2212]?\d+(?:[.,]\d+)*")
_SENTENCE_MARK = re.compile(r"[.!?\n\u3002]")
_CLAUSE_MARK = re.compile(r"[,;/|()\u2022\u2013\u2014\u3001\uff0c&]")
# Scripts that put no spaces between words: every character is a word.
_ALONE = re.compile(r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")
_ACRONYM = re.compile(r"(?<!\w)(?:[^\W\d_]\.){2,}")
# A short part belongs to the name (USB-C, RS-485, Wi-Fi), a longer one is a word of its own (IP67-rated).
_COMPOUND = re.compile(r"(?<=(?<!\w)\w)-(?=\w)|(?<=(?<!\w)\w\w)-(?=\w)|(?<=\w)-(?=\w{1,2}(?!\w))")
_ARTICLES = frozenset(("a", "an", "the"))


def canonical_tokens(text: str, decimal: str = ".") -> tuple[str, ...]:
    """The tokens of a text.

    Args:
        text: any.
        decimal: "." or ",": how a numeral is read that both conventions know (1,200 and 1.200).

    Returns:
        Words in lower case without articles (a, an, the) and punctuation, `CLAUSE` and `SENTENCE` where such a mark
        stands, and `=<dimension>:<value>` for what is measured, `=:<value>` for a bare number, `=date:y-m-d`.
    """
    text = _FRACTION.sub(lambda m: str(float(m[1] or 0) + unicodedata.numeric(m[2])), text)
    text = _plain(text.replace("\n", " \u3002 "))
    found: list[str] = []
    at = 0
    for begin, end, token in sorted([*_dates(text), *_numbers(text, decimal)], key=lambda part: (part[0], -part[1])):
        if begin >= at:
            found += [*_words(text[at:begin]), token]
            at = end
    return (*found, *_words(text[at:]))


def decimal_marks(texts: Iterable[str]) -> tuple[str, ...]:
    """The decimal marks that numerals of these texts show ("1.5", "12,50", "1.200,00"); both where none or both do."""
    shown = set()
    for text in texts:
        for numeral in _WHOLE.findall(text):
            marks = re.sub(r"\d|^[-+\u2212]", "", numeral)
            if len(set(marks)) == 2:
                shown.add(marks[-1])
            elif len(marks) == 1 and not _is_two_faced(numeral):
                shown.add(marks)
            elif len(marks) > 1:
                shown.add({".": ",", ",": "."}[marks[0]])
    return (shown.pop(),) if len(shown) == 1 else (".", ",")


def _plain(text: str) -> str:
    """One form of every character, single spaces, and spaces around characters that are words."""
    return " ".join(_ALONE.sub(r" \1 ", unicodedata.normalize("NFKC", text)).split())


def _words(text: str) -> list[str]:
    """Words and marks; letters, their accents and digits are words, apostrophes go, all else stands between them."""
    text = _ACRONYM.sub(lambda m: m[0].replace(".", ""), re.sub(r"(?<=\w)['\u2019](?=\w)", "", text.casefold()))
    text = _COMPOUND.sub("", text)
    text = re.sub(r"(?<=\d)[.,:](?=\d)", "\u02d1", text)  # a letter: what stands in a version or a time stays together
    text = _CLAUSE_MARK.sub(f" {CLAUSE} ", _SENTENCE_MARK.sub(" \u3002 ", text))
    kept = "".join(c if c in ",\u3002" or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return [SENTENCE if word == "\u3002" else word for word in kept.split() if word not in _ARTICLES]


def _numbers(text: str, decimal: str) -> Iterable[tuple[int, int, str]]:
    for match in _NUMBER.finditer(text):
        number = _value(match.group(), decimal)
        if number is None or re.match(r"[^\W\d_]*\d", text[match.end() :]):  # a version, a code such as 3a5
            continue
        symbol = _BEFORE.search(text, 0, match.start())
        code = _units()[0].get(symbol[1] or symbol[2]) if symbol else None
        if code and code[0].startswith("currency"):
            yield symbol.start(), match.end(), f"={code[0]}:{number:.10g}"
            continue
        unit, end = _unit_after(text, match.end())
        if unit or not re.match(r"[^\W\d_]", text[match.end() :]):  # not 7th, not 3D
            yield match.start(), end, f"={unit[0]}:{number * unit[1]:.10g}" if unit else f"=:{number:.10g}"
    numerals = _numerals()
    for match in _WORD_NUMBER.finditer(text):
        if (number := numerals.get(match.group().casefold())) is not None:
            unit, end = _unit_after(text, match.end())
            if unit:  # "once" and "six" are words of several languages; before a unit they count
                yield match.start(), end, f"={unit[0]}:{number * unit[1]:.10g}"


def _value(numeral: str, decimal: str) -> float | None:
    plain = re.sub(r"[ '\u2019+]", "", numeral).replace("\u2212", "-")
    marks = re.sub(r"[\d-]", "", plain)
    if len(set(marks)) == 2 and marks.count(marks[-1]) == 1:
        plain = plain.replace(marks[0], "").replace(marks[-1], ".")
    elif len(marks) > 1:
        if not re.fullmatch(r"-?\d{1,3}([.,]\d{3})+", plain):
            return None
        plain = re.sub("[.,]", "", plain)
    elif marks:
        plain = plain.replace(marks, "" if _is_two_faced(plain) and marks != decimal else ".")
    value = float(plain)
    return value if math.isfinite(value) else None


def _is_two_faced(numeral: str) -> bool:
    return bool(re.fullmatch(r"[-+\u2212]?[1-9]\d{0,2}[.,]\d{3}", numeral))


def _unit_after(text: str, at: int) -> tuple[tuple[str, float] | None, int]:
    """The unit that stands there, longest name first, and where it ends."""
    if match := _AFTER.match(text, at):
        exact, folded = _units()
        words = match[1].split(" ")
        for count in range(len(words), 0, -1):
            name = " ".join(words[:count])
            for said in dict.fromkeys((name, name.rstrip("."))):
                if unit := exact.get(said) or folded.get(said.casefold()):
                    return unit, match.start(1) + len(said)
    return None, at


@lru_cache(maxsize=1)
def _units() -> tuple[dict[str, tuple[str, float]], dict[str, tuple[str, float]]]:
    """Names of units and currencies as they are written, and in lower case where that is not two units."""
    from babel.numbers import get_currency_name, get_currency_symbol
    from babel.units import format_unit

    names: dict[str, tuple[str, float]] = {}
    by_unit = {unit: (kind, float(factor)) for kind, units in _UNITS.items() for unit, factor in units.items()}
    for language in LANGUAGES:
        for unit, meant in by_unit.items():
            for length in ("short", "long"):
                for count in (1, 2, 5):
                    name = _plain(format_unit(count, unit, length, locale=language).replace(str(count), "")).strip(".")
                    if language == LANGUAGES[0] or len(name) > 2 or not name.isascii():  # "v" is a week in Swedish
                        names.setdefault(name, meant)
        for code in _CURRENCIES:
            for count in (1, 2, 5):
                names.setdefault(get_currency_name(code, count, language), (f"currency-{code}", 1.0))
    for code in _CURRENCIES:
        names |= {code: (f"currency-{code}", 1.0), get_currency_symbol(code, "en"): (f"currency-{code}", 1.0)}
    names |= {"dollars": names["$"], "dollar": names["$"], "pounds sterling": names["£"]}
    names |= {short: by_unit[unit] for short, unit in _BY_HAND.items()}
    folded: dict[str, set[tuple[str, float]]] = {}
    for name, meant in names.items():
        folded.setdefault(name.casefold(), set()).add(meant)
    return names, {name: meant.pop() for name, meant in folded.items() if len(meant) == 1}


@lru_cache(maxsize=1)
def _numerals() -> dict[str, int]:
    """Number words from two on, of all languages that have a list."""
    return {word: n for lists in words_of_all_languages("numerals") for n, word in enumerate(lists) if n > 1}


@lru_cache(maxsize=1)
def _months() -> tuple[dict[str, int], tuple[re.Pattern[str], ...]]:
    from babel.dates import get_month_names

    names: dict[str, int] = {}
    for language in LANGUAGES:
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                for number, name in get_month_names(width, context, language).items():
                    if not name[0].isdigit():
                        names.setdefault(name.casefold().rstrip("."), number)
    any_month = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    day, year, name = r"(?P<d>\d{1,2})", r"(?P<y>\d{4})", rf"(?P<m>{any_month})"
    patterns = (
        rf"(?<![\w.]){year}([-/.])(?P<m>\d{{1,2}})\2{day}(?![\w.]?\d)",
        rf"(?<![\w.]){day}\.(?P<m>\d{{1,2}})\.{year}(?!\d)",
        rf"{year}\s?年\s?(?P<m>\d{{1,2}})\s?月\s?{day}\s?日",
        rf"(?<!\w){day}(?:st|nd|rd|th|er|\.|º)? ?(?:of |de )?{name}(?!\w)(?:\.?,? ?(?:de )?{year}(?!\d))?",
        rf"(?<!\w){name}(?!\w)\.? {day}(?:st|nd|rd|th)?(?!\w)(?:,? {year}(?!\d))",
    )
    return names, tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


def _dates(text: str) -> Iterable[tuple[int, int, str]]:
    names, patterns = _months() if re.search(r"\d", text) else ({}, ())
    for pattern in patterns:
        for match in pattern.finditer(text):
            month = names.get(match["m"].casefold()) or int(match["m"])
            if 1 <= month <= 12 and 1 <= int(match["d"]) <= 31:
                yield match.start(), match.end(), f"=date:{match['y'] or ''}-{month}-{int(match['d'])}"
