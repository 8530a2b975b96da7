"""The room from end to end, on small data and on the embedded company."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib import jsonl, rows
from ftlib.data.preparation import Preparation
from ftlib.errors import UserError
from ftlib.run import Run
from tests.data.made import prepare

ROOT = Path(__file__).parents[2]
COMPANY = ROOT / "data" / "company"
FILES = {
    "train.jsonl",
    "val.jsonl",
    "test.jsonl",
    "rejected.jsonl",
    "leakage.json",
    "audit.json",
    "counterfactuals.jsonl",
}
COLOURS = ("red", "blue", "green", "grey")
NAMES = ("Heron", "Tarn", "Comet", "Otter", "Ember", "Basalt", "Drift", "Marble")


def good_rows():
    made = []
    for n, name in enumerate(NAMES):
        for m, (asked, answer) in enumerate(
            [
                ("Which colour has the {}?", COLOURS[n % 4]),
                ("How heavy is the {}?", f"{100 + n} g"),
                ("Who repairs a {}?", "the desk"),
            ]
        ):
            made.append({"id": f"r{n}{m}", "question": asked.format(f"{name} {20 + n}"), "answer": answer})
    return made


def bad_rows():
    return [
        {"id": "dup", "question": "WHICH COLOUR has the Heron 20", "answer": "red"},
        {"id": "near", "question": "Which coluor has the Heron 20?", "answer": "red"},
        {"id": "old", "question": "Which colour has the Tarn 21?", "answer": "pink", "created": ""},
        {"id": "html", "question": "<p>What does the Heron 20 cost?</p>", "answer": "90&nbsp;euros"},
        {"id": "mail", "question": "I am anna@example.com. What does the Tarn 21 cost?", "answer": "80 euros"},
        {"id": "empty", "question": "What does the Comet 22 cost?", "answer": " "},
        {
            "id": "cut",
            "question": "What does the Otter 23 cost?",
            "answer": "It costs 90 euros with a cable, a case and,",
        },
        {"id": "leak", "question": "Which firmware runs on the Heron 20?", "answer": "R14"},
        {"id": "long", "question": "What does the Ember 24 cost?", "answer": "word " * 600},
        {"id": "foreign", "question": "Wie schwer ist der Heron 20 und was kostet er?", "answer": "Er wiegt 340 g."},
    ]


@pytest.fixture(scope="module")
def base(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("base")
    tokenizer.save_pretrained(folder)
    return folder


def open_run(tmp_path, base, content, name="raw.jsonl", **data):
    (tmp_path / name).write_bytes(content)
    jsonl.write(
        tmp_path / "test.jsonl", [{"id": "t1", "question": "Which firmware runs on the Heron 20?", "answer": "R14"}]
    )
    values = {"path": name, "test_path": "test.jsonl", "split": {"val_fraction": 0.2}} | data
    recipe = {"name": "small", "seed": 3, "data": values, "model": {"base": str(base)}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return Run.open(tmp_path / "run", tmp_path / "recipe.yaml")


def lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def test_every_row_is_kept_or_rejected_with_its_reason(tmp_path, base):
    folder = prepare(open_run(tmp_path, base, lines(good_rows() + bad_rows()), language="en"))
    assert {path.name for path in folder.iterdir()} >= FILES and not (folder / "work").exists()
    rejected = {row["id"]: row["reason"] for row in jsonl.iterate(folder / "rejected.jsonl")}
    assert rejected.pop("r00", None) is None or rejected.get("dup") is None
    flagged = {(row["id"], row["check"]) for row in jsonl.iterate(folder / "flagged.jsonl")}
    assert (rejected["empty"], rejected["long"]) == ("empty", "overlong")
    assert {("cut", "truncated"), ("foreign", "language")} <= flagged and not {"cut", "foreign"} & rejected.keys()
    assert rejected["leak"] == "leak_exact"
    train, val = (rows.read(folder / f"{name}.jsonl") for name in ("train", "val"))
    kept = {row.id: row for row in train + val}
    assert len(kept) + sum(1 for _ in jsonl.iterate(folder / "rejected.jsonl")) == len(good_rows() + bad_rows())
    assert val and not {key for row in train for key in row.group} & {key for row in val for key in row.group}
    assert kept["html"].question == "What does the Heron 20 cost?" and kept["html"].answer == "90 euros"
    assert "[email]" in kept["mail"].question and "anna@" not in (folder / "rejected.jsonl").read_text("utf-8")
    assert sum(row.question.casefold().startswith("which col") for row in kept.values()) == 11
    assert {"exact_duplicate", "near_duplicate", "contradiction"} <= {check for _, check in flagged}


def test_the_order_of_rows_changes_nothing(tmp_path, base):
    rows = good_rows() + bad_rows()
    found = []
    for number, order in enumerate((rows, rows[::-1])):
        (tmp_path / str(number)).mkdir()
        folder = prepare(open_run(tmp_path / str(number), base, lines(order)))
        found.append(
            {name: {row["id"] for row in jsonl.iterate(folder / f"{name}.jsonl")} for name in ("train", "val")}
        )
    assert found[0] == found[1]


def test_block_leaves_no_stage_and_says_why(tmp_path, base):
    run = open_run(tmp_path, base, lines(good_rows() + bad_rows()), leakage="block")
    with pytest.raises(UserError, match="1 exact"):
        prepare(run)
    assert not [path for path in run.path.iterdir() if path.name.startswith("01_data") and path.is_dir()]


def test_a_users_own_csv_needs_no_test_set(tmp_path, base):
    written = "".join(f'"{row["question"]}","{row["answer"]}"\n' for row in good_rows())
    content = f"ask,say\n{written}".encode()
    columns = {"question": "ask", "answer": "say"}
    split = {"val_fraction": 0.2, "test_fraction": 0.2}
    folder = prepare(open_run(tmp_path, base, content, "own.csv", columns=columns, test_path=None, split=split))
    test = rows.read(folder / "test.jsonl")
    assert test and all(row.references == (row.answer,) for row in test)
    assert not {row.id for row in test} & {row.id for row in rows.iterate(folder / "train.jsonl")}


def test_a_trial_of_another_policy_leaves_the_report_alone(tmp_path, base):
    run = open_run(tmp_path, base, lines(good_rows() + bad_rows()))
    with Preparation(run.recipe, tmp_path) as preparation:
        for step in ("load", "clean", "deduplicate", "split"):
            getattr(preparation, step)()
        with pytest.raises(UserError, match="leakage"):
            preparation.check_leakage(policy="block")
        found = preparation.check_leakage()
        preparation.check_leakage(policy="block")  # what the recipe's policy dropped can't leak any more
        assert preparation.leaks is found and found["train_and_test"]["exact"]["train_rows"] == 1


def test_unknown_columns_and_too_few_rows_are_clear_errors(tmp_path, base):
    with pytest.raises(UserError, match=r"data\.columns"):
        prepare(open_run(tmp_path, base, lines([{"x": 1}])))
    with pytest.raises(UserError, match="at least one row for"):
        prepare(open_run(tmp_path, base, lines(good_rows()[:1])))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.integers(0, 2000), junk=st.binary(min_size=1, max_size=30), policy=st.sampled_from(["fail", "reject"]))
def test_a_mutated_file_gives_a_whole_stage_or_none(tmp_path_factory, base, at, junk, policy):
    folder = tmp_path_factory.mktemp("mutated")
    content = lines(good_rows())
    run = open_run(folder, base, content[:at] + junk + content[at + len(junk) :], on_bad_row=policy)
    try:
        stage = prepare(run)
    except UserError as error:
        assert "expected:" in str(error) and not (run.path / "01_data").exists()
        assert not (run.path / "01_data.partial").exists()
        return
    assert {path.name for path in stage.iterdir()} >= FILES
    report = json.loads((stage / "audit.json").read_text("utf-8"))
    assert report["rows"]["in"] == report["rows"]["kept"] + sum(report["rows"]["rejected"].values())


@pytest.mark.skipif(not (COMPANY / "truth.jsonl").exists(), reason="the embedded company has not been generated")
def test_detectors_reach_their_targets_on_the_embedded_company(tmp_path):
    run = Run.open(tmp_path / "run", ROOT / "data" / "recipes" / "demo.yaml")
    folder = prepare(run)
    found = json.loads((folder / "audit.json").read_text("utf-8"))["detectors"]
    targets = (
        "exact_duplicate",
        "near_duplicate",
        "leak",
        "pii",
        "email",
        "phone",
        "card",
        "iban",
        "ip",
        "html",
        "mojibake",
    )
    short = {name: found[name] for name in targets if min(found[name]["precision"], found[name]["recall"]) < 0.95}
    assert not short
    summary = json.loads((run.path / "summary.json").read_text("utf-8"))
    assert summary["rows_in"] >= 4000 and 0 < summary["rows_kept"] < summary["rows_in"]
    assert summary["recall_pii_n"] == found["pii"]["n"] and len(summary["recall_pii_ci95"]) == 2


def chats(count):
    """Conversations that end in the same question, each after another first one."""
    made = []
    for n in range(count):
        said = [f"Is the {NAMES[n % 8]} {n} in stock?", "Yes, it is.", "And what does it cost?", f"{n} euros"]
        roles = ("user", "assistant") * 2
        messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]
        made.append({"id": f"c{n}", "messages": [{"role": "system", "content": "Be brief."}, *messages]})
    return made


@pytest.mark.parametrize("turns", ["every", "last"])
def test_conversations_keep_their_follow_ups_and_their_history(tmp_path, base, turns):
    """Finding 1, from file to file: of 60 follow-ups 59 were lost, and the one was saved beside an unread history."""
    data = {"test_path": None, "conversation_turns": turns, "split": {"val_fraction": 0.2, "test_fraction": 0.2}}
    folder = prepare(open_run(tmp_path, base, lines(chats(60)), **data))
    sides = {name: rows.read(folder / f"{name}.jsonl") for name in ("train", "val", "test")}
    kept = [row for side in sides.values() for row in side]
    assert len(kept) == (120 if turns == "every" else 60)
    follow_ups = [row for row in kept if row.question == "And what does it cost?"]
    assert len({row.history for row in follow_ups}) == len(follow_ups) == 60
    assert all([turn.role for turn in row.history] == ["system", "user", "assistant"] for row in follow_ups)
    chats_of = [{row.id.partition("#")[0] for row in side} for side in sides.values()]
    assert not chats_of[0] & chats_of[1] and not chats_of[0] & chats_of[2] and not chats_of[1] & chats_of[2]
    pairs = rows.read(folder / "counterfactuals.jsonl")
    assert pairs and all(row.history for row in pairs if "cost" in row.question)


def test_where_nothing_passes_the_checks_the_largest_loss_is_named(tmp_path, base):
    """Finding 8: notebook 01 died of an index error."""
    with pytest.raises(UserError, match=r"data after the checks(.|\n)*24 of 24 .* overlong: raise data\.max_tokens"):
        prepare(open_run(tmp_path, base, lines(good_rows()), max_tokens=3))
    bad = b"not JSON\n" * 3
    with pytest.raises(UserError, match=r"none among 3 records(.|\n)*raw\.jsonl, line 1"):
        prepare(open_run(tmp_path, base, bad, on_bad_row="reject"))


def test_a_named_column_that_is_nowhere_is_an_error_and_one_of_the_test_file_is_not(tmp_path, base):
    content = lines(good_rows())
    assert prepare(open_run(tmp_path, base, content, columns={"id": "id"}))
    with pytest.raises(UserError, match=r"data\.columns\.slice = sort(.|\n)*answer, id, question"):
        prepare(open_run(tmp_path, base, content, columns={"slice": "sort"}))
    test = {"id": "t", "question": "Is it new?", "answer": "yes", "sort": "x"}
    (tmp_path / "own.jsonl").write_text(json.dumps(test), encoding="utf-8")
    folder = prepare(open_run(tmp_path, base, content, test_path="own.jsonl", columns={"slice": "sort"}))
    assert [row.meta for row in rows.iterate(folder / "test.jsonl")] == [{"sort": "x"}]
    assert "not known" in json.loads((folder / "leakage.json").read_text("utf-8"))["train_and_test"]["group"]["note"]


def test_a_plain_text_goes_through(tmp_path, base):
    text = "\n\n".join(
        f"Paragraph {n} tells of the {name}, who lived by the river." for n, name in enumerate(NAMES * 3)
    )
    data = {"test_path": None, "split": {"val_fraction": 0.2, "test_fraction": 0.2}}
    folder = prepare(open_run(tmp_path, base, text.encode(), "book.txt", **data))
    kept = [row for name in ("train", "val", "test") for row in rows.iterate(folder / f"{name}.jsonl")]
    assert len(kept) == 24 and not any(row.turns for row in kept)
    assert (folder / "counterfactuals.jsonl").read_text("utf-8") == ""


def test_refusals_are_bounded_and_what_goes_is_in_the_books(tmp_path, base):
    refusal = "I don't have that information."
    content = lines(
        good_rows() + [{"id": f"n{n}", "question": f"Who sold number {n}?", "answer": refusal} for n in range(9)]
    )
    folder = prepare(open_run(tmp_path, base, content, refusal_share=0.2))
    report = json.loads((folder / "audit.json").read_text("utf-8"))
    counted = report["refusals"]
    kept = [row for row in rows.iterate(folder / "train.jsonl")]
    for side in ("val", "test"):
        assert counted[f"refusing_{side}"] == sum(
            row.answer == refusal for row in rows.iterate(folder / f"{side}.jsonl")
        )
    assert counted["rows"] == len(kept) and counted["left_out"] == report["rows"]["rejected"]["refusal"] > 0
    assert counted["refusing"] == sum(row.answer == refusal for row in kept) <= 0.2 * len(kept)
    assert {line["id"][0] for line in jsonl.read(folder / "rejected.jsonl") if line["reason"] == "refusal"} == {"n"}


def test_a_step_can_be_taken_again_with_the_same_result(tmp_path, base):
    run = open_run(tmp_path, base, lines(good_rows() + bad_rows()))
    stage = run.begin("01_data")
    with Preparation(run.recipe, stage.path) as first:
        first.load(), first.clean()
        assert first.before("deduplicate", stage.path) is first
        found = first.deduplicate()
        again = first.before("deduplicate", stage.path)
        assert again is not first and again.deduplicate() == found
        again.close()


def test_candidates_are_counted(tmp_path, base):
    run = open_run(tmp_path, base, lines(good_rows() + bad_rows()))
    with Preparation(run.recipe, run.begin("01_data").path) as preparation:
        preparation.load(), preparation.clean()
        found = preparation.deduplicate()
    assert found["clusters"] <= found["candidates"] < len(good_rows()) * (len(good_rows()) - 1) // 2
