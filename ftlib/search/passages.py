"""Long articles cut along their structure into passages that a search can find and a prompt can hold."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

# Scripts without spaces between words: each character counts as a word.
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
    "\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uffef"  # Chinese, Japanese
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]{{1,100}}")  # a run of 100 characters without a space is no word
_SIGN = re.compile(rf"[{_UNSPACED}]")
_LINE = re.compile(r"\r\n?|\n")
_BLANK = re.compile(r"(?:[^\S\r\n]*(?:\r\n?|\n))*")  # lines of white space
_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s)|[。！？]+[」』”）]*|\n")


class _Outline(NamedTuple):
    """What stands above each place of a text; offsets in characters."""

    starts: list[int]  # of the headings
    ends: list[int]
    names: list[tuple[str, ...]]  # texts of the headings above each, its own last
    tables: list[tuple[int, int, str]]  # from the first row, to the end, and the lines with the column names


def count_words(text: str) -> int:
    """Words as `rag.passage_words` counts them: runs without space, and single characters where a script has none."""
    return sum(1 for _ in _WORD.finditer(text))


def unspaced_share(texts: Iterable[str]) -> float:
    """Share of the words (see `count_words`) in scripts that put no spaces between words; 0 where there are none."""
    signs = words = 0
    for text in texts:
        words += count_words(text)
        signs += sum(1 for _ in _SIGN.finditer(text))
    return signs / words if words else 0.0


def cut_articles(documents: Iterable[Mapping], limit: int) -> list[dict]:
    """The passages of a knowledge base, in the order of its documents; see `cut_article`."""
    return [passage for document in documents for passage in cut_article(document, limit)]


def cut_article(document: Mapping, limit: int) -> list[dict]:
    """Cuts a document into passages of at most `limit` words, at the best places that its Markdown offers.

    A document of at most `limit` words stays as it is. A longer one is cut by `semantic_text_splitter`: at its
    headings, the highest first, then at blocks, list items and rows, sentences, words; neighbours that fit together
    stay together. A heading goes with what follows it. No character but white space is lost or said twice.

    Args:
        document: `{id, text, title?}`.
        limit: words, the breadcrumb's included.

    Returns:
        Passages `{id, document, title, text, breadcrumb}`: `document` is the id of the document, `id` the same where
        it stays whole, else `{document}#{n}` from 1; `text` begins with `breadcrumb`, the title and the headings
        above, and of a table that goes on the column names; it is empty where the text says so itself.
    """
    from semantic_text_splitter import MarkdownSplitter

    key, text, title = document["id"], document["text"], _one_line(str(document.get("title") or ""))
    about = {"document": document.get("document", key), "title": str(document.get("title") or "")}
    if count_words(text) <= limit:
        return [{"id": key, **about, "text": text, "breadcrumb": document.get("breadcrumb", "")}]
    outline = _read(text)

    def breadcrumb(start: int) -> str:
        return _breadcrumb(outline, title, start, limit // 2)

    said = [breadcrumb(start + 1) for start in (0, *(first for first, _, _ in outline.tables))]
    said += [breadcrumb(start) + text[start:end] for start, end in zip(outline.starts, outline.ends, strict=True)]
    room = min(limit // 2, max(map(count_words, said)))
    splitter = MarkdownSplitter.from_callback(count_words, max(1, limit - room), trim=False)
    places = _between_words(text, (place for place, _ in splitter.chunk_indices(text)))
    spans = _by_section([*places, len(text)], outline.starts)
    spans = _join_headings(
        text, spans, outline, lambda start, end: count_words(breadcrumb(start) + text[start:end]) <= limit
    )
    crumbs = [(breadcrumb(start), text[start:end].rstrip()) for start, end in spans]
    return [
        {"id": f"{key}#{number}", **about, "text": crumb + body, "breadcrumb": crumb}
        for number, (crumb, body) in enumerate(crumbs, start=1)
    ]


def shorten(text: str, fits: Callable[[str], bool]) -> str:
    """The longest beginning of a passage that fits, up to the end of a sentence where that loses less than half.

    Of a text that `fits` every beginning does. White space at the end goes; "" where not even the first line of prose
    begins to fit.
    """
    ends = [match.end() for match in _WORD.finditer(text)]
    count = bisect_left(ends, True, key=lambda end: not fits(text[:end]))
    if count == len(ends):
        return text
    cut = text[: ends[count - 1]] if count else ""
    sentence = max((match.end() for match in _SENTENCE.finditer(cut)), default=0)
    cut = (cut[:sentence] if sentence > len(cut) / 2 else cut).rstrip()
    lines = (line.strip() for line in cut.splitlines())
    return cut if any(line and not line.startswith("#") for line in lines) else ""


def _between_words(text: str, places: Iterable[int]) -> list[int]:
    """Places to cut at, none inside a word (the splitter tears `or/and`) and none before blank lines."""
    words = [match.span() for match in _WORD.finditer(text)]
    ends, found = [end for _, end in words], set()
    for place in places:
        at = bisect_right(ends, place)
        torn = at < len(words) and words[at][0] < place
        found.add(words[at][0] if torn else _BLANK.match(text, place).end())
    return sorted(found - {len(text)})


def _by_section(places: Sequence[int], headings: Sequence[int]) -> Iterator[tuple[int, int]]:
    """From place to place; the rest of a section that was cut is not mixed with the next one."""
    for number, (start, end) in enumerate(pairwise(places)):
        at = bisect_left(headings, start)
        if number and at < len(headings) and start < headings[at] < end:
            yield start, headings[at]
            start = headings[at]
        yield start, end


def _join_headings(
    text: str, spans: Iterable[tuple[int, int]], outline: _Outline, fits: Callable[[int, int], bool]
) -> list[tuple[int, int]]:
    """A heading that the splitter left alone goes with what follows it."""
    joined: list[tuple[int, int]] = []
    alone, headings = False, dict(zip(outline.starts, outline.ends, strict=True))
    for start, end in spans:
        if alone and fits(joined[-1][0], end):
            joined[-1] = (joined[-1][0], end)
        elif text[start:end].strip():
            joined.append((start, end))
        alone = start + len(text[start:end].rstrip()) <= headings.get(start, -1)
    return joined


def _breadcrumb(outline: _Outline, title: str, start: int, room: int) -> str:
    """What is said before a passage that begins at `start`; at most `room` words."""
    at = bisect_right(outline.starts, start) - 1
    names = outline.names[at] if at >= 0 else ()
    if at >= 0 and outline.starts[at] == start:
        names = names[:-1]  # the passage says its own heading
        if not names and _same(outline.names[at][0], title):
            return ""
    if title and not (names and _same(names[0], title)):
        names = (title, *names)
    text = _shortened([name for name in names if name], room)
    columns = next((head for first, end, head in outline.tables if first < start < end), "")
    return text + columns if columns and count_words(text + columns) <= room else text


def _shortened(names: list[str], room: int) -> str:
    # Headings may be long: the title and the nearest ones say most.
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

    lines = [0, *(match.end() for match in _LINE.finditer(text)), len(text)]
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable(["inline"])  # blocks and their lines are enough
    outline, above = _Outline([], [], [], []), dict[int, str]()
    tokens = parser.parse(text)
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0:
            level = int(token.tag[1])
            above = {each: name for each, name in above.items() if each < level}
            above[level] = _one_line(content.content)
            outline.starts.append(lines[token.map[0]])
            outline.ends.append(lines[token.map[1]])
            outline.names.append(tuple(above.values()))
        elif token.type == "tbody_open":
            first, last = token.map
            outline.tables.append((lines[first], lines[last], text[lines[first - 2] : lines[first]]))
    return outline
