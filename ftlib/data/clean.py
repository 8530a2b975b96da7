"""Text repair: what can be mended is mended and named; code, markup and laid-out text stay as they are.

`repair` is idempotent: it repeats its steps until nothing changes, because mending an encoding can bring an HTML
entity to light and an entity a tag.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ftlib.data import language, markup

STEPS = ("encoding", "html", "whitespace")
_MOST_ROUNDS = 12  # nested damage deeper than this is left as it is found

_TAG = re.compile(
    rf"(<!--.*?-->|<!doctype[^<>]*>|</?(?:{markup.HTML_TAGS})(?:\s[^<>]*)?\s*/?\s*>)", re.I | re.S
)  # fmt: skip
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_ENTITY = re.compile(r"&(?:#\d{2,6}|#x[0-9a-f]{2,6}|[a-z][a-z0-9]{1,20});", re.I)
_LONE_AND = re.compile(r"&(?!#?\w+;)")
_BLOCK = ["br", "p", "div", "li", "tr", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre"]
_BREAK = "\ue000"  # stands for a line break that a tag meant; for private use, so no text has it
_BREAKS = re.compile(rf"\s*{_BREAK}[\s{_BREAK}]*")

_INVISIBLE = re.compile(  # terminal codes, and characters that no text needs
    "\x1b\\[[0-9;]*[A-Za-z]|[\u00ad\u200b\u2060-\u2064\ufeff\x00-\x08\x0e-\x1f\x7f]"
    # Joiners and marks of direction belong to emoji and to Arabic, Hebrew, Indian scripts; between ASCII they are lost.
    "|(?<![^\x00-\x7f])[\u200c-\u200f\u202a-\u202e]+(?![^\x00-\x7f])"
)
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029\x85]")
_SPACES = re.compile("[ \xa0\u2000-\u200a\u202f]{2,}|[\xa0\u2000-\u200a\u202f]")
_EMPTY_LINES = re.compile(r"\n\s*\n\s*\n")
_TRAILING = re.compile(r" +$", re.M)
_UNTIDY = re.compile("  | \n|[\xa0\u2000-\u200a\u202f]|\n\\s*\n\\s*\n")
_FIRST_LINES = re.compile(r"\A(?:[^\S\n]*\n)+")

_FOREIGN_RUN = re.compile(r"[^\x00-\x7f]+")
# UTF-8 read as one of these, which ftfy does not try or not always, and what the result must be made of: correct text
# gives other characters.
_WESTERN = re.compile("[\xa0-\u017f\u2010-\u203a\u20ac\u2122]+")
_CYRILLIC = re.compile("[\xa0-\xff\u2010-\u203a\u20ac\u0400-\u04ff]+")
_HAN = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]{2,}")
_MISREAD = {
    "cp437": _WESTERN,
    "cp850": _WESTERN,
    "cp1251": _CYRILLIC,
    "cp866": _CYRILLIC,
    "koi8-r": _CYRILLIC,
    "gbk": _HAN,
}
# Words of accented letters alone are of another script that was read as Latin-1.
_ACCENTED_WORD = re.compile("[\xc0-\xd6\xd8-\xf6\xf8-\xff]{4,}")
_OTHER_SCRIPTS = (("cp1251", ("ru", "uk", "bg")), ("koi8-r", ("ru",)), ("cp1253", ("el",)), ("cp1255", ("he",)))
# A word with one odd sign in it, and the pairs of encodings of one byte that are taken for each other.
_ODD_WORD = re.compile(r"[A-Za-z]*[^\x00-\x7f\s](?:[A-Za-z]|[^\x00-\x7f\s])*")
_SWAPPED = (("cp1252", "mac_roman"), ("mac_roman", "cp1252"), ("cp1252", "cp850"), ("cp850", "cp1252"))
_LOST, _ACCENTED = "\ufffd", "àáâãäåæçèéêëìíîïñòóôõöøùúûüýßœčšžłńśźżąęěřů’"


class Repaired(NamedTuple):
    """A mended text and the names of the steps that changed it, in the order of their first effect."""

    text: str
    changes: tuple[str, ...]


def repair(text: str, steps: Sequence[str] = STEPS, *, markup_is_subject: bool = False) -> Repaired:
    """Mends encoding, HTML and white space; repairing the text again changes nothing.

    Args:
        steps: which of `STEPS` are taken.
        markup_is_subject: tags and entities are what the text is about (see `markup.is_about_markup`) and stay.
    """
    changes: dict[str, None] = {}
    taken = [name for name in STEPS if name in steps and not (name == "html" and markup_is_subject)]
    for _ in range(_MOST_ROUNDS):
        whole = text
        for name in taken:
            before, text = text, _STEPS[name](text)
            if text != before:
                changes.setdefault(name)
        if text == whole:
            break
    return Repaired(text, tuple(changes))


def mend_encoding(text: str) -> str:
    """Undoes text that was read in another encoding (`GerÃ¤t` -> `Gerät`), through ftfy and what it does not try."""
    if text.isascii():
        return text
    import ftfy

    text = _ACCENTED_WORD.sub(lambda match: _in_its_script(match.group()), ftfy.fix_encoding(text))
    text = _FOREIGN_RUN.sub(lambda match: _as_utf8(match.group()), text)
    return _ODD_WORD.sub(lambda match: _as_word(match.group()), text)


def _as_utf8(run: str) -> str:
    """A run of characters that are the bytes of UTF-8 in one of the encodings, as what it was."""
    for encoding, made_of in _MISREAD.items() if len(run) > 1 else ():
        found = _recoded(run, encoding, "utf-8")
        if found and made_of.fullmatch(found):
            return found
    return run


def _recoded(text: str, read_as: str, written_as: str) -> str:
    try:
        return text.encode(read_as).decode(written_as)
    except UnicodeError:
        return ""


@lru_cache(maxsize=1 << 12)
def _in_its_script(word: str) -> str:
    """A word read as Latin-1, in the script in which it is a word."""
    from wordfreq import zipf_frequency

    for encoding, languages in _OTHER_SCRIPTS:
        found = _recoded(word, "latin-1", encoding)
        if found and any(zipf_frequency(found, language) for language in languages):
            return found
    return word


@lru_cache(maxsize=1 << 14)
def _as_word(word: str) -> str:
    """A word of no language, in the one way in which it is a common word of one."""
    known = language.western_words()
    quoted = word[0] in "“‘„–—…«" or word[-1] in "”’“‘–—…»›"  # the sign belongs to the sentence
    if quoted or word.casefold() in known or len(word) < 4 or not any(char.isascii() for char in word):
        return word
    found = {_recoded(word, *pair) for pair in _SWAPPED}
    if word.count(_LOST) == 1:
        found = {word.replace(_LOST, letter) for letter in _ACCENTED}
    words = {candidate for candidate in found if candidate.casefold() in known}
    return words.pop() if len(words) == 1 else word


def has_tags(text: str) -> bool:
    """Whether real HTML tags stand in a text."""
    return "<" in text and bool(_TAG.search(text))


def strip_html(text: str) -> str:
    """HTML debris to text: tags of real HTML go, block tags leave a line break, entities are resolved.

    Quoted code, XML and programs stay, and so does a text of which nothing would be left.
    """
    if not ("<" in text or "&" in text) or not (_TAG.search(text) or _ENTITY.search(text) or "<![" in text):
        return text
    if markup.is_source(text):
        return text
    stripped = markup.outside_code(text, visible_text)
    return stripped if stripped.strip() else text


def visible_text(text: str) -> str:
    """What a browser would show of a text with HTML in it."""
    if "<![" in text:
        text = _CDATA.sub(r"\1", text)
    if "<" in text and _TAG.search(text):
        text = _without_tags(text)
    return _ENTITY.sub(lambda match: html.unescape(match.group()), text) if "&" in text else text


def _without_tags(text: str) -> str:
    from bs4 import BeautifulSoup

    # Every second part is a tag; what only looks like one, or like an entity, must survive the parser.
    parts = _TAG.split(text)
    parts[::2] = [_LONE_AND.sub("&amp;", part).replace("<", "&lt;") for part in parts[::2]]
    soup = BeautifulSoup("".join(parts), "lxml")
    for tag in soup(["script", "style"]):
        tag.decompose()
    for tag in soup.find_all(_BLOCK):
        tag.insert_before(_BREAK)
        if tag.name != "br":
            tag.insert_after(_BREAK)
    return _BREAKS.sub(lambda match: "\n\n" if re.search(r"\n\s*\n", match.group()) else "\n", soup.get_text())


def tidy(text: str) -> str:
    """Line ends, terminal codes and invisible characters; in prose also runs of blanks and of empty lines."""
    if not (text.isascii() and text.replace("\n", "").isprintable()):  # else there is nothing invisible in it
        text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    if _UNTIDY.search(text) and not markup.is_laid_out(text):
        text = _TRAILING.sub("", _EMPTY_LINES.sub("\n\n", _SPACES.sub(" ", text)))
    text = _FIRST_LINES.sub("", text.rstrip())
    return text if "\n " in text or "\n\t" in text else text.lstrip()  # the first line as indented as others are


_STEPS = {"encoding": mend_encoding, "html": strip_html, "whitespace": tidy}
