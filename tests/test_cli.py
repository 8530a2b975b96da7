"""The command line: exit codes, one clear error, nothing half-written, a killed run goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from ftlib.cli import main, parse_overrides
from ftlib.recipe import UserError
from ftlib.report import table, write_report
from ftlib.run import Run
from ftlib.stage import NOTEBOOKS

pytestmark = pytest.mark.timeout(1500)

ROOT = Path(__file__).parents[1]
OUTPUTS = {
    "01_data": "train.jsonl",
    "02_train": "metrics.jsonl",
    "03_evaluate": "generations.jsonl",
    "04_review": "errors.jsonl",
    "05_compare": "arms.jsonl",
}
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
TIMEOUT = 1200  # seconds; a busy machine is no failure
PARAMETERS = 'run_dir = "runs/demo"\nrecipe = "data/recipes/demo.yaml"\noverrides = {}\ninteractive = True'


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project whose five notebooks only copy rows: the corridor's own behaviour, in seconds."""
    root = tmp_path_factory.mktemp("project")
    (root / "notebooks").mkdir()
    (root / "data").mkdir()
    before = None
    for stage, name in NOTEBOOKS.items():
        _write_notebook(root / "notebooks" / f"{name}.ipynb", stage, before)
        before = f"{stage}/{OUTPUTS[stage]}"
    (root / "data" / "rows.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
    (root / "data" / "bad.jsonl").write_text('{"id": "a"}\n{"id": "b"\n')
    (root / "data" / "recipe.yaml").write_text("name: t\ndata: {path: rows.jsonl}\nmodel: {base: some/model}\n")
    return root


def _write_notebook(file: Path, stage: str, before: str | None) -> None:
    source = f"run.need({before!r})" if before else "run.recipe.data.path"
    cells = [
        "from pathlib import Path\nimport time\nfrom ftlib import jsonl, plots\nfrom ftlib.run import Run",
        PARAMETERS,
        "run = Run.open(run_dir, recipe, overrides, interactive=interactive)",
        f"source = Path({source})\nstage = run.begin({stage!r}, [source], ['data'])\nprint('resumed:', stage.resumed)",
        "rows = jsonl.read(source)\nif 'crash' in run.recipe.data.columns: 1 / 0",
        "pause = run.path / 'pause'\nif pause.exists() and not stage.resumed and pause.read_text() == stage.name:\n"
        "    (stage.path / 'ready').touch()\n    time.sleep(60)",
        f"jsonl.write(stage.path / {OUTPUTS[stage]!r}, rows)\nstage.headline('em_base', 0.5, ci95=(0.4, 0.6), n=9)",
        "stage.figure(plots.histogram([1, 2], title='<i>'), 'h', caption='<script>alert(1)</script> & more')",
        "stage.finish()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[1].metadata.tags = ["parameters"]
    notebook.metadata.kernelspec = KERNEL
    nbformat.write(notebook, file)


def ftlib(project: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "-m", "ftlib.cli", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=TIMEOUT, **options)


@pytest.fixture(scope="module")
def finished(project) -> tuple[Path, str]:
    done = ftlib(project, "run", "--recipe", "data/recipe.yaml", "--out", "runs/whole")
    assert done.returncode == 0, done.stderr
    return project / "runs" / "whole", done.stdout


def test_overrides_are_read_as_yaml():
    pairs = ["train.epochs=1", "data.columns={question: q}", "prompt.system=a=b", "evaluate.limit=null"]
    expected = {"train.epochs": 1, "data.columns": {"question": "q"}, "prompt.system": "a=b", "evaluate.limit": None}
    assert parse_overrides(pairs) == expected


@pytest.mark.parametrize("pair", ["train.epochs", "=1", "seed=[1"])
def test_a_broken_override_is_the_users_mistake(pair, capsys):
    assert main(["run", "--recipe", "none.yaml", "--out", "x", "-p", pair]) == 2
    assert "to do:" in capsys.readouterr().err


def test_a_run_makes_five_stages_copies_and_a_report(finished):
    path, output = finished
    for stage, name in NOTEBOOKS.items():
        assert (path / stage / "manifest.json").is_file()
        assert (path / "notebooks" / f"{name}.html").stat().st_size > 10_000
        executed = nbformat.read(path / "notebooks" / f"{name}.ipynb", as_version=4)
        assert "injected-parameters" in [tag for cell in executed.cells for tag in cell.metadata.get("tags", [])]
    assert not list(path.glob("*.partial")) + list((path / "notebooks").glob(".*"))
    assert "Base model, closed book: exact match" in output
    assert "50.0 %  [40.0 %, 60.0 %]" in output
    assert str(path / "report.html") in output
    assert [f"[{n}/5]" in output for n in range(1, 6)] == [True] * 5


def test_the_summary_is_flat_and_has_wall_times(finished):
    summary = json.loads((finished[0] / "summary.json").read_text())
    assert summary["em_base_ci95"] == [0.4, 0.6]
    for name in NOTEBOOKS.values():
        assert summary[f"wall_seconds_{name}"] > 0
        assert summary[f"peak_memory_bytes_{name}"] > 10_000_000


def test_the_report_is_self_contained_and_escaped(finished):
    page = (finished[0] / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert page.count("data:image/png;base64,") == 5
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    for link in re.findall(r'href="([^"]+)"', page):
        assert (finished[0] / link).is_file()


def test_a_second_run_skips_every_stage(finished, project):
    before = {file: file.stat().st_mtime_ns for file in finished[0].glob("0*/**/*")}
    done = ftlib(project, "run", "--recipe", "data/recipe.yaml", "--out", "runs/whole")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped") == 5
    assert {file: file.stat().st_mtime_ns for file in finished[0].glob("0*/**/*")} == before


def test_report_and_table_of_a_run_without_results(tmp_path, project):
    run = Run.open(tmp_path / "empty", project / "data" / "recipe.yaml")
    run.refresh_summary()
    assert "No result yet" in write_report(run.path).read_text()
    assert "Wall time" in table(run.refresh_summary())
    assert main(["report", str(tmp_path / "empty")]) == 0


def test_the_recommendation_is_shown_escaped(tmp_path, project):
    run = Run.open(tmp_path / "decided", project / "data" / "recipe.yaml")
    run.refresh_summary()
    (run.path / "05_compare").mkdir()
    found = {"recommendation": {"headline": "Use <RAG>.", "conditions": ["On 240 questions & more."]}}
    (run.path / "05_compare" / "comparison.json").write_text(json.dumps(found))
    page = write_report(run.path).read_text()
    assert "<b>Use &lt;RAG&gt;.</b>" in page
    assert "<li>On 240 questions &amp; more.</li>" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--recipe", "data/none.yaml"], ["data/none.yaml", "no such file"]),
        (["--recipe", "data/recipe.yaml", "-p", "train.epoch=1"], ["train.epoch", "did you mean epochs?"]),
        (["--recipe", "data/recipe.yaml", "-p", "data.path=data/gone.jsonl"], ["data.path", "gone.jsonl is not there"]),
        (["--recipe", "data/recipe.yaml", "-p", "model.base=./data"], ["model.base", "no config.json"]),
        (["--recipe", "data/recipe.yaml", "-p", "data.path=data/bad.jsonl"], ["bad.jsonl, line 2 (byte 23)"]),
    ],
    ids=["no recipe", "unknown field", "missing data", "folder without model", "malformed line"],
)
def test_the_users_mistake_is_one_clear_error(project, arguments, words):
    done = ftlib(project, "run", *arguments, "--out", "runs/never")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    error = done.stderr[done.stderr.index("error: ") :]
    assert [line.split(":")[0].strip() for line in error.splitlines()[1:4]] == ["expected", "found", "to do"]
    for word in words:
        assert word in error
    assert not (project / "runs" / "never").exists()


def test_debug_shows_the_traceback(project):
    done = ftlib(project, "run", "--debug", "--recipe", "data/none.yaml", "--out", "runs/never")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_a_mistake_in_an_existing_run_leaves_its_results_alone(finished, project):
    before = (finished[0] / "01_data" / "train.jsonl").read_bytes()
    arguments = ["--recipe", "data/recipe.yaml", "--out", "runs/whole", "-p", "data.path=data/bad.jsonl"]
    assert ftlib(project, "run", *arguments).returncode == 2
    assert (finished[0] / "01_data" / "train.jsonl").read_bytes() == before
    assert not (finished[0] / "01_data.partial").exists()


def test_our_own_failure_is_exit_code_1_and_names_notebook_and_cell(project):
    arguments = ["--recipe", "data/recipe.yaml", "--out", "runs/crash", "-p", "data.columns={crash: x}"]
    done = ftlib(project, "run", *arguments)
    assert done.returncode == 1
    assert "01_data_prep.ipynb, cell 6: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
    assert (project / "runs" / "crash" / "notebooks" / "01_data_prep.html").is_file()
    assert not (project / "runs" / "crash" / "01_data").exists()


def test_a_run_killed_at_every_stage_goes_on_where_it_stopped(project):
    """SIGKILL in each stage in turn; what was complete is skipped, what was begun is resumed."""
    path = project / "runs" / "killed"
    path.mkdir(parents=True)
    arguments = ["run", "--recipe", "data/recipe.yaml", "--out", str(path)]
    for stage in NOTEBOOKS:
        (path / "pause").write_text(stage)
        _kill_when(path / f"{stage}.partial" / "ready", project, arguments)
        assert not (path / stage).exists()
    inodes = {name: (path / name).stat().st_ino for name in list(NOTEBOOKS)[:4]}
    done = ftlib(project, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped") == 4
    assert {name: (path / name).stat().st_ino for name in inodes} == inodes
    for name in NOTEBOOKS.values():
        assert "resumed: True" in (path / "notebooks" / f"{name}.ipynb").read_text()


def _kill_when(file: Path, project: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "ftlib.cli", *arguments]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(file, process)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)


def _wait_for(file: Path, process: subprocess.Popen, seconds: float = TIMEOUT) -> None:
    deadline = time.monotonic() + seconds
    while not file.exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, f"{file} did not appear"
        time.sleep(0.05)


def test_force_makes_every_stage_anew(finished, project):
    inode = (finished[0] / "02_train").stat().st_ino
    done = ftlib(project, "run", "--force", "--recipe", "data/recipe.yaml", "--out", "runs/whole")
    assert done.returncode == 0, done.stderr
    assert "skipped" not in done.stdout
    assert (finished[0] / "02_train").stat().st_ino != inode


def test_report_of_no_run_is_the_users_mistake(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "summary.json" in capsys.readouterr().err


def test_doctor_says_what_works_and_why():
    done = subprocess.run([sys.executable, "-m", "ftlib.cli", "doctor"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for word in ["memory", "dtypes", "NF4", "torch.compile", "transformers", "bitsandbytes"]:
        assert word in done.stdout
    lines = re.findall(r"^  (?:yes|no )  .+$", done.stdout, re.MULTILINE)
    assert len(lines) >= 8


def test_user_error_has_four_lines():
    message = str(UserError.of("here", "a", "b", "c"))
    assert message.splitlines() == ["here", "  expected: a", "  found:    b", "  to do:    c"]
