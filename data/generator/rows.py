"""A question and its answer as the support team's tools hold them, and the two shapes in which they export them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

SOURCES = ("ticket", "chat", "e-mail", "phone note", "forum")
FIRST_DAY, LAST_DAY = date(2021, 1, 4), date(2025, 6, 30)
# Rows that others contradict are never older than this, so that there is room for an older wrong answer.
SETTLED_DAY = date(2023, 1, 2)


@dataclass(frozen=True)
class Row:
    """One question and answer.

    Attributes:
        id: stable key; set when the row is exported.
        question, context, answer: the texts; ``context`` is an article or empty.
        slice: what sort of question it is.
        facts: ids of the facts that the answer tells.
        documents: ids of the articles that hold the answer.
        product: name of the product asked about, or empty.
        source, created, conversation: where and when it was written.
        defects: what has been planted in it, each ``{"kind": ..., ...}``.
        decoy: kind of defect that a sound row only looks like, or empty.
    """

    question: str
    answer: str
    slice: str
    facts: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    context: str = ""
    product: str = ""
    id: str = ""
    source: str = ""
    created: str = ""
    conversation: str = ""
    defects: tuple[dict, ...] = ()
    decoy: str = ""

    def with_defect(self, changed_and_defect: "tuple[Row, dict]") -> "Row":
        """The changed row, which remembers its defect as well as its earlier ones."""
        changed, defect = changed_and_defect
        return replace(changed, defects=(*self.defects, defect))


class Registry:
    """Hands out what an export needs: ids in no telling order, dates, sources and conversations."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._ids: Iterator[int] = iter(rng.sample(range(10_000, 100_000), 20_000))

    def enter(self, row: Row, since: date = SETTLED_DAY, until: date = LAST_DAY) -> Row:
        """``row`` with a fresh id and metadata, written between ``since`` and ``until``."""
        number = next(self._ids)
        created = since + timedelta(days=self._rng.randrange((until - since).days + 1))
        return replace(
            row,
            id=f"r{number}",
            conversation=f"c{number}",
            created=created.isoformat(),
            source=self._rng.choice(SOURCES),
        )

    def copy(self, row: Row, *, older: bool = False) -> Row:
        """A second entry of ``row``: another id and conversation, written later (or ``older``)."""
        day = date.fromisoformat(row.created)
        since, until = (FIRST_DAY, day - timedelta(days=1)) if older else (day, LAST_DAY)
        return self.enter(row, since, until)


def alpaca(row: Row) -> dict:
    """The row in the shape ``instruction / input / output``."""
    return {"id": row.id, "instruction": row.question, "input": row.context, "output": row.answer, **_metadata(row)}


def messages(turns: Sequence[Row]) -> dict:
    """A conversation in the shape ``messages``; id and metadata are those of its first turn."""
    said = [
        message
        for row in turns
        for message in ({"role": "user", "content": row.question}, {"role": "assistant", "content": row.answer})
    ]
    return {"id": turns[0].id, "messages": said, **_metadata(turns[0])}


def truth(row: Row) -> dict:
    """What is known of an exported row: slice, facts and planted defects."""
    return {
        "id": row.id,
        "slice": row.slice,
        "fact": list(row.facts),
        "documents": list(row.documents),
        "defects": list(row.defects),
        "decoy": row.decoy,
    }


def _metadata(row: Row) -> dict:
    return {"source": row.source, "product": row.product, "created": row.created, "conversation": row.conversation}
