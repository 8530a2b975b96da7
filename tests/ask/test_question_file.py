"""A file of questions: order, bad rows by name, a kill that leaves no trace, and answers bound to their questions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ftlib import jsonl
from ftlib.ask.question_file import answer_file, read_questions
from ftlib.cli import main
from ftlib.errors import UserError
from ftlib.recipe import ColumnsRecipe
from tests.ask.conftest import COLOURS
from tests.ask.test_talk import said_by

TALK = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "So?"},
]


@pytest.fixture
def questions(tmp_path):
    """A function that writes lines as a file of questions."""

    def write(lines: list, name: str = "questions.jsonl"):
        file = tmp_path / name
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        file.write_text("".join(text + "\n" for text in texts))
        return file

    return write


def test_every_form_of_question_is_read_and_every_bad_one_has_a_place(questions):
    lines = [
        {"id": 7, "question": "What?", "context": "Here."},
        {"messages": TALK},
        {"Frage": "Was?"},
        {"turns": TALK, "references": ["x"], "id": "t"},
        {"question": ["a"]},
        {"messages": TALK[:2], "id": "cut"},
        {"question": ""},
        {"text": "no question"},
        "{broken",
    ]
    file = questions(lines)
    read = list(read_questions(file, ColumnsRecipe(question="Frage")))
    assert [each.id for each in read[:5]] == ["7", "row-0000001", "row-0000002", "t", "row-0000004"]
    assert [each.row.question for each in read[:4]] == ["What?", "So?", "Was?", "So?"]
    assert read[0].row.context == "Here." and len(read[1].row.turns) == 3
    wrong = {
        4: "field question: expected text in question, found list",
        5: "field messages: expected a user's message at the end of messages, found assistant",
        6: "field question: expected a question in question, found an empty text",
        7: "field question: expected question or messages, found text",
        8: "expected one JSON object",
    }
    assert [each.row is None for each in read] == [False] * 4 + [True] * 5
    for at, words in wrong.items():
        assert read[at].error.startswith(f"{file}, line {at + 1} (byte ") and words in read[at].error


def test_answers_come_in_order_and_bad_rows_with_their_error(run_dir, asker, questions, tmp_path, capsys):
    asked = [f"What colour is the {product}?" for product in COLOURS]
    file, out = questions([{"question": asked[0]}, {"id": "b", "question": 3.5}, "[]", {"question": "x" * 3000}]
                          + [{"question": each} for each in asked[1:]]), tmp_path / "answers.jsonl"  # fmt: skip
    assert main(["generate", str(run_dir), "--in", str(file), "--out", str(out)]) == 2
    told, lines = capsys.readouterr(), jsonl.read(out)
    assert [line["id"] for line in lines] == ["row-0000000", "b", *(f"row-{n:07d}" for n in range(2, 7))]
    answers = [line["answer"] for line in lines if "answer" in line]
    assert [answers[0], *answers[2:]] == [said_by(asker, "finetuned", each) for each in asked]
    assert "line 3" in lines[2]["error"] and "tokens" in lines[3]["error"]
    assert "bad row row-0000002" in told.err and "2 bad ones" in told.err
    assert "7 rows: 7 now" in told.out and "rows/s" in told.out


def test_a_table_with_passages(run_dir, questions, tmp_path):
    file, out = questions(["id;question", "a;What colour is the Drift?", "b;And the Tarn?"], "q.csv"), tmp_path / "a"
    done = answer_file(run_dir, file, out, rag=True)
    assert (done.rows, done.kept, done.bad) == (2, 0, 0) and done.tokens > 0
    assert [(line["id"], line["passages"]) for line in jsonl.read(out)] == [("a", ["Drift"]), ("b", ["Tarn"])]


def test_answers_are_bound_to_questions_and_system(run_dir, questions, tmp_path):
    file, out = questions([{"question": "One?"}, {"question": "Two?"}]), tmp_path / "answers.jsonl"
    answer_file(run_dir, file, out)
    before = out.read_bytes()
    assert answer_file(run_dir, file, out).kept == 2 and out.read_bytes() == before
    with pytest.raises(UserError, match=r"other system, adapter[\s\S]*made by finetuned"):
        answer_file(run_dir, file, out, name="base")
    questions([{"question": "Another?"}])
    with pytest.raises(UserError, match="other questions"):
        answer_file(run_dir, file, out)
    with pytest.raises(UserError, match="the questions themselves"):
        answer_file(run_dir, file, file)
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UserError, match="nothing says"):
        answer_file(run_dir, file, tmp_path / "mine.txt")
    assert (out.read_bytes(), (tmp_path / "mine.txt").read_text()) == (before, "precious")


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(run_dir, questions, environment, tmp_path):
    file = questions([{"question": f"What colour is the {list(COLOURS)[n % 4]} {n}?"} for n in range(60)])
    killed, whole = tmp_path / "killed.jsonl", tmp_path / "whole.jsonl"
    options = {"max_new_tokens": 24, "batch_rows": 3, "name": "base"}
    command = [sys.executable, "-m", "ftlib.cli", "generate", str(run_dir), "--in", str(file), "--out", str(killed)]
    command += ["--max-new-tokens", "24", "--batch-rows", "3", "--system", "base"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 800
    while not (killed.exists() and killed.read_bytes().count(b"\n") >= 7):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    there = killed.read_bytes().count(b"\n")
    assert there < 60, "it was killed before its end"
    with killed.open("ab") as out:
        out.write(b'{"id": "torn')
    done = answer_file(run_dir, file, killed, **options)
    assert done.kept == there // 3 * 3 and done.rows == 60
    answer_file(run_dir, file, whole, **options)
    assert killed.read_bytes() == whole.read_bytes()
