"""Keys, tokens and passwords: by the shapes that vendors give them, by the name beside them, or in an address.

The vendors' shapes are those of detect-secrets' plugins (nothing is verified over the network) and some they lack.
A random string is told from a name by how often neighbours in it change between letters and digits or from small to
capital letters: about every second time in what is random, hardly ever in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

# The plugins that know a vendor's shape. The others judge a variable's name or the entropy of what stands in quotes,
# and so take hashes, ids and pictures for secrets.
_PLUGINS = (
    "AWSKeyDetector", "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "MailchimpDetector",
    "OpenAIDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector",
    "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
# What they lack, and `_PREFIXED` does not see because no divider stands before what is random.
_SHAPES = (
    r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}", r"AIza[\w-]{35}", r"ya29\.[\w-]{40,}", r"EAA[A-Za-z0-9]{80,}",
    r"ATATT3x[\w=-]{60,}", r"dapi[0-9a-f]{32}", r"oy2[a-z0-9]{43}", r"cio[A-Za-z0-9]{32}", r"HRKU-[0-9a-fA-F-]{36}",
    r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{50,}", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", r"hv[sbr]\.[\w-]{24,}",
    r"dp\.[a-z]{2,5}\.[\w-]{40,}", r"\w{3}8Q~[\w.~-]{31,}", r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    r"LTAI[A-Za-z0-9]{16,24}", r"AKID[A-Za-z0-9]{32}", r"dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}", r"1//0[\w-]{40,}",
    r"[ps]k\.eyJ[\w-]{20,}\.[\w-]{20,}", r"EZ[AT]K[A-Za-z0-9]{54}", r"AKC[A-Za-z0-9]{60,}", r"APA91b[\w-]{100,}",
    r"(?<=/api/webhooks/)\d{17,20}/[\w-]{60,}", r"(?<=webhook\.office\.com/)webhookb2/[\w@/-]{60,}",
)  # fmt: skip
# A vendor's sign, a divider and a random rest; within an address or a file's name such a thing is an id or a checksum.
_PREFIXED = re.compile(
    r"(?<![\w/.@%+-])(?!sha\d|md5|urn|uuid|[0-9a-f]{8}-[0-9a-f]{4}-)"
    r"(?:[A-Za-z][A-Za-z0-9]{0,11}[_-]){1,4}(?P<rest>[\w-]{20,})(?![\w/@+]|\.\w)",
    re.I,
)
_HEX = re.compile(r"[0-9a-fA-F]+")  # names of containers and builds end with shorter ones
_LONG = re.compile(r"\S{20,}")
_KEY_BLOCK = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----"
    r"(?:(?:[^-]|-(?!----)){40,20000}?-----END (?P=label)-----|(?:(?:\s|\\n)*[\w+/=]{40,})+)"
)
_LOGIN = re.compile(  # in an address, after a tool's option, in a header
    r"://(?P<url>[^\s/:@\"'<>]*:[^\s/@\"'<>]{3,})@(?=[\w\[])|\s-u[ =]?[\"']?[\w.@-]+:(?P<option>[^\s'\"]{6,})"
    r"|\b(?:mysql\w*|sshpass)\b[^\n]{0,80}?\s-p[ ]?[\"']?(?P<flag>[^\s'\"]{6,})"
    r"|\b(?:Bearer|Basic|Bot|Token)[ ](?P<header>[\w.~+/-]{16,}=*)",
    re.I,
)
_LOGIN_SIGNS = ("://", " -u", " -p", "bearer", "basic", "bot ", "token ")

# What a secret is called, by language. Programs call it in English everywhere.
_PASSWORD = {
    "en": r"pass(?:word|wd|phrase|code)|(?<![a-z])(?:pass|pwd?)|credentials?",
    "de": "passwort|kennwort",
    "fr": "mot de passe|(?<![a-z])mdp",
    "es": "contrase[ñn]a",
    "it": "parola d'ordine",
    "nl": "wachtwoord",
    "pl": "hasło",
    "pt": "(?<![a-z])senha",
    "ru": "пароль",
    "zh": "密码",
}
_NO_SECRET = ("public", "primary", "foreign", "cache", "sort", "partition")
_KEY = "".join(f"(?<!{word})(?<!{word}[ _.-])" for word in _NO_SECRET) + "(?:key|secret|token|(?<=[?&])sig)"
_SIGN = (  # : = => := in code, data and prose; <name>value</name>; name="..." value="..."; ('name', 'value'); "is"
    r"(?:[_.-]\w{1,12})?(?:[\"'`]?\]?[ \t]{0,3}(?:=>|:=|={1,3}|[:：])[ \t]{0,3}@?[\"'`]?|[\"']?>|[\"'] value=[\"']"
    r"|[\"'],[ ]?[\"']|[ ](?:is|lautet|ist|est|es|è|é):?[ ][\"'`]?|(?<=password)[ ](?=\S*\d)|[ ](?=\S{24}))"
)
_VALUE = r"(?P<value>(?:(?![\"'`<>,;&])[!-~]|&(?!\w+=)){6,})"
_NAMED_PASSWORD = re.compile(f"(?:{'|'.join(_PASSWORD.values())}){_SIGN}{_VALUE}", re.I)
_NAMED_KEY = re.compile(f"{_KEY}{_SIGN}{_VALUE}", re.I)
_PASSWORD_SIGNS = ("pass", "pwd", "pw", "credential", "kennwort", "mdp", "contrase", "parola", "wachtwoord", "hasło",
                   "senha", "пароль", "密码")  # fmt: skip
_KEY_SIGNS = ("key", "secret", "token", "sig=")

_PLACEHOLDER = re.compile(
    r"^[$%{<\[]|^[A-Za-z_][\w.]*[(\[{]|(.)\1{4}|\.\.\.|your|example|placeholder|change.?me|redacted|\]$", re.I
)
# Capitals at the start of words are no sign of chance, small letters after two capitals are.
_CHANGE = re.compile(r"(?<=[a-z])[A-Z\d]|(?<=[A-Z])\d|(?<=\d)[A-Za-z]|(?<=[A-Z]{2})[a-z]")


def find(text: str) -> Iterator[tuple[int, int]]:
    """Places of secrets in a text: (start, end) pairs that may overlap, in no order."""
    folded = text.casefold()
    if "-----begin" in folded:
        yield from (match.span() for match in _KEY_BLOCK.finditer(text))
    if max(map(len, text.split()), default=0) >= 20:  # much quicker than a pattern
        yield from _shaped(text)
    if has_any(folded, _LOGIN_SIGNS):
        yield from _logins(text)
    if has_any(folded, _PASSWORD_SIGNS):
        yield from _named(text, _NAMED_PASSWORD, is_password)
    if has_any(folded, _KEY_SIGNS):
        yield from _named(text, _NAMED_KEY, is_key)


def is_random(text: str, shortest: int = 16) -> bool:
    """Whether a string without spaces looks drawn by chance: it changes its kind of character at 18 % of its places.

    Of the letters and digits that it must have (`shortest`) three quarters stand between two dividers.
    """
    runs = re.findall(r"[A-Za-z\d]+", text)
    count, longest = sum(map(len, runs)), max(map(len, runs), default=0)
    if count < shortest or longest * 4 < shortest * 3:
        return False
    figures, changes = len(re.findall(r"\d+", text)), len(_CHANGE.findall(text)) / count
    words = figures < 3 and sum(map(len, re.findall(r"[a-z]{4,}", text))) > 0.4 * count  # NameOfAClassV2
    return not words and changes >= (0.18 if figures > 1 else 0.33)


def is_key(value: str) -> bool:
    """Whether what stands where a key is expected is one, not a placeholder, a name or a number."""
    return is_random(value) and len(set(value)) > 7 and not _PLACEHOLDER.search(value)


def is_password(value: str) -> bool:
    """The same of a password: it has letters, and digits or signs that words lack, and refers to nothing."""
    from detect_secrets.filters.heuristic import is_sequential_string

    odd = re.search(r"\d|[!#$%^*~+]\w", value) and re.search(r"[^\W\d]", value)
    name = re.search(r"@\w+\.|://|^\w+\.\w+$", value)
    return bool(odd) and not name and not _PLACEHOLDER.search(value) and not is_sequential_string(value)


def has_any(text: str, signs: Iterable[str]) -> bool:
    """Whether one of the signs stands in the text; a plain loop takes half the time of `any`."""
    for sign in signs:  # noqa: SIM110
        if sign in text:
            return True
    return False


@lru_cache(maxsize=1)
def _shapes() -> tuple[re.Pattern[str], ...]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    plugins: dict[str, Any] = {plugin.__name__: plugin for plugin in get_mapping_from_secret_type_to_class().values()}
    known = (pattern for name in _PLUGINS for pattern in plugins[name].denylist)
    known = (pattern for pattern in known if not pattern.pattern.startswith("aws"))  # one goes by the name, as we do
    return (*known, *map(re.compile, _SHAPES))


def _shaped(text: str) -> Iterator[tuple[int, int]]:
    for word in _LONG.finditer(text):
        if not re.search(r"\d", word.group()):
            continue
        for match in (found for shape in _shapes() for found in shape.finditer(text, *word.span())):
            before = text[match.start() - 1] if match.start() else " "
            inside = before.isalnum() and not (before.isalpha() and match.group()[0].isdigit())
            if not inside and len(set(match.group())) > 7:
                yield match.start(), re.compile(r"[\w-]*=*").match(text, match.end()).end()
        for match in _PREFIXED.finditer(text, *word.span()):
            rest = match["rest"]
            checksum = _HEX.fullmatch(max(re.split("[_-]", rest), key=len))
            if is_random(rest, 32 if checksum else 16):
                yield match.span()


def _logins(text: str) -> Iterator[tuple[int, int]]:
    for match in _LOGIN.finditer(text):
        kind = match.lastgroup
        value = match[kind].rpartition(":")[2] if kind == "url" else match[kind]
        if is_key(value) if kind == "header" else is_password(value):
            yield match.span(kind)


def _named(text: str, pattern: re.Pattern[str], is_one) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        value, start = match["value"].rstrip(".!?)]}|"), match.start("value")
        assigned = text[max(0, start - 4) : start].rstrip().endswith("=")
        variable = assigned and re.fullmatch(r"[a-z_]+\d", value)  # password = password1
        if len(value) > 5 and not variable and is_one(value):
            yield start, start + len(value)
