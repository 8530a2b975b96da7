"""Data sets of the hub, as far as they can be had without a network."""

import json
import os
import subprocess
import sys
from collections import Counter

import pyarrow
import pyarrow.parquet
import pytest

from ftlib.data import files
from ftlib.data.json_files import unreadable
from ftlib.data.opening import LONGEST
from ftlib.errors import UserError


def hub_folder(path):
    """A data set as the hub keeps it: Parquet by split, and a README that says so."""
    (path / "data").mkdir(parents=True)
    for split, prefix in (("train", "q"), ("test", "held-out-")):
        rows = [{"question": f"{prefix}{n}", "answer": f"a{n}"} for n in range(3)]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path / "data" / f"{split}-00000-of-00001.parquet")
    files_of = "".join(f"  - split: {split}\n    path: data/{split}-*\n" for split in ("train", "test"))
    readme = f"---\nconfigs:\n- config_name: default\n  data_files:\n{files_of}---\n# A data set\n"
    (path / "README.md").write_text(readme, encoding="utf-8")


def test_a_data_set_in_the_hubs_layout_gives_its_training_split_only(tmp_path):
    hub_folder(tmp_path / "set")
    assert [record.value for record in files.records(tmp_path / "set")] == [
        {"question": f"q{n}", "answer": f"a{n}"} for n in range(3)
    ]
    held_out = [record.value["question"] for record in files.records(f"{tmp_path / 'set'}:test")]
    assert held_out == ["held-out-0", "held-out-1", "held-out-2"]
    with pytest.raises(UserError, match=r"data\.path"):
        list(files.records(f"{tmp_path / 'set'}:validation"))


def test_a_name_that_is_nowhere_is_one_clear_error():
    code = "from ftlib.data import files\ntry: list(files.records('nobody/no-such-set'))\n"
    code += "except Exception as error: print(repr(error))"
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("UserError") and "data.path = nobody/no-such-set" in done.stdout
    assert "Traceback" not in done.stderr


ROWS = [{"question": f"Où est q{n}?", "answer": f"é{n}"} for n in range(3)]


def written(path, content, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))
    return path


def table(separator, rows=ROWS):
    return "".join(separator.join(cells) + "\r\n" for cells in (rows[0], *(row.values() for row in rows)))


def values(source, **options):
    return [record.value for record in files.records(source, **options)]


@pytest.mark.parametrize(("separator", "name"), [(",", ""), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_table_tells_its_separator_and_its_byte_order_mark_the_encoding(tmp_path, separator, name, encoding):
    notes = Counter()
    assert values(written(tmp_path / "x.csv", table(separator), encoding), notes=notes) == ROWS
    assert notes == ({f"files separated by {name}": 1} if name else {})


def test_another_encoding_is_an_error_whose_advice_works(tmp_path):
    for name, content in (("x.csv", table(",")), ("x.json", json.dumps(ROWS, ensure_ascii=False))):
        path = written(tmp_path / name, content, "cp1252")
        with pytest.raises(UserError, match=r"(?s)expected: UTF-8.*data\.encoding.*'Où' in cp1252"):
            for record in files.records(path):
                if record.problem:
                    raise unreadable(record)
        assert values(path, encoding="cp1252") == ROWS
        with pytest.raises(UserError, match=r"data\.encoding = rot13"):
            values(path, encoding="rot13")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("question,answer,answer\r\nq,a,b\r\n", "'answer' 2 times"),
        ('question,answer\r\nq,a\r\n"q2,b\r\nq3,c\r\n', r"line 3\n.*a quote that is closed"),
    ],
)
def test_a_table_that_would_lose_values_is_refused(tmp_path, content, says):
    with pytest.raises(UserError, match=says):
        values(written(tmp_path / "x.csv", content))


def test_a_header_that_stands_again_below_is_counted(tmp_path):
    notes = Counter()
    assert values(written(tmp_path / "x.csv", table(",") + table(",")), notes=notes) == ROWS * 2
    assert notes == {"headers that stood again among the rows": 1}


def test_a_row_with_other_fields_is_one_bad_row_and_the_next_is_read(tmp_path):
    path = written(tmp_path / "x.csv", table(",") + 'q,a,b\r\n"a" b,c\r\n' + "Où est q0?,é0\r\n")
    made = list(files.records(path))
    assert [record.value for record in made] == [*ROWS, None, None, ROWS[0]]
    assert made[3].place.endswith("line 5") and made[3].problem == "expected 2 fields as in the header, found 3"


def test_an_object_with_several_lists_asks_which(tmp_path):
    """Only the first was read, in silence."""
    path = written(tmp_path / "x.json", json.dumps({"spring": ROWS, "more": {"autumn": ROWS[:1]}}))
    with pytest.raises(UserError, match=r"2: spring, more\.autumn\n.*data\.records"):
        values(path)
    assert values(path, key_path="more.autumn") == ROWS[:1]
    with pytest.raises(UserError, match=r"data\.records = winter"):
        values(path, key_path="winter")
    with pytest.raises(UserError, match=r"data\.records = a"):
        values(written(tmp_path / "x.jsonl", json.dumps(ROWS[0])), key_path="a")


@pytest.mark.parametrize(
    "content", ['[{"a": 1}, ]', '[{"a": 1}] x', '[{"a": 1} {"a": 2}]', '[{"a": 1},,{"a": 2}]', "[["]
)
def test_an_array_that_is_not_whole_is_an_error_with_its_place(tmp_path, content):
    with pytest.raises(UserError, match=r"x\.json, line 1 \(byte \d+\)"):
        values(written(tmp_path / "x.json", content))


def test_a_key_that_stands_twice_is_a_bad_record(tmp_path):
    (record,) = files.records(written(tmp_path / "x.jsonl", '{"a": 1, "a": 2}\n'))
    assert record.value is None and "the key 'a' twice" in record.problem


def test_what_is_no_data_in_a_folder_is_passed_over_and_counted(tmp_path):
    for name in (
        ".x.jsonl",
        "~$x.csv",
        "#x.jsonl#",
        "__MACOSX/._x.jsonl",
        ".git/x.json",
        "README.md",
        "x.png",
        "b.csv",
    ):
        written(tmp_path / name, "")
    written(tmp_path / "sub" / "a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "sub" / "up").symlink_to(tmp_path, target_is_directory=True)
    notes = Counter()
    assert values(tmp_path, notes=notes) == ROWS
    assert notes == {
        "hidden files passed over": 3,
        "hidden folders passed over": 2,
        "links to folders passed over": 1,
        "files of other kinds passed over": 2,
        "files without any record": 1,
    }


@pytest.mark.timeout(20)
@pytest.mark.parametrize("inside", [False, True])
def test_a_pipe_is_refused(tmp_path, inside):
    """It was waited for without end."""
    os.mkfifo(tmp_path / "x.jsonl")
    with pytest.raises(UserError, match=r"x\.jsonl\n.*regular file\n.*a pipe"):
        values(tmp_path if inside else tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"<!DOCTYPE html><p>Log in", "login"),
        (b"version https://git-lfs.x", "git lfs pull"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path, content, says):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        values(path)


def test_a_line_without_end_costs_one_record_and_little_memory(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b"x" * (LONGEST + 9) + b'\n{"a": 2}\n')
    made = list(files.records(path))
    assert [record.value for record in made] == [{"a": 1}, None, {"a": 2}]
    assert "line 2" in made[1].place and "line 3" in made[2].place
