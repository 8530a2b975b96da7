"""Overlaps between training and evaluation, and n-grams of evaluation files."""

import json

import numpy as np
import pytest

from ftlib.data import candidates, decontaminate, leakage, paraphrases
from ftlib.data.ledger import Ledger
from ftlib.data.table import TRAIN as TRAINING
from ftlib.data.table import WorkingTable
from ftlib.data.vocabulary import Lexicon
from ftlib.errors import UserError
from ftlib.recipe import DataRecipe
from tests.data.made import row, table

ENGLISH = Lexicon("en")
DATA = DataRecipe(path="x")


def overlaps(made, train, test, embed=None):
    sketches = candidates.sketch_table(made, DATA.near_duplicate_similarity, ENGLISH)
    return leakage.overlaps(made, sketches, train, test, DATA, ENGLISH, embed)


TEST = [
    row("t1", "How heavy is the Heron 20?", "340 g", group=["topic=1"]),
    row("t2", "Which colour has the Heron 20?", "it comes in five different shades of grey"),
    row("t3", "When was it built?", "1900", context="A mill."),
]
TRAIN = [
    row("r0", "How heavy is the Heron 20?", "340 g"),
    row("r1", "HOW HEAVY is the Heron 20", "340 g"),
    row("r2", "How haevy is the Heron 20?", "340 g"),
    row("r3", "How heavy is the Heron 30?", "410 g"),
    row("r4", "When was it built?", "1900", context="A bridge."),
    row("r5", "What is new?", "It comes in five different shades of grey.", group=["topic=1"]),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    made = table(TRAIN, tmp_path_factory.mktemp("leak"))
    return made, overlaps(made, np.arange(len(TRAIN)), TEST)


def test_each_kind_of_overlap_is_found_once(found):
    assert {(o.kind, TRAIN[o.row].id, TEST[o.other].id) for o in found[1]} == {
        ("exact", "r0", "t1"),
        ("normalized", "r1", "t1"),
        ("near", "r2", "t1"),
        ("group", "r5", "t1"),
    }


def test_only_training_rows_count(tmp_path, found):
    made, _ = found
    assert overlaps(made, np.array([3, 4]), TEST) == []
    assert overlaps(made, np.array([], dtype=int), TEST) == []


def test_report_shows_examples_side_by_side(found):
    report = leakage.report(*found, TEST)
    assert report["near"]["train_rows"] == report["near"]["other_rows"] == 1
    example = report["near"]["examples"][0]
    assert (example["train"]["id"], example["other"]["id"]) == ("r2", "t1") and 0.5 < example["similarity"] < 1


def test_block_stops_with_counts_and_the_others_do_not(found):
    with pytest.raises(UserError, match=r"1 exact, 1 normalized, 1 near, 1 group\n"):
        leakage.enforce(found[1], "block", "train and test")
    for policy in ("warn", "drop"):
        leakage.enforce(found[1], policy, "train and test")
    leakage.enforce([], "block", "train and test")


def test_answers_are_counted_but_not_found_guilty(found):
    counted = leakage.answers_in_train(found[0], np.arange(len(TRAIN)), TEST)
    assert counted == {"rows": 3, "seen": 3, "long": 1, "long_seen": 1}


def test_ngram_overlap_with_an_evaluation_file(tmp_path):
    question = "Which of these best explains why the sky looks blue to a person on the ground at noon?"
    short = "What do plants need to grow?"
    path = tmp_path / "arc.jsonl"
    path.write_text(
        json.dumps({"question": question}) + "\n" + json.dumps({"question": {"stem": short}}) + "\n", encoding="utf-8"
    )
    texts = decontaminate.evaluation_texts(path)
    rows = [
        row("a", f"Tell me: {question.upper()}"),
        row("b", "Which of these best explains why?"),
        row("c", "Well, what do plants need to grow? I wonder."),
        row("d", "x", context="Nothing here explains why the sky looks blue to a person on the ground at noon."),
    ]
    assert decontaminate.contaminated(rows, texts, 13) == [(0, 0), (3, 0)]
    assert (
        decontaminate.contaminated(rows, texts, 6) == [(0, 0), (2, 1), (3, 0)]
        or len(decontaminate.contaminated(rows, texts, 6)) == 4
    )
    empty = tmp_path / "none.jsonl"
    empty.write_text('{"x": 1}\n', encoding="utf-8")
    with pytest.raises(UserError, match="evaluation questions"):
        decontaminate.evaluation_texts(empty)


def test_real_arc_questions_are_read(material):
    texts = decontaminate.evaluation_texts(material / "arc" / "arc_challenge_test.json")
    assert len(texts) > 1000 and all(len(text) > 10 for text in texts)
    hit = row("a", texts[7])
    assert decontaminate.contaminated([hit, row("b", "How heavy is the Heron 20?")], texts, 13) == [(0, 7)]


def compared(tmp_path, train, test, policy="warn", embed=None):
    made = table(train, tmp_path)
    with Ledger(tmp_path) as ledger:
        rows = WorkingTable(made, ledger)
        rows.sides[:] = TRAINING
        sketches = candidates.sketch_table(made, DATA.near_duplicate_similarity, ENGLISH)
        return leakage.between(rows, sketches, [TRAINING], test, "train and test", DATA, policy, ENGLISH, embed)


def noted(tmp_path, name, kind):
    lines = (tmp_path / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [(found["id"], found[kind], found["detail"]) for found in map(json.loads, lines)]


LONG = "Read the passage. " + " ".join(f"sentence number {n} of a long passage about mills." for n in range(8))
ASKED = row("t1", "How long may the rented drill be kept over a holiday?")
ORDERED = row("r1", "Over a holiday, how long may the rented drill be kept?")
INSIDE = row("r2", f"Hello, I am new here. {ASKED.question} Thanks for any help!")
CONVERSATION = row("r3", "And without one?", history=[("user", ASKED.question), ("assistant", "Three days.")])
ABOUT_IT = [row("t2", "Who built it?", context=LONG), row("r4", "When did it burn?", context=LONG)]


def test_word_order_embedded_and_shared_contexts_are_counted_apart(tmp_path):
    """Finding: of planted leaks with another word order 0 of 4 were found, of embedded questions 0 of 3."""
    train = [ORDERED, INSIDE, CONVERSATION, ABOUT_IT[1]]
    found = compared(tmp_path, train, [ASKED, ABOUT_IT[0]])
    assert {kind: found[kind]["train_rows"] for kind in leakage.KINDS} == {
        **dict.fromkeys(leakage.KINDS, 0),
        "word_order": 1,
        "embedded": 2,
        "context": 1,
        "group": None,
        "paraphrase": None,
    }
    assert noted(tmp_path, "flagged", "check") == [
        ("r1", "leak_word_order", "t1"),
        ("r2", "leak_embedded", "t1"),
        ("r3", "leak_embedded", "t1"),
        ("r4", "leak_context", "t2"),
    ]


def test_what_only_shares_a_context_is_never_dropped(tmp_path):
    compared(tmp_path, [ORDERED, INSIDE, ABOUT_IT[1]], [ASKED, ABOUT_IT[0]], "drop")
    assert noted(tmp_path, "rejected", "reason") == [("r1", "leak_word_order", "t1"), ("r2", "leak_embedded", "t1")]
    assert noted(tmp_path, "flagged", "check") == []
    compared(tmp_path, [ABOUT_IT[1]], [ABOUT_IT[0]], "block")  # stops nothing


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("How far is it from Rome to Oslo by car?", "How far is it from Oslo to Rome by car?"),
        ("What is the mode of repayment (loans for foreign students)", "What is the mode of repayment"),
        ("What is the meaning of life insurance?", "What is the meaning of life?"),
        ("Tell me: why? I do not know why.", "Why?"),
    ],
)
def test_another_question_in_the_same_words_is_no_leak(tmp_path, train, test):
    found = compared(tmp_path, [row("r", train)], [row("t", test)])
    assert [found[kind]["train_rows"] for kind in leakage.GIVEN_AWAY[:-1]] == [0] * 5


def test_a_question_about_a_context_stands_for_itself_only_beside_it(tmp_path):
    asked, longer = (
        "What does the passage say about the old mill?",
        "Hello. What does the passage say about the old mill?",
    )
    test = [row("t", asked, context="The mill burned.")]
    train = [
        row("r1", f"{longer} Thanks.", context="It rains."),
        row("r2", f"{longer} OK.", context="The mill burned."),
    ]
    assert compared(tmp_path, train, test)["embedded"]["train_rows"] == 1


def test_short_instructions_are_no_shared_context(tmp_path):
    short = "Answer in one sentence and be friendly."
    found = compared(tmp_path, [row("r", "Who are you?", context=short)], [row("t", "What is it?", context=short)])
    assert found["context"]["train_rows"] == 0


def test_paraphrases_are_reported_with_their_cosine(tmp_path):
    vectors = {"Who won?": [1, 0], "Who is the winner?": [0.96, 0.28], "Where is it?": [0, 1], "When?": [0.8, 0.6]}

    def embed(texts):
        return np.array([vectors[text] for text in texts], dtype=np.float32)

    train = [row("r1", "Who is the winner?"), row("r2", "Where is it?"), row("r3", "When?")]
    train.append(row("r4", "Who won?", history=[("user", "Hello?"), ("assistant", "Hi.")]))
    found = compared(tmp_path, train[:3], [row("t", "Who won?")], "drop", embed)["paraphrase"]
    assert found["train_rows"] == 1 and found["examples"][0]["similarity"] == pytest.approx(0.96, abs=1e-3)
    assert found["examples"][0]["train"]["id"] == "r1" and noted(tmp_path, "rejected", "reason") == []
    assert list(paraphrases.paraphrased(enumerate(train[3:]), [row("t", "Who won?")], embed)) == []
    assert "rag.embedding_model" in compared(tmp_path, train, [row("t", "Who won?")])["paraphrase"]["note"]


def test_an_embedding_model_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match=r"rag\.embedding_model"):
        paraphrases.embedder(str(tmp_path / "nothing"))


def test_contaminated_rows_are_flagged_or_dropped_as_the_policy_says(tmp_path):
    question = "Which of these best explains why the sky looks blue to a person on the ground at noon?"
    (tmp_path / "arc.jsonl").write_text(json.dumps({"question": question}) + "\n", encoding="utf-8")
    for policy, name, kind in (("warn", "flagged", "check"), ("drop", "rejected", "reason")):
        with Ledger(tmp_path) as ledger:
            rows = WorkingTable(table([row("a", f"Tell me: {question}"), row("b", "Why?")], tmp_path), ledger)
            rows.sides[:] = TRAINING
            assert decontaminate.against(tmp_path / "arc.jsonl", rows, 13, policy)["train_rows"] == 1
        assert noted(tmp_path, name, kind) == [("a", "leak_ngram", question[:80])]


def test_group_leaks_are_not_zero_where_no_column_groups(tmp_path):
    """Finding 4: "group leaks: 0" was reported whatever was true."""
    grouped, bare = row("r", "One?", group=["topic=1"]), row("r", "One?")
    for train, test in ((bare, bare), (grouped, bare), (bare, grouped), (grouped, row("t", group=["author=1"]))):
        found = compared(tmp_path, [train], [test])["group"]
        assert found["train_rows"] is None and found["note"] == "not known: no group column"
    assert compared(tmp_path, [grouped], [row("t", "Two?", group=["topic=1"])])["group"]["train_rows"] == 1
    assert compared(tmp_path, [grouped], [row("t", "Two?", group=["topic=2"])])["group"]["train_rows"] == 0


def test_the_same_follow_up_after_another_history_is_no_leak(tmp_path):
    """Finding 1: the leakage check did not read the history."""

    def follow_up(row_id, size):
        return row(row_id, "And what does it cost?", history=[("user", f"The {size}?"), ("assistant", "Yes.")])

    found = compared(
        tmp_path, [follow_up("r1", "small one"), follow_up("r2", "large one")], [follow_up("t", "LARGE one")]
    )
    assert [found[kind]["train_rows"] for kind in ("exact", "normalized", "near")] == [1, 0, 0]
    assert "large one" in found["exact"]["examples"][0]["train"]["history"]
