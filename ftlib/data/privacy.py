"""Personal data and secrets: e-mail addresses, phone numbers, cards, IBANs, IP addresses, keys and passwords.

Each kind is a wide pattern that finds candidates and checks that what only looks alike does not pass, so that prices,
serial numbers, outline numbers and code stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from ftlib.data import numbers, secrets

_AT, _DOT = r"\s?[\[({]\s?at\s?[\])}]\s?", r"(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)"
_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_LOCAL = r"(?<![\w.+@/-])(?:[^\W_][\w.+'-]{0,63}|\"[^\"\s@]{1,64}\")"
_ENDINGS = r"(?:com|org|net|edu|gov|info|io|co|eu|uk|de|fr|es|it|nl|pl|ch|at|us|ca|in|jp|br)\b"
_EMAIL = re.compile(
    rf"{_LOCAL}(?:[@＠]|%40|&#64;|&commat;|{_AT})(?:{_LABEL}{_DOT})+[^\W\d_]{{2,24}}\b"
    # Divided by spaces, or with words for the signs, it must be an unmistakable name or ending.
    rf"|(?<![\w.+-])[^\W_]\w{{0,31}}[._+\d][\w.+-]{{0,31}} @ (?:{_LABEL}\.)+[^\W\d_]{{2,24}}\b"
    rf"|(?<![\w.+-])[^\W_][\w.+-]{{0,63}} at (?!this|that|the|a|an|our|my|your)(?:{_LABEL} dot )+{_ENDINGS}",
    re.I,
)
_EMAIL_SIGNS = ("@", "＠", "%40", "&#64;", "&commat;", "[at", "(at", "{at", "[ at", "( at", " dot ")
_NO_DOMAIN = re.compile(  # names of files and units, and what a program calls
    r"@\d+x\.|\.(?:png|jpe?g|gif|svg|webp|ico|css|js|json|ya?ml|txt|html?|service|socket|timer|target|mount|local(?:host)?)$",
    re.I,
)
_REMOTE = re.compile(r"(?:\b(?:ssh|scp|sftp|rsync|mosh)\b[^\n]{0,60}|://)$")  # a login on a machine

_IPV4 = re.compile(
    r"(?:(?<![\w./-])|(?<=://)|(?<=\d-))(?P<address>(?:\d{1,3}\.){3}\d{1,3})(?P<net>/\d{1,2}\b)?(?!\w|\.\d|-[A-Za-z])"
)
_EIGHT_PARTS = re.compile(r"(?:[0-9A-Fa-f]{1,4}:){7}")
_IPV6 = re.compile(
    r"(?<![\w:.])(?P<address>(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4})(?P<net>/\d{1,3}\b)?(?![\w:]|\.\d)"
)
# Every home and office has these for itself: they lead to nobody, and tutorials are full of them.
_PRIVATE = [
    ipaddress.ip_network(name)
    for name in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fe80::/10", "fc00::/7")
]
_VERSION = re.compile(
    r"(?:\bv(?:er(?:sion)?)?\.?|firmware|release|build|software|revision|driver|update|patch"
    r"|section|chapter|clause|paragraph|§|figure|table|step|item|annex|appendix|\bec)\s*:?\s*$",
    re.I,
)
_HOST_WORD = re.compile(
    r"\b(?:ip(?:v[46])?|addr(?:ess)?|host(?:name)?|server|client|gateway|dns|ping|ssh|from)\b|://$|@$", re.I
)


class Found(NamedTuple):
    """A place in a text: `text[start:end]` is of `kind`."""

    kind: str
    start: int
    end: int


def scan(text: str, kinds: Collection[str], regions: Sequence[str] = (), allow: Collection[str] = ()) -> list[Found]:
    """Finds personal data and secrets: places in order, not overlapping; of two kinds the stricter check wins a place.

    Args:
        kinds: some of `email, phone, card, iban, ip, secret`.
        regions: ISO 3166 countries whose national phone formats count; international ones always do.
        allow: texts (an address, a domain) whose carriers are not reported.
    """
    taken: list[Found] = []
    for kind in (kind for kind in _FINDERS if kind in kinds):
        # of two claims of one kind the longer counts, as where a vendor's key stands in a private address
        for start, end in sorted(_FINDERS[kind](text, tuple(regions)), key=lambda span: span[0] - span[1]):
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

    Returns the masked text and the kinds found, in order; arguments as for `scan`.
    """
    found_kinds: list[str] = []
    while found := scan(text, kinds, regions, allow):
        found_kinds += [place.kind for place in found]
        text = mask(text, found)
    return text, found_kinds


def actions(kinds: Collection[str], default: str, by_kind: Mapping[str, str]) -> dict[str, str]:
    """What to do for each kind: `mask`, `drop` or `report`."""
    return {kind: by_kind.get(kind, default) for kind in kinds}


def _emails(text: str) -> Iterator[tuple[int, int]]:
    folded = text.casefold()
    for match in _EMAIL.finditer(text) if secrets.has_any(folded, _EMAIL_SIGNS) else ():
        after, usual = text[match.end() : match.end() + 2], re.search(rf"\W{_ENDINGS}$", match.group(), re.I)
        # "a@b.sum(" is a product of matrices, "git@host:path" a login
        code = (after[:1] in ("(", "[") and not usual) or re.match(r":[\w~/.]", after)
        if not code and not _REMOTE.search(_before(match, 70)) and not _NO_DOMAIN.search(match.group()):
            yield match.span()


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    four = _IPV4.finditer(text) if text.count(".") > 2 else ()
    six = _IPV6.finditer(text) if "::" in text or _EIGHT_PARTS.search(text) else ()
    for match in (*four, *six):
        address, before = match["address"], _before(match, 40)
        # an outline's numbers have no three digits, a slice in code has few parts, names with colons have no digits
        long = re.search(r"\b(?=[A-Fa-f]*\d)[\dA-Fa-f]{3,4}\b", address) and len(re.findall(r"\w+", address)) > 2
        clear = long or (":" not in address and _HOST_WORD.search(before))
        if clear and not _VERSION.search(before) and _is_someones(address, match["net"] or ""):
            yield match.span("address")


def _is_someones(address: str, net: str) -> bool:
    """Whether it is the address of one machine, the same for everybody: no mask, no network, none of a home's own."""
    try:
        number, network = ipaddress.ip_address(address), ipaddress.ip_interface(address + net).network
    except ValueError:
        return False
    whole = number == network.network_address and network.num_addresses > 1
    nobody = number.is_unspecified or number.is_loopback or number.is_multicast or address.startswith("255.")
    return not whole and not nobody and not any(number in private for private in _PRIVATE)


def _before(match: re.Match[str], reach: int) -> str:
    return match.string[max(0, match.start() - reach) : match.start()]


# Where two claim one place, the first has it.
_FINDERS = {
    "secret": lambda text, regions: secrets.find(text),
    "email": lambda text, regions: _emails(text),
    "iban": lambda text, regions: numbers.ibans(text),
    "card": lambda text, regions: numbers.cards(text),
    "ip": lambda text, regions: _addresses(text),
    "phone": numbers.phones,
}
