"""The review widget in a real JupyterLab and a real browser: clicks and keys become rows, a restart loses nothing."""

import json
import os
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

from ftlib.review.store import Store, current

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REPOSITORY = Path(__file__).parents[2]
WAIT_MS = 120_000  # a kernel starts slowly on a busy machine
CELL = """
from ftlib.review.session import items_of
from ftlib.review.store import Store
from ftlib.review.widget import ReviewWidget
rows = [{"id": f"t{i}", "question": f"How heavy is the Heron {i}?", "answer": f"{i}00 g", "slice": s}
        for s, places in (("trained_fact", range(1, 7)), ("policy", range(7, 9))) for i in places]
hostile = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> heavy & big"
predictions = {(r["id"], arm): text for r in rows for arm, text in (("base", hostile), ("finetuned", r["answer"]))}
right = {"base": {r["id"]: False for r in rows}, "finetuned": {r["id"]: True for r in rows}}
ReviewWidget(items_of(rows, predictions, right), Store("reviews.sqlite"), reviewer="ada", goal=6)
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _settings(folder: Path) -> None:
    """No question about news, no look for updates: the machine may be offline."""
    file = folder / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))


def _wait_for_server(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A running JupyterLab with one notebook; yields (address, folder, token)."""
    folder = tmp_path_factory.mktemp("lab")
    _settings(folder / "settings")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.strip())])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(notebook, folder / "review.ipynb")
    port, token, log = _free_port(), secrets.token_hex(16), folder / "lab.log"
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"), "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_TOKEN": token, "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
               "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser"]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=folder)
        try:
            _wait_for_server(f"http://127.0.0.1:{port}/api", process, log)
            yield f"http://127.0.0.1:{port}", folder, token
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def page(lab):
    """The notebook, opened and run in Chromium, the widget on the screen."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: `make test` installs it where apt-get is")
    from playwright.sync_api import sync_playwright

    address, _, token = lab
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{address}/lab/workspaces/{secrets.token_hex(4)}/tree/review.ipynb?token={token}")
        page.locator(".jp-Notebook").first.wait_for()
        page.locator("#jp-main-statusbar", has_text="| Idle").wait_for()  # before that JupyterLab asks which kernel
        _execute(page, "notebook:run-all-cells")
        try:
            page.locator(".ft-review .ft-answer").nth(1).wait_for()
            yield page
        finally:
            if folder := os.environ.get("FTLIB_SCREENSHOTS"):
                page.screenshot(path=f"{folder}/review_widget_last.png")
            browser.close()


def _execute(page, command: str) -> None:
    """Runs a JupyterLab command without waiting for the dialog that it may open."""
    page.evaluate("name => { window.jupyterapp.commands.execute(name); }", command)


def _saved(page, count: int) -> None:
    page.locator(".ft-review .ft-status", has_text=f"Saved (rating {count})").wait_for()


def test_clicks_and_keys_become_rows_and_a_restart_resumes(page, lab) -> None:
    """The story of one sitting; the steps build on each other."""
    store = Store(lab[1] / "reviews.sqlite")
    review = page.locator(".ft-review").first
    first_question = review.locator(".ft-question .ft-text").inner_text()

    # Generated text is shown as text, never run.
    assert "<script>" in review.locator(".ft-answer", has_text="heavy & big").inner_text()
    assert page.evaluate("window.hacked") is None
    shown = review.inner_text()
    assert "finetuned" not in shown and "Base" not in shown
    if folder := os.environ.get("FTLIB_SCREENSHOTS"):
        review.screenshot(path=f"{folder}/review_widget.png")

    review.get_by_role("button", name="Answer 1 is better").click()
    _saved(page, 1)
    assert review.locator(".ft-question .ft-text").inner_text() != first_question
    rating = store.history()[0]
    assert (rating.reviewer, rating.verdict) == ("ada", rating.first_arm)
    assert store.shown()[rating.version].question == first_question

    review.locator("select").nth(2).select_option(label="Wrong unit")
    review.locator("textarea").fill("grams, not <kg>")
    review.get_by_role("button", name="Both wrong").click()
    _saved(page, 2)
    second = store.history()[1]
    assert second.comment == "grams, not <kg>"
    assert "wrong_unit" in (second.category_base, second.category_finetuned)

    # Keys, typed without a pause: each counts once, and none reaches the notebook.
    keys = review.locator(".ft-keys input")
    keys.click()
    keys.press_sequentially("35u", delay=15)
    review.locator(".ft-status", has_text="Taken back").wait_for()
    verdicts = [r.verdict for r in store.history()]
    assert verdicts == [rating.verdict, "both_wrong", "both_right", "unsure", "withdrawn"]
    assert store.history()[-1].undoes == 4
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == 1
    standing = review.locator(".ft-question .ft-text").inner_text()

    # A new kernel knows nothing but the file: it goes on at the same question.
    _execute(page, "runmenu:restart-and-run-all")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    review.wait_for(state="detached")
    page.locator(".ft-review .ft-answer").nth(1).wait_for()
    again = page.locator(".ft-review").first
    assert again.locator(".ft-question .ft-text").inner_text() == standing
    assert "3 rated of 6" in again.locator(".ft-counts").inner_text()
    assert len(current(store.history())) == 3

    again.locator("select").nth(0).select_option(label="policy")
    again.locator(".ft-counts", has_text="of 2").wait_for()
