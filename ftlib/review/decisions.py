"""What people decide about flagged training rows: keep, mend or drop; kept with the ratings, exported for notebook 01.

A row is shown and stored as any question is: its own answer, another one and none are the three "systems", so that a
decision is a rating whose verdict is one of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftlib import jsonl
from ftlib.errors import UserError
from ftlib.review.schema import DECISIONS, Rating, Shown
from ftlib.review.session import Item, Session
from ftlib.review.store import Store, current_ratings
from ftlib.review.suspects import Suspect

FILE = "decisions.jsonl"


def row_items(suspects: Iterable[Suspect]) -> list[Item]:
    """An item for every suspect; what is shown holds the reason, so other reasons are another question."""
    items = []
    for row, kind, why, instead in suspects:
        answers = dict(zip(DECISIONS, (row.answer, instead, ""), strict=True))
        items.append(Item(Shown(row.id, row.question, row.history, row.context, (why,), answers), kind, {}))
    return items


class RowSession(Session):
    """One reviewer's way through the flagged rows; nothing is hidden, so the answers keep their order."""

    @property
    def order(self) -> tuple[str, ...]:
        """The decisions, in their order."""
        return DECISIONS if self.item else ()


def decided(store: Store) -> list[dict[str, Any]]:
    """The decision on each row that most of its reviewers have come to; none where they are undecided or at odds.

    Returns:
        `{"id", "decision", "answer" (the mended one, else ""), "was" (the row's own), "comments", "for", "of"}`, by id.
    """
    shown = store.shown()
    votes: dict[str, list[Rating]] = defaultdict(list)
    for rating in current_ratings(store.history()).values():
        if shown[rating.version].is_row and rating.verdict in DECISIONS:
            votes[rating.version].append(rating)
    lines = {}
    for version, ratings in sorted(votes.items(), key=lambda vote: max(rating.id for rating in vote[1])):
        (verdict, most), *others = Counter(rating.verdict for rating in ratings).most_common()
        if not others or others[0][1] < most:  # of two states of a row the one that was reviewed last
            agreeing = [rating for rating in ratings if rating.verdict == verdict]
            lines[shown[version].item] = _line(shown[version], agreeing, len(ratings))
    return [lines[key] for key in sorted(lines)]


def _line(shown: Shown, agreeing: list[Rating], of: int) -> dict[str, Any]:
    last: Mapping[str, str] = agreeing[-1].categories
    decision, comments = agreeing[-1].verdict, [rating.comment for rating in agreeing if rating.comment]
    said = {"id": shown.item, "decision": decision, "answer": last.get("mend", "") if decision == "mend" else ""}
    return said | {"was": shown.answers["keep"], "comments": comments, "for": len(agreeing), "of": of}


def export_decisions(store: Store) -> tuple[Path, int]:
    """Write what is decided as JSON lines beside the file of ratings, for the recipe's `data.decisions_path`.

    Returns:
        The path, and how many decisions there are.

    Raises:
        UserError: the folder can't be written to.
    """
    path = store.path.with_name(FILE)
    try:
        return path, jsonl.write(path, decided(store))
    except OSError as error:
        raise UserError.of(str(path), "a folder to write to", str(error), "check the disk and try again") from None
