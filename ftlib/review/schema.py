"""The file of ratings, inside: its tables, what their rows are, and how a file of version 1 is taken over."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.data.reviewed import DROPPED, KEPT, MENDED
from ftlib.rows import Turn

VERSION = 2
APPLICATION_ID = 0x46744C72  # "FtLr": tells this file from any other SQLite database
DECISIONS = (KEPT, MENDED, DROPPED)  # the "systems" of what is shown of a training row
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


class Shown(NamedTuple):
    """What stands on the screen for one item; `version` is its SHA-256."""

    item: str
    question: str
    history: tuple[Turn, ...]
    context: str
    accepted: tuple[str, ...]
    answers: Mapping[str, str]  # system -> text, of two systems; of a training row, see `DECISIONS`

    @property
    def is_row(self) -> bool:
        """Whether a training row was shown, about which something is decided, and no question with two answers."""
        return set(self.answers) == set(DECISIONS)

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

    @property
    def rated(self) -> tuple[str, str]:
        """What was rated: the item, in this version."""
        return self.item, self.version


def make_tables(db: sqlite3.Connection, found: int) -> None:
    """Make the tables inside the open transaction; a file of version 1 is taken over whole (`found` is 0 of a new one).

    Statements are run one by one: `executescript` would commit the open transaction.
    """
    shown, ratings = _take_out_version_1(db) if found else ([], [])
    part = ""
    for line in SCHEMA.splitlines():
        part += f"{line}\n"
        if sqlite3.complete_statement(part):
            db.execute(part)
            part = ""
    for table, lines in (("shown", shown), ("ratings", ratings)):
        for line in lines:
            add_row(db, table, line)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def add_row(db: sqlite3.Connection, table: str, row: Sequence[Any]) -> int:
    """Add a row, its columns in order; what was shown already is not shown anew. Returns its id."""
    plain = [json.dumps(each, ensure_ascii=False) if isinstance(each, (dict, tuple)) else each for each in row]
    known = "OR IGNORE " if table == "shown" else ""
    return int(db.execute(f"INSERT {known}INTO {table} VALUES (?{', ?' * (len(plain) - 1)})", plain).lastrowid or 0)


def _take_out_version_1(db: sqlite3.Connection) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]:
    """What the tables of version 1 hold, as rows of this version's, and the tables gone with all that hangs on them.

    Its two systems are the names of the columns in which their answers stood. The same texts keep their ratings, under
    the hash that they have now.
    """
    systems = [column[1] for column in db.execute("PRAGMA table_info(shown)")][5:]
    seen, ratings = {}, []
    for version, item, question, context, accepted, *texts in db.execute("SELECT * FROM shown"):
        answers = dict(zip(systems, texts, strict=True))
        seen[version] = Shown(item, question, (), context, tuple(json.loads(accepted)), answers)
    for row in db.execute("SELECT * FROM ratings ORDER BY id"):
        said = {system: category for system, category in zip(systems, row[6:8], strict=True) if category}
        ratings.append((*row[:3], seen[row[3]].version, *row[4:6], said, *row[8:]))
    db.execute("DROP TABLE ratings")
    db.execute("DROP TABLE shown")
    return [(each.version, *each) for each in seen.values()], ratings
