"""Numbers that lead to a person: payment cards, IBANs and phones.

Each is a wide pattern that finds candidates and checks that other numbers do not pass: a checksum, a country's
numbering plan, and how people write such numbers. A phone number is written like one (a plus sign, a code in
brackets, a leading zero, groups as its country makes them) or stands behind a word for a phone; years, intervals,
identifiers, figures in tables and digits within an address or a name are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_TWO_DIGITS = re.compile(r"[A-Za-z]{2}\d\d")
_MANY_DIGITS = re.compile(r"\d(?:[ \u00a0-]?\d){12}")
_SOME_DIGITS = re.compile(r"\d(?:[\s().\-/\u2010-\u2013]{0,3}\d){6}")

_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}\b", re.I)

_CARD = re.compile(
    r"(?<![\w.])(?:\d{12,19}|(?:\d{4}(?P<by>[ \u00a0-])){3}(?:\d{4}(?P=by))?\d{1,4}"
    r"|\d{4}(?P<in>[ \u00a0-])\d{6}(?P=in)\d{4,5})(?!\w|[.,]\d)"
)
# Issuers and lengths of the cards in use; a Luhn checksum alone is passed by one number in ten.
_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|220[0-4]\d{12,15}"
    r"|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d|2\d\d)\d{12,15}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}(?:\d\d)?"
    r"|(?:5018|5020|5038|6304|67\d\d)\d{8,15}"
)
_ARITHMETIC_BEFORE = re.compile(r"[\d)] ?[*/+=×÷^<>-] ?$|[*×÷^]\s?$")
_ARITHMETIC_AFTER = re.compile(r"\s?[*×÷^=]\s?[\d(]| [/+<>-] \d|\s?(?:%|°|€|\$|£)|\s?[kMGTmµ]?(?:Hz|bps|[BWVAgm])\b")

# A number that says itself what it counts is none to dial and none to pay with.
_NAMED_NUMBER = re.compile(
    r"imei\b.*|(?:\b(?:isbn|issn|ean|doi|pmid|skus?"  # in any language
    r"|rooms?|orders?|invoices?|parts?|serials?|tickets?|cases?|lots?|batch(?:es)?|articles?|items?|models?|parcels?"
    r"|tracking|ref(?:erence)?|customers?|contracts?|sizes?|routing|accounts?"  # en
    r"|bestellung|rechnung|seriennummer|commande|facture|pedido|factura)"  # de, fr, es
    r"(?: (?:no|number|nr|id|code))?)\.?\s*(?:is|[:#])?\s*$",
    re.I,
)
_PHONE = re.compile(
    r"(?<!\w)(?:\+|\(\+?)?\d(?:[ \u00a0().\-/\u2010-\u2013]{0,3}\d){5,14}"
    r"(?P<extension>,? ?(?:ext\.?|extension|x|#|Durchwahl|poste) ?\d{1,6})?(?!\w|[.,:]\d|[-/]\w)",
    re.I,
)
# Words for a phone: nouns, of which most European languages share the stems, and verbs that may mean something else.
_PHONE_NOUN = re.compile(
    r"(?<![a-zé])(?:t[eé]l[eé]?(?:f(?:on|ax)?\w*)?|(?:tele|smart|cell)?phones?|t[eé]l[eé]phone|fax"
    r"|whats ?app|gsm|hotline|mob(?:il\w*)?|helpline|toll[- ]?free"  # en
    r"|rufnummer|handy\w*|fon|durchwahl"  # de
    r"|portable|m[oó]vil|celular|cellulare)(?![a-z])",  # fr, es, pt, it
    re.I,
)
_PHONE_VERB = re.compile(
    r"(?<![a-z])(?:call|dial|ring|text|reach\w*|contact"  # en
    r"|anruf\w*|appel\w*|joindre|llam\w+|chiam\w*)(?![a-z])",  # de, fr, es, it
    re.I,
)
_SENTENCE_END = re.compile(r"[.!?]\s+[A-Z]|\n")
_FAR, _NEAR = 70, 15  # characters in which the word stands; near before less than 9 digits and for verbs
_DATE = re.compile(
    r"(?:1[89]|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.][0-3]?\d(?!\d).*|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d\d)"
)
_YEARS = re.compile(r"\(?(?:1\d|20)\d\d\W{1,3}(?:(?:1\d|20)\d\d|\d\d)(?:/\d+)?\)?")
_RANGE = re.compile(r"([1-9]\d{3,})\s?[-\u2013]\s?(\d{4,})|(\d+)\s?\u2013\s?(\d+)")


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """Places of account numbers whose checksum holds."""
    if not _TWO_DIGITS.search(text):
        return
    from stdnum import iban

    for match in _IBAN.finditer(text):
        words = re.split(r"([ \u00a0-])", match.group())
        while words:  # the pattern may run on into the next words
            if iban.is_valid("".join(words), check_country=False):
                yield match.start(), match.start() + len("".join(words))
                break
            words = words[:-2]


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Places of payment cards: an issuer's number, its checksum, in one piece or in the groups of a card."""
    if not _MANY_DIGITS.search(text):
        return
    from stdnum import ean, luhn

    for match in _CARD.finditer(text):
        number = re.sub(r"\D", "", match.group())
        other = match.group().isdigit() and len(number) == 13 and ean.is_valid(number)  # a barcode
        if _ISSUERS.fullmatch(number) and luhn.is_valid(number) and not other and _stands_alone(match):
            yield match.span()


def phones(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Places of phone numbers, in the national formats of `regions` (ISO 3166) and in international ones."""
    for match in _PHONE.finditer(text) if _SOME_DIGITS.search(text) else ():
        number = match.group().removesuffix(match["extension"] or "")
        if number.startswith("(") and ")" not in number:
            number = number[1:]
        start = match.start() + match.group().index(number)
        if not _is_odd(number) and _stands_alone(match) and _is_phone(text, start, number, regions):
            yield start, match.end()


def _is_phone(text: str, start: int, number: str, regions: tuple[str, ...]) -> bool:
    if number.startswith(("+", "(+")):
        return text[max(0, start - 1) : start] not in (".", ")", "]", "^") and _is_international(number)
    if _is_called_phone(text, start, number):
        return True
    return _is_apart(text, start) and (_is_international(number) or any(_is_national(number, at) for at in regions))


def _stands_alone(match: re.Match[str]) -> bool:
    """Whether a number neither says what it counts nor is part of a sum."""
    before = match.string[max(0, match.start() - 40) : match.start()]
    sum_of = _ARITHMETIC_BEFORE.search(before) or _ARITHMETIC_AFTER.match(match.string, match.end())
    return not sum_of and not _NAMED_NUMBER.search(before)


def _is_odd(number: str) -> bool:
    """Dates, years, decimals, ranges, and brackets that open or close elsewhere."""
    if _DATE.fullmatch(number) or _YEARS.fullmatch(number) or re.match(r"\d\.\d+(?:\W|$)|\d+\.\d+$", number):
        return True
    ends = _RANGE.fullmatch(number)
    first, last = (int(end) for end in ends.groups() if end) if ends else (1, 0)
    return first < last or number.count("(") != number.count(")")


def _is_apart(text: str, start: int) -> bool:
    """Whether a number begins a word of its own: not within an address, an identifier, a decimal, a price."""
    before = text[max(0, start - 2) : start]
    return not before or bool(re.search(r"(?:^|[^\d])[\s\"'`>|;,:(\[]$|^[\s\"'`>|;,:(\[]$", before))


def _is_called_phone(text: str, start: int, number: str) -> bool:
    """Whether a word for a phone stands before it in its sentence, and it is long enough to be dialled."""
    digits = sum(map(str.isdigit, number))
    before = _SENTENCE_END.split(text[max(0, start - _FAR) : start])[-1]
    if re.search(r"[\w.=/#$€£-]$", before) or not 7 <= digits <= 15:
        return False
    near = before[-_NEAR:]
    return bool(_PHONE_NOUN.search(before if digits > 8 else near) or (digits > 8 and _PHONE_VERB.search(near)))


@lru_cache(maxsize=65536)
def _is_international(number: str) -> bool:
    import phonenumbers

    if not re.match(r"\(?\+|00[1-9]", number):
        return False
    try:
        parsed = phonenumbers.parse(re.sub(r"^00", "+", number.lstrip("(")), None)
    except phonenumbers.NumberParseException:
        return False
    # The plus sign says what it is: ranges that are assigned today may not be tomorrow's.
    plus = "+" in number and not re.fullmatch(r"\+\d{1,2}\.\d+", number)
    return phonenumbers.is_possible_number(parsed) if plus else phonenumbers.is_valid_number(parsed)


@lru_cache(maxsize=65536)
def _is_national(number: str, region: str) -> bool:
    """Whether a country's numbering plan has it, and it is written as people there write it."""
    import phonenumbers

    groups = re.findall(r"\d+", number)
    if len(groups) < 2 or (len(groups[0]) < 2 and groups[0] != "1"):  # "0.89-8.44"
        return False
    if re.fullmatch(r"\d{5}-\d{4}|\d{4}-\d{4}", number):  # a postal code, a periodical's number
        return False
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    if not phonenumbers.is_valid_number(parsed):
        return False
    national = re.findall(r"\d+", phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL))
    grouped = len(groups) > 2 and national in (groups, groups[groups[0] == "1" :])
    return grouped or (re.match(r"0|\(\d\d", number) and "." not in number)
