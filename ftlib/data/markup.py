"""Code and markup: texts whose spaces, line breaks and tags are what they say, and no debris of an export.

Everything here errs towards "this is code": code taken for prose is destroyed, prose taken for code keeps a blank too
many.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

# Only real tags: "<serial number>" and "x < 5" are text. The last are as Word writes them.
HTML_TAGS = (
    "a|abbr|article|aside|audio|b|big|blockquote|body|br|button|canvas|center|cite|code|dd|del|div|dl|dt|em|figure"
    "|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|marquee|meta|nav"
    "|ol|option|p|pre|q|s|samp|script|section|select|small|span|strike|strong|style|sub|sup|svg|table|tbody|td"
    "|textarea|tfoot|th|thead|time|title|tr|tt|u|ul|var|video|details|summary|fieldset|legend"
    "|optgroup|nobr|colgroup|col|caption|figcaption|noscript|[ovw]:[a-z]+"
)
# A row with one of these words in what was asked or said before is about markup. Most are the same in all languages.
_ABOUT = re.compile(
    r"(?<![a-z])(?:[dx]?html\d?|xml|xslt?|xhtml|css|svg|jsx|tsx|jinja|markup|markdown|mark-up|tags?|divs?|php|asp|dom"
    r"|vue|react|angular|javascript|typescript|jquery|bootstrap|web ?(?:page|site|design|form)e?n?s?|webseite\w*"
    r"|page web|sitio web|página web|balises?|etiquetas? html|(?:source|this|following) code"
    r"|code (?:snippet|block|example)s?|snippet)(?![a-z])"
    r"|网页|标签|網頁|標籤|ウェブ|タグ|тег",
    re.I,
)
_ANY_TAG = re.compile(r"<[^<>]*>")  # tags of an export round a question do not say what it is about ...
_LONE_TAG = re.compile(r"[^<>]*\w[^<>]*\s<(?!br|p|hr|li)\w+>(?:\s[^<>]*)?\?\s*")  # ... but "What is <em> for?" does
_FENCED = re.compile(r"(^[ \t]*(?:```|~~~).*?(?:^[ \t]*(?:```|~~~)[ \t]*$|\Z)|`[^`\n]+`|```.*?```)", re.M | re.S)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.M)
# Signs of code in a line; prose has one now and then, so they are counted.
_CODE_LINE = re.compile(
    r"^\s*(?:def|class|function|func|fn|sub|interface|struct|enum)\s+\w+\s*[(:{<]"
    r"|^\s*(?:import|from|using|package|require|include)\s+[\w.*\"'{]+\s*(?:;|$|import\b|as\b)|^\s*#(?:include|define|!/)"
    r"|^\s*(?:public|private|protected|static|const|let|var|int|void|double|float|char|string|bool|final)\s+[\w<>\[\]]+.*[;{=(]"
    r"|^\s*(?:if|for|while|elif|else|try|except|with|switch|catch|do|return)\b.*[:{;]\s*$"
    r"|[{}]\s*$|[)\]\"'}]\s*;\s*$|^\s*[})\]]+[;,]?\s*$|^\s*(?://|/\*|\*/|<\?|<%|--\s)|\)\s*\{|=>|&&|\|\||[!=]==?\s|[-+*/|&^]=\s|::\w"
    r"|^\s*[A-Za-z_$][\w.\[\]'\"]*\s*:?=\s*\S|\b\w+(?:\.\w+)*\([^()\s]*\)\s*$|[A-Za-z_]\w*\.[a-z_]\w*\(|^\s*(?:\$|>>>|C:\\>)\s"
    r"|^\s*(?:SELECT|INSERT\s+INTO|CREATE\s+(?:TABLE|VIEW|INDEX)|DELETE\s+FROM|ALTER\s+TABLE)\b"
    r"|^\s*(?:FROM|WHERE|GROUP\s+BY|ORDER\s+BY|(?:INNER|LEFT|RIGHT)\s+JOIN)\b"
)
_CODE_SHARE = 0.3  # of the characters, in lines that show a sign
# Any of these and the text's own spaces stay: code, tables, formulas, quoted output.
_LAID_OUT = re.compile(r"[={}|<>\\`\t\u2500-\u259f]|\w\(")
_INNER_RUN = re.compile(r"\S {2,}\S")
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|&(?:amp;)*#?\w+;", re.I | re.S)
_NO_HTML = re.compile(
    rf"</(?!(?:{HTML_TAGS})\s*>)[A-Za-z][\w:.-]*\s*>|<(?!(?:{HTML_TAGS})\b)[A-Za-z][\w:.-]*(?:\s[^<>]*)?/>", re.I
)


def is_code(text: str) -> bool:
    """Whether a text is a program, a query or a configuration, or has a fenced block of one in it."""
    if "```" in text or "~~~" in text:
        return bool(_FENCE.search(text))
    lines = text.split("\n")
    marked = sum(len(line) for line in lines if _CODE_LINE.search(line))
    return marked > _CODE_SHARE * (len(text) - len(lines) + 1)


def is_laid_out(text: str) -> bool:
    """Whether spaces and empty lines may carry meaning: code, a table, ASCII art, indented verse."""
    if _LAID_OUT.search(text):
        return True
    lines = text.split("\n")
    indented = sum(line.startswith(" ") and not line.isspace() for line in lines)
    return indented > 1 or len(lines) > 1 < sum(bool(_INNER_RUN.search(line)) for line in lines)


def is_about_markup(said: Iterable[str]) -> bool:
    """Whether what was asked, and said before, is about markup, so that tags are the subject of the answer."""
    return any(_ABOUT.search(_ANY_TAG.sub(" ", text)) or _LONE_TAG.fullmatch(text) for text in said)


def is_source(text: str) -> bool:
    """Whether tags in a text were written to be read: XML, a program that prints them, indented source."""
    shown = _HIDDEN.sub("", text)
    indented = sum(line.startswith(("  ", "\t")) and line.lstrip().startswith("<") for line in shown.split("\n"))
    return indented > 1 or bool(_NO_HTML.search(shown)) or is_code(shown)


def outside_code(text: str, step: Callable[[str], str]) -> str:
    """The text with a step taken in all of it but fenced blocks and `quoted code`."""
    if "`" not in text and "~~~" not in text:
        return step(text)
    parts = _FENCED.split(text)  # every second one is code
    return "".join(part if number % 2 or not part else step(part) for number, part in enumerate(parts))


def unclosed_fence(text: str) -> bool:
    """Whether the last fenced block has no end."""
    return ("```" in text or "~~~" in text) and len(_FENCE.findall(text)) % 2 == 1
