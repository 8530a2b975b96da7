"""A person's way in: JupyterLab in a real browser runs a notebook of ours from its first cell to its last."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).parents[2]
WAIT_MS = 240_000
CELLS = [
    "from ftlib import jsonl, plots\nfrom ftlib.progress import progress\nfrom ftlib.run import Run",
    "run = Run.open({out!r}, {recipe!r}, interactive=True)",
    "stage = run.begin('01_data', [run.recipe.data.path], ['data'])",
    "rows = list(progress(range(40), desc='counting rows', interactive=run.interactive))",
    "jsonl.write(stage.path / 'train.jsonl', [{{'n': n}} for n in rows])",
    "stage.figure(plots.histogram(rows, title='Rows'), 'rows', caption='The rows.')",
    "stage.finish()\nprint('finished', run.is_complete('01_data'))",
]


@pytest.fixture
def lab(tmp_path, tiny_recipe):
    """JupyterLab on the loopback address with one notebook; yields its address with the token."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: `make test` installs it where apt-get is")
    sources = [cell.format(out=str(tmp_path / "run"), recipe=str(tiny_recipe)) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    (tmp_path / "lab").mkdir()
    nbformat.write(notebook, tmp_path / "lab" / "small.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "RUNTIME")}
    settings = tmp_path / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    folders |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"), "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={tmp_path / 'lab'}", "--expose-app-in-browser"]
    with (tmp_path / "lab.log").open("w") as log:
        environment = os.environ | folders | {"JUPYTER_TOKEN": token, "PYTHONPATH": str(ROOT)}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api", server, tmp_path / "lab.log")
            yield f"http://127.0.0.1:{port}/lab/tree/small.ipynb?token={token}"
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


def test_a_notebook_runs_in_jupyterlab(lab, tmp_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1200, "height": 1000})
            page.set_default_timeout(WAIT_MS)
            page.goto(lab)
            page.locator(".jp-Notebook").first.wait_for()
            page.wait_for_function("window.jupyterapp && document.querySelector('.jp-Notebook .jp-Cell')")
            _run_all(page)
            page.get_by_text("finished True").wait_for()
            assert page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.stderr']").count() == 0
            assert page.locator(".jp-Notebook .jp-RenderedImage img").count() == 1  # shown once, not twice
            assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
        finally:
            browser.close()
    assert (tmp_path / "run" / "01_data" / "figures" / "rows.png").is_file()


def _run_all(page) -> None:
    """Press "run all" until the first cell runs: before the notebook is the active tab, JupyterLab ignores it."""
    begun = page.locator(".jp-Notebook .jp-InputPrompt").filter(has_text=re.compile(r"\[[*\d]"))
    for _ in range(40):
        page.locator(".jp-Notebook .jp-Cell").first.click()
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        with contextlib.suppress(Exception):
            begun.first.wait_for(timeout=5_000)
            return
    pytest.fail("JupyterLab never ran the first cell")
