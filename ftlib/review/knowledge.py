"""What the training rows say, indexed so that a wrong answer can be traced to where it was learned.

Rows with fact ids (``subject/attribute``) are indexed by them. Where training rows carry none, the product is the
subject and the question with the product masked is the attribute; a test question in new wording then belongs to every
such pattern that has its right answer among its values. That is weaker, and the evidence names the pattern.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ftlib.evaluate.metrics import is_refusal, normalize

Row = Mapping[str, object]
Key = tuple[str, str]  # (subject, attribute)


def fact_ids(row: Row) -> tuple[str, ...]:
    """The row's fact ids; ``fact`` may be a list, a comma-joined string, or absent."""
    fact = row.get("fact") or ()
    if isinstance(fact, str):
        fact = fact.split(",")
    return tuple(str(part).strip() for part in fact if str(part).strip())


def with_facts(rows: Iterable[Row], truth: Iterable[Row]) -> list[dict]:
    """Rows with the fact ids that a truth file has for them; for data sets whose origin is known.

    Args:
        rows: training rows.
        truth: rows with ``id`` and ``fact``.

    Returns:
        New rows; those that the truth does not know, or that carry facts already, are as before.
    """
    known = {row["id"]: fact_ids(row) for row in truth}
    return [{**row, "fact": list(fact_ids(row) or known.get(row["id"], ()))} for row in rows]


def _pattern_key(row: Row) -> Key:
    product, question = str(row.get("product") or ""), str(row["question"])
    masked = re.sub(re.escape(product), "_", question, flags=re.IGNORECASE) if product else question
    return product.lower(), " ".join(masked.split())


def _nested() -> defaultdict:
    return defaultdict(lambda: defaultdict(set))


@dataclass(frozen=True)
class Knowledge:
    """Normalized training answers by fact, by attribute, by subject and overall.

    Attributes:
        has_ids: whether training rows carry fact ids.
        by_fact: (subject, attribute) -> answers given for that very fact.
        by_attribute: attribute -> answer -> subjects that have it.
        by_subject: subject -> answer -> attributes that have it.
        by_answer: answer -> one training question it answers.
        wordings: (subject, attribute) -> distinct normalized training questions.
    """

    has_ids: bool
    by_fact: dict = field(default_factory=lambda: defaultdict(set))
    by_attribute: dict = field(default_factory=_nested)
    by_subject: dict = field(default_factory=_nested)
    by_answer: dict = field(default_factory=dict)
    wordings: dict = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, train_rows: Iterable[Row], refusal: str) -> "Knowledge":
        """Indexes the training rows.

        Args:
            train_rows: rows with ``question`` and ``answer``, optionally ``fact`` and ``product``.
            refusal: the sentence that declines; refusing rows teach no fact and are left out.

        Returns:
            The index; rows about two or more facts only enter ``by_answer``.
        """
        rows = [row for row in train_rows if not is_refusal(str(row["answer"]), refusal)]
        known = cls(has_ids=any(fact_ids(row) for row in rows))
        for row in rows:
            known._add(row)
        return known

    def _add(self, row: Row) -> None:
        answer, question = normalize(str(row["answer"])), str(row["question"])
        if not answer:
            return
        self.by_answer.setdefault(answer, question)
        keys = self._id_keys(row) if self.has_ids else (_pattern_key(row),)
        if len(keys) != 1:  # the answer to a comparison is no value of either fact
            return
        subject, attribute = keys[0]
        self.by_fact[keys[0]].add(answer)
        self.by_attribute[attribute][answer].add(subject)
        self.by_subject[subject][answer].add(attribute)
        self.wordings[keys[0]].add(normalize(question))

    @staticmethod
    def _id_keys(row: Row) -> tuple[Key, ...]:
        split = (one.rpartition("/") for one in fact_ids(row))
        return tuple((subject, attribute) for subject, _, attribute in split)

    def keys(self, row: Row, accepted: Collection[str]) -> tuple[Key, ...]:
        """The (subject, attribute) pairs that a test row may be about.

        Args:
            row: the test row.
            accepted: its right answers, normalized; without fact ids they say which question patterns fit.
        """
        if self.has_ids:
            return self._id_keys(row)
        subject, own = _pattern_key(row)
        if not subject:
            return ((subject, own),)
        fitting = (name for name, values in self.by_attribute.items() if any(text in values for text in accepted))
        return tuple((subject, name) for name in dict.fromkeys((own, *fitting)))

    def taught(self, keys: Iterable[Key]) -> set[str]:
        """All normalized answers that training gives to these very facts."""
        return {answer for key in keys for answer in self.by_fact.get(key, ())}

    def holders(self, keys: Iterable[Key], answer: str) -> tuple[str, ...]:
        """Other subjects that have ``answer`` (normalized) for one of the keys' attributes, sorted."""
        found = {holder for subject, attribute in keys
                 for holder in self.by_attribute.get(attribute, {}).get(answer, ()) if holder and holder != subject}
        return tuple(sorted(found))

    def other_attributes(self, keys: Collection[Key], answer: str) -> tuple[str, ...]:
        """Attributes of the keys' subjects, other than the keys' own, whose value is ``answer``, sorted."""
        asked = {attribute for _, attribute in keys}
        found = {name for subject in {key[0] for key in keys} if subject
                 for name in self.by_subject.get(subject, {}).get(answer, ())}
        return tuple(sorted(found - asked))

    def training_wordings(self, row: Row) -> int | None:
        """In how many distinct wordings training asked for the row's fact, the rarest where there are several.

        None where nobody can know: no fact ids in training, or none on this row.
        """
        keys = self._id_keys(row) if self.has_ids else ()
        return min((len(self.wordings.get(key, ())) for key in keys), default=None)
