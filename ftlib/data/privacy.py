"""Personal data and secrets: e-mail addresses, phone numbers, cards, IBANs, IP addresses, keys by their shape.

Each kind is a wide pattern that finds candidates and a check that a random number does not pass (Luhn and issuer,
IBAN's checksum, the numbering plan of a country), so that prices, serial numbers and firmware versions stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

_EMAIL = re.compile(
    r"(?:(?<![\w.+-])[A-Za-z0-9][\w.+'-]{0,63}|\"[^\"\s@]{1,64}\")(?:@|\s?[\[({]at[\])}]\s?)"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.|\s?[\[({]dot[\])}]\s?))+[A-Za-z]{2,24}\b"
    # Spelt out, "at" and "dot" are words as well; the ending must be a usual one.
    r"|(?<![\w.+-])[A-Za-z0-9][\w.+'-]{0,63} at [A-Za-z0-9][A-Za-z0-9-]* dot (?:com|org|net|de|eu|info|io|fr)\b",
    re.I,
)
_DIGITS = re.compile(r"(?<![\w.])(?:\d[ -]?){12,18}\d(?![\w])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b", re.I)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_VERSION = re.compile(
    r"(?:\bv(?:er(?:sion)?)?\.?|firmware|release|build|software|revision|driver|update|patch"
    r"|section|chapter|clause|paragraph|§|figure|table|step|item|annex|appendix)\s*:?\s*$",
    re.I,
)
# A number that says itself what it counts is none to dial.
_NAMED_NUMBER = re.compile(
    r"\b(?:rooms?|orders?|invoices?|parts?|serials?|tickets?|cases?|lots?|batch(?:es)?|articles?|items?|models?"
    r"|parcels?|tracking|ref(?:erence)?|skus?|isbn|ean|imei|customers?|contracts?|sizes?)"
    r"(?: (?:no|number|nr|id|code))?\.?\s*[:#]?\s*$",
    re.I,
)
_PHONE = re.compile(r"(?<![\w.,])(?:\+|00|\(0?)?\d(?:[\s().\-/]{0,3}\d){5,14}(?![\w])")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
_SECRETS = re.compile(
    r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{16,}"
    r"|\bhf_[A-Za-z0-9]{20,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{20,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*KEY-----)?"
    r"|(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"
    r"|\bnpm_[A-Za-z0-9]{30,}|\bSG\.[\w-]{16,}\.[\w-]{30,}|\bpypi-[\w-]{30,}|\bdop_v1_[0-9a-f]{40,}"
    r"|(?<=\bbearer )[\w.~+/-]{20,}=*",
    re.I | re.S,
)
# A name for a secret, a sign, and a value that is no plain word: it has a digit or a sign in it.
_NAMED_SECRET = re.compile(
    r"(?:pass(?:word|wd|wort|phrase)|\bpwd|(?:api|access|account|secret|private|shared)[ _-]?key|secret|token)"
    r"(?P<sign>\s?[:=]\s?|\s(?:is|lautet)\s)[\"'<]?(?P<value>[^\s,;\"'<>]{6,})",
    re.I,
)
# What every match of a pattern holds, so that the many texts without it are passed over quickly.
_SECRET_SIGNS = (
    "sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "hf_", "ghp_", "gho_", "ghu_", "ghr_", "ghs_", "github_pat_", "glpat-",
    "xox", "akia", "asia", "aiza", "eyj", "-----begin", "://", "password", "npm_", "sg.", "pypi-", "dop_v1_", "bearer ",
)  # fmt: skip
_NAMED_SECRET_SIGNS = ("pass", "pwd", "key", "secret", "token")
_EMAIL_SIGNS = ("[at", "(at", "{at", " dot ")
_SOME_DIGITS = re.compile(r"\d(?:[\s().\-/]{0,3}\d){5}")
_TWO_DIGITS = re.compile(r"[A-Za-z]{2}\d\d")
_MANY_DIGITS = re.compile(r"\d(?:[ -]?\d){12}")
# Issuers and lengths of the cards in use; a Luhn checksum alone is passed by one number in ten.
_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|(?:5018|5020|5038|6304|67\d\d)\d{8,15}"
)


class Found(NamedTuple):
    """A place in a text: `text[start:end]` is of `kind`."""

    kind: str
    start: int
    end: int


def scan(text: str, kinds: Collection[str], regions: Sequence[str] = (), allow: Collection[str] = ()) -> list[Found]:
    """Finds personal data.

    Args:
        text: what is searched.
        kinds: some of `email, phone, card, iban, ip, secret`.
        regions: ISO 3166 countries whose national phone formats count; international ones always do.
        allow: texts (an address, a domain) whose carriers are not reported.

    Returns:
        Places in order, not overlapping; where two kinds claim one place, the stricter check wins.
    """
    taken: list[Found] = []
    for kind in (kind for kind in _FINDERS if kind in kinds):
        for start, end in _FINDERS[kind](text, tuple(regions)):
            free = all(end <= other.start or start >= other.end for other in taken)
            if free and not any(item in text[start:end] for item in allow):
                taken.append(Found(kind, start, end))
    return sorted(taken, key=lambda found: found.start)


def mask(text: str, found: Sequence[Found]) -> str:
    """The text that was scanned with its kind in brackets at each place, e.g. `[email]`."""
    for kind, start, end in reversed(found):
        text = f"{text[:start]}[{kind}]{text[end:]}"
    return text


def redact(text: str, kinds: Collection[str], regions: Sequence[str] = (), allow: Collection[str] = ()):
    """Scans and masks until nothing is found, because a mask can part what hung together before.

    Returns:
        (masked text, kinds found in order); arguments as for `scan`.
    """
    found_kinds: list[str] = []
    while found := scan(text, kinds, regions, allow):
        found_kinds += [place.kind for place in found]
        text = mask(text, found)
    return text, found_kinds


def actions(kinds: Collection[str], default: str, by_kind: Mapping[str, str]) -> dict[str, str]:
    """What to do for each kind: `mask`, `drop` or `report`."""
    return {kind: by_kind.get(kind, default) for kind in kinds}


def _secrets(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    folded = text.casefold()
    if not text.isascii() or any(sign in folded for sign in _SECRET_SIGNS):
        for match in _SECRETS.finditer(text):
            if not match.group().startswith("["):  # a mask from an earlier pass
                yield match.span()
    if any(sign in folded for sign in _NAMED_SECRET_SIGNS):
        for match in _NAMED_SECRET.finditer(text):
            value = match["value"].rstrip(".!?)")
            if not value.startswith("[") and not value.isalpha() and len(value) > 5:
                yield match.start("value"), match.start("value") + len(value)


def _emails(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    if "@" in text or any(sign in text.casefold() for sign in _EMAIL_SIGNS):
        yield from (match.span() for match in _EMAIL.finditer(text))


def _ibans(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    from stdnum import iban

    for match in _IBAN.finditer(text) if _TWO_DIGITS.search(text) else ():
        words = re.split(r"([ -])", match.group())
        while words:  # the pattern may run on into the next capital words
            if iban.is_valid("".join(words), check_country=False):
                yield match.start(), match.start() + len("".join(words))
                break
            words = words[:-2]


def _cards(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    from stdnum import luhn

    for match in _DIGITS.finditer(text) if _MANY_DIGITS.search(text) else ():
        number = re.sub(r"\D", "", match.group())
        if _ISSUERS.fullmatch(number) and luhn.is_valid(number):
            yield match.span()


def _addresses(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    four = _IPV4.finditer(text) if text.count(".") > 2 else ()
    six = _IPV6.finditer(text) if "::" in text or text.count(":") > 4 else ()
    for match in (*four, *six):
        try:
            unspecified = ipaddress.ip_address(match.group()).is_unspecified
        except ValueError:
            continue
        if not unspecified and not _VERSION.search(_before(match)):
            yield match.span()


def _before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - 40) : match.start()]


def _phones(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    for match in _PHONE.finditer(text) if _SOME_DIGITS.search(text) else ():
        number = match.group().strip()
        if not _NAMED_NUMBER.search(_before(match)) and any(_is_phone(number, where) for where in (None, *regions)):
            yield match.span()


@lru_cache(maxsize=65536)
def _is_phone(candidate: str, region: str | None) -> bool:
    """Whether a country's numbering plan has it, and it is written as people write numbers to dial."""
    import phonenumbers

    international = candidate.startswith(("+", "00"))
    bare = candidate.isdigit() and not candidate.startswith("0")  # asked first, for it is quick
    if international != (region is None) or _DATE.fullmatch(candidate) or bare:
        return False
    try:
        number = phonenumbers.parse(re.sub(r"^00", "+", candidate), region)
    except phonenumbers.NumberParseException:
        return False
    if international:  # the plus sign says what it is; ranges that are assigned today may not be tomorrow's
        return phonenumbers.is_possible_number(number)
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    grouped = re.findall(r"\d+", candidate) == re.findall(r"\d+", national) and not candidate.isdigit()
    return phonenumbers.is_valid_number(number) and (candidate.startswith(("0", "(")) or grouped)


# Where two claim one place, the first has it.
_FINDERS = {"secret": _secrets, "email": _emails, "iban": _ibans, "card": _cards, "ip": _addresses, "phone": _phones}
