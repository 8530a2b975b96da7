"""`ftlib serve` as its users meet it: transformers' real server, a real port, OpenAI's client."""

from __future__ import annotations

import json
import shlex
import signal
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from ftlib import atomic, jsonl
from ftlib.ask.talk import ask_once
from ftlib.cli import main
from ftlib.errors import UserError
from ftlib.serve.served import ready_export
from tests.serve.conftest import TOKEN, TOKEN_ENV

QUESTION = "Which colour has the Basalt?"
MODEL = "colours"  # the run's name
SYSTEM = {"role": "system", "content": "Name the colour."}  # the run's own, which a client has to send


def ask(client, question: str = QUESTION, **more):
    messages = [SYSTEM, {"role": "user", "content": question}]
    return client.chat.completions.create(model=MODEL, messages=messages, **more)


def endless(server) -> dict:
    """What makes the model go on: its end token is all but forbidden."""
    from transformers import AutoTokenizer

    folder = next(server.log.parents[1].glob("exported_float32*/run/served/merged/colours"))
    return {"logit_bias": {str(AutoTokenizer.from_pretrained(folder).eos_token_id): -100.0}, "max_tokens": 300}


def send(server, path: str, method: str = "GET", **headers: str) -> int:
    request = urllib.request.Request(server.address + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def asked_alone(server, question: str) -> str:
    """The answer that a client of its own gets."""
    with server.client() as client:
        return text(ask(client, question))


def text(found) -> str:
    return found.choices[0].message.content.strip()


@pytest.fixture
def client(server):
    """OpenAI's own, with the token."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def said(run_dir) -> dict[str, str]:
    """Question to what `ftlib ask` answers, for products whose colours the run has learned more or less."""
    from ftlib.ask.asker import Asker, row_asking

    asker = Asker.of(run_dir)
    (system,) = asker.systems.values()
    questions = [f"Which colour has the {name}?" for name in ("Basalt", "Heron", "Tarn", "Otter")]
    prompts = [asker.ask(system, row_asking(each)).prompt for each in questions]
    told = asker.engine.generate(system, prompts, max_new_tokens=asker.max_new_tokens, batch_rows=1)
    found = {each: one.text for each, one in zip(questions, told, strict=True)}
    assert len(set(found.values())) > 2
    return found


def test_an_answer_over_http_is_that_of_ask_and_ends_at_the_end_token(server, client, run_dir, said):
    found = ask(client)
    assert text(found) == said[QUESTION] == ask_once(run_dir, QUESTION) == "blue"
    assert found.choices[0].finish_reason == "stop" and found.usage.completion_tokens < 6
    golden = jsonl.read(run_dir / "golden.jsonl")[0]
    assert golden["messages"][0] == SYSTEM, "what the evaluation has sent"


def test_a_stream_tells_the_same_piece_by_piece(server, client):
    pieces = [piece.choices[0] for piece in ask(client, stream=True)]
    said = [piece.delta.content for piece in pieces if piece.delta.content]
    assert "".join(said).strip() == "blue" and pieces[-1].finish_reason == "stop"


def test_an_answer_is_as_long_as_the_export_says_unless_the_request_asks_for_more(server, client):
    forever = endless(server)
    assert ask(client, **forever).usage.completion_tokens == 300
    del forever["max_tokens"]
    short = ask(client, **forever)
    assert (short.usage.completion_tokens, short.choices[0].finish_reason) == (6, "length")


@pytest.mark.parametrize("stream", [False, True])
def test_an_overlong_prompt_is_a_clear_error_and_the_server_lives_on(server, client, stream):
    with pytest.raises(openai.BadRequestError, match="the model reads 512, the answer included") as refused:
        ask(client, "Drift " * 600, stream=stream)
    assert refused.value.code == "context_length_exceeded"
    assert text(ask(client)) == "blue"


def test_an_answer_ends_where_the_window_does(server, client):
    found = ask(client, "Drift " * 60, **endless(server) | {"max_tokens": 4000})
    assert found.usage.total_tokens == 512 and found.choices[0].finish_reason == "length"


def test_32_clients_at_once_each_get_the_answer_to_their_own_question(server, said):
    asked = [[*said][number % 4] for number in range(32)]
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda question: asked_alone(server, question), asked))
    assert found == [said[question] for question in asked]


def test_a_client_that_is_killed_in_the_middle_stops_its_answer(server, client):
    stream = ask(client, stream=True, **endless(server) | {"max_tokens": 450})
    for _ in range(5):
        next(stream)
    stream.close()
    assert text(ask(client)) == "blue"


def test_without_the_token_nothing_is_told(server, client):
    with server.client("another") as stranger, pytest.raises(openai.AuthenticationError, match="the server's token"):
        ask(stranger)
    assert send(server, "/v1/models") == 401 and send(server, "/health") == 200
    assert TOKEN not in server.log.read_text() and f"${TOKEN_ENV}" in server.log.read_text()


def test_it_serves_this_model_alone_and_answers_to_names_of_this_machine(server, client):
    known = {"Authorization": f"Bearer {TOKEN}"}
    assert [model.id for model in client.models.list()] == [MODEL]
    assert [send(server, path, "POST", **known) for path in ("/load_model", "/reset", "/reset/")] == [404] * 3
    assert send(server, "/v1/models", **known, Host="elsewhere.example") == 400
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="another", messages=[SYSTEM])


def test_the_command_it_prints_asks_a_question_of_the_test_set(server, run_dir):
    line = next(line for line in server.log.read_text().splitlines() if "curl" in line)
    body = json.loads(shlex.split(line)[-1])
    assert body == {"model": MODEL, "messages": jsonl.read(run_dir / "golden.jsonl")[-1]["messages"]}


def test_an_export_that_passed_is_taken_again_until_something_changes(server, run_dir):
    said = []
    assert ready_export(run_dir, margin=0.5, say=said.append).told.endswith("as it lies there: SHIP") and not said
    source = run_dir / "served" / "merged" / "colours.from.json"
    assert atomic.read_json(source)["margin"] == 0.5, "another margin would measure anew"


def test_what_cannot_be_served_is_said_before_anything_is_made(run_dir, monkeypatch, capsys):
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    assert main(["serve", str(run_dir), "--port", "0", "--token-env", "NO_SUCH_TOKEN"]) == 2
    assert "an environment variable with a token" in capsys.readouterr().err
    with pytest.raises(UserError, match="a run directory"):
        ready_export(run_dir / "nothing")


def test_sigterm_in_the_middle_of_an_answer_ends_it_and_leaves_no_process(server, client):
    import psutil

    process = psutil.Process(server.process.pid)
    assert process.children(recursive=True) == []
    stream = ask(client, stream=True, **endless(server) | {"max_tokens": 480})
    next(stream)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(120) == 0, server.log.read_text()[-2000:]
    assert time.monotonic() - began < 60
    with pytest.raises(OSError):
        send(server, "/health")
