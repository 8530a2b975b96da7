"""Multiple choice by lm-eval: a case worked by hand, the real questions, both kinds of model, rows that do not fit."""

from __future__ import annotations

import json
import logging
import re

import numpy as np
import pytest
import yaml

from ftlib.errors import UserError
from ftlib.evaluate import multiple_choice

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


def alone(model, tokenizer, question):
    """Log-likelihood of each choice, one sequence at a time in float64."""
    import torch

    prompt, found = f"Question: {question['question']}\nAnswer:", []
    context = tokenizer(prompt)["input_ids"]
    for choice in question["choices"]["text"]:
        whole = tokenizer(f"{prompt} {choice}")["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
        found.append(sum(logits[i - 1, whole[i]].item() for i in range(len(context), len(whole))))
    return found


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
def test_a_row_that_does_not_fit_the_schema_is_named(tmp_path, change, message):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, **change}) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        multiple_choice.load_questions(path)
    assert str(caught.value).startswith(f"{path}, line 2")


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_files_of_three_formats_hold_the_same_questions(tmp_path, suffix):
    rows = [ROW, {**ROW, "id": "q2", "answerKey": "C"}]
    path = tmp_path / f"questions{suffix}"
    if suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        text = json.dumps(rows) if suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")
    assert multiple_choice.load_questions(path) == rows
    assert len(multiple_choice.load_questions(path, limit=1)) == 1
    assert multiple_choice.chance(rows) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("a.jsonl", "{"), ("a.jsonl", ""), ("a.jsonl", "{}")])
def test_a_broken_file_is_the_users_error(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(str(path))):
        multiple_choice.load_questions(path)


def test_the_accuracies_follow_from_the_log_likelihoods(tiny_model):
    rows = [{**ROW, "id": key, "answerKey": key} for key in "ABC"]
    results = multiple_choice.score_questions(*tiny_model, rows, batch_rows=4)
    values = np.array(results[0]["log_likelihoods"])
    likeliest, per_character = int(values.argmax()), int((values / [5, 24, 1]).argmax())
    assert [result["acc"] for result in results] == [float(i == likeliest) for i in range(3)]
    assert [result["acc_norm"] for result in results] == [float(i == per_character) for i in range(3)]
    assert [result["id"] for result in results] == ["A", "B", "C"]


def test_the_real_test_set_reads_whole(material, tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps(real_questions(material)), encoding="utf-8")
    questions = multiple_choice.load_questions(path)
    assert len(questions) == 1172
    assert {len(question["choices"]["text"]) for question in questions} <= {3, 4, 5}
    # Choosing the longest text is a known weak cue of ARC: better than a coin of four, far from right.
    right = [q["choices"]["label"].index(q["answerKey"]) for q in questions]
    longest = [int(np.argmax([len(text) for text in q["choices"]["text"]])) for q in questions]
    assert 0.2 < np.mean(np.array(longest) == right) < 0.45


def test_log_likelihoods_of_real_questions_equal_one_sequence_at_a_time(material, tiny_model):
    model, tokenizer = tiny_model
    questions = real_questions(material)[:12]
    results = multiple_choice.score_questions(model, tokenizer, questions, batch_rows=7)
    for question, result in zip(questions, results, strict=True):
        expected = alone(model, tokenizer, question)
        assert result["log_likelihoods"] == pytest.approx(expected, abs=2e-3)
        right = question["choices"]["label"].index(question["answerKey"])
        assert result["acc"] == float(np.argmax(expected) == right)


def test_an_encoder_decoder_reads_the_question_and_writes_the_choice(tiny_t5, tiny_tokenizer):
    import torch

    (result,) = multiple_choice.score_questions(tiny_t5, tiny_tokenizer, [ROW], batch_rows=2)
    read = tiny_tokenizer("Question: What do bees make?\nAnswer:")["input_ids"]
    for choice, value in zip(ROW["choices"]["text"], result["log_likelihoods"], strict=True):
        written = tiny_tokenizer(f" {choice}", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = tiny_t5(input_ids=torch.tensor([read]), labels=torch.tensor([written])).logits[0].log_softmax(-1)
        assert value == pytest.approx(sum(logits[i, token].item() for i, token in enumerate(written)), abs=2e-3)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft reads it
def test_the_adapter_that_is_on_is_scored(two_systems):
    engine, systems = two_systems
    found = {}
    for name, system in systems.items():
        with engine.using(system) as model:
            found[name] = multiple_choice.score_questions(model, engine.tokenizer, [ROW], batch_rows=2)[0]
            expected = alone(model, engine.tokenizer, ROW)
        assert found[name]["log_likelihoods"] == pytest.approx(expected, abs=2e-3)
    assert found["base"]["log_likelihoods"] != found["finetuned"]["log_likelihoods"]


def test_it_is_quiet_and_leaves_no_trace(tiny_model, capfd):
    before = logging.getLogger("lm_eval").level
    multiple_choice.score_questions(*tiny_model, [ROW], batch_rows=2)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("lm_eval").level == before


def test_a_task_in_lm_evals_own_yaml_is_scored_like_the_file(tiny_model, tmp_path):
    rows = [{**ROW, "id": key, "answerKey": key} for key in "ABC"]
    data, file = tmp_path / "bees.jsonl", tmp_path / "bees.yaml"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {
        "task": "bees",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(tmp_path / "cache")},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_target": "{{choices.label.index(answerKey)}}",
        "doc_to_choice": "{{choices.text}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    file.write_text(yaml.safe_dump(task), encoding="utf-8")
    tasks = multiple_choice.load_tasks([str(file)])
    assert list(tasks) == ["bees"]
    expected = [row["acc"] for row in multiple_choice.score_questions(*tiny_model, rows, batch_rows=4)]
    for _ in range(2):  # once a system
        found = multiple_choice.score_tasks(*tiny_model, tasks, limit=None, batch_rows=4)
        assert [row["acc"] for row in found["bees"]] == expected
    assert len(multiple_choice.score_tasks(*tiny_model, tasks, limit=2, batch_rows=4)["bees"]) == 2
    table = multiple_choice.choice_table({"one": found["bees"]}, 100, 0)
    assert [h.key for h in multiple_choice.choice_headlines("bees", table)] == ["bees_acc_one"]


def test_a_task_that_nobody_knows_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match=r"evaluate\.tasks: .*no_such\.yaml"):
        multiple_choice.load_tasks([str(tmp_path / "no_such.yaml")])


def result(number, right):
    return {"id": str(number), "log_likelihoods": [-1.0, -2.0], "acc": float(right), "acc_norm": 1.0}


def test_systems_are_paired_on_the_same_questions():
    results = {
        "plain": [result(i, i >= 8) for i in range(10)],
        "tuned": [result(i, True) for i in range(10)],
        "third": [result(i, i >= 5) for i in range(10)],
    }
    table = multiple_choice.choice_table(results, 200, 0)["acc"]
    assert [each.mean for each in table["systems"].values()] == [0.2, 1.0, 0.5]
    assert table["changes"]["tuned"].difference == 0.8
    assert table["changes"]["third"].difference == pytest.approx(0.3)
    assert table["mcnemar_p"]["tuned"] == pytest.approx(2 / 2**8)
    with pytest.raises(ValueError, match="different questions"):
        multiple_choice.choice_table({"plain": results["plain"], "tuned": results["tuned"][:3]}, 200, 0)


def test_headline_keys_say_that_the_questions_are_not_arcs():
    results = {name: [result(i, i < right) for i in range(10)] for name, right in (("base", 2), ("other", 9))}
    found = {
        h.key: h for h in multiple_choice.choice_headlines("choices", multiple_choice.choice_table(results, 99, 0))
    }
    ends = ("base", "other", "change")
    assert set(found) == {f"choices_accuracy{norm}_{end}" for norm in ("", "_norm") for end in ends}
    assert (found["choices_accuracy_other"].value, found["choices_accuracy_change"].value) == (0.9, pytest.approx(0.7))
    assert found["choices_accuracy_change"].ci95[0] > 0
    results["last"] = results["base"]
    keys = {h.key for h in multiple_choice.choice_headlines("arc_easy", multiple_choice.choice_table(results, 99, 0))}
    assert {"arc_easy_acc_last", "arc_easy_acc_change_other", "arc_easy_acc_norm_change_last"} <= keys


def test_without_questions_or_tasks_nothing_is_loaded_or_scored():
    assert multiple_choice.score_questions(None, None, [], batch_rows=4) == []
    assert multiple_choice.load_tasks([]) == multiple_choice.score_tasks(None, None, {}, limit=1, batch_rows=1) == {}
