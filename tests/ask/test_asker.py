"""Whose answer it is: the run's adapter, prompt, instruction and index, and clear words where one is missing."""

from __future__ import annotations

import shutil

import pytest

from ftlib import atomic
from ftlib.ask import standing
from ftlib.ask.asker import Asker, choose_system, row_asking, without_adapter
from ftlib.data.conversations import Malformed
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.rows import Turn, row_of
from ftlib.systems import systems
from tests.ask.conftest import TOLD


@pytest.fixture(scope="module")
def known(run_dir):
    return systems(Recipe.load(run_dir / "recipe.yaml"))


@pytest.mark.parametrize(
    ("name", "rag", "chosen"),
    [(None, False, "finetuned"), (None, True, "rag_ft"), ("base", True, "rag"), ("few_shot", False, "few_shot")],
)
def test_a_system_is_named_or_the_trained_one(known, name, rag, chosen):
    assert choose_system(known, name, rag).name == chosen


def test_passages_are_shown_also_where_the_recipe_has_no_such_system(known):
    one = {"mine": known["finetuned"]._replace(name="mine")}
    assert choose_system(one, None, True) == one["mine"]._replace(prompt="retrieved")
    bare = without_adapter(one, one["mine"])
    assert bare.name != "mine" and bare.adapter is None and without_adapter(known, known["rag_ft"]) == known["rag"]


def test_a_system_that_is_not_there_is_the_users_mistake(known):
    with pytest.raises(UserError, match="one of base, few_shot"):
        choose_system(known, "nobody", False)
    with pytest.raises(UserError, match="adapter: trained"):
        choose_system({"base": known["base"]}, None, False)
    with pytest.raises(UserError, match="--compare with base"):
        without_adapter(known, known["base"])


def test_a_question_is_read_as_notebook_01_reads_it():
    said = [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    row = row_asking([*said, {"role": "user", "content": "c"}], "the context", "x")
    assert row.turns == (Turn("system", "S"), Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"))
    assert (row.id, row.context, row.question) == ("x", "the context", "c")
    assert row_asking("Why?").turns == (Turn("user", "Why?"),)
    for wrong, told in ((said, "found assistant"), ([], "found none"), ("  ", "empty"), ("a\ud800", "half of one")):
        with pytest.raises(Malformed, match=told):
            row_asking(wrong)


def test_prompts_hold_the_runs_template_and_the_chosen_instruction(asker):
    row = row_of({"id": "q", "question": "What colour is the Tarn?", "answer": ""})
    asked = asker.ask(asker.systems["base"], row)
    text = f"<s>{TOLD}\n\n### Instruction:\nWhat colour is the Tarn?\n\n### Response:\n"
    assert asker.engine.tokenizer.decode(asked.prompt.ids) == text
    assert list(asker.systems) == ["base", "finetuned"] and asker.systems["finetuned"].told == ""


def test_few_shot_and_retrieved_prompts(run_dir):
    asker = Asker.of(run_dir, "few_shot")
    row = row_of({"id": "q", "question": "What colour is the Tarn?", "answer": ""})
    asked = asker.ask(asker.systems["few_shot"], row)
    assert len(asker.examples) == 2 and asked.shown == tuple(each.id for each in asker.examples)
    run = standing.open_run(run_dir)
    knowledge = standing.open_knowledge(run)
    assert [key for key, _ in knowledge.index.search("the Tarn", 1)] == ["Tarn"]
    made = sorted((run_dir / "index").iterdir())
    standing.open_knowledge(run)
    assert sorted((run_dir / "index").iterdir()) == made and len(made) == 1, "built once"


def test_an_adapter_that_is_missing_altered_or_of_another_prompt_is_refused(run_dir, tmp_path):
    with pytest.raises(UserError, match=r"no recipe\.yaml"):
        standing.open_run(tmp_path)
    copy = tmp_path / "run"
    shutil.copytree(run_dir, copy)
    assert standing.trained_adapter(standing.open_run(copy)) == copy / "02_train" / "adapter", "a run can be moved"
    text = (copy / "recipe.yaml").read_text()
    (copy / "recipe.yaml").write_text(text.replace("template: auto", "template: chatml"))
    with pytest.raises(UserError, match=r"prompt\.template"):
        standing.trained_adapter(standing.open_run(copy))
    (copy / "recipe.yaml").write_text(text)
    with (copy / "02_train" / "adapter" / "adapter_model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="the file that the training wrote"):
        standing.trained_adapter(standing.open_run(copy))
    atomic.write_json(copy / "02_train" / "manifest.json", {})
    with pytest.raises(UserError, match="02_train_qlora"):
        standing.trained_adapter(standing.open_run(copy))
