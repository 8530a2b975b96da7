"""One reviewer's way through the items: order, blinding, filters, rating, undo, resuming. No widgets here."""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ftlib.review.store import Rating, Shown, Store, current

SCOPES = {
    "all": "all questions",
    "differ": "the two answers differ",
    "any_wrong": "at least one is wrong",
    "one_right": "exactly one is right",
}
CHOICES = ("first", "second", "both_right", "both_wrong", "unsure")


@dataclass(frozen=True)
class Item:
    """One question with both answers, and what the metric says of them (used by filters, never shown)."""

    shown: Shown
    slice: str
    base_right: bool
    finetuned_right: bool

    @property
    def id(self) -> str:
        """The test row's id."""
        return self.shown.item

    def is_in(self, slice_name: str, scope: str) -> bool:
        """Whether the item passes the filters; "" stands for every slice."""
        if slice_name and self.slice != slice_name:
            return False
        if scope == "differ":
            return self.shown.base != self.shown.finetuned
        if scope == "any_wrong":
            return not (self.base_right and self.finetuned_right)
        return scope != "one_right" or self.base_right != self.finetuned_right


def items_of(rows: Iterable[Mapping[str, object]], predictions: Mapping[tuple[str, str], str | None],
             right: Mapping[str, Mapping[str, bool]]) -> list[Item]:
    """Items for every test row.

    Args:
        rows: the test rows.
        predictions: (row id, "base" or "finetuned") -> generated text.
        right: arm -> row id -> whether the metric calls the answer right.

    Returns:
        One Item per row.
    """
    items = []
    for row in rows:
        key = str(row["id"])
        accepted = tuple(_storable(text) for text in row.get("references") or (row["answer"],))
        texts = Shown(key, _storable(row["question"]), _storable(row.get("context")), accepted,
                      _storable(predictions[(key, "base")]), _storable(predictions[(key, "finetuned")]))
        items.append(Item(texts, str(row.get("slice") or ""), right["base"][key], right["finetuned"][key]))
    return items


def _storable(text: object) -> str:
    """Text that UTF-8 can hold: a model may emit half a surrogate pair."""
    return str(text or "").encode("utf-8", "replace").decode("utf-8")


def _hash(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")


class Session:
    """What one reviewer sees next and has done so far.

    All reviewers get the items in the same hashed order, so that the first ones are a random sample which they share.
    Which answer stands first is drawn per item and reviewer, and stays the same when the item comes back.
    """

    def __init__(self, items: Sequence[Item], store: Store, reviewer: str, *, seed: int = 0) -> None:
        """Starts at the first item that this reviewer has not rated.

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
    def first_arm(self) -> str:
        """Which system's answer stands first for the item on the screen."""
        if self.item is None:
            return "base"
        return ("base", "finetuned")[_hash(self.seed, self.item.id, self.reviewer) & 1]

    @property
    def answers(self) -> tuple[str, str]:
        """The two answers in the order in which they are shown."""
        if self.item is None:
            return "", ""
        pair = (self.item.shown.base, self.item.shown.finetuned)
        return pair if self.first_arm == "base" else pair[::-1]

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
        self._rated = current(self._history)

    def choose(self, slice_name: str = "", scope: str = "all") -> None:
        """Filters the items and goes to the first open one; "" stands for every slice."""
        self.slice, self.scope = slice_name, scope
        self.items = [item for item in self._all if item.is_in(slice_name, scope)]
        self.to_first_open()

    def move(self, step: int) -> None:
        """Goes ``step`` items on (or back), staying within the items and the end."""
        self.position = min(max(self.position + step, 0), len(self.items))
        self._since = time.monotonic()

    def to_first_open(self, start: int = 0) -> None:
        """Goes to the first unrated item from ``start`` on, else to the first unrated one at all, else to the end."""
        places = [*range(start, len(self.items)), *range(min(start, len(self.items)))]
        self.position = next((p for p in places if not self._is_rated(self.items[p])), len(self.items))
        self._since = time.monotonic()

    def rate(self, choice: str, *, category_first: str = "", category_second: str = "",
             comment: str = "") -> int | None:
        """Saves a rating of the item on the screen and goes to the next open one.

        Args:
            choice: one of ``CHOICES``, as seen on the screen.
            category_first: what is wrong with the answer shown first; "" for nothing said.
            category_second: the same for the second.
            comment: free text.

        Returns:
            The rating's id; None where there is no item or no reviewer.
        """
        if self.item is None or not self.reviewer:
            return None
        first = self.first_arm
        arms = (first, "finetuned" if first == "base" else "base")
        verdict = {"first": arms[0], "second": arms[1]}.get(choice, choice)
        category = dict(zip(arms, (category_first, category_second), strict=True))
        saved = self.store.rate(self.item.shown, self.reviewer, verdict, first_arm=first, comment=comment,
                                category_base=category["base"], category_finetuned=category["finetuned"],
                                seconds=time.monotonic() - self._since)
        self._reload()
        self.to_first_open(self.position + 1)
        return saved

    def undo(self) -> bool:
        """Takes back this reviewer's latest rating by adding a new one, and shows that item again.

        The item then counts as it did before: with the earlier rating if there was one, else as not rated.

        Returns:
            False where there is nothing to take back under the present filters.
        """
        places = {(item.id, item.shown.version): place for place, item in enumerate(self.items)}
        undone = {rating.undoes for rating in self._history}
        standing = [r for r in self._history
                    if r.undoes is None and r.id not in undone and (r.item, r.version) in places]
        if not standing:
            return False
        last = standing.pop()
        before = next((r for r in reversed(standing) if (r.item, r.version) == (last.item, last.version)), None)
        self.position = places[(last.item, last.version)]
        self.store.rate(self.items[self.position].shown, self.reviewer, before.verdict if before else "withdrawn",
                        first_arm=last.first_arm, category_base=before.category_base if before else "",
                        category_finetuned=before.category_finetuned if before else "",
                        comment=before.comment if before else "", undoes=last.id)
        self._reload()
        self._since = time.monotonic()
        return True
