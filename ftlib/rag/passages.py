"""Long articles cut along their structure into passages that a search can find and a prompt can hold."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

# Scripts without spaces between words: each character counts as a word.
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    "\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uffef"  # Chinese, Japanese
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]{{1,100}}")  # a run of 100 characters without a space is no word
_LINE = re.compile(r"\r\n?|\n")
# A sentence ends before a space and anything but a small letter; an initial, "e.g." or "Dr." ends none.
_SENTENCE = re.compile(
    r"(?<![.!?…])(?<!\b[^\W\d_])(?<!\b[A-Z][a-z])[.!?…]+[\"'”’)\]*_]*\s+(?=[^\sa-z])|[。！？]+[」』”）]*(?=\S)"
)
# How good a place to cut is, best first: headings by their level 1 to 6, then the blocks of Markdown by their depth
# (paragraph, list or table; list item; ...), then lines of code, sentences, lines of prose. Where none is left: words.
_LAST_HEADING, _BLOCK, _CODE_LINE, _SENTENCE_END, _PROSE_LINE = 6, 7, 50, 60, 70


class _Heading(NamedTuple):
    start: int
    level: int
    text: str
    above: tuple[str, ...]  # texts of the headings it stands under


class _Outline(NamedTuple):
    """What the parser saw of a text; offsets in characters."""

    cuts: dict[int, int]  # offset to rank: the smaller, the better a place to cut
    headings: list[_Heading]
    tables: list[tuple[int, int, str]]  # from the first row, to the end, and the lines with the column names


def count_words(text: str) -> int:
    """Words as ``rag.passage_words`` counts them: runs without space, and single characters where a script has none."""
    return sum(1 for _ in _WORD.finditer(text))


def cut_all(documents: Iterable[Mapping], limit: int) -> list[dict]:
    """The passages of a knowledge base, in the order of its documents; see `cut`."""
    return [passage for document in documents for passage in cut(document, limit)]


def cut(document: Mapping, limit: int) -> list[dict]:
    """Cuts a document into passages of at most ``limit`` words, at the best places that its Markdown offers.

    A document of at most ``limit`` words stays as it is. A longer one is cut at its headings, the highest first; a
    section that is still too long at its paragraphs, lists, code and tables; these at list items, rows and lines,
    then sentences; a longer sentence at words. Neighbours that fit together stay together. A heading goes with what
    follows it. Every word of the text stands in one passage, in order.

    Args:
        document: ``{id, text, title?}``.
        limit: words, the breadcrumb's included.

    Returns:
        Passages ``{id, document, title, text, breadcrumb}``: ``document`` is the id of the document, ``id`` the same
        where it stays whole, else ``{document}#{n}`` from 1; ``text`` begins with ``breadcrumb``, the title and the
        headings above, and of a table that goes on the column names; it is empty where the text says so itself.
    """
    key, text, title = document["id"], document["text"], str(document.get("title") or "")
    about = {"document": document.get("document", key), "title": title}
    if count_words(text) <= limit:
        return [{"id": key, **about, "text": text, "breadcrumb": document.get("breadcrumb", "")}]
    knife = _Knife(text, title, limit)
    passages = []
    for number, (start, end) in enumerate(knife.divide(0, len(text)), start=1):
        breadcrumb, body = knife.breadcrumb(start), text[start:end].lstrip("\r\n").rstrip()
        passages.append({"id": f"{key}#{number}", **about, "text": breadcrumb + body, "breadcrumb": breadcrumb})
    return passages


class _Knife:
    """One text, where it can be cut, and what stands above each place."""

    def __init__(self, text: str, title: str, limit: int):
        self.text, self.title, self.limit = text, _one_line(title), limit
        self.outline = _read(text)
        self.places = sorted(self.outline.cuts)
        self.words = [match.start() for match in _WORD.finditer(text)]
        self.heads: dict[int, tuple[str, int]] = {}  # breadcrumb and its words, by offset

    def divide(self, start: int, end: int) -> list[tuple[int, int]]:
        """Pieces of the text from ``start`` to ``end`` that fit, side by side."""
        if self._fits(start, end):
            return [(start, end)]
        inside = self.places[bisect_right(self.places, start) : bisect_left(self.places, end)]
        if not inside:
            return self._by_words(start, end)
        rank = min(self.outline.cuts[place] for place in inside)
        bounds = [start, *(place for place in inside if self.outline.cuts[place] == rank), end]
        return self._pack([self.divide(*pair) for pair in pairwise(bounds)], whole_only=rank <= _LAST_HEADING)

    def breadcrumb(self, start: int) -> str:
        """What is said before a passage that begins at ``start``; at most half of the limit."""
        return self._head(start)[0]

    def _pack(self, parts: Sequence[list[tuple[int, int]]], whole_only: bool) -> list[tuple[int, int]]:
        # Pieces of a section that had to be cut are not mixed with the section beside it (whole_only).
        packed: list[tuple[int, int]] = []
        is_open = False
        for part in parts:
            joins = len(part) == 1 or not whole_only
            for start, end in part:
                if joins and is_open and self._fits(packed[-1][0], end):
                    packed[-1] = (packed[-1][0], end)
                else:
                    packed.append((start, end))
                is_open = joins
        return packed

    def _by_words(self, start: int, end: int) -> list[tuple[int, int]]:
        pieces = []
        while start < end:
            last = bisect_left(self.words, start) + self.limit - self._head(start)[1]
            stop = min(self.words[last], end) if last < len(self.words) else end
            pieces.append((start, stop))
            start = stop
        return pieces

    def _fits(self, start: int, end: int) -> bool:
        words = bisect_left(self.words, end) - bisect_left(self.words, start)
        return self._head(start)[1] + words <= self.limit

    def _head(self, start: int) -> tuple[str, int]:
        if start not in self.heads:
            text = self._shorten(self._names(start))
            columns = next((head for first, end, head in self.outline.tables if first < start < end), "")
            if columns and count_words(text + columns) <= self.limit // 2:
                text += columns
            self.heads[start] = text, count_words(text)
        return self.heads[start]

    def _names(self, start: int) -> tuple[str, ...]:
        headings = self.outline.headings
        at = bisect_right(headings, start, key=lambda heading: heading.start) - 1
        if at < 0:
            names: tuple[str, ...] = ()
        elif headings[at].start == start:
            names = headings[at].above
            if not names and _same(headings[at].text, self.title):
                return ()  # the passage begins with the title itself
        else:
            names = (*headings[at].above, headings[at].text)
        return names if not self.title or (names and _same(names[0], self.title)) else (self.title, *names)

    def _shorten(self, names: Sequence[str]) -> str:
        # Headings may be long: the title and the nearest ones say most.
        names, room = [name for name in names if name], self.limit // 2
        while len(names) > 1 and count_words(_crumb(names)) > room:
            names.pop(1)
        if not names or count_words(_crumb(names)) <= room:
            return _crumb(names)
        words = [match.end() for match in _WORD.finditer(names[0])]
        return _crumb([names[0][: words[room - 2]]]) if room > 1 else ""


def _crumb(names: Sequence[str]) -> str:
    return f"# {' > '.join(names)}\n\n" if names else ""


def _same(heading: str, title: str) -> bool:
    return heading.strip("# ") == title.strip("# ")  # a title is taken from its line, closing marks and all


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _read(text: str) -> _Outline:
    from markdown_it import MarkdownIt

    starts = [0, *(match.end() for match in _LINE.finditer(text)), len(text)]
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable(["inline"])  # blocks and their lines are enough
    outline, glued, after_heading = _Outline({}, [], []), {0}, False
    tokens = parser.parse(text)
    for at, token in enumerate(tokens):
        if token.map is None:
            continue
        first, last = token.map
        if token.level == 0:
            if after_heading:
                glued.add(first)  # a heading is never the end of a passage
            after_heading = token.type == "heading_open"
        rank = _BLOCK + token.level
        if token.type == "heading_open" and token.level == 0:
            rank = int(token.tag[1])
            outline.headings.append(_heading(starts[first], rank, tokens[at + 1].content, outline.headings))
        elif token.type == "tbody_open":
            glued.add(first)  # nor are column names
            outline.tables.append((starts[first], starts[last], text[starts[first - 2] : starts[first]]))
        elif token.type in ("fence", "code_block", "html_block"):
            outline.cuts.update((starts[line], _CODE_LINE) for line in range(first + 2, last - 1))
        elif token.type == "inline" and tokens[at - 1].type != "heading_open":
            _cut_prose(outline.cuts, text, starts[first : last + 1])
        if token.type != "inline" and first not in glued:
            outline.cuts.setdefault(starts[first], rank)
    return outline


def _heading(start: int, level: int, text: str, before: Sequence[_Heading]) -> _Heading:
    above: tuple[str, ...] = ()
    for other in reversed(before):
        if other.level < level:
            above = (*other.above, other.text)
            break
    return _Heading(start, level, _one_line(text), above)


def _cut_prose(cuts: dict[int, int], text: str, lines: Sequence[int]) -> None:
    for match in _SENTENCE.finditer(text, lines[0], lines[-1]):
        cuts.setdefault(match.end(), _SENTENCE_END)
    for place in lines[1:-1]:
        cuts.setdefault(place, _PROSE_LINE)
