from __future__ import annotations

import socket

import pytest

from ftlib.errors import UserError
from ftlib.serve.guarded import HOST, PromptTooLong, fit_window, free_port, token_from


@pytest.mark.parametrize(
    ("window", "tokens", "wanted", "room"), [(512, 500, 64, 12), (512, 100, 64, 64), (None, 9999, 64, 64), (2, 1, 9, 1)]
)
def test_an_answer_fits_behind_its_prompt(window, tokens, wanted, room):
    assert fit_window(window, tokens, wanted) == room


@pytest.mark.parametrize("tokens", [512, 513])
def test_a_prompt_that_fills_the_window_is_refused(tokens):
    with pytest.raises(PromptTooLong, match=f"has {tokens} tokens; the model reads 512"):
        fit_window(512, tokens, 1)


def test_a_port_that_is_taken_is_said_to_be():
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {taken}"):
            free_port(taken)
    assert free_port(taken) == taken and free_port(0) > 1023


def test_a_token_comes_from_the_environment_alone(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", " abc \n")
    assert token_from("MY_TOKEN") == "abc" and token_from(None) is None
    monkeypatch.setenv("MY_TOKEN", "")
    with pytest.raises(UserError, match="--token-env MY_TOKEN") as error:
        token_from("MY_TOKEN")
    assert "abc" not in str(error.value)
