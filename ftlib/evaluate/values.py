"""Whether an answer gives the right value, whatever sentence stands around it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from ftlib.data.vocabulary import words_of_all_languages
from ftlib.evaluate.canonical import CLAUSE, SENTENCE, canonical_tokens, decimal_marks
from ftlib.evaluate.metrics import exact_match, is_refusal, is_scorable, token_f1

LONG = 12  # words; a longer reference is hardly ever repeated word by word
LIKE = 0.7  # token F1 from which an answer gives a long reference
ROOM = 20  # words that a sentence around the value may have, beside four times the reference's own
REACH = 4  # words before a value in which a negation denies it


class _Text(NamedTuple):
    """A text's words (canonical tokens without marks), the number of each one's clause and of its sentence."""

    words: tuple[str, ...]
    clauses: tuple[int, ...]
    sentences: tuple[int, ...]


def value_match(
    prediction: str, references: Sequence[str], question: str = "", refusals: Collection[str] = ()
) -> float:
    """1.0 if the answer gives the value of a reference and no other one, in whatever form, else 0.0.

    An exact match with the same numbers does (SQuAD's takes 1.5 for 15). Else the reference's words must stand in the
    answer, one after the other; of a list ("red, blue and green") its items, in any order. Numbers, quantities and
    dates count by what they say: 1.5 kg is 1500 g, "two years" 24 months, 1.200,50 EUR is 1200.5 euros (see
    `ftlib.evaluate.canonical`); the unit must be there. A reference of more than `LONG` words needs a token F1 of
    `LIKE` or more, the same quantities, and a negation exactly where the reference has one.

    The value does not count where the answer

    - names another one of its kind: a quantity of the same dimension, a date, a code of the same pattern (R39, R40)
      that stand neither in the reference nor in the question; or another item of a list in which the value stands;
    - offers it with an alternative ("red or blue"), or, where the question offers the reference, names what else the
      question offers: the word across its "or", and for names and codes any other name or number in it;
    - denies it: a negation in its clause, at most `REACH` words before it. A clause that begins with one (", not
      blue") is left out;
    - also declines;
    - has more than four times the reference's words and `ROOM`, unless its first sentence has fewer and gives the
      value: what rambles on hits many short words.

    Of yes and no, the answer must begin with the right one and not go on with the other.

    Args:
        prediction, references: the answer; accepted answers, at least one.
        question: all that was asked; its numbers and names are no competitors.
        refusals: sentences that decline. A reference that is one never counts.

    Raises:
        ValueError: `references` is empty.
    """
    wanted = [each for each in references if not any(is_refusal(each, one) for one in refusals)]
    if not wanted and references:
        return 0.0
    marks = decimal_marks((prediction, question, *wanted))
    if exact_match(prediction, wanted) and any(
        _says_alike(prediction, each, mark) for each in wanted for mark in marks
    ):
        return float(is_scorable(prediction))
    if not is_scorable(prediction) or _declines(prediction, refusals):
        return 0.0
    return float(any(_gives(prediction, each, question, wanted, mark) for each in wanted for mark in marks))


def _says_alike(prediction: str, reference: str, mark: str) -> bool:
    """Whether an exact match is one: its normalization takes 1.5 for 15."""
    said, right = ([word for word in _text(text, mark).words if _kind(word)] for text in (prediction, reference))
    return exact_match(prediction, [reference]) > 0 and said == right


def _declines(prediction: str, refusals: Collection[str]) -> bool:
    said = _text(prediction, ".").words
    return any(refusal.strip() and _places(_text(refusal, ".").words, said) for refusal in refusals)


def _gives(prediction: str, reference: str, question: str, references: Sequence[str], mark: str) -> bool:
    whole, right, asked = (_text(text, mark) for text in (prediction, reference, question))
    room, everything = 4 * len(right.words) + ROOM, whole.words
    said = whole if len(everything) <= room else _first_sentence(whole)
    if not right.words or len(said.words) > room:
        return False
    accepted = set(chain.from_iterable(_text(each, mark).words for each in references))
    if len(right.words) > LONG:
        alike = token_f1(prediction, [reference]) >= LIKE and _denies(everything) == _denies(right.words)
        measured = {word for word in right.words if word.startswith("=")}
        return alike and measured <= set(everything) and not _rivals(everything, right.words, accepted, asked.words)
    if right.words[0] in _words("yes") | _words("no") and len(right.words) == 1:
        return _agrees(said, right.words[0])
    said = said if _denies(right.words) else _without_denials(said)
    spans = _spans(said, right, reference, mark)
    return (
        bool(spans)
        and not _rivals(_without_denials(whole).words, right.words, accepted, asked.words)
        and not any(_is_doubtful(said, span, asked) for span in spans)
        and not _lists_more(said, right, spans, accepted | set(asked.words))
        and not _names_the_other(said, right, question, asked)
    )


def _spans(said: _Text, right: _Text, reference: str, mark: str) -> list[range]:
    """Where the reference stands, or each of its items where it is a list; empty where one is missing."""
    if whole := _places(right.words, said.words):
        return whole[:1]
    items = _items(right)
    places = [_places(item, said.words) for item in items]
    return [each[0] for each in places] if len(items) > 1 and all(places) else []


def _rivals(said: Sequence[str], right: Sequence[str], accepted: set[str], asked: Sequence[str]) -> set[str]:
    """Quantities, dates and codes of the right ones' kinds that neither a reference nor the question has."""
    kinds = {kind for word in right if (kind := _kind(word))}
    return {word for word in said if _kind(word) in kinds} - accepted - set(asked)


def _kind(word: str) -> str:
    """The dimension of a number, the pattern of a code; "" of a plain word."""
    if word.startswith("="):
        return word.partition(":")[0]
    has_digit = any(map(str.isdigit, word))
    return "".join("#" if c.isdigit() else c for c in word) if has_digit else ""


def _is_doubtful(said: _Text, span: range, asked: _Text) -> bool:
    """Whether the value is denied in its clause, or offered with an alternative in its sentence.

    An "or" of the question may be repeated: "which team or office" is no alternative to the value.
    """
    near = range(max(0, span.start - REACH), span.start)
    before = [said.words[place] for place in near if said.clauses[place] == said.clauses[span.start]]
    same = [place for place, sentence in enumerate(said.sentences) if sentence == said.sentences[span.start]]
    beside = [said.words[place] for place in same if place not in span]
    return _denies(before) or not (_words("alternatives") - set(asked.words)).isdisjoint(beside)


def _lists_more(said: _Text, right: _Text, spans: Sequence[range], known: set[str]) -> bool:
    """Whether the value stands in a list with another item of its length, other than words that are known."""
    if all(word.startswith("=") for word in right.words):
        return False  # of quantities the other ones of their dimension count
    longest = max(map(len, _items(right)), default=0)  # a reference may be made of joining words alone
    inside = {place for span in spans for place in span}
    items = _items(said, places=True)
    hit = [number for number, item in enumerate(items) if inside & set(item)]
    for number in {n + step for n in hit for step in (-1, 1)} - set(hit):
        if 0 <= number < len(items):
            item = items[number]
            together = said.sentences[item[0]] == said.sentences[spans[0].start]
            if together and len(item) <= longest and not {said.words[place] for place in item} <= known:
                return True
    return False


def _names_the_other(said: _Text, right: _Text, question: str, asked: _Text) -> bool:
    """Where the question offers the reference: whether the answer names something else that it offers."""
    offered = _places(right.words, asked.words)
    if not offered:
        return False
    own, here = set(right.words), offered[0]
    sides = (list(asked.words[here.stop :]), list(asked.words[: here.start])[::-1])
    across: set[str] = set()
    for side in sides:
        joined = [place for place, word in enumerate(side[:2]) if word in _words("joining")]
        known = own | set(sides[1] if side is sides[0] else sides[0])
        across |= set([word for word in side[joined[0] + 1 :] if word not in known][:1]) if joined else set()
    shown = {word.strip(".,;:?!'\"()") for word in question.split()[1:]}
    named = {word.casefold() for word in shown if word[:1].isupper()}
    if any(_kind(word) or word in named for word in own):
        across |= {word for word in asked.words if _kind(word) or word in named} - own
    return not across.isdisjoint(said.words)


def _agrees(said: _Text, answer: str) -> bool:
    """Whether an answer begins with the right one of yes and no, and no clause of it with the other."""
    yes, no = _words("yes"), _words("no")
    same, other = (yes, no - yes) if answer in yes else (no, yes - no)
    starts = list(_starts(said).values())
    return bool(starts) and starts[0] in same and other.isdisjoint([*starts, *said.words[:3]])


def _without_denials(text: _Text) -> _Text:
    """The text without the clauses that begin with a negation; as it is where nothing else is said."""
    starts = _starts(text)
    kept = [place for place, clause in enumerate(text.clauses) if not _denies([starts[clause]])]
    return _Text(*(tuple(part[place] for place in kept) for part in text)) if kept else text


def _starts(text: _Text) -> dict[int, str]:
    """The first word of each clause, in their order."""
    starts: dict[int, str] = {}
    for word, clause in zip(text.words, text.clauses, strict=True):
        starts.setdefault(clause, word)
    return starts


def _first_sentence(text: _Text) -> _Text:
    size = text.sentences.count(text.sentences[0])
    return _Text(*(part[:size] for part in text))


def _denies(words: Sequence[str]) -> bool:
    return not (_words("negations") | _words("short_negations")).isdisjoint(words)


def _items(text: _Text, places: bool = False) -> list[tuple]:
    """The parts between clauses and joining words, as words or as their places."""
    items: list[list[int]] = []
    joining, before = _words("joining"), None  # the clause of the word before, None where that joins
    for place, (word, clause) in enumerate(zip(text.words, text.clauses, strict=True)):
        if word not in joining:
            items += [] if clause == before else [[]]
            items[-1].append(place)
        before = None if word in joining else clause
    return [tuple(item if places else (text.words[place] for place in item)) for item in items]


def _places(wanted: Sequence[str], words: Sequence[str]) -> list[range]:
    """Everywhere that these words stand one after the other."""
    size, wanted, words = len(wanted), tuple(wanted), tuple(words)
    return [range(at, at + size) for at in range(len(words) - size + 1) if words[at : at + size] == wanted]


@lru_cache(maxsize=4096)
def _text(text: str, mark: str) -> _Text:
    found = list(_numbered(canonical_tokens(text, mark)))
    return _Text(*zip(*found, strict=True)) if found else _Text((), (), ())


def _numbered(tokens: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    clause = sentence = 0
    for token in tokens:
        if token in (CLAUSE, SENTENCE):
            clause, sentence = clause + 1, sentence + (token == SENTENCE)
        else:
            clause += token in _words("contrasts")
            yield token, clause, sentence


@lru_cache(maxsize=8)
def _words(name: str) -> frozenset[str]:
    """A list of all languages, as canonical words."""
    found = (canonical_tokens(word) for word in chain.from_iterable(words_of_all_languages(name)))
    return frozenset(chain.from_iterable(found))
