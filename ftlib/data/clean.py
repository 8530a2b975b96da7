"""Text repair: what can be mended is mended and named, what can't is rejected with a reason.

`repair` is idempotent: it repeats its steps until nothing changes, because mending an encoding can bring an HTML
entity to light and an entity a tag.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import NamedTuple

_MOST_ROUNDS = 12  # nested damage deeper than this is left as it is found

# Only real tags: "<serial number>" and "x < 5" are text.
_TAGS = (
    "a|abbr|article|aside|b|big|blockquote|body|br|button|center|cite|code|dd|del|div|dl|dt|em|figure|font|footer|form"
    "|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|meta|nav|ol|option|p|pre|q|s|samp"
    "|script|section|select|small|span|strike|strong|style|sub|sup|svg|table|tbody|td|textarea|tfoot|th|thead|title"
    "|tr|tt|u|ul|var|video|details|summary|fieldset|legend"
    "|optgroup|nobr|colgroup|col|caption|figcaption|noscript|[ovw]:[a-z]+"  # the last as Word writes them
)
_TAG = re.compile(rf"(<!--.*?-->|<!doctype[^<>]*>|</?(?:{_TAGS})(?:\s[^<>]*)?/?>)", re.I | re.S)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_ENTITY = re.compile(r"&(?:#\d{2,6}|#x[0-9a-f]{2,6}|[a-z][a-z0-9]{1,20});", re.I)
_BLOCK = ["br", "p", "div", "li", "tr", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre"]
_INVISIBLE = re.compile(  # terminal codes, and characters
    "\x1b\\[[0-9;]*[A-Za-z]|[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_FILLERS = frozenset(
    (
        "n/a", "n.a", "na", "none", "null", "nan", "nil", "tbd", "tba", "tbc", "todo", "undefined", "empty",
        "no answer", "no reply", "no data", "no text", "not available", "not applicable", "not provided",
    )
)  # fmt: skip
_SPACES = re.compile(r"[^\S\n]{2,}|[^\S\n ]")  # single spaces are what is wanted, and nearly all there is
_EMPTY_LINES = re.compile(r"\n{3,}")

# Ends that no finished answer has: an ellipsis, an open bracket or quote, a comma, a word that needs another.
_CUT_END = re.compile(
    r"(?:\.\.\.|…|[,;:(\[{/&+]|\s[-–—]|\w-|[\[(](?:truncated|cut(?: off)?|\.\.\.|…|snip(?:ped)?|more|continued)[\])]"
    r"|(?:^|\s)(?:the|a|an|of|to|and|or|from|is|are|was|were|be|which|your|our|its|than|into|until|please|must"
    r"|should|will|can|if|when|as|between|because|whether))$",
    re.I,
)
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ("“", "”"))
_SENTENCE_WORDS = 7  # an answer this long that begins like a sentence has a full stop where people write them
_FULL_STOP = re.compile(r"[.!?:)\]}\"'”’»]$|[^\x00-\x7f]$")


class Repaired(NamedTuple):
    """A mended text and the names of the steps that changed it, in the order of their first effect."""

    text: str
    changes: tuple[str, ...]


def repair(text: str) -> Repaired:
    """Mends encoding, HTML and white space; `changes` holds some of `encoding`, `html`, `whitespace`.

    Repairing its text again changes nothing.
    """
    changes: dict[str, None] = {}
    for _ in range(_MOST_ROUNDS):
        whole = text
        for name, step in _STEPS.items():
            before, text = text, step(text)
            if text != before:
                changes.setdefault(name)
        if text == whole:
            break
    return Repaired(text, tuple(changes))


def mend_encoding(text: str) -> str:
    """Undoes UTF-8 that was read as another encoding (`GerÃ¤t` -> `Gerät`), through ftfy."""
    if text.isascii():
        return text
    import ftfy

    return ftfy.fix_encoding(text)


def strip_html(text: str) -> str:
    """HTML to text: tags of real HTML go, block tags leave a line break, entities are resolved."""
    if "<![" in text:
        text = _CDATA.sub(r"\1", text)
    if "<" in text and _TAG.search(text):
        text = _without_tags(text)
    if "&" in text and _ENTITY.search(text):
        text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    return text


def _without_tags(text: str) -> str:
    from bs4 import BeautifulSoup

    # Every second part is a tag; what only looks like one must survive the parser.
    parts = [part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(_TAG.split(text))]
    soup = BeautifulSoup("".join(parts), "lxml")
    for tag in soup(["script", "style"]):
        tag.decompose()
    for tag in soup.find_all(_BLOCK):
        tag.insert_before("\n")
        if tag.name != "br":
            tag.insert_after("\n")
    return re.sub(r"[^\S\n]*\n\s*", "\n", soup.get_text())


def tidy(text: str) -> str:
    """Line ends, terminal codes, invisible characters and runs of white space; at most one empty line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not (text.isascii() and text.replace("\n", "").isprintable()):  # else there is nothing invisible in it
        text = _INVISIBLE.sub("", text)
    text = _SPACES.sub(" ", text)
    if "\n" in text:
        text = _EMPTY_LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n")))
    return text.strip()


_STEPS = {"encoding": mend_encoding, "html": strip_html, "whitespace": tidy}


def is_empty(text: str) -> bool:
    """No letter and no digit, or one of the fillers that exports write for nothing."""
    return not any(char.isalnum() for char in text) or text.casefold().strip(" .-()[]<>") in _FILLERS


def is_truncated(text: str, *, punctuated: bool = False) -> bool:
    """The text ends where no sentence or value can: on a comma, an article, inside brackets, with an ellipsis.

    `punctuated` says that sentences of this data end with a full stop, so that a long one without is cut.
    """
    left_open = any(text.count(left) > text.count(right) for left, right in _PAIRS) or text.count('"') % 2 == 1
    without_end = punctuated and is_sentence(text, _SENTENCE_WORDS) and not _FULL_STOP.search(text)
    return bool(_CUT_END.search(text)) or left_open or without_end


def is_sentence(text: str, least_words: int = 4) -> bool:
    """Whether a text begins like a sentence (a capital, then lower case) and is long enough for one."""
    said = text.split()
    return len(said) >= least_words and text[0].isupper() and said[1][:1].islower() and "\n" not in text


def ends_sentences(texts: Iterable[str]) -> bool:
    """Whether nearly all sentences among these texts end with punctuation."""
    ended = [bool(_FULL_STOP.search(text)) for text in texts if is_sentence(text)]
    return len(ended) >= 20 and sum(ended) >= 0.8 * len(ended)
