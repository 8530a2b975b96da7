"""The ratings file: append-only, several writers, whole after a kill."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from ftlib.errors import UserError
from ftlib.review import schema
from ftlib.review.schema import APPLICATION_ID, VERSION, Rating, Shown
from ftlib.review.store import Store, current_ratings
from ftlib.rows import Turn

HISTORY = (Turn("user", "I have the kettle."), Turn("assistant", "Ask me."))
SHOWN = Shown("t1", "How heavy?", HISTORY, "", ("340 g",), {"few_shot": "blue", "rag": "340 g"})
REPOSITORY = Path(__file__).parents[2]
WRITER = """
import sys
from ftlib.review.schema import Shown
from ftlib.review.store import Store
store, name = Store(sys.argv[1]), sys.argv[2]
for i in range(int(sys.argv[3])):
    store.rate(Shown(f"t{i}", "q", (), "", ("a",), {"x": "b", "y": "f"}), name, "x", first_system="x")
    print(i, flush=True)
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "reviews.sqlite")


def start_writer(store, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.path), name, str(count)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(writers):
    for writer in writers:
        writer.communicate()
    return [writer.returncode for writer in writers]


def run_sql(store, statement):
    with closing(sqlite3.connect(store.path)) as db, db:
        return db.execute(statement).fetchall()


def test_a_rating_comes_back_as_it_was_given(store):
    hostile = "'; DROP TABLE ratings; -- \x00 é 漢 <b>"
    saved = store.rate(
        SHOWN,
        " ada ",
        "rag",
        first_system="few_shot",
        categories={"few_shot": "other", "rag": ""},
        comment=hostile,
        seconds=2.5,
    )
    found = store.history()[0]
    assert (found.id, found.item, found.reviewer, found.verdict) == (saved, "t1", "ada", "rag")
    assert (found.comment, found.categories, found.seconds, found.undoes) == (hostile, {"few_shot": "other"}, 2.5, None)
    assert store.shown() == {SHOWN.version: SHOWN}
    assert abs(found.created - time.time()) < 60


def test_write_ahead_log_and_version_are_set(store):
    assert run_sql(store, "PRAGMA journal_mode") == [("wal",)]
    assert run_sql(store, "PRAGMA user_version") == [(VERSION,)]
    assert run_sql(store, "PRAGMA application_id") == [(APPLICATION_ID,)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ratings",
        "UPDATE ratings SET verdict = 'rag'",
        "DELETE FROM shown",
        "UPDATE shown SET answers = '{}'",
    ],
)
def test_nothing_can_be_changed_or_deleted(store, statement):
    store.rate(SHOWN, "ada", "rag", first_system="few_shot")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run_sql(store, statement)
    assert len(store.history()) == 1


def test_the_latest_rating_counts_and_a_withdrawn_one_does_not(store):
    first = store.rate(SHOWN, "ada", "few_shot", first_system="few_shot")
    store.rate(SHOWN, "ben", "both_wrong", first_system="few_shot")
    store.rate(SHOWN, "ada", "rag", first_system="few_shot")
    counted = current_ratings(store.history())
    assert {key[2]: rating.verdict for key, rating in counted.items()} == {"ada": "rag", "ben": "both_wrong"}
    store.rate(SHOWN, "ada", "withdrawn", first_system="few_shot", undoes=first)
    assert {key[2] for key in current_ratings(store.history())} == {"ben"}
    assert len(store.history()) == 4 and len(store.history("ada")) == 3


def test_other_texts_are_another_version():
    other = {"few_shot": "blue", "rag": "341 g"}
    assert SHOWN.version != SHOWN._replace(answers=other).version
    assert SHOWN.version != SHOWN._replace(history=()).version, "after another history it is another question"
    assert SHOWN.version == Shown(*SHOWN).version
    assert SHOWN.version == SHOWN._replace(answers=dict(reversed(SHOWN.answers.items()))).version


@pytest.mark.parametrize(
    "change",
    [{"verdict": "finetuned"}, {"reviewer": "  "}, {"first_system": "base"}, {"categories": {"base": "other"}}],
)
def test_what_is_no_rating_is_refused(store, change):
    given = {"reviewer": "ada", "verdict": "few_shot", "first_system": "few_shot"} | change
    with pytest.raises(ValueError, match="no rating"):
        store.rate(SHOWN, **given)
    assert store.history() == []


def test_several_writers_lose_nothing(store):
    names = ("ada", "ben", "cy")
    assert finish([start_writer(store, name, 20) for name in names]) == [0, 0, 0]
    history = store.history()
    assert len(history) == 60 and len({rating.id for rating in history}) == 60
    assert all(len(store.history(name)) == 20 for name in names)


def test_several_processes_may_make_the_file_at_once(tmp_path):
    empty = type("Place", (), {"path": tmp_path / "new.sqlite"})
    assert finish([start_writer(empty, f"r{i}", 1) for i in range(4)]) == [0] * 4
    assert len(Store(empty.path).history()) == 4


def test_what_was_confirmed_survives_a_kill(store):
    writer = start_writer(store, "ada", 100_000)
    confirmed = [int(writer.stdout.readline()) for _ in range(10)][-1] + 1
    os.kill(writer.pid, signal.SIGKILL)
    confirmed += len(writer.stdout.read().split())
    writer.wait()
    writer.stdout.close()
    history = Store(store.path).history()
    assert confirmed <= len(history) <= confirmed + 1
    assert run_sql(store, "PRAGMA integrity_check") == [("ok",)]
    store.rate(SHOWN, "ben", "few_shot", first_system="few_shot")
    assert len(store.history()) == len(history) + 1


@pytest.mark.parametrize("column", ["verdict", "first_system"])
def test_the_file_itself_refuses_systems_that_were_not_shown(store, column):
    store.rate(SHOWN, "ada", "rag", first_system="few_shot")
    names = ["created", "item", "version", "reviewer", "verdict", "categories", "comment", "first_system", "seconds"]
    values = ["'base'" if name == column else name for name in names]
    with pytest.raises(sqlite3.IntegrityError, match="not shown"):
        run_sql(store, f"INSERT INTO ratings ({', '.join(names)}) SELECT {', '.join(values)} FROM ratings")
    assert len(store.history()) == 1


VERSION_1 = """
CREATE TABLE shown (
    version TEXT PRIMARY KEY, item TEXT NOT NULL, question TEXT NOT NULL, context TEXT NOT NULL,
    accepted TEXT NOT NULL, base TEXT NOT NULL, finetuned TEXT NOT NULL
) STRICT;
CREATE TABLE ratings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created REAL NOT NULL,
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
PRAGMA application_id = 1182026866;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
INSERT INTO shown VALUES ('6b29', 't1', 'How heavy?', 'ctx', '["340 g", "0.34 kg"]', 'blue é', '340 g');
INSERT INTO shown VALUES ('16bb', 't2', 'Colour?', '', '["red"]', 'red', 'red');
INSERT INTO ratings VALUES (1, 100.5, 't1', '6b29', 'ada', 'finetuned', 'other', '', 'it''s <b>', 'base', 2.5, NULL);
INSERT INTO ratings VALUES (2, 101.5, 't1', '6b29', 'ben', 'base', 'acceptable', 'near_miss', '', 'finetuned', 0, NULL);
INSERT INTO ratings VALUES (3, 102.5, 't1', '6b29', 'ben', 'withdrawn', '', '', '', 'finetuned', 0, 2);
INSERT INTO ratings VALUES (7, 103.5, 't2', '16bb', 'ada', 'unsure', '', '', '', 'finetuned', 0, NULL);
"""
FIRST = Shown("t1", "How heavy?", (), "ctx", ("340 g", "0.34 kg"), {"base": "blue é", "finetuned": "340 g"})
SECOND = Shown("t2", "Colour?", (), "", ("red",), {"base": "red", "finetuned": "red"})


@pytest.fixture
def version_1(tmp_path):
    """The file that the first version of this project wrote."""
    assert APPLICATION_ID == 1182026866
    with closing(sqlite3.connect(tmp_path / "reviews.sqlite")) as db:
        db.executescript(VERSION_1)
    return tmp_path / "reviews.sqlite"


def test_a_file_of_version_1_is_taken_over_and_loses_nothing(version_1):
    store = Store(version_1)
    assert store.shown() == {each.version: each for each in (FIRST, SECOND)}
    assert store.history() == [
        Rating(1, 100.5, "t1", FIRST.version, "ada", "finetuned", {"base": "other"}, "it's <b>", "base", 2.5, None),
        Rating(
            2,
            101.5,
            "t1",
            FIRST.version,
            "ben",
            "base",
            {"base": "acceptable", "finetuned": "near_miss"},
            "",
            "finetuned",
            0.0,
            None,
        ),
        Rating(3, 102.5, "t1", FIRST.version, "ben", "withdrawn", {}, "", "finetuned", 0.0, 2),
        Rating(7, 103.5, "t2", SECOND.version, "ada", "unsure", {}, "", "finetuned", 0.0, None),
    ]
    assert run_sql(store, "PRAGMA user_version") == [(VERSION,)]
    assert run_sql(store, "PRAGMA foreign_key_check") == [] and run_sql(store, "PRAGMA integrity_check") == [("ok",)]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run_sql(store, "DELETE FROM ratings")
    before = store.history()
    assert store.rate(FIRST, "cy", "finetuned", first_system="base") == 8
    assert Store(version_1).history()[:-1] == before, "opened again, nothing is done again"


def test_ratings_of_version_1_still_count_for_the_same_texts(version_1):
    counted = current_ratings(Store(version_1).history())
    assert {key: rating.verdict for key, rating in counted.items()} == {
        ("t1", FIRST.version, "ada"): "finetuned",
        ("t2", SECOND.version, "ada"): "unsure",
    }


def test_several_processes_may_take_a_file_over_at_once(version_1):
    place = type("Place", (), {"path": version_1})
    assert finish([start_writer(place, f"r{i}", 1) for i in range(4)]) == [0] * 4
    assert len(Store(version_1).history()) == 8


def test_a_takeover_that_fails_leaves_the_file_as_it_was(version_1, monkeypatch):
    monkeypatch.setattr(schema, "SCHEMA", schema.SCHEMA + "CREATE TABLE ratings (id);\n")
    with pytest.raises(UserError, match="already exists"):
        Store(version_1)
    place = type("Place", (), {"path": version_1})
    assert run_sql(place, "PRAGMA user_version") == [(1,)]
    assert run_sql(place, "SELECT count(*), max(id) FROM ratings") == [(4, 7)]
    monkeypatch.undo()
    assert len(Store(version_1).history()) == 4


def test_a_newer_file_is_left_alone(store):
    run_sql(store, f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(UserError, match="newer"):
        Store(store.path)


def test_another_programs_database_is_left_alone(tmp_path):
    place = type("Place", (), {"path": tmp_path / "other.sqlite"})
    run_sql(place, "CREATE TABLE mine (x)")
    with pytest.raises(UserError, match="another program"):
        Store(place.path)
    assert run_sql(place, "SELECT name FROM sqlite_master") == [("mine",)]


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    file = tmp_path / "reviews.sqlite"
    file.write_text("these are my notes, not a database\n" * 50)
    with pytest.raises(UserError, match="not a database"):
        Store(file)
    assert file.read_text().startswith("these are my notes")


def test_a_missing_folder_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="check that the folder exists"):
        Store(tmp_path / "nowhere" / "reviews.sqlite")
