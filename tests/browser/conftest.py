"""What the tests in a real browser share: one JupyterLab for the session, and Chromium."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
START_SECONDS = 240  # a busy machine is no failure


class Lab(NamedTuple):
    """A running JupyterLab: its address, the folder that it shows, the token that opens it."""

    address: str
    folder: Path
    token: str

    def write(self, name: str, sources: Sequence[str]) -> Path:
        """A notebook of these code cells in a folder of its own, which is its kernel's working folder."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        file = self.folder / name / f"{name}.ipynb"
        file.parent.mkdir()
        nbformat.write(notebook, file)
        return file

    def url(self, notebook: Path) -> str:
        """Where a browser opens the notebook, in a workspace of its own: no tab of another test comes back."""
        path = notebook.relative_to(self.folder).as_posix()
        return f"{self.address}/lab/workspaces/{secrets.token_hex(4)}/tree/{path}?token={self.token}"

    def run_all(self, page, notebook: Path) -> None:
        """Opens the notebook and runs its cells, once its kernel waits: before, JupyterLab ignores it or asks which."""
        page.goto(self.url(notebook))
        page.locator(".jp-Notebook").first.wait_for()
        page.locator("#jp-main-statusbar", has_text="| Idle").wait_for()
        self.execute(page, "notebook:run-all-cells")

    @staticmethod
    def execute(page, command: str) -> None:
        """Runs a JupyterLab command without waiting for the dialog that it may open."""
        page.evaluate("name => { window.jupyterapp.commands.execute(name); }", command)


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab on the loopback address, with settings and runtime files of its own."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: `make test` installs it where apt-get is")
    home, port, token = tmp_path_factory.mktemp("jupyter"), _free_port(), secrets.token_hex(16)
    folder = home / "notebooks"
    folder.mkdir()
    log = home / "lab.log"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser"]
    with log.open("w") as output:
        environment = os.environ | _folders(home) | {"JUPYTER_TOKEN": token, "PYTHONPATH": str(ROOT)}
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=folder)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api", server, log)
            yield Lab(f"http://127.0.0.1:{port}", folder, token)
        finally:
            _stop(server)


@pytest.fixture
def chromium(lab):
    """Chromium; close to a person's: every page is a real window with a real keyboard."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _folders(home: Path) -> dict[str, str]:
    """Where Jupyter keeps things. No question about news, no look for updates: the machine may be offline."""
    settings = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    folders = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "RUNTIME")}
    folders |= {f"JUPYTERLAB_{name}_DIR": str(home / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
    return folders | {"IPYTHONDIR": str(home / "ipython")}


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


def _stop(server: subprocess.Popen) -> None:
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
