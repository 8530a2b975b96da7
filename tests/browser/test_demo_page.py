"""`ftlib demo` in a real browser: three systems answer a question, and texts that would be programs stay texts."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from ftlib import rows
from ftlib.run import Run
from tests.browser.conftest import CHROMIUM, ROOT, START_SECONDS
from tests.families import save_family

pytestmark = pytest.mark.browser

WAIT_MS = 400_000  # a visitor's process imports and loads all there is, on a busy machine
HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
QUESTIONS = [f"What does the {name} do?" for name in ("Heron", "Basalt", "Drift", "Tarn")]


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory) -> Path:
    """A run whose adapter has learned to answer with a script, and whose articles hold one."""
    from ftlib.core.load import load_base
    from ftlib.core.lora import add_lora
    from ftlib.core.train import train
    from ftlib.data.prompts import Renderer

    folder = tmp_path_factory.mktemp("hostile")
    (folder / "articles").mkdir()
    (folder / "articles" / "heron.md").write_text(f"# Heron\n\nThe Heron hums. {HOSTILE} It is red.\n")
    recipe = {
        "name": "hostile",
        "seed": 7,
        "data": {"path": "unused.jsonl", "language": "en"},
        "model": {"base": str(save_family("llama", folder / "base")), "dtype": "float32"},
        "quantization": {"load_in_4bit": False},
        "lora": {"r": 16, "alpha": 32},
        "train": {"epochs": 60, "learning_rate": 0.005, "batch_rows": 4, "eval_every_steps": 30, "compile": False},
        "evaluate": {"max_new_tokens": 120},
        "rag": {"documents_path": "articles"},
    }
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    run = Run.open(folder / "run", file)
    stage = run.begin("02_train")
    model, tokenizer = load_base(run.recipe)
    learned = [rows.row_of({"id": q, "question": q, "answer": HOSTILE}) for q in QUESTIONS]
    examples = [Renderer.of(run.recipe, tokenizer).example(row) for row in learned]
    train(add_lora(model, run.recipe.lora, 7), tokenizer, examples, examples, stage.path, run.recipe)
    stage.finish()
    (run.path / "01_data").mkdir()
    rows.write(run.path / "01_data" / "test.jsonl", learned)
    return run.path


@pytest.fixture(scope="module")
def demo(hostile_run, tmp_path_factory):
    """(address, process, log) of `ftlib demo`."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: `make test` installs it where apt-get is")
    log = tmp_path_factory.mktemp("demo") / "log"
    command = [sys.executable, "-m", "ftlib.cli", "demo", str(hostile_run), "--port", "0", "--no-browser"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield _address(process, log), process, log
    finally:
        process.kill()
        process.wait()


def test_the_page_answers_and_shows_scripts_as_text(demo):
    from playwright.sync_api import sync_playwright

    address, process, log = demo
    outside = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.on("response", lambda answer: outside.append(answer.url) if address not in answer.url else None)
        page.goto(address)
        cards = page.locator(".ft-demo .ft-card")
        cards.nth(2).wait_for()
        assert [each.strip() for each in page.locator(".ft-card > .ft-name").all_inner_texts()][1:] != []
        page.locator(".ft-field input").fill(QUESTIONS[0])
        page.keyboard.press("Enter")
        page.locator(".ft-card details").wait_for()
        assert cards.nth(1).locator(".ft-answer").inner_text() == HOSTILE, "the adapter's answer, letter by letter"
        assert HOSTILE in cards.nth(2).locator(".ft-passage").inner_text()
        assert "The test set expects" in page.locator(".ft-expected").inner_text()
        page.locator(".ft-field input").fill(f"{HOSTILE} & more")
        page.locator("button.ft-go").click()
        page.locator(".ft-expected").wait_for(state="detached")
        page.locator("button.ft-go:enabled").wait_for()
        assert page.evaluate("window.hacked") is None and page.locator(".ft-demo img, .ft-demo script").count() == 0
        assert not [url for url in outside if not url.startswith(("data:", "blob:"))], "all of it comes from here"
        if folder := os.environ.get("FTLIB_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/demo_page.png", full_page=True)
        browser.close()
    _no_other_name_and_a_clean_end(address, process, log)


def _no_other_name_and_a_clean_end(address: str, process: subprocess.Popen, log: Path) -> None:
    """A web page that calls this machine by a name of its own gets nothing; SIGTERM leaves no process."""
    import psutil

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(address, headers={"Host": "elsewhere.example"}), timeout=60)
    refused.value.close()
    assert refused.value.code == 403
    kernels = psutil.Process(process.pid).children(recursive=True)
    assert kernels, "the visitor's"
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0, log.read_text()[-2000:]
    _, alive = psutil.wait_procs(kernels, timeout=60)
    assert alive == []


def _address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        told = [word for word in log.read_text().split() if word.startswith("http://127.0.0.1:")]
        try:
            if told:
                urllib.request.urlopen(f"{told[0]}voila/static/voila.js", timeout=5).close()
                return told[0]
        except urllib.error.HTTPError as answer:  # if only that there is no such file
            answer.close()
            return told[0]
        except OSError:
            pass
        time.sleep(0.3)
    pytest.fail(f"the page did not start: {log.read_text()[-2000:]}")
