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

from ftlib.recipe import UserError
from ftlib.review.store import APPLICATION_ID, VERSION, Shown, Store, current

SHOWN = Shown("t1", "How heavy?", "", ("340 g",), "blue", "340 g")
REPOSITORY = Path(__file__).parents[2]
WRITER = """
import sys
from ftlib.review.store import Shown, Store
store, name = Store(sys.argv[1]), sys.argv[2]
for i in range(int(sys.argv[3])):
    store.rate(Shown(f"t{i}", "q", "", ("a",), "b", "f"), name, "base", first_arm="base")
    print(i, flush=True)
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "reviews.sqlite")


def start_writer(store, name, count):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(store.path), name, str(count)], cwd=REPOSITORY,
                            stdout=subprocess.PIPE, text=True)


def finish(writers):
    for writer in writers:
        writer.communicate()
    return [writer.returncode for writer in writers]


def run_sql(store, statement):
    with closing(sqlite3.connect(store.path)) as db, db:
        return db.execute(statement).fetchall()


def test_a_rating_comes_back_as_it_was_given(store):
    hostile = "'; DROP TABLE ratings; -- \x00 é 漢 <b>"
    saved = store.rate(SHOWN, " ada ", "finetuned", first_arm="base", category_base="other", comment=hostile,
                       seconds=2.5)
    found = store.history()[0]
    assert (found.id, found.item, found.reviewer, found.verdict) == (saved, "t1", "ada", "finetuned")
    assert (found.comment, found.category_base, found.seconds, found.undoes) == (hostile, "other", 2.5, None)
    assert store.shown() == {SHOWN.version: SHOWN}
    assert abs(found.created - time.time()) < 60


def test_write_ahead_log_and_version_are_set(store):
    assert run_sql(store, "PRAGMA journal_mode") == [("wal",)]
    assert run_sql(store, "PRAGMA user_version") == [(VERSION,)]
    assert run_sql(store, "PRAGMA application_id") == [(APPLICATION_ID,)]


@pytest.mark.parametrize("statement", [
    "DELETE FROM ratings", "UPDATE ratings SET verdict = 'base'", "DELETE FROM shown", "UPDATE shown SET base = ''",
])
def test_nothing_can_be_changed_or_deleted(store, statement):
    store.rate(SHOWN, "ada", "finetuned", first_arm="base")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run_sql(store, statement)
    assert len(store.history()) == 1


def test_the_latest_rating_counts_and_a_withdrawn_one_does_not(store):
    first = store.rate(SHOWN, "ada", "base", first_arm="base")
    store.rate(SHOWN, "ben", "both_wrong", first_arm="base")
    store.rate(SHOWN, "ada", "finetuned", first_arm="base")
    counted = current(store.history())
    assert {key[2]: rating.verdict for key, rating in counted.items()} == {"ada": "finetuned", "ben": "both_wrong"}
    store.rate(SHOWN, "ada", "withdrawn", first_arm="base", undoes=first)
    assert {key[2] for key in current(store.history())} == {"ben"}
    assert len(store.history()) == 4 and len(store.history("ada")) == 3


def test_other_texts_are_another_version():
    assert SHOWN.version != SHOWN._replace(finetuned="341 g").version
    assert SHOWN.version == Shown(*SHOWN).version


@pytest.mark.parametrize("change", [{"verdict": "nice"}, {"reviewer": "  "}, {"first_arm": "rag"}])
def test_what_is_no_rating_is_refused(store, change):
    given = {"reviewer": "ada", "verdict": "base", "first_arm": "base"} | change
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
    store.rate(SHOWN, "ben", "base", first_arm="base")
    assert len(store.history()) == len(history) + 1


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
