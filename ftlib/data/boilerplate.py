"""Greetings, signatures and empty phrases: text that says nothing about the question.

Phrases are learned from the data (the same sentence at the edge of many different answers) beside the few that every
support desk writes. They are taken off only where `data.mend` asks for it, and an answer is called empty by the few
alone. Those are English; in another language only what is learned is taken off.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ftlib.data.similar import normal_form

_LEAST_ROWS = 5  # a phrase must stand at the edge of this many different texts ...
_LEAST_SHARE = 0.001  # ... and of this share of all rows
_REMEMBERED = 200_000  # phrases counted at once; rare ones are forgotten beyond that

_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|\n")
_GREETING = re.compile(
    r"^(?:(?:hi|hello|hey|dear|greetings|good (?:morning|afternoon|evening|day))\b(?:[ ,]+(?:there|all|team|everyone"
    r"|support|sir|madam|or|sirs|folks|(?:the )?(?-i:[A-Z])\w+(?: (?:support|service))?(?: team)?)\b)*"
    r"\s*[,!.:–-]+\s*)+",
    re.I,
)
_CLOSING = re.compile(
    r"(?:^|(?<=[.!?\n\s]))(?:(?:(?:kind|best|warm|many) regards|regards|sincerely|yours (?:sincerely|faithfully|truly)"
    r"|cheers|(?:many )?thanks(?: (?:in advance|a lot|so much))?|thank you(?: (?:in advance|very much))?"
    r"|have a (?:nice|great|good|lovely|pleasant) (?:day|weekend|evening|week|one)"
    r"|(?:best|kind|warm) wishes)\s*(?:[,!.]\s*[^.?!]{0,60}|\n[^?]{0,120})?"
    r"|sent from my [^.?!]{1,30}|--\s*\n[^?]{0,200})[.!]?$",
    re.I,
)
_ASKS_TEXT = re.compile(
    r"\b(?:write|compose|draft|(?:re|para)?phrase|re-?write|re-?formulate|reword|change|edit|sentence|e-?mail|letter|reply)\b",
    re.I,
)
_NOTHING_SAID = re.compile(
    r"^(?:(?:thanks|thank you|many thanks)[^.!]*(?:contact|writing|reaching|message|request|inquiry|enquiry|patience"
    r"|choosing|understanding)[^.!]*"
    r"|(?:your|the) (?:message|e-?mail|request|inquiry|enquiry)[^.!]*(?:reached us|arrived|look|review|process)[^.!]*"
    r"|we (?:have )?(?:received|got) your [^.!]*"
    r"|you will (?:hear from|get an? (?:answer|reply) from|be contacted)[^.!]*"
    r"|this is an? (?:automatic|automated) [^.!]*|(?:please )?do not (?:reply|respond|answer)[^.!]*"
    r"|(?:we|i|our team|someone|one of our [a-z]+|an? (?:agent|colleague|specialist|expert|member))\b"
    r"[^.!]*(?:get back to you|contact you|come back to you|be in touch|look(?:ing)? into|follow up"
    r"|forward(?:ed)? (?:this|it|your)|pass(?:ed)? (?:this|it|your)|escalat|reply to you|respond to you)[^.!]*"
    r"|(?:please|kindly) (?:see|refer to|visit|check|consult|contact|create|open|ask)(?: [a-z]+){0,3} (?:website"
    r"|homepage|faq|manual|documentation|support|ticket|us|web site|help cent(?:er|re)|colleague|service desk)"
    r"(?: for (?:further|more|any) [a-z]+)?"
    r"|(?:this|your) (?:ticket|request|case|issue|question|matter) (?:has been|is|was|will be)[^.!]*(?:closed|resolved"
    r"|received|forwarded|escalated|assigned|registered|noted|handled|processed|important to us)[^.!]*"
    r"|(?:ticket|case|request) (?:was |has been )?(?:closed|resolved|solved|received|merged)[^.!]*"
    r"|(?:i am|i'm|we are|we're)[^.!]*(?:out of (?:the )?office|on (?:holiday|vacation|leave)|away)[^.!]*"
    r"|(?:please )?(?:see|find)[^.!]*attach[^.!]*|(?:let (?:us|me) know|feel free|do not hesitate"
    r"|don't hesitate|is there anything else|we (?:hope|appreciate|value|apologi[sz]e)\b|sorry for)[^.!?]*"
    r"|see (?:above|below|attachment)"
    r"|as discussed[^.!]*|your (?:opinion|feedback|satisfaction)[^.!]*)(?:[.!?]\s*|$)",
    re.I,
)


# Sentences of courtesy at the ends of an answer that says something; narrower than the above, for here text is lost.
_COURTEOUS_START = re.compile(
    r"(?:(?:many )?thanks|thank you) (?:very much |a lot |so much )?for (?:contacting|reaching|writing|getting in touch"
    r"|your (?:message|e-?mail|question|inquiry|enquiry|request|interest|patience))[^.!?]*[.!]",
    re.I,
)
_COURTEOUS_END = re.compile(
    r"(?:(?:please )?(?:let (?:us|me) know|(?:feel free|do not hesitate|don't hesitate)"
    r" to (?:contact|ask|write|call|reach))"
    r"[^.!?]*(?:further|more|other|any|again|else|us)[^.!?]*"
    r"|(?:many )?(?:thanks|thank you) for"
    r" (?:choosing|contacting|your (?:patience|understanding|trust|order|message))[^.!?]*"
    r"|(?:we|i) (?:hope|trust) (?:this|that) helps[^.!?]*|is there anything else[^.!?]*)[.!?]?",
    re.I,
)


class Phrases(NamedTuple):
    """Learned boiler-plate, normalized: what opens texts and what closes them."""

    opening: frozenset[str]
    closing: frozenset[str]


def learn_phrases(texts: Iterable[str], count: int) -> Phrases:
    """Finds the sentences that open or close many different of `count` answers.

    An answer that stands again and again counts once, or a fact in six wordings would look like a phrase. A sentence
    that is a whole text of its own somewhere is content. Questions are not learned from: what opens many of them ("I
    want to set the time zone.") is often what they are about.
    """
    opening: Counter[str] = Counter()
    closing: Counter[str] = Counter()
    whole: set[int] = set()
    seen: set[int] = set()
    for text in texts:
        parts, flat = _parts(text), normal_form(text)
        if hash(flat) in seen:
            continue
        seen.add(hash(flat))
        if len(parts) > 1:
            opening[normal_form(parts[0])] += 1
            closing[normal_form(parts[-1])] += 1
        elif text:
            whole.add(hash(flat))
        for counter in (opening, closing):
            if len(counter) > _REMEMBERED:
                for phrase in [phrase for phrase, found in counter.items() if found == 1]:
                    del counter[phrase]
    least = max(_LEAST_ROWS, _LEAST_SHARE * count)

    def often(counter: Counter[str]) -> frozenset[str]:
        return frozenset(p for p, n in counter.items() if n >= least and len(p.split()) > 2 and hash(p) not in whole)

    return Phrases(often(opening), often(closing))


def without_content(phrases: Phrases, usual: frozenset[str]) -> Phrases:
    """The phrases that are made of a language's usual words (`language.usual_words`): a rare word is content."""
    return Phrases(*(frozenset(p for p in found if usual.issuperset(p.split())) for found in phrases))


def _parts(text: str) -> list[str]:
    """Paragraphs, or sentences where there is only one paragraph."""
    paragraphs = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    return paragraphs if len(paragraphs) > 1 else [part for part in _SENTENCE_ENDS.split(text) if part.strip()]


def strip(text: str, phrases: Phrases) -> str:
    """Takes greetings, closings and learned phrases off both ends until none is left, but never the whole text."""
    rest = text
    while True:
        before = rest
        rest = _CLOSING.sub("", _GREETING.sub("", rest, count=1).strip(), count=1).strip()
        parts = _parts(rest)
        if len(parts) > 1 and (_COURTEOUS_END.fullmatch(parts[-1]) or _in(phrases.closing, parts[-1])):
            rest = rest[: rest.rindex(parts[-1])].rstrip()
        elif len(parts) > 1 and (_COURTEOUS_START.fullmatch(parts[0]) or _in(phrases.opening, parts[0])):
            rest = rest[rest.index(parts[0]) + len(parts[0]) :].lstrip()
        if rest == before:
            return rest
        if not any(char.isalnum() for char in rest):
            return before


def says_nothing(text: str, question: str = "") -> bool:
    """Whether an answer is only polite: every sentence of it is an empty phrase; the data's own do not count.

    A number says something, and a polite text may be what the question asks to write.
    """
    rest = _GREETING.sub("", text).strip()
    if not rest:
        return bool(text)
    parts = [part.strip() for part in _SENTENCE_ENDS.split(rest)]
    polite = all(not part or _NOTHING_SAID.fullmatch(part) for part in parts)
    return polite and not any(char.isdigit() for char in rest) and not _ASKS_TEXT.search(question)


def _in(known: frozenset[str], text: str) -> bool:
    return bool(known) and normal_form(text) in known
