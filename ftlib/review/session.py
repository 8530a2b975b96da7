"""One reviewer's way through the items: order, blinding, filters, rating, undo, resuming. No widgets here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ftlib.errors import UserError
from ftlib.review.store import NO_PREFERENCE, Rating, Shown, Store, current_ratings
from ftlib.rows import Row, Turn, value

CHOICES = ("first", "second", "both_right", "both_wrong", "unsure")


class Item(NamedTuple):
    """One question with both answers, and what the metric says of them (used by filters, never shown)."""

    shown: Shown
    slice: str
    right: Mapping[str, bool]  # system -> whether the metric calls its answer right

    @property
    def id(self) -> str:
        """The test row's id."""
        return self.shown.item


SCOPES = {  # what the filter is called, and which items pass it
    "all": ("all questions", lambda item: True),
    "differ": ("the two answers differ", lambda item: len(set(item.shown.answers.values())) > 1),
    "any_wrong": ("at least one is wrong", lambda item: not all(item.right.values())),
    "one_right": ("exactly one is right", lambda item: len(set(item.right.values())) > 1),
}


def items_of(
    rows: Iterable[Row],
    predictions: Mapping[tuple[str, str], str | None],
    right: Mapping[str, Mapping[str, bool]],
    slice_column: str | None = None,
) -> list[Item]:
    """An item for every test row.

    Args:
        rows: the test rows.
        predictions: (row id, system) -> generated text.
        right: system -> row id -> whether the metric calls the answer right; of the two systems that are compared.
        slice_column: `data.columns.slice`, or None.

    Raises:
        UserError: these are not two systems whose names can stand for a verdict.
    """
    if len(right) != 2 or not right.keys().isdisjoint(NO_PREFERENCE):
        expected = f"two different systems, none of them named {', '.join(NO_PREFERENCE)}"
        raise UserError.of("review.pair", expected, ", ".join(right), "choose two systems, or name them otherwise")
    items = []
    for row in rows:
        answers = {system: _storable(predictions[(row.id, system)]) for system in right}
        history = tuple(Turn(turn.role, _storable(turn.content)) for turn in row.history)
        question, context, *accepted = map(_storable, (row.question, row.context, *row.references))
        shown = Shown(row.id, question, history, context, tuple(accepted), answers)
        items.append(Item(shown, value(row, slice_column), {system: right[system][row.id] for system in right}))
    return items


def without_refusals(items: Iterable[Item], declines: Callable[[str], bool]) -> list[Item]:
    """The items of which no answer declines: a sentence that one system alone was taught gives it away.

    Args:
        items: from `items_of`.
        declines: whether a text declines.
    """
    return [item for item in items if not any(map(declines, item.shown.answers.values()))]


def _storable(text: str | None) -> str:
    """Text that UTF-8 can hold: a model may emit half a surrogate pair."""
    return (text or "").encode("utf-8", "replace").decode("utf-8")


def _hash(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")


class Session:
    """What one reviewer sees next and has done so far.

    All reviewers get the items in the same hashed order, so that the first ones are a random sample which they share.
    Which answer stands first is drawn per item and reviewer, and stays the same when the item comes back.
    """

    def __init__(self, items: Sequence[Item], store: Store, reviewer: str, *, seed: int = 0) -> None:
        """Start at the first item (of `items_of`) that this reviewer has not rated; one without a name rates nothing.

        The seed is that of the common order and of the blinding.
        """
        self.store, self.seed, self.reviewer = store, seed, reviewer.strip()
        self._all = sorted(items, key=lambda item: _hash(seed, item.id))
        self._reload()
        self.choose()

    @property
    def slices(self) -> list[str]:
        """Names of the slices, in order."""
        return sorted({item.slice for item in self._all if item.slice})

    @property
    def item(self) -> Item | None:
        """The item on the screen; None after the last."""
        return self.items[self.position] if self.position < len(self.items) else None

    @property
    def order(self) -> tuple[str, ...]:
        """The two systems in the order in which their answers to the item on the screen are shown."""
        if self.item is None:
            return ()
        names = tuple(self.item.shown.answers)
        return names[::-1] if _hash(self.seed, self.item.id, self.reviewer) & 1 else names

    @property
    def answers(self) -> tuple[str, ...]:
        """The two answers in the order in which they are shown."""
        return tuple(self.item.shown.answers[system] for system in self.order) if self.item else ("", "")

    @property
    def rating(self) -> Rating | None:
        """This reviewer's rating of the item on the screen, if there is one."""
        return self._rating_of(self.item) if self.item else None

    @property
    def done(self) -> int:
        """How many items under the filters this reviewer has rated."""
        return sum(self._rating_of(item) is not None for item in self.items)

    def _rating_of(self, item: Item) -> Rating | None:
        return self._rated.get((item.id, item.shown.version, self.reviewer))

    def _reload(self) -> None:
        self._history = self.store.history(self.reviewer) if self.reviewer else []
        self._rated = current_ratings(self._history)

    def choose(self, slice_name: str = "", scope: str = "all") -> None:
        """Filter the items and go to the first open one; "" stands for every slice."""
        passes = SCOPES[scope][1]
        self.items = [item for item in self._all if slice_name in ("", item.slice) and passes(item)]
        self._to_first_open(0)

    def move(self, step: int) -> None:
        """Go `step` items on (or back), staying within the items and the end."""
        self._go(min(max(self.position + step, 0), len(self.items)))

    def _to_first_open(self, start: int) -> None:
        """Go to the first unrated item from `start` on, else to the first unrated one at all, else to the end."""
        open_places = [place for place, item in enumerate(self.items) if self._rating_of(item) is None]
        after = [place for place in open_places if place >= start]
        self._go((after or open_places or [len(self.items)])[0])

    def _go(self, place: int) -> None:
        self.position, self._since = place, time.monotonic()

    def rate(self, choice: str, categories: Mapping[str, str] | None = None, comment: str = "") -> int | None:
        """Save a rating of the item on the screen and go to the next open one.

        Args:
            choice: one of `CHOICES`, as seen on the screen.
            categories: system -> what is wrong with its answer; "" for nothing said.
            comment: free text.

        Returns:
            The rating's id; None where there is no item or no reviewer.
        """
        if self.item is None or not self.reviewer:
            return None
        verdict = dict(zip(("first", "second"), self.order, strict=False)).get(choice, choice)
        told = {"first_system": self.order[0], "categories": categories, "comment": comment}
        seconds = time.monotonic() - self._since
        saved = self.store.rate(self.item.shown, self.reviewer, verdict, seconds=seconds, **told)
        self._reload()
        self._to_first_open(self.position + 1)
        return saved

    def undo(self) -> Rating | None:
        """Take back this reviewer's latest rating by adding a new one, and show that item again.

        The item then counts as it did before: with the earlier rating if there was one, else as not rated. Returns
        what was taken back; None where there is nothing under the present filters.
        """
        places = {(item.id, item.shown.version): place for place, item in enumerate(self.items)}
        undone = {rating.undoes for rating in self._history}
        standing = [rating for rating in self._history if rating.undoes is None and rating.id not in undone]
        last = next((rating for rating in reversed(standing) if rating.rated in places), None)
        if last is None:
            return None
        earlier = [rating for rating in standing if rating.rated == last.rated and rating is not last]
        withdrawn = last._replace(verdict="withdrawn", categories={}, comment="")
        said = earlier[-1] if earlier else withdrawn
        self._go(places[last.rated])
        texts = {"categories": said.categories, "comment": said.comment, "first_system": last.first_system}
        self.store.rate(self.item.shown, self.reviewer, said.verdict, undoes=last.id, **texts)
        self._reload()
        return last
