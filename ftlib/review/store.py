"""People's ratings in SQLite: append-only, safe with several writers, whole after a kill.

The table of ratings is a history. Nothing is ever updated or deleted (triggers refuse it): changing one's mind or
undoing adds a row, and the latest row of an (item, version, reviewer) is what counts. Each rating points to the texts
that were on the screen, so it stays readable when the model is trained anew.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from ftlib.recipe import UserError

VERSION = 1
APPLICATION_ID = 0x46744C72  # "FtLr": tells this file from any other SQLite database
BUSY_SECONDS = 30.0
VERDICTS = ("base", "finetuned", "both_right", "both_wrong", "unsure", "withdrawn")
SCHEMA = """
CREATE TABLE shown (
    version TEXT PRIMARY KEY,            -- SHA-256 of everything below
    item TEXT NOT NULL,
    question TEXT NOT NULL,
    context TEXT NOT NULL,
    accepted TEXT NOT NULL,              -- JSON list
    base TEXT NOT NULL,
    finetuned TEXT NOT NULL
) STRICT;
CREATE TABLE ratings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created REAL NOT NULL,               -- seconds since 1970, UTC
    item TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES shown (version),
    reviewer TEXT NOT NULL CHECK (length(reviewer) > 0),
    verdict TEXT NOT NULL CHECK (verdict IN ('base', 'finetuned', 'both_right', 'both_wrong', 'unsure', 'withdrawn')),
    category_base TEXT NOT NULL,
    category_finetuned TEXT NOT NULL,
    comment TEXT NOT NULL,
    first_arm TEXT NOT NULL CHECK (first_arm IN ('base', 'finetuned')),
    seconds REAL NOT NULL CHECK (seconds >= 0),
    undoes INTEGER REFERENCES ratings (id)
) STRICT;
CREATE INDEX ratings_by_reviewer ON ratings (reviewer, item, version, id);
CREATE TRIGGER ratings_never_change BEFORE UPDATE ON ratings
    BEGIN SELECT RAISE(ABORT, 'ratings are append-only'); END;
CREATE TRIGGER ratings_never_go BEFORE DELETE ON ratings
    BEGIN SELECT RAISE(ABORT, 'ratings are append-only'); END;
CREATE TRIGGER shown_never_changes BEFORE UPDATE ON shown
    BEGIN SELECT RAISE(ABORT, 'what was shown is append-only'); END;
CREATE TRIGGER shown_never_goes BEFORE DELETE ON shown
    BEGIN SELECT RAISE(ABORT, 'what was shown is append-only'); END;
"""


class Shown(NamedTuple):
    """What stands on the screen for one item; ``version`` is its SHA-256."""

    item: str
    question: str
    context: str
    accepted: tuple[str, ...]
    base: str
    finetuned: str

    @property
    def version(self) -> str:
        """SHA-256 of all texts: ratings of other texts are ratings of something else."""
        return hashlib.sha256(json.dumps(self, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


class Rating(NamedTuple):
    """One line of the history."""

    id: int
    created: float
    item: str
    version: str
    reviewer: str
    verdict: str
    category_base: str
    category_finetuned: str
    comment: str
    first_arm: str
    seconds: float
    undoes: int | None


class Store:
    """The file ``reviews.sqlite`` of a run.

    A connection is opened for each call: nothing stays locked by an idle kernel, and a kill loses nothing that
    ``rate`` has returned from. WAL needs a local disk; SQLite does not support it on network file systems.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens or creates the file.

        Args:
            path: where it is; its folder must exist.

        Raises:
            UserError: the file is something else, or was written by a newer version.
        """
        self.path = Path(path)
        try:
            with closing(self._open()) as db:
                self._prepare(db)
        except sqlite3.OperationalError as error:
            raise UserError.of(str(self.path), "a folder to write ratings to", str(error),
                               "check that the folder exists, is writable and on a local disk") from None
        except sqlite3.DatabaseError as error:
            raise UserError.of(str(self.path), "a database of ratings", str(error),
                               "move this file away; a new one is made in its place") from None

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        db.execute("PRAGMA synchronous = FULL")  # a rating that was confirmed survives a power cut
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        _use_wal(db)
        with _transaction(db):
            found = db.execute("PRAGMA user_version").fetchone()[0]
            owner = db.execute("PRAGMA application_id").fetchone()[0]
            tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables and owner != APPLICATION_ID:
                raise UserError.of(str(self.path), "a database of ratings", "another program's SQLite database",
                                   "move this file away; a new one is made in its place")
            if found > VERSION:
                raise UserError.of(str(self.path), f"schema version {VERSION} or older", f"version {found}",
                                   "update ftlib: this file was written by a newer one")
            if not tables:
                for statement in _statements(SCHEMA):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {VERSION}")

    def rate(self, shown: Shown, reviewer: str, verdict: str, *, first_arm: str, category_base: str = "",
             category_finetuned: str = "", comment: str = "", seconds: float = 0.0, undoes: int | None = None) -> int:
        """Adds one rating and returns when it is on the disk.

        Args:
            shown: the texts that the reviewer saw.
            reviewer: who; not empty.
            verdict: one of ``VERDICTS``.
            first_arm: which system's answer stood first, "base" or "finetuned".
            category_base: the reviewer's category for the base answer; "" for none.
            category_finetuned: the same for the fine-tuned answer.
            comment: free text.
            seconds: how long the item was on the screen.
            undoes: id of the rating that this one takes back.

        Returns:
            The new rating's id.

        Raises:
            ValueError: an unknown verdict or arm, or no reviewer.
            UserError: the file could not be written.
        """
        reviewer = reviewer.strip()
        if verdict not in VERDICTS or first_arm not in ("base", "finetuned") or not reviewer:
            raise ValueError(f"no rating: verdict {verdict!r}, first_arm {first_arm!r}, reviewer {reviewer!r}")
        values = (time.time(), shown.item, shown.version, reviewer, verdict, category_base, category_finetuned,
                  comment, first_arm, max(0.0, seconds), undoes)
        try:
            with closing(self._open()) as db, _transaction(db):
                db.execute("INSERT OR IGNORE INTO shown VALUES (?, ?, ?, ?, ?, ?, ?)",
                           (shown.version, shown.item, shown.question, shown.context,
                            json.dumps(shown.accepted, ensure_ascii=False), shown.base, shown.finetuned))
                cursor = db.execute(f"INSERT INTO ratings VALUES (NULL{', ?' * len(values)})", values)
                return int(cursor.lastrowid)
        except sqlite3.OperationalError as error:
            raise UserError.of(str(self.path), "to save the rating", str(error),
                               "check the disk and try again") from None

    def history(self, reviewer: str | None = None) -> list[Rating]:
        """All ratings, oldest first; of one reviewer if given."""
        where, values = ("WHERE reviewer = ?", (reviewer.strip(),)) if reviewer is not None else ("", ())
        with closing(self._open()) as db:
            return [Rating(*row) for row in db.execute(f"SELECT * FROM ratings {where} ORDER BY id", values)]

    def shown(self) -> dict[str, Shown]:
        """Version -> the texts that were rated."""
        with closing(self._open()) as db:
            rows = db.execute("SELECT * FROM shown").fetchall()
        return {row[0]: Shown(row[1], row[2], row[3], tuple(json.loads(row[4])), row[5], row[6]) for row in rows}


def current(history: Sequence[Rating]) -> dict[tuple[str, str, str], Rating]:
    """What counts now: the latest rating of each (item, version, reviewer), withdrawn ones left out.

    Args:
        history: ratings, oldest first.

    Returns:
        (item, version, reviewer) -> Rating.
    """
    latest: Mapping[tuple[str, str, str], Rating] = {(r.item, r.version, r.reviewer): r for r in history}
    return {key: rating for key, rating in latest.items() if rating.verdict != "withdrawn"}


def _use_wal(db: sqlite3.Connection) -> None:
    """Switches to write-ahead logging; SQLite does not wait here for another process that does the same."""
    deadline = time.monotonic() + BUSY_SECONDS
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")  # take the write lock at once: a reader that turns writer could meet a busy error
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """A script's statements; ``executescript`` would commit the open transaction."""
    statements, part = [], ""
    for line in script.strip().splitlines():
        part += line + "\n"
        if sqlite3.complete_statement(part):
            statements.append(part)
            part = ""
    return statements
