"""The unit that every generated text is made of: an attribute with its values and its wordings."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Attribute:
    """One thing that can be said of a subject, with every way this project has of asking and saying it.

    Attributes:
        name: key in fact ids, e.g. ``weight``.
        label: noun for lists, e.g. ``Weight``.
        values: the answers it can take; the sampled one is copied verbatim into texts.
        questions: patterns with ``{s}`` for the subject.
        statements: patterns with ``{s}`` for the subject and ``{v}`` for the value.
        comparative: adjective for two-fact questions (``heavier``); empty where values have no order.
    """

    name: str
    label: str
    values: tuple[str, ...]
    questions: tuple[str, ...]
    statements: tuple[str, ...]
    comparative: str = ""

    def sample(self, rng: Random) -> str:
        """Draws one value."""
        return rng.choice(self.values)


@dataclass(frozen=True)
class Fact:
    """One sampled statement of the world: ``subject`` has ``attribute`` = ``value``."""

    subject: str
    attribute: Attribute
    value: str

    @property
    def id(self) -> str:
        """Stable key, e.g. ``heron-20/weight``."""
        return f"{self.subject.lower().replace(' ', '-')}/{self.attribute.name}"

    def question(self, rng: Random, patterns: tuple[str, ...] | None = None) -> str:
        """One wording of the question, from ``patterns`` or all of the attribute's."""
        return rng.choice(patterns or self.attribute.questions).format(s=self.subject)

    def statement(self, rng: Random, subject: str | None = None) -> str:
        """One wording of the statement, about ``subject`` (a short form of the name) if given."""
        return rng.choice(self.attribute.statements).format(s=subject or self.subject, v=self.value)
