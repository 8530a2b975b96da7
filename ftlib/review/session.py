"""One reviewer's way through the items: order, blinding, filters, rating, undo, resuming. No widgets here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ftlib.errors import UserError
from ftlib.review.store import NO_PREFERENCE, Rating, Shown, Store, current_ratings
from ftlib.rows import Row, Turn, value

SCOPES = {
    "all": "all questions",
    "differ": "the two answers differ",
    "any_wrong": "at least one is wrong",
    "one_right": "exactly one is right",
}
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

    def is_in(self, slice_name: str, scope: str) -> bool:
        """Whether the item passes the filters; "" stands for every slice."""
        if slice_name and self.slice != slice_name:
            return False
        if scope == "differ":
            return len(set(self.shown.answers.values())) > 1
        if scope == "any_wrong":
            return not all(self.right.values())
        return scope != "one_right" or len(set(self.right.values())) > 1


def items_of(
    rows: Iterable[Row],
    predictions: Mapping[tuple[str, str], str | None],
    right: Mapping[str, Mapping[str, bool]],
    slice_column: str | None = None,
) -> list[Item]:
    """Items for every test row.

    Args:
        rows: the test rows.
        predictions: (row id, system) -> generated text.
        right: system -> row id -> whether the metric calls the answer right; of the two systems that are compared.
        slice_column: `data.columns.slice`, or None.

    Returns:
        One Item per row.

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
        accepted = tuple(map(_storable, row.references))
        shown = Shown(row.id, _storable(row.question), history, _storable(row.context), accepted, answers)
        items.append(Item(shown, value(row, slice_column), {system: right[system][row.id] for system in right}))
    return items


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
        """Start at the first item that this reviewer has not rated.

        Args:
            items: everything there is to review.
            store: where ratings go.
            reviewer: who; "" until a name is known, and then nothing can be rated.
            seed: of the order and of the blinding.
        """
        self.store, self.seed, self.reviewer = store, seed, reviewer.strip()
        self._all = sorted(items, key=lambda item: _hash(seed, item.id))
        self.slice, self.scope = "", "all"
        self.items = self._all
        self.position = 0
        self._since = time.monotonic()
        self._reload()
        self.to_first_open()

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
        return None if self.item is None else self._rated.get((self.item.id, self.item.shown.version, self.reviewer))

    @property
    def done(self) -> int:
        """How many items under the filters this reviewer has rated."""
        return sum(self._is_rated(item) for item in self.items)

    def _is_rated(self, item: Item) -> bool:
        return (item.id, item.shown.version, self.reviewer) in self._rated

    def _reload(self) -> None:
        self._history = self.store.history(self.reviewer) if self.reviewer else []
        self._rated = current_ratings(self._history)

    def choose(self, slice_name: str = "", scope: str = "all") -> None:
        """Filter the items and go to the first open one; "" stands for every slice."""
        self.slice, self.scope = slice_name, scope
        self.items = [item for item in self._all if item.is_in(slice_name, scope)]
        self.to_first_open()

    def move(self, step: int) -> None:
        """Go `step` items on (or back), staying within the items and the end."""
        self.position = min(max(self.position + step, 0), len(self.items))
        self._since = time.monotonic()

    def to_first_open(self, start: int = 0) -> None:
        """Go to the first unrated item from `start` on, else to the first unrated one at all, else to the end."""
        places = [*range(start, len(self.items)), *range(min(start, len(self.items)))]
        self.position = next((p for p in places if not self._is_rated(self.items[p])), len(self.items))
        self._since = time.monotonic()

    def rate(
        self, choice: str, *, category_first: str = "", category_second: str = "", comment: str = ""
    ) -> int | None:
        """Save a rating of the item on the screen and go to the next open one.

        Args:
            choice: one of `CHOICES`, as seen on the screen.
            category_first: what is wrong with the answer shown first; "" for nothing said.
            category_second: the same for the second.
            comment: free text.

        Returns:
            The rating's id; None where there is no item or no reviewer.
        """
        if self.item is None or not self.reviewer:
            return None
        order = self.order
        saved = self.store.rate(
            self.item.shown,
            self.reviewer,
            dict(zip(("first", "second"), order, strict=True)).get(choice, choice),
            first_system=order[0],
            categories=dict(zip(order, (category_first, category_second), strict=True)),
            comment=comment,
            seconds=time.monotonic() - self._since,
        )
        self._reload()
        self.to_first_open(self.position + 1)
        return saved

    def undo(self) -> bool:
        """Take back this reviewer's latest rating by adding a new one, and show that item again.

        The item then counts as it did before: with the earlier rating if there was one, else as not rated.

        Returns:
            False where there is nothing to take back under the present filters.
        """
        places = {(item.id, item.shown.version): place for place, item in enumerate(self.items)}
        undone = {rating.undoes for rating in self._history}
        standing = [
            r for r in self._history if r.undoes is None and r.id not in undone and (r.item, r.version) in places
        ]
        if not standing:
            return False
        last = standing.pop()
        before = next((r for r in reversed(standing) if (r.item, r.version) == (last.item, last.version)), None)
        self.position = places[(last.item, last.version)]
        self.store.rate(
            self.items[self.position].shown,
            self.reviewer,
            before.verdict if before else "withdrawn",
            first_system=last.first_system,
            categories=before.categories if before else {},
            comment=before.comment if before else "",
            undoes=last.id,
        )
        self._reload()
        self._since = time.monotonic()
        return True
