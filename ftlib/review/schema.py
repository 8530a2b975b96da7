"""The file of ratings, inside: its tables, what their rows are, and how a file of version 1 is taken over."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.rows import Turn

VERSION = 2
APPLICATION_ID = 0x46744C72  # "FtLr": tells this file from any other SQLite database
NO_PREFERENCE = ("both_right", "both_wrong", "unsure", "withdrawn")  # any other verdict is the better system's name
SCHEMA = f"""
CREATE TABLE shown (
    version TEXT PRIMARY KEY,            -- SHA-256 of everything below
    item TEXT NOT NULL,
    question TEXT NOT NULL,
    history TEXT NOT NULL CHECK (json_valid(history)),    -- JSON list of [role, content]
    context TEXT NOT NULL,
    accepted TEXT NOT NULL CHECK (json_valid(accepted)),  -- JSON list
    answers TEXT NOT NULL CHECK (json_valid(answers))     -- JSON object: system -> text
) STRICT;
CREATE TABLE ratings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created REAL NOT NULL,               -- seconds since 1970, UTC
    item TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES shown (version),
    reviewer TEXT NOT NULL CHECK (length(reviewer) > 0),
    verdict TEXT NOT NULL,               -- a system of what was shown, or one of NO_PREFERENCE
    categories TEXT NOT NULL CHECK (json_valid(categories)),  -- JSON object: system -> category
    comment TEXT NOT NULL,
    first_system TEXT NOT NULL,          -- whose answer stood first
    seconds REAL NOT NULL CHECK (seconds >= 0),
    undoes INTEGER REFERENCES ratings (id)
) STRICT;
CREATE INDEX ratings_by_reviewer ON ratings (reviewer, item, version, id);
CREATE TRIGGER ratings_never_change BEFORE UPDATE ON ratings
    BEGIN SELECT RAISE(ABORT, 'ratings are append-only'); END;
CREATE TRIGGER ratings_never_go BEFORE DELETE ON ratings
    BEGIN SELECT RAISE(ABORT, 'ratings are append-only'); END;
CREATE TRIGGER ratings_name_what_was_shown BEFORE INSERT ON ratings
    WHEN EXISTS (
        SELECT NEW.first_system AS name UNION SELECT NEW.verdict
            WHERE NEW.verdict NOT IN {NO_PREFERENCE}
        EXCEPT SELECT key FROM shown, json_each(shown.answers) WHERE shown.version = NEW.version
    )
    BEGIN SELECT RAISE(ABORT, 'a rating names a system that was not shown'); END;
CREATE TRIGGER shown_never_changes BEFORE UPDATE ON shown
    BEGIN SELECT RAISE(ABORT, 'what was shown is append-only'); END;
CREATE TRIGGER shown_never_goes BEFORE DELETE ON shown
    BEGIN SELECT RAISE(ABORT, 'what was shown is append-only'); END;
"""
SET_VERSION_1_ASIDE = """
DROP TRIGGER ratings_never_change;
DROP TRIGGER ratings_never_go;
DROP TRIGGER shown_never_changes;
DROP TRIGGER shown_never_goes;
DROP INDEX ratings_by_reviewer;
ALTER TABLE shown RENAME TO shown_1;
ALTER TABLE ratings RENAME TO ratings_1;
"""


class Shown(NamedTuple):
    """What stands on the screen for one item; `version` is its SHA-256."""

    item: str
    question: str
    history: tuple[Turn, ...]
    context: str
    accepted: tuple[str, ...]
    answers: Mapping[str, str]  # system -> text, of two systems

    @property
    def version(self) -> str:
        """SHA-256 of all texts: ratings of other texts are ratings of something else."""
        texts = json.dumps([*self[:-1], sorted(self.answers.items())], ensure_ascii=False)
        return hashlib.sha256(texts.encode("utf-8", "surrogatepass")).hexdigest()


class Rating(NamedTuple):
    """One line of the history."""

    id: int
    created: float
    item: str
    version: str
    reviewer: str
    verdict: str
    categories: Mapping[str, str]  # system -> category, where one was chosen
    comment: str
    first_system: str
    seconds: float
    undoes: int | None


def make_tables(db: sqlite3.Connection, found: int) -> None:
    """Make the tables inside the open transaction; what a file of version 1 holds is taken over whole.

    Args:
        db: the database.
        found: its schema version; 0 of a new file.
    """
    if found:
        _execute(db, SET_VERSION_1_ASIDE)
    _execute(db, SCHEMA)
    if found:
        _take_over_version_1(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def add_row(db: sqlite3.Connection, table: str, row: Sequence[Any]) -> int:
    """Add a row, its columns in order; what was shown already is not shown anew. Returns its id."""
    plain = [json.dumps(each, ensure_ascii=False) if isinstance(each, (dict, tuple)) else each for each in row]
    known = "OR IGNORE " if table == "shown" else ""
    return int(db.execute(f"INSERT {known}INTO {table} VALUES (?{', ?' * (len(plain) - 1)})", plain).lastrowid or 0)


def _take_over_version_1(db: sqlite3.Connection) -> None:
    """Copy what version 1 holds; the same texts keep their ratings, under the hash that they have now.

    Its two systems are the names of the columns in which their answers stood.
    """
    systems = [column[1] for column in db.execute("PRAGMA table_info(shown_1)")][5:]
    seen = {}
    for version, item, question, context, accepted, *texts in db.execute("SELECT * FROM shown_1").fetchall():
        answers = dict(zip(systems, texts, strict=True))
        seen[version] = Shown(item, question, (), context, tuple(json.loads(accepted)), answers)
        add_row(db, "shown", (seen[version].version, *seen[version]))
    for row in db.execute("SELECT * FROM ratings_1 ORDER BY id").fetchall():
        said = {system: category for system, category in zip(systems, row[6:8], strict=True) if category}
        add_row(db, "ratings", (*row[:3], seen[row[3]].version, *row[4:6], said, *row[8:]))
    db.execute("DROP TABLE ratings_1")
    db.execute("DROP TABLE shown_1")


def _execute(db: sqlite3.Connection, script: str) -> None:
    """Run a script's statements one by one; `executescript` would commit the open transaction."""
    part = ""
    for line in script.strip().splitlines():
        part += line + "\n"
        if sqlite3.complete_statement(part):
            db.execute(part)
            part = ""
