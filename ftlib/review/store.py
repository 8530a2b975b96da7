"""People's ratings in SQLite: append-only, safe with several writers, whole after a kill.

The table of ratings is a history. Nothing is ever updated or deleted (triggers refuse it): changing one's mind or
undoing adds a row, and the latest row of an (item, version, reviewer) is what counts. Each rating points to the texts
that were on the screen, so it stays readable when the model is trained anew. Any two systems can be compared: their
names are data. A file of schema version 1, which knew one pair of systems, is taken over whole when it is opened.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from ftlib.errors import UserError
from ftlib.review.schema import APPLICATION_ID, NO_PREFERENCE, VERSION, Rating, Shown, add_row, make_tables
from ftlib.rows import Turn

BUSY_SECONDS = 30.0
BEGIN = "BEGIN IMMEDIATE"  # take the write lock at once: a reader that turns writer could meet a busy error
MOVE_AWAY = "move this file away; a new one is made in its place"


class Store:
    """The file `reviews.sqlite` of a run.

    A connection is opened for each call: nothing stays locked by an idle kernel, and a kill loses nothing that
    `rate` has returned from. WAL needs a local disk; SQLite does not support it on network file systems.
    """

    def __init__(self, path: str | Path) -> None:
        """Open or create the file.

        Raises:
            UserError: the file is something else, or was written by a newer version.
        """
        self.path = Path(path)
        try:
            with closing(self._open()) as db:
                _use_wal(db)
                self._prepare(db)
        except sqlite3.OperationalError as error:
            fix = "check that the folder exists, is writable and on a local disk"
            raise UserError.of(str(self.path), "a folder to write ratings to", str(error), fix) from None
        except sqlite3.DatabaseError as error:
            raise UserError.of(str(self.path), "a database of ratings", str(error), MOVE_AWAY) from None

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        db.execute("PRAGMA synchronous = FULL")  # a rating that was confirmed survives a power cut
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        with db:  # commits, or rolls back what an error cut short
            db.execute(BEGIN)
            questions = ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
            found, owner, tables = (db.execute(each).fetchone()[0] for each in questions)
            if tables and owner != APPLICATION_ID:
                other = "another program's SQLite database"
                raise UserError.of(str(self.path), "a database of ratings", other, MOVE_AWAY)
            if found > VERSION:
                fix = "update ftlib: this file was written by a newer one"
                raise UserError.of(str(self.path), f"schema version {VERSION} or older", f"version {found}", fix)
            if found < VERSION:
                make_tables(db, found)

    def rate(
        self,
        shown: Shown,
        reviewer: str,
        verdict: str,
        *,
        first_system: str,
        categories: Mapping[str, str] | None = None,
        comment: str = "",
        seconds: float = 0.0,
        undoes: int | None = None,
    ) -> int:
        """Add one rating of what was shown and return its id when it is on the disk.

        Args:
            verdict: the better system's name or one of `NO_PREFERENCE`.
            categories: system -> the reviewer's category for its answer; empty ones are left out.
            seconds: how long the item was on the screen.
            undoes: id of the rating that this one takes back.

        Raises:
            ValueError: a verdict or a system that is not among those shown, or no reviewer.
            UserError: the file could not be written.
        """
        said = {system: category for system, category in (categories or {}).items() if category}
        reviewer, names = reviewer.strip(), shown.answers
        named = verdict in (*names, *NO_PREFERENCE) and {first_system, *said} <= names.keys()
        if not named or not reviewer:
            raise ValueError(f"no rating: verdict {verdict!r}, first {first_system!r}, {said}, reviewer {reviewer!r}")
        values = (None, time.time(), shown.item, shown.version, reviewer, verdict, said, comment, first_system)
        try:
            with closing(self._open()) as db, db:
                db.execute(BEGIN)
                add_row(db, "shown", (shown.version, *shown))
                return add_row(db, "ratings", (*values, max(0.0, seconds), undoes))
        except sqlite3.OperationalError as error:
            fix = "check the disk and try again"
            raise UserError.of(str(self.path), "to save the rating", str(error), fix) from None

    def history(self, reviewer: str | None = None) -> list[Rating]:
        """All ratings, oldest first; of one reviewer if given."""
        where, values = ("WHERE reviewer = ?", (reviewer.strip(),)) if reviewer is not None else ("", ())
        with closing(self._open()) as db:
            rows = db.execute(f"SELECT * FROM ratings {where} ORDER BY id", values).fetchall()
        return [Rating(*row)._replace(categories=json.loads(row[6])) for row in rows]

    def shown(self) -> dict[str, Shown]:
        """Version -> the texts that were rated."""
        with closing(self._open()) as db:
            rows = db.execute("SELECT * FROM shown").fetchall()
        return {row[0]: _shown(row) for row in rows}


def current_ratings(history: Sequence[Rating]) -> dict[tuple[str, str, str], Rating]:
    """What counts now: the latest rating of each (item, version, reviewer), withdrawn ones left out."""
    latest = {(*rating.rated, rating.reviewer): rating for rating in history}  # oldest first
    return {key: rating for key, rating in latest.items() if rating.verdict != "withdrawn"}


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait here for another process that does the same."""
    deadline = time.monotonic() + BUSY_SECONDS
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _shown(row: Sequence[str]) -> Shown:
    _, item, question, history, context, accepted, answers = row
    turns = tuple(Turn(*turn) for turn in json.loads(history))
    return Shown(item, question, turns, context, tuple(json.loads(accepted)), json.loads(answers))
