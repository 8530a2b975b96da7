"""Formats, detection, places of errors, and files that something went wrong with."""

import gzip
import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib.data import files, formats, load
from ftlib.data.formats import Malformed, Reading
from ftlib.data.table import each
from ftlib.errors import UserError
from ftlib.recipe import DataRecipe
from ftlib.rows import row_json, write

ALPACA = {"id": "r1", "instruction": "q", "input": "c", "output": "a", "conversation": "c9", "product": "Heron 20"}


def entries(record, columns=None, shape="auto", group_by=("conversation",), **options):
    return list(formats.entries(record, Reading(shape, columns or {}, group_by, **options), "fallback"))


def rows(record, **options):
    return [entry.row for entry in entries(record, **options)]


def texts(record, **options):
    return [(row.question, row.context, row.answer) for row in rows(record, **options)]


def read(path, folder, **data):
    return load.load(path, folder / "rows.arrow", DataRecipe.model_validate({"path": str(path), **data}))


@pytest.mark.parametrize(
    ("record", "shape", "expected"),
    [
        (ALPACA, "alpaca", ("q", "c", "a")),
        ({"question": "q", "answer": "a"}, "question_answer", ("q", "", "a")),
        ({"question": "q", "context": "c", "answers": {"text": ["a", "b"]}}, "question_answer", ("q", "c", "a")),
        ({"prompt": "q", "completion": "a"}, "prompt_completion", ("q", "", "a")),
        ({"Prompt": "q", "Completion": 5}, "prompt_completion", ("q", "", "5")),
        ({"query": "q", "reply": "a"}, "columns", ("q", "", "a")),
        ({"text": "only text"}, "text", ("", "", "only text")),
        (
            {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
            "messages",
            ("q", "", "a"),
        ),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
            "sharegpt",
            ("q", "", "a"),
        ),
    ],
)
def test_shapes_are_detected_and_read(record, shape, expected):
    assert formats.detect(record) == shape
    assert texts(record) == [expected]


@pytest.mark.parametrize(
    ("record", "template", "expected"),
    [
        ({"prompt": "### Question: q? ### Answer:", "completion": "a"}, "alpaca", ("q?", "", "a")),
        ({"question": "### Question: q?\n### Answer: a", "answer": ""}, "alpaca", ("q?", "", "a")),
        (
            {"text": "Below is ...\n\n### Instruction:\nq\n\n### Input:\nc\n\n### Response:\na"},
            "alpaca",
            ("q", "c", "a"),
        ),
        ({"text": "<s>[INST] <<SYS>>\nbe\n<</SYS>>\n\nq [/INST] a </s>"}, "llama2", ("q", "", "a")),
        ({"text": "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>"}, "chatml", ("q", "", "a")),
        ({"question": "Question: q? Answer:", "answer": "a"}, "plain", ("q?", "", "a")),
    ],
)
def test_embedded_templates_are_unwrapped_with_a_note(record, template, expected):
    assert texts(record) == [expected]
    assert entries(record)[0].notes == [template]


def test_a_question_with_a_colon_is_no_template():
    assert texts({"question": "Why is A: bad?", "answer": "b"}) == [("Why is A: bad?", "", "b")]
    assert entries({"question": "Note: what now?", "answer": "b"})[0].notes == []


def test_a_conversation_gives_one_row_an_answer():
    said = [("system", "s"), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")]
    record = {"id": "x", "messages": [{"role": role, "content": text} for role, text in said]}
    made = rows(record)
    assert [row.id for row in made] == ["x", "x#2"]
    assert [row.history for row in made] == [tuple(said[:1]), tuple(said[:3])]
    assert [row.group for row in made] == [("record=x",)] * 2, "a conversation stays on one side of the split"
    assert rows(record, every=False) == [made[1]._replace(group=())]


def test_groups_come_from_the_columns_that_the_recipe_names():
    record = {"question": "q", "answer": "a", "fact": ["f1", "f2"], "user": 7}
    assert rows(record, group_by=("fact", "user"))[0].group == ("fact=f1", "fact=f2", "user=7")


def test_a_column_mapping_wins_over_detection():
    record = {"question": "wrong", "answer": "wrong", "Ask": "q", "Say": "a"}
    assert texts(record, columns={"question": "Ask", "answer": "Say"}) == [("q", "", "a")]
    with pytest.raises(Malformed, match="Asked"):
        rows(record, columns={"question": "Asked"})


@pytest.mark.parametrize(
    "record",
    [
        {"x": 1},
        {"question": ["q"], "answer": "a"},
        {"messages": "hello"},
        {"messages": [{"role": "alien", "content": "q"}]},
        {"messages": [{"role": "user", "content": "q"}]},
        {"messages": ["q", "a"]},
    ],
)
def test_malformed_records_say_what_was_expected(record):
    with pytest.raises(Malformed, match=r"expected .*found"):
        rows(record)


RECORDS = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(3)]


def write_file(path, kind):
    lines = "".join(json.dumps(record) + "\n" for record in RECORDS)
    if kind == "jsonl":
        path.write_text(lines, encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps(RECORDS, indent=1), encoding="utf-8-sig")
    elif kind == "csv":
        path.write_text("question,answer\n" + "".join(f'"{r["question"]}",{r["answer"]}\n' for r in RECORDS), "utf-8")
    elif kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(RECORDS), path)
    elif kind == "data.json":
        path.write_text(json.dumps({"version": 1, "data": RECORDS}), encoding="utf-8")


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet", "data.json"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_file_kind_gives_the_same_records(tmp_path, kind, packed):
    path = tmp_path / f"rows.{kind}"
    write_file(path, kind)
    if packed:
        packed_path = tmp_path / f"rows.{kind}.gz"
        packed_path.write_bytes(gzip.compress(path.read_bytes()))
        path = packed_path
    assert [record.value for record in files.records(path)] == RECORDS


def test_a_folder_is_read_in_order_and_a_text_by_paragraphs(tmp_path):
    (tmp_path / "b.txt").write_text("one\nline\n\n\ntwo\n", encoding="utf-8")
    write_file(tmp_path / "a.jsonl", "jsonl")
    (tmp_path / "README.md").write_text("not data", encoding="utf-8")
    found = [record.value for record in files.records(tmp_path)]
    assert found == [*RECORDS, {"text": "one\nline\n"}, {"text": "two\n"}]


def test_a_long_array_is_read_block_by_block(tmp_path):
    path = tmp_path / "long.json"
    many = [{"question": "é" * 700, "answer": str(n)} for n in range(4000)]
    path.write_text(json.dumps(many, ensure_ascii=False), encoding="utf-8")
    assert [record.value for record in files.records(path)] == many


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"question":"q","answer":"a"}\n{"question":"q2"\n', "line 2 (byte 46)"),
        (b'{"question":"q","answer":"a"}\n\n{"question":"\xff","answer":"a"}\n', "line 3 (byte 44)"),
        (b'{"question":"q","answer":"a"}\n[1]\n', "line 2 (byte 30)"),
    ],
)
def test_a_broken_line_names_file_line_and_byte(tmp_path, content, place):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read(path, tmp_path)
    assert f"{path}, {place}" in str(error.value)
    assert "expected:" in str(error.value) and "found:" in str(error.value) and "on_bad_row" in str(error.value)
    loaded = read(path, tmp_path, on_bad_row="reject")
    assert len(loaded.table) == 1
    assert [judged.reason for judged in loaded.bad] == ["unreadable"]


def test_a_row_that_no_model_can_read_is_overlong_before_it_costs_memory(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"id": "x", "question": "q", "answer": "a " * 600_000}) + "\n" + json.dumps(RECORDS[0]))
    loaded = read(path, tmp_path)
    assert [(judged.entry.row.id, judged.reason) for judged in loaded.bad] == [("x", "overlong")]
    assert len(loaded.table) == 1 and "line 1" in loaded.bad[0].entry.place


def test_where_no_record_is_readable_the_message_says_why(tmp_path):
    """The advised way out, on_bad_row: reject, ended in an error of its own."""
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"Frage": "q", "Antwort": "a"}) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"found Antwort, Frage; name them in data\.columns"):
        read(path, tmp_path, on_bad_row="reject")


def test_ids_stay_and_repeated_ones_are_told_apart(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": "x", **record}) + "\n" for record in RECORDS), encoding="utf-8")
    loaded = read(path, tmp_path)
    assert loaded.table["id"] == ["x", "x~2", "x~3"] or list(loaded.table["id"]) == ["x", "x~2", "x~3"]
    assert loaded.notes == {"id repeated": 2}


def test_nothing_to_read_is_an_error(tmp_path):
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    for source in (tmp_path / "empty.jsonl", tmp_path / "rows.exe", tmp_path):
        if source.suffix == ".exe":
            source.write_text("x", encoding="utf-8")
        if source == tmp_path:
            (tmp_path / "sub").mkdir()
            source = tmp_path / "sub"
        with pytest.raises(UserError, match=r"data\.path"):
            read(source, tmp_path)


def test_a_folder_may_mix_kinds_and_packing(tmp_path):
    for name in ("a.jsonl", "b.json", "c.csv", "d.parquet"):
        write_file(tmp_path / name, name.partition(".")[2])
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert [record.value for record in files.records(tmp_path)] == RECORDS * 8


def parquet_bytes():
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(RECORDS), sink)
    return sink.getvalue()


GOOD = {
    "jsonl": "".join(json.dumps({**ALPACA, "id": f"r{n}", "output": "é" * n}) + "\n" for n in range(1, 5)).encode(),
    "json": json.dumps([{**ALPACA, "messages": None}, {"question": "q", "answer": "ä"}], ensure_ascii=False).encode(),
    "csv": b'id,question,answer\n1,"q, one",a\n2,q2,"a\n2"\n',
    "jsonl.gz": gzip.compress(b'{"question":"q","answer":"a"}\n' * 5, mtime=0),
    "csv.gz": gzip.compress(b"question,answer\nq,a\n" * 3, mtime=0),
    "json.gz": gzip.compress(b'[{"question":"q","answer":"a"}]', mtime=0),
    "tsv": b"question\tanswer\nq\ta\n",
    "parquet": parquet_bytes(),
    "txt": "one\n\ntwo ü\n".encode(),
}


@st.composite
def mutated(draw):
    """A good file with bytes changed, removed, repeated or put in."""
    kind = draw(st.sampled_from(sorted(GOOD)))
    content = bytearray(GOOD[kind])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        what = draw(st.sampled_from(("change", "remove", "insert", "cut", "repeat")))
        if what == "change" and content:
            content[at] = draw(st.integers(0, 255))
        elif what == "remove":
            del content[at : at + draw(st.integers(1, 20))]
        elif what == "insert":
            content[at:at] = draw(
                st.sampled_from((b"\x00", b"\xff\xfe", b"{", b"]", b'"', b"\n", b"\\ud800", b"1e999", b",,"))
            )
        elif what == "cut":
            del content[at:]
        else:
            content[at:at] = content[: draw(st.integers(0, 60))]
    return kind, bytes(content)


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(file=mutated())
def test_mutated_files_give_rows_or_one_clear_error(tmp_path, file):
    kind, content = file
    path = tmp_path / f"rows.{kind}"
    path.write_bytes(content)
    try:
        loaded = read(path, tmp_path, on_bad_row="reject")
    except UserError as error:
        assert "expected:" in str(error)
        return
    assert all(judged.reason and judged.detail and judged.entry.place for judged in loaded.bad)
    for entry in each(loaded.table):
        row = entry.row
        assert all(isinstance(text, str) for text in (row.id, row.question, row.context, row.answer, entry.place))
        json.dumps(row_json(row), ensure_ascii=False).encode("utf-8")
    if loaded.bad:
        with pytest.raises(UserError):
            read(path, tmp_path)


def test_columns_that_play_no_part_stay_as_they_came():
    """Finding 5: a user's own columns were thrown away."""
    record = {"id": 1, "question": "q", "answer": "a", "Topic": "billing", "votes": 7, "tags": ["x", "y"], "none": None}
    made = rows(record | {"nested": {"a": [1.5, True]}}, columns={"slice": "Topic", "subject": "tags"})[0]
    assert made.meta == {
        "Topic": "billing",
        "votes": 7,
        "tags": ["x", "y"],
        "none": None,
        "nested": {"a": [1.5, True]},
    }
    assert rows({"text": "t", "author": "me"})[0].meta == {"author": "me"}
    strange = rows({"question": "q", "answer": "a", "x": float("nan"), "y": b"raw"})[0].meta
    assert strange == {"x": None, "y": "b'raw'"} and json.dumps(strange, allow_nan=False)


@pytest.mark.parametrize(
    "record",
    [
        {"question": "q\ud800", "answer": "a"},  # half a character was replaced by "?"
        {"question": "q", "answer": "a", "\ud800": 1},
        {"question": "q", "answer": "a", "note": ["\udfff"]},
        {"question": "q", "answer": float("inf")},
        {"question": "q", "answer": "a", "deep": json.loads("[" * 100 + "]" * 100)},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant"}]},  # was an empty answer
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, {"role": "assistant", "content": "a"}]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}] * 1500},
    ],
    ids=lambda record: str(record)[:40],
)
def test_what_would_be_lost_or_changed_is_refused(record):
    with pytest.raises(Malformed, match=r"expected .*found"):
        rows(record)


def test_a_named_column_that_the_shape_has_no_use_for_is_refused():
    """It was passed over in silence."""
    record = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "ask": "q"}
    with pytest.raises(Malformed, match=r"data\.columns\.question beside the format messages, found ask"):
        rows(record, columns={"question": "ask"})


def test_broken_turns_are_refused():
    for wrong in ([{"role": "alien", "content": "q"}], [{"role": "user", "content": {"x": 1}}], ["q"]):
        with pytest.raises(Malformed):
            rows({"turns": wrong, "references": ["a"]})


def test_meta_references_and_turns_survive_the_working_table(tmp_path):
    path = tmp_path / "rows.jsonl"
    messages = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user", "assistant")]
    records = [{"id": "c", "messages": messages, "tags": ["ü", 1]}]
    records += [{"id": "q", "question": "q", "references": ["a", "b"], "n": 2}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    expected = [row for record in records for row in rows(record, group_by=())]
    assert [entry.row for entry in each(read(path, tmp_path).table)] == expected
    assert expected[-1].references == ("a", "b") and expected[1].meta == {"tags": ["ü", 1]}


def test_sharegpt_with_tools():
    said = [("human", "rate?"), ("function_call", "call()"), ("observation", "1.1"), ("gpt", "It is 1.1.")]
    record = {
        "conversations": [{"from": who, "value": text} for who, text in said],
        "system": "Be kind.",
        "tools": "[]",
    }
    made = rows(record)
    assert [row.answer for row in made] == ["call()", "It is 1.1."]
    assert [turn.role for turn in made[1].turns] == ["system", "user", "assistant", "tool"]
    assert made[1].question == "1.1" and made[0].meta == {"tools": "[]"}


def test_openais_tool_calls_are_what_the_assistant_says():
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}]
    assert rows({"messages": said})[0].answer == '[{"name": "f"}]'


def test_an_opening_answer_and_neighbours_of_one_role_are_not_lost():
    said = [("gpt", "Hello!"), ("human", "q1"), ("human", "q2"), ("gpt", "a1"), ("gpt", "a2"), ("human", "left open")]
    made = rows({"conversations": [{"from": who, "value": text} for who, text in said]})
    assert [(row.question, row.answer) for row in made] == [("q1\nq2", "a1\na2")]
    assert made[0].history == (("assistant", "Hello!"),)


def test_a_named_column_that_no_record_has_names_the_nearest(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "q", "answer": "a", "topic": "t"}) + "\n", encoding="utf-8")
    for wrong in (
        {"columns": {"slice": "topik"}},
        {"split": {"group_by": "topik"}},
        {"split": {"stratify_by": "topik"}},
    ):
        data = DataRecipe.model_validate({"path": str(path), **wrong})
        with pytest.raises(UserError, match=r"answer, question, topic\n.*did you mean 'topic'"):
            load.require_columns(data, read(path, tmp_path, **wrong).columns)


@pytest.mark.parametrize("shape", ["auto", "columns"])
def test_a_frozen_test_file_is_read_as_the_training_data(tmp_path, shape):
    """Finding 4: it lost data.columns under `format: auto`, and its group keys."""
    path = tmp_path / "test.jsonl"
    columns = {"question": "Ask", "answer": "Say", "slice": "topic", "subject": "item"}
    data = {"path": "x", "format": shape, "columns": columns, "split": {"group_by": "author"}}
    own = {"Ask": "q", "Say": "a", "topic": "t", "item": "i", "author": 7, "question": "no"}
    canonical = {"question": "q", "answer": "a", "slice": "t", "subject": "i", "author": 7}
    path.write_text(json.dumps(own) + "\n" + json.dumps(canonical) + "\n", encoding="utf-8")
    made, found = load.frozen_rows(path, tmp_path / "rows.arrow", DataRecipe.model_validate(data))
    assert [(row.question, row.answer, row.group) for row in made] == [("q", "a", ("author=7",))] * 2
    assert [(row.meta["topic"], row.meta["item"]) for row in made] == [("t", "i")] * 2
    assert set(columns.values()) <= found


def test_rows_of_an_earlier_run_are_read_as_they_are(tmp_path):
    messages = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user", "assistant")]
    made = rows({"id": "c", "messages": messages, "topic": "t"}) + rows({"id": "p", "text": "only text"})
    write(tmp_path / "test.jsonl", made)
    for options in ({}, {"columns": {"slice": "topic"}, "split": {"group_by": "topic"}}, {"format": "messages"}):
        data = DataRecipe.model_validate({"path": "x", **options})
        assert load.frozen_rows(tmp_path / "test.jsonl", tmp_path / "rows.arrow", data)[0] == made
