"""ARC scored as lm-eval scores it: a case worked by hand, the real test set, and rows that do not fit."""

import json
import re

import numpy as np
import pytest

from ftlib.evaluate import arc
from ftlib.recipe import UserError

ROW = {
    "id": "q1",
    "question": "What do bees make?",
    "choices": {"text": ["honey", "a very long wrong choice", "é"], "label": ["A", "B", "C"]},
    "answerKey": "A",
}
REAL = re.compile(r"question: (.*?)\n\n(Answer1: .*?)\n\nAnswer format", re.DOTALL)


def real_questions(path):
    """The real rows brought into ARC's schema."""
    rows = []
    for number, raw in enumerate(json.loads((path / "arc" / "arc_challenge_test.json").read_text(encoding="utf-8"))):
        question, listed = REAL.search(raw["instruction"]).groups()
        texts = [text.strip() for text in re.split(r"\s*Answer\d: ", listed)[1:]]
        labels = [str(i + 1) for i in range(len(texts))]
        choices = {"text": texts, "label": labels}
        rows.append({"id": f"arc-{number}", "question": question, "choices": choices, "answerKey": raw["answer"][-1]})
    return rows


def test_the_three_accuracies_of_a_case_worked_by_hand():
    # honey: -6 / 5 = -1.2 a character; long: -5 / 24 = -0.21; é: -0.9 / 1 a character, / 2 a byte.
    question = arc.parse(ROW)
    assert arc.score(question, [-6.0, -5.0, -5.5])["chosen"] == 1
    scored = arc.score(question, [-4.0, -30.0, -0.9])  # a character: -0.8, -1.25, -0.9; a byte: -0.8, -1.25, -0.45
    assert (scored["acc"], scored["acc_norm"], scored["acc_bytes"]) == (0.0, 1.0, 0.0)
    assert scored["chosen"] == 2
    assert arc.score(question, [-1.0, -1.0, -1.0])["acc"] == 1.0  # a tie goes to the first, as argmax has it


def test_the_number_of_log_likelihoods_must_fit():
    with pytest.raises(ValueError, match="3 choices but 2"):
        arc.score(arc.parse(ROW), [-1.0, -2.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answerKey": "E"}, "answerKey 'E'"),
        ({"choices": {"text": ["x"], "label": ["A"]}}, "two or more choices"),
        ({"choices": {"text": ["x", "y"], "label": ["A", "A"]}}, "answerKey"),
        ({"choices": {"text": ["x", "y", "z"], "label": ["A", "B"]}}, "as many labels"),
        ({"choices": {"text": ["x", " "], "label": ["A", "B"]}}, "that are text"),
        ({"choices": ["x", "y"]}, "KeyError|TypeError"),
        ({"question": None}, "a question"),
    ],
)
def test_a_row_that_does_not_fit_the_schema_is_named(change, message):
    with pytest.raises(UserError, match=message) as caught:
        arc.parse({**ROW, **change}, "arc.jsonl, row 7")
    assert str(caught.value).startswith("arc.jsonl, row 7")


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_files_of_three_formats_hold_the_same_questions(tmp_path, suffix):
    rows = [ROW, {**ROW, "id": "q2", "answerKey": "C"}]
    path = tmp_path / f"arc{suffix}"
    if suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        text = json.dumps(rows) if suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")
    questions = arc.load(path)
    assert [(q.id, q.answer) for q in questions] == [("q1", 0), ("q2", 2)]
    assert questions[0].choices == ("honey", "a very long wrong choice", "é")
    assert len(arc.load(path, limit=1)) == 1


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("a.json", "{}"), ("a.jsonl", "{"), ("a.jsonl", "")])
def test_a_broken_file_is_the_users_error(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(str(path))):
        arc.load(path)


def test_a_source_that_is_neither_file_nor_data_set_is_the_users_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"evaluate\.arc_path = .*no_such_file"):
        arc.load(tmp_path / "no_such_file.jsonl")


def test_only_the_choice_is_labelled_and_every_token_of_it(tiny_tokenizer):
    for example, choice in zip(arc.examples(tiny_tokenizer, arc.parse(ROW)), arc.parse(ROW).choices, strict=True):
        scored = [label for label in example.labels if label != -100]
        assert tiny_tokenizer.decode(scored) == f" {choice}"
        start = len(example.labels) - len(scored)
        assert example.input_ids[start:] == scored
        assert (
            tiny_tokenizer.decode(example.input_ids[:start], skip_special_tokens=True)
            == "Question: What do bees make?\nAnswer:"
        )


def test_spaces_at_the_end_of_the_context_are_scored_with_the_continuation(tiny_tokenizer):
    example = arc.encode_pair(tiny_tokenizer, "Answer: ", "yes")
    assert tiny_tokenizer.decode([label for label in example.labels if label != -100]) == " yes"


def test_a_pair_longer_than_the_model_reads_loses_its_beginning(tiny_tokenizer):
    whole = arc.encode_pair(tiny_tokenizer, "word " * 50, "yes")
    cut = arc.encode_pair(tiny_tokenizer, "word " * 50, "yes", max_length=16)
    assert cut.input_ids == whole.input_ids[-16:]
    assert cut.labels == whole.labels[-16:]


def test_the_real_test_set_parses_whole(material, tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps(real_questions(material)), encoding="utf-8")
    questions = arc.load(path)
    assert len(questions) == 1172
    assert {len(question.choices) for question in questions} <= {3, 4, 5}
    # Choosing the longest text is a known weak cue of ARC: better than a coin of four, far from right.
    longest = np.mean([np.argmax([len(c) for c in q.choices]) == q.answer for q in questions])
    assert 0.2 < longest < 0.45


def test_log_likelihoods_of_real_questions_equal_one_sequence_at_a_time(material, tiny_model):
    import torch

    model, tokenizer = tiny_model
    questions = [arc.parse(row) for row in real_questions(material)[:12]]
    results = arc.evaluate(model, tokenizer, questions, batch_rows=7)
    for question, result in zip(questions, results, strict=True):
        for choice, value in zip(question.choices, result["log_likelihoods"], strict=True):
            context = tokenizer(f"Question: {question.question}\nAnswer:")["input_ids"]
            whole = tokenizer(f"Question: {question.question}\nAnswer: {choice}")["input_ids"]
            with torch.no_grad():
                logits = model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
            alone = sum(logits[i - 1, whole[i]].item() for i in range(len(context), len(whole)))
            assert value == pytest.approx(alone, abs=2e-3)


def test_a_summary_pairs_the_arms_on_the_same_questions():
    question = arc.parse(ROW)
    right, wrong = arc.score(question, [-1.0, -50.0, -9.0]), arc.score(question, [-9.0, -50.0, -1.0])
    rows = lambda results: [{**result, "id": str(i)} for i, result in enumerate(results)]
    summary = arc.summarize({"base": rows([wrong] * 8 + [right] * 2), "finetuned": rows([right] * 10)}, 200, 0)
    assert (summary["n"], summary["chance"]) == (10, pytest.approx(1 / 3))
    assert (summary["acc"]["base"]["mean"], summary["acc"]["finetuned"]["mean"]) == (0.2, 1.0)
    assert summary["acc"]["change"]["difference"] == 0.8
    assert summary["acc"]["change"]["mcnemar_p"] == pytest.approx(2 / 2**8)
    found = {headline.key: headline for headline in arc.headlines(summary, ("base", "finetuned"))}
    assert set(found) == {f"arc_accuracy{n}_{end}" for n in ("", "_norm") for end in ("base", "finetuned", "change")}
    assert (found["arc_accuracy_finetuned"].value, found["arc_accuracy_change"].value) == (1.0, 0.8)
    assert found["arc_accuracy_change"].ci95[0] > 0
    with pytest.raises(ValueError, match="different questions"):
        arc.summarize({"base": rows([right]), "finetuned": rows([right] * 2)}, 200, 0)


def test_without_questions_nothing_is_loaded_or_scored():
    assert arc.evaluate(None, None, [], batch_rows=4) == []
