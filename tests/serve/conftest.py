"""A small run that was really trained, and transformers' real server before it, for this room's tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

# The run of the export's tests: six colours, learned in a few seconds by a model with a window of 512 tokens.
from tests.export.conftest import make_run, run_dir  # noqa: F401

ROOT = Path(__file__).parents[2]
TOKEN, TOKEN_ENV = "a-token-for-tests", "FTLIB_TEST_TOKEN"
START_SECONDS = 400  # a busy machine is no failure


class Server(NamedTuple):
    """A running `ftlib serve`."""

    process: subprocess.Popen
    log: Path
    address: str

    def client(self, token: str = TOKEN):
        """OpenAI's own client, without retries that would hide a failure."""
        import openai

        return openai.OpenAI(base_url=f"{self.address}/v1", api_key=token, max_retries=0, timeout=120)


def start(run: Path, log: Path, *more: str) -> Server:
    """`ftlib serve` in a process of its own, once it is ready."""
    command = [sys.executable, "-m", "ftlib.cli", "serve", str(run), "--port", "0", "--margin", "0.5", *more]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), TOKEN_ENV: TOKEN}
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        told = [word for word in log.read_text().split() if word.startswith("http://127.0.0.1:") and "/v1;" in word]
        if told and _is_healthy(address := told[0].partition("/v1;")[0]):
            return Server(process, log, address)
        time.sleep(0.3)
    process.kill()
    pytest.fail(f"the server did not start: {log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def server(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: F811
    """One for all tests, with a token."""
    running = start(run_dir, tmp_path_factory.mktemp("server") / "log", "--token-env", TOKEN_ENV)
    yield running
    running.process.kill()
    running.process.wait()


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5):
            return True
    except OSError:
        return False
