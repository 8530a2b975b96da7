"""Ratings as JSON lines: people's, written out to be read elsewhere, and recorded examples, read to be looked at.

The two never meet: examples say in every line that they are examples, and nothing puts a line into a file of ratings.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ftlib import jsonl
from ftlib.errors import UserError
from ftlib.review.store import Rating, Shown, Store, current_ratings
from ftlib.rows import Turn

LINE_FIELDS = ("item", "question", "accepted", "answers", "reviewer", "verdict", "first_system")


class Examples(NamedTuple):
    """Recorded ratings, which are nobody's, and the texts that were rated, by version."""

    ratings: list[Rating]
    shown: dict[str, Shown]


def export_ratings(store: Store) -> tuple[Path, int]:
    """Write what counts now of everybody's ratings, each with all that was on the screen, beside the file of ratings.

    Decisions about training rows have a file of their own (`decisions.export_decisions`).

    Args:
        store: the file of ratings.

    Returns:
        The path of the JSON lines, and how many there are.

    Raises:
        UserError: the folder can't be written to.
    """
    path, shown = store.path.with_suffix(".jsonl"), store.shown()
    rated = [each for each in current_ratings(store.history()).values() if not shown[each.version].is_row]
    try:
        return path, jsonl.write(path, (_line(each, shown) for each in rated))
    except OSError as error:
        raise UserError.of(str(path), "a folder to write to", str(error), "check the disk and try again") from None


def read_examples(path: str | Path) -> Examples:
    """Recorded example ratings: lines as `export_ratings` writes them, each with `example: true`.

    Args:
        path: JSON lines.

    Raises:
        UserError: no such file, a broken line, a field that is missing, or a line that is not marked as an example.
    """
    ratings, versions = [], {}
    for number, line in enumerate(jsonl.iterate(path), start=1):
        where, missing = f"{path}, row {number}", [name for name in LINE_FIELDS if name not in line]
        if missing:
            raise UserError.of(where, f"the fields {', '.join(LINE_FIELDS)}", f"no {', '.join(missing)}", "add them")
        if line.get("example") is not True:
            fix = "people's ratings stay in reviews.sqlite; mark made-up ones as what they are"
            raise UserError.of(where, "`example: true`", repr(line.get("example")), fix)
        turns = tuple(Turn(each["role"], each["content"]) for each in line.get("history", ()))
        texts = (line.get("context", ""), tuple(line["accepted"]), line["answers"])
        shown = Shown(line["item"], line["question"], turns, *texts)
        versions[shown.version] = shown
        said = (line.get("categories", {}), line.get("comment", ""), line["first_system"], line.get("seconds", 0.0))
        ratings.append(Rating(number, 0.0, shown.item, shown.version, line["reviewer"], line["verdict"], *said, None))
    return Examples(ratings, versions)


def rated_table(ratings: Iterable[Rating], shown: dict[str, Shown]) -> list[dict[str, Any]]:
    """One line a question: the question, what was expected, both answers, and every reviewer's verdict, by name.

    Args:
        ratings: what counts.
        shown: version to the texts.
    """
    table: dict[str, dict[str, Any]] = {}
    for each in ratings:
        texts = shown[each.version]
        line = {"question": texts.question, "expected": " or ".join(texts.accepted), **texts.answers}
        table.setdefault(each.version, line)[each.reviewer] = each.verdict.replace("_", " ")
    return list(table.values())


def _line(rating: Rating, shown: dict[str, Shown]) -> dict[str, Any]:
    texts, made = shown[rating.version], datetime.datetime.fromtimestamp(rating.created, datetime.UTC)
    seen = texts._asdict() | {"history": [turn._asdict() for turn in texts.history], "accepted": list(texts.accepted)}
    said = {name: getattr(rating, name) for name in ("reviewer", "verdict", "comment", "first_system", "seconds")}
    return seen | said | {"categories": dict(rating.categories), "created": made.isoformat(timespec="seconds")}
