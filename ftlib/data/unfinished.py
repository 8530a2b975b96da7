"""Answers that are none: empty ones, and ones that end in the middle.

A short answer may look like either: "None", "+" and "C++" are sound where the question asks for them. So the question
is read too, and what only may be empty is never taken out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ftlib.data import clean, markup
from ftlib.data.language import frequencies

# What exports and spreadsheets write for nothing; language by language, after the signs that stand in all of them.
_SURELY = re.compile(
    r"#?n\.? ?/ ?a\.?|n\.a|#(?:ref|value|name|div/0|null|num)!?|tb[dac]|todo|fixme|empty|blank|deleted|removed|redacted"
    r"|(?:(?:please )?see|same as|as) (?:above|below|attached|attachment|previous(?: (?:answer|question|reply))?)"
    r"|no (?:answer|reply|response|data|text|info(?:rmation)?)(?: (?:provided|given|available|found|yet))?"
    r"|not (?:available|applicable|provided|specified|answered|given|set)"
    r"|to be (?:added|done|defined|determined|written)"
    r"|answer (?:goes )?here|placeholder|pending|lorem ipsum.*"
    r"|k\. ?a|keine angaben?|keine antwort|siehe oben|s\. ?o|wird nachgereicht"
    r"|sans réponse|non (?:disponible|renseigné)|voir (?:ci-dessus|plus haut)|à compléter"
    r"|sin (?:respuesta|datos)|no (?:disponible|aplica)|ver arriba|por definir"
    r"|暂无(?:答案|回答|数据)?|同上|待补充|未填写|空|нет (?:ответа|данных)|см\. выше"
)
_PERHAPS = re.compile(
    r"none|null|nil|nan|na|undefined|unknown|nothing|void|keine?|rien|aucune?|nada|nenhuma?|нет|无|なし"
)
_AROUND = " .-–—_()[]<>{}'\"*:;,!…"
# Questions to which a sign or a term is the answer.
_ASKS_SIGN = re.compile(
    r"\b(?:symbol|sign(?! (?:up|in|on|off|out))|character|operator|letter|punctuation|wildcard|separator"
    r"|delimiter|abbreviat\w+|acronym|keyword|emoji|emoticon|notation|marks?|dots?|stands? for"
    r"|written in|spell\w*|tag|entity|glyph"
    r"|zeichen|operator|buchstabe|abkürzung|satzzeichen|schreibt man|signe|symbole|caractère|opérateur|lettre"
    r"|abréviation|símbolo|signo|carácter|operador|letra|abreviatura)\b|符号|字符|运算符|记号",
    re.I,
)
_QUESTION = re.compile(r"[?？]|^\W*(?:which|what|welche|wie|quel|quelle|qual|qué|cuál)\b", re.I)  # no order to write
# Questions to which nothing, or no number, may be the answer.
_ASKS_SHORT = re.compile(
    r"^\W*(?:which|what|who|whose|whom|when|where|how (?:many|much|often|old)|is|are|was|were|do|does|did|has|have|can"
    r"|welche\w*|was|wer|wie ?viele?|quel\w*|qui|combien|cuál\w*|cuánt\w*|quién\w*|qué|qual|quant[oaie]s?)\b"
    r"|\b(?:which|what|how (?:many|much)|if any)\b.*\?|多少|几个|哪",
    re.I,
)

_ENDED = re.compile(r"[.!?。！？｡।॥؟።…\]})>\"'”’“‘»«›*_`~|/\\%°$€£+=&#@^]$|[\d０-９]$")
_LIST_MARK = re.compile(r"\n[^\S\n]*(?:\(?\d{1,3}[.)]|[-*•])\s*$")
_LISTED = re.compile(r"^[^\S\n]*(?:\(?\d{1,3}[.)]|[-*•])\s+\S", re.M)
_LAST_WORD = re.compile(r"([^\W\d_]+(?:['’][^\W\d_]+)?)$")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE = re.compile(r"(?<!\n\d)(?<!^\d)[.!?。！？]['\"”’)]*\s")
_MARKED = re.compile(r"[\[(](?:truncated|cut(?: off)?|snip(?:ped)?|more|continued|gekürzt|tronqué|截断)[\])]$", re.I)
# Where a data set is too small to show them: words of which surely none is a last one, language by language.
_NEVER_LAST = {
    "en": "the a an of and or to from with your our their my its his than into every at which whose because is are was"
    " were be unless while although whether if between during within such these i we they he she",
    "de": "der die das dem den des ein eine einen einem einer und oder von vom im zum zur für wenn weil dass sehr",
    "fr": "le la les l un une des du de d et ou à au aux pour avec dans sur que qui ne leur mes ses vos nos",
    "es": "el la los las un una de del y o a al para con en que se su sus por mi tu",
    "it": "il lo la i gli le un una di del della e o a al per con in che si nel",
    "pt": "o a os as um uma de do da dos das e ou ao para com em no na que se por seu sua",
    "nl": "de het een van en of naar met voor in op die dat zijn",
}
_OPEN_END = re.compile(r"\s[-–—(\[{“„]$|[^\W\d_]{2}-$|\w[(\[{]$")
_LEFT_OPEN = re.compile(r"(?:^|\s)[(\[“„\"][^)\]”“\"]*$")
_NO_PROSE = re.compile(r"[\n#/]|\d\.\s")
_STUMP = 100  # longer words that begin so are this much more frequent than the word itself
_LEAST_WORDS = 4  # a shorter answer may be a name, a grade, a value
_SENTENCE_WORDS = 6  # a last sentence longer than this has a full stop where all have one
_LEARNED_WORDS = 300_000  # as many words say which never end a sentence
_INNER_SHARE, _INNER_SEEN, _INNER_ENDS = 0.0008, 20, 0.01


def emptiness(text: str, question: str = "", *, markup_is_subject: bool = False) -> str:
    """Whether nothing is said: "surely", "perhaps" (a filler that could be an answer to something) or "".

    Args:
        text: an answer, or a question.
        question: what the answer is to; it may ask for a sign, a number or a term.
        markup_is_subject: tags say something (see `markup.is_about_markup`).
    """
    if len(text) > 60 and not text.lstrip().startswith(("<", "&")):
        return ""
    tags_count = markup_is_subject or "src=" in text or "href=" in text  # a picture or a link is something
    shown = clean.tidy(text if tags_count else clean.visible_text(text))
    if not any(unicodedata.category(char)[0] not in "ZC" for char in shown):
        return "" if text.strip() and _asks_sign(question) else "surely"
    core = shown.casefold().strip(_AROUND)
    if not any(char.isalnum() for char in shown):
        # A sign of mathematics, of a currency, an emoji says something; a dash or dots do not.
        says = any(unicodedata.category(char)[0] == "S" and char not in "|`^~" for char in shown)
        return "" if says or _asks_sign(question) else "surely"
    if _SURELY.fullmatch(core):
        return "" if _asks_sign(question) else "surely"
    if _PERHAPS.fullmatch(core):
        return "" if _asks_sign(question) or _ASKS_SHORT.search(question) else "perhaps"
    return ""


def _asks_sign(question: str) -> bool:
    return bool(_ASKS_SIGN.search(question) and _QUESTION.search(question))


class Ends(NamedTuple):
    """How texts of this data end.

    Attributes:
        punctuated: whether nearly all that have several sentences end with punctuation.
        inner: words that are frequent and never end a sentence ("the", "und", "les"), case-folded.
        words: all words that are seen more than once before the last, case-folded.
    """

    punctuated: bool = False
    inner: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()


def learn_ends(texts: Iterable[str], usual: frozenset[str] = frozenset()) -> Ends:
    """Learns from answers how they end; as many are read as it needs.

    `usual` are the most frequent words of their language (`language.function_words`), where it is known.
    """
    seen: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    several = ended = 0
    for text in texts:
        said = [word.casefold() for word in _WORD.findall(text)]
        seen.update(said)
        inside.update(said[:-1])  # a cut word may be cut in many rows
        sentences = _SENTENCE.split(text)
        if len(sentences) > 1 and not _LISTED.search(text):
            several, ended = several + 1, ended + bool(_ENDED.search(text))
        last = (_LAST_WORD.search(sentence.rstrip(" \n.!?。！？'\"”’)…:,;")) for sentence in sentences)
        ends.update(word[1] for word in last if word and word[1].islower())  # "vitamin A." is another word
        if seen.total() > _LEARNED_WORDS:
            break
    least = max(_INNER_SEEN, _INNER_SHARE * seen.total())
    often = (word for word, n in seen.items() if n >= least and ends[word] <= _INNER_ENDS * n)
    inner = frozenset(word for word in often if not usual or word in usual)
    return Ends(
        several >= 50 and ended >= 0.97 * several, inner, frozenset(word for word, n in inside.items() if n > 1)
    )


_UNKNOWN = Ends()


def truncation(text: str, ends: Ends = _UNKNOWN, language: str | None = None) -> str:
    """By what an answer shows that it ends in the middle; "" where it does not.

    `ends` say how texts of this data end; the language (ISO 639-1) which words are cut themselves.
    """
    text = text.rstrip()
    if markup.unclosed_fence(text):
        return "open code block"
    if _MARKED.search(text):
        return "marked as cut"
    if len(_LISTED.findall(text)) > 1 and _LIST_MARK.search(text):
        return "empty list item"
    said = text.removesuffix("...").rstrip("…").rstrip() if text.endswith(("...", "…")) else text
    if (said == text and _ENDED.search(text)) or len(text) < 15 or "```" in text or markup.is_code(text):
        return ""
    return _cut_end(said, ends, language, ellipsis=said != text)


def _cut_end(text: str, ends: Ends, language: str | None, *, ellipsis: bool) -> str:
    last = text.rsplit("\n", 1)[-1]
    sentence = _SENTENCE.split(last)[-1]
    words = _WORD.findall(last)
    solid = len(last) > 12 and len(last.split()) == 1 and not last.isascii()  # a script without spaces
    if last.endswith((",", "，", "、")) and (len(words) > _LEAST_WORDS or solid):  # "Dear Ms Lund," is whole
        return "comma"
    if last.endswith((":", "：")) and ((len(_WORD.findall(sentence)) > 2 and not _LISTED.match(sentence)) or solid):
        return "colon"
    if len(words) < _LEAST_WORDS:
        return ""
    if _OPEN_END.search(last):
        return "hyphen, dash or open bracket"
    if _LEFT_OPEN.search(sentence) and sentence.count('"') != 2:
        return "open bracket or quote"
    word = _LAST_WORD.search(last)
    if not word:
        return ""
    prose = _SENTENCE.search(text) or ("\n" not in text and text[:1].isupper())  # no verse, no list, no words to sort
    inner = word[1] in ends.inner or word[1] in _NEVER_LAST.get(language or "", "").split()
    if prose and inner and not last.endswith(tuple(sign + word[1] for sign in "-/.")):
        return "word that ends no sentence"
    said = {each.casefold() for each in words}  # a list of names has no words that only join others
    if (
        language
        and word[1].islower()
        and word[1] not in ends.words
        and said & ends.inner
        and _is_stump(word[1], language)
    ):
        return "cut word"
    stopped = ends.punctuated and not ellipsis and _SENTENCE.search(text) and not _NO_PROSE.search(text)
    if stopped and word[1].islower() and len(sentence.split()) > _SENTENCE_WORDS:
        return "no full stop"
    return ""


@lru_cache(maxsize=4)
def _stems(language: str) -> dict[str, float]:
    """beginning of words -> how frequent longer words are that begin so, as a share of all words."""
    found: dict[str, float] = defaultdict(float)
    for word, share in frequencies(language).items():
        for size in range(2, min(len(word), 9)):
            found[word[:size]] += share
    return found


@lru_cache(maxsize=1 << 14)
def _is_stump(word: str, language: str) -> bool:
    """Whether this is far more often the beginning of a word of the language than a word."""
    return _stems(language).get(word, 0) > _STUMP * max(frequencies(language).get(word, 0), 1e-7)
