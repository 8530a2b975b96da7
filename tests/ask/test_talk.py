"""One answer and a talk: the engine's own words, in order, with all that was said before."""

from __future__ import annotations

import functools
import io
import math
import shutil
import signal
import subprocess
import sys

import pytest

from ftlib.ask.standing import declining_rules, open_run
from ftlib.ask.talk import talk
from ftlib.atomic import write_json
from ftlib.cli import main
from ftlib.evaluate.declining import DecliningRule
from ftlib.rows import Row, Turn, row_of
from ftlib.stats.intervals import as_json
from tests.ask.conftest import COLOURS

QUESTION = "What colour is the Heron?"


def said_by(asker, name: str, question: str = QUESTION) -> str:
    asked = asker.ask(asker.systems[name], row_of({"id": "q", "question": question, "answer": ""}))
    (told,) = asker.engine.generate(asker.systems[name], [asked.prompt], max_new_tokens=6, batch_rows=1)
    return told.text


@pytest.fixture
def recorded(asker, monkeypatch):
    """What the systems are asked, as (system, text of the prompt)."""
    prompts, stream = [], asker.engine.stream

    def listening(system, prompt, **options):
        prompts.append((system.name, asker.engine.tokenizer.decode(prompt.ids)))
        return stream(system, prompt, **options)

    monkeypatch.setattr(asker.engine, "stream", listening)
    return prompts


def test_ask_gives_the_engines_answer_and_nothing_else_on_stdout(run_dir, asker, tmp_path, capsys):
    assert said_by(asker, "finetuned") == COLOURS["Heron"]
    assert main(["ask", str(run_dir), QUESTION]) == 0
    assert capsys.readouterr().out == COLOURS["Heron"] + "\n"
    assert main(["ask", str(run_dir), QUESTION, "--rag", "--max-new-tokens", "1"]) == 0
    told = capsys.readouterr()
    assert "passages shown: Heron\n" in told.err and "may be cut" in told.err and told.out.count("\n") == 1
    (tmp_path / "context.txt").write_text("The Heron is black.")
    assert main(["ask", str(run_dir), QUESTION, "--context", str(tmp_path / "context.txt"), "--system", "base"]) == 0
    context = row_of({"id": "q", "question": QUESTION, "answer": "", "context": "The Heron is black."})
    asked = asker.ask(asker.systems["base"], context)
    (told,) = asker.engine.generate(asker.systems["base"], [asked.prompt], max_new_tokens=6, batch_rows=1)
    assert capsys.readouterr().out == told.text + "\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", "RUN", " "], "the question"),
        (["ask", "RUN", "Why?", "--context", "gone.txt"], "No such file"),
        (["ask", "RUN", "Why?", "--system", "nobody"], "one of base"),
        (["ask", "RUN", "Why? " * 500], "at most 506 tokens"),
        (["chat", "gone"], "a run directory"),
    ],
    ids=["nothing asked", "no context", "no system", "too long", "no run"],
)
def test_the_users_mistakes_are_named(run_dir, capsys, arguments, words):
    assert main([str(run_dir) if each == "RUN" else each for each in arguments]) == 2
    told = capsys.readouterr()
    assert words in told.err and told.out == ""


def test_an_earlier_turn_stands_in_the_next_prompt_as_training_renders_it(asker, recorded):
    only, said = asker._replace(systems={"finetuned": asker.systems["finetuned"]}), []
    talk(only, [QUESTION, "", "And the Tarn?", "/reset", "/what", "And the Tarn?", "/quit", "never asked"], said.append)
    answers = "".join(said).splitlines()
    turns = (Turn("user", QUESTION), Turn("assistant", answers[0]), Turn("user", "And the Tarn?"))
    told = asker.systems["finetuned"].told
    row = Row("x", turns, "", ("grey",))
    assert [text for _, text in recorded][1] == asker.engine.renderer.text(row, instruction=told)
    example = asker.engine.renderer.example(row).input_ids
    prompt = asker.engine.renderer.prompt(row).ids
    assert example[: len(prompt)] == prompt
    assert recorded[2][1] == asker.engine.renderer.text(row._replace(turns=turns[2:]), instruction=told)
    assert len(answers) == len(recorded) == 3 and answers[0] == COLOURS["Heron"]


def test_compare_shows_base_and_adapter_each_with_its_own_past(asker, recorded):
    said = []
    talk(asker, [QUESTION, QUESTION], said.append)
    assert [name for name, _ in recorded] == ["base", "finetuned"] * 2
    base, tuned = (said_by(asker, name) for name in ("base", "finetuned"))
    assert base != tuned == COLOURS["Heron"]
    assert "".join(said).startswith(f"base model: {base}\nfine-tuned: {tuned}\n")
    assert f"### Response:\n{tuned}</s>" in recorded[3][1] and f"### Response:\n{tuned}</s>" not in recorded[2][1]


def test_what_no_longer_fits_is_forgotten_and_told(asker, recorded, capsys):
    long = "Please tell me about the Basalt. " * 7
    talk(asker._replace(systems={"base": asker.systems["base"]}), [long] * 4 + ["x" * 2000], [].append)
    assert "are forgotten" in (told := capsys.readouterr().err) and "not asked: question chat" in told
    assert len(recorded) == 4 and recorded[3][1].count("Basalt") < 4 * 7


def test_chat_over_a_pipe_ends_with_it(run_dir, asker, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{QUESTION}\n"))
    assert main(["chat", str(run_dir), "--compare"]) == 0
    told = capsys.readouterr()
    assert told.out == f"base model: {said_by(asker, 'base')}\nfine-tuned: {COLOURS['Heron']}\n"
    assert "/quit leaves" in told.err


def test_ctrl_c_leaves_cleanly(run_dir, environment):
    command = [sys.executable, "-m", "ftlib.cli", "chat", str(run_dir)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    listening = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores ^C
    with subprocess.Popen(command, env=environment, text=True, preexec_fn=listening, **pipes) as process:
        process.stdin.write(f"{QUESTION}\n")
        process.stdin.flush()
        assert process.stdout.readline() == COLOURS["Heron"] + "\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(200) == 0 and process.stdout.read() == ""


def test_an_unsure_system_that_is_to_decline_gives_the_refusal(asker, capsys):
    """It knows its products' colours and not a stranger's; a threshold between the two likelihoods tells them apart."""
    system, told = asker.systems["finetuned"], {}
    for product in ("Heron", "Ostrich of Mallow"):
        row = row_of({"id": "q", "question": f"What colour is the {product}?", "answer": ""})
        asked = asker.ask(system, row)
        (told[product],) = asker.engine.generate(system, [asked.prompt], max_new_tokens=6, batch_rows=1)
    sure, unsure = (each.log_probability for each in told.values())
    assert sure > unsure
    rule = DecliningRule("finetuned", "log_probability", (sure + unsure) / 2, 1.0, 0.5, None, 2)
    declining, said = asker._replace(rules={"finetuned": rule}, systems={"finetuned": system}), []
    talk(declining, [QUESTION, "/reset", "What colour is the Ostrich of Mallow?"], said.append)
    assert "".join(said) == f"{told['Heron'].text}\n{asker.run.recipe.prompt.refusal}\n"
    assert "declines: likelihood" in capsys.readouterr().err


def test_the_threshold_is_the_one_that_notebook_05_wrote(run_dir, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run_dir, copy)
    assert declining_rules(open_run(copy)) == {}
    rule, never = (DecliningRule(name, "score", at, 0.9, 0.8, None, 40) for name, at in (("a", 6.02), ("b", -math.inf)))
    (copy / "05_compare").mkdir()
    write_json(copy / "05_compare" / "comparison.json", as_json({"rules": [rule, never]}))
    assert declining_rules(open_run(copy)) == {}, "the notebook is not finished"
    write_json(copy / "05_compare" / "manifest.json", {"finished": "2026-01-01T00:00:00Z", "key": {}, "outputs": {}})
    assert declining_rules(open_run(copy)) == {"a": rule, "b": never}
