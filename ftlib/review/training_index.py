"""What the training rows say, indexed so that a wrong answer can be traced to where it was learned.

Rows whose facts are named (`data.columns.fact`, usually `subject/attribute`) are indexed by them. Where no training row
names any, the subject (`data.columns.subject`) stands for itself and the question with the subject masked for the
attribute; a test question in new wording then belongs to every such pattern that has its right answer among its values.
That is weaker, and the evidence names the pattern. Where neither is named, only whole answers can be traced.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftlib.evaluate.metrics import normalize
from ftlib.evaluate.scores import expects_refusal
from ftlib.rows import Row, values

if TYPE_CHECKING:
    from ftlib.recipe import ColumnsRecipe

Key = tuple[str, str]  # (subject, attribute)


def with_truth(rows: Iterable[Row], truth: Iterable[Mapping[str, Any]], columns: ColumnsRecipe) -> Iterator[Row]:
    """Rows with the subjects and facts that a truth file (objects with `id` and these columns) has for them.

    What a row has itself stays, as do rows that the truth does not know.
    """
    names = [name for name in (columns.subject, columns.fact) if name]
    known = {str(line["id"]): {name: line[name] for name in names if name in line} for line in truth}
    for row in rows:
        own = {name: row.meta[name] for name in names if values(row, name)}
        yield row._replace(meta={**row.meta, **known.get(row.id, {}), **own})


def wording(row: Row) -> str:
    """All that was asked, in one text: history, question, context; another history is another question."""
    return "\n".join(text for text in (*(turn.content for turn in row.turns), row.context) if text)


def plain_words(text: str) -> str:
    """Lower-case words and numbers alone, so that `north-star/40` and `North Star 40` are one name."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


@dataclass(frozen=True)
class TrainingIndex:
    """Normalized training answers, by what they say something about."""

    columns: ColumnsRecipe  # its `fact` and `subject` name the columns that are read
    has_facts: bool  # whether a training row names its fact
    answers: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))  # given to that very question
    keys_of: dict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))  # of what an answer is a value
    question_of: dict[str, str] = field(default_factory=dict)  # one training question that an answer answers
    wordings: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))  # distinct ones, normalized
    names: set[str] = field(default_factory=set)  # the subjects', as `plain_words` writes them

    @classmethod
    def of(
        cls, train_rows: Iterable[Row], columns: ColumnsRecipe, refusal: str, also: Sequence[str] = ()
    ) -> TrainingIndex:
        """Index the training rows; those that decline (`refusal` or one of `also`) teach no fact and are left out.

        Rows about two or more facts only enter `question_of` and `names`.
        """
        rows = [row for row in train_rows if not expects_refusal(row, refusal, also)]
        index = cls(columns, any(values(row, columns.fact) for row in rows))
        for row in rows:
            index._add(row)
        return index

    @property
    def basis(self) -> str:
        """What a wrong answer is traced by, in a sentence."""
        if self.has_facts:
            return f"Wrong answers are traced by the facts that the column {self.columns.fact!r} names."
        if self.names:
            how = f"the subject (column {self.columns.subject!r}) and the pattern of the question, which is weaker"
            return f"No training row names its fact: wrong answers are traced by {how}."
        missing = "its fact or its subject (data.columns.fact, data.columns.subject)"
        told = "whether an answer was learned for another subject or another attribute cannot be told"
        return f"No training row names {missing}: {told}."

    def _add(self, row: Row) -> None:
        answer, keys = normalize(row.answer), self.own_keys(row)
        if not answer:
            return
        self.question_of.setdefault(answer, row.question)
        subjects = (*values(row, self.columns.subject), *(subject for subject, _ in keys))
        self.names.update(name for name in map(plain_words, subjects) if name)
        if len(keys) == 1:  # the answer to a comparison is no value of either fact
            self.answers[keys[0]].add(answer)
            self.keys_of[answer].add(keys[0])
            self.wordings[keys[0]].add(normalize(wording(row)))

    def own_keys(self, row: Row) -> tuple[Key, ...]:
        """The (subject, attribute) pairs that a row itself names: its facts, else its subjects and its question."""
        subjects = values(row, self.columns.subject)
        if self.has_facts:
            split = (fact.rpartition("/") for fact in values(row, self.columns.fact))
            return tuple((subject or ", ".join(subjects).lower(), attribute) for subject, _, attribute in split)
        pattern = wording(row)
        for subject in sorted(subjects, key=len, reverse=True):
            pattern = re.sub(re.escape(subject), "_", pattern, flags=re.IGNORECASE)
        return tuple((subject.lower(), " ".join(pattern.split())) for subject in subjects or ("",))

    def keys(self, row: Row, accepted: Collection[str]) -> tuple[Key, ...]:
        """The (subject, attribute) pairs that a test row may be about.

        Without facts its right answers (`accepted`, normalized) say which question patterns fit.
        """
        own = self.own_keys(row)
        if self.has_facts or not any(subject for subject, _ in own):
            return own
        fitting = sorted({name for text in accepted for _, name in self.keys_of.get(text, ())})
        return tuple(dict.fromkeys((*own, *((subject, name) for subject, _ in own for name in fitting))))

    def taught(self, keys: Iterable[Key]) -> set[str]:
        """All normalized answers that training gives to these very facts."""
        return {answer for key in keys for answer in self.answers.get(key, ())}

    def holders(self, keys: Collection[Key], answer: str) -> tuple[str, ...]:
        """Other subjects that have `answer` (normalized) for one of the keys' attributes, sorted."""
        having = [key for key in self.keys_of.get(answer, ()) if key[0]]
        return tuple(sorted({s for s, name in having for subject, own in keys if name == own and s != subject}))

    def other_attributes(self, keys: Collection[Key], answer: str) -> tuple[str, ...]:
        """Attributes of the keys' subjects, other than the keys' own, whose value is `answer`, sorted."""
        subjects, asked = {subject for subject, _ in keys} - {""}, {name for _, name in keys}
        return tuple(sorted({name for subject, name in self.keys_of.get(answer, ()) if subject in subjects} - asked))

    def others_named(self, text: str, part: str, own: Collection[str]) -> tuple[str, ...]:
        """Longer names in `text` that hold `part` and are those of subjects that are not meant, longest first.

        A name that stands in one of the right answers (`own`) is meant. All texts are `plain_words`.
        """
        longer = [name for name in self.names if name != part and contains(name, part) and contains(text, name)]
        found = [name for name in longer if not any(contains(each, name) for each in own)]
        return tuple(sorted(found, key=lambda name: (-len(name), name)))

    def training_wordings(self, row: Row) -> int | None:
        """In how many distinct wordings training asked for the row's fact, the rarest where there are several.

        None where nobody can know: no facts are named in training, or none on this row.
        """
        keys = self.own_keys(row) if self.has_facts else ()
        return min((len(self.wordings.get(key, ())) for key in keys), default=None)


def contains(text: str, part: str) -> bool:
    """Whether `part` stands in `text` as whole words (both of single spaces); an empty part does not."""
    return bool(part) and f" {part} " in f" {text} "
