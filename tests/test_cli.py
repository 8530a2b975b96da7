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

from ftlib import atomic, jsonl
from ftlib.cli import commands, main, parse_overrides
from ftlib.errors import UserError
from ftlib.execute import execution_order, stage_named
from ftlib.recipe import Recipe
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
    reads = "[source]" if before else "[]"
    cells = [
        "from pathlib import Path\nimport time\nfrom ftlib import jsonl, plots\nfrom ftlib.run import Run",
        PARAMETERS,
        "run = Run.open(run_dir, recipe, overrides, interactive=interactive)",
        f"source = Path({source})\nstage = run.begin({stage!r}, {reads})\nprint('resumed:', stage.resumed)",
        "rows = jsonl.read(source)\nif run.recipe.prompt.system == 'crash': 1 / 0",
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


def test_help_says_what_each_command_does_in_the_words_of_its_function(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = dict(re.findall(r"^    (\S+) +(\S.*)$", capsys.readouterr().out, re.MULTILINE))
    acts = {
        name.removeprefix("do_").replace("_", "-"): act for name, act in vars(commands).items() if name[:3] == "do_"
    }
    assert told.keys() == acts.keys() and len(acts) == 18
    for name, act in acts.items():
        assert act.__doc__.rstrip(".").casefold() == told[name].casefold()
    assert told["find-lr"] == "a short training whose learning rate grows; suggests one and changes nothing"


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
    assert "Base model: exact match" in output
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
    assert "Wall time" in table(run.refresh_summary(), {})
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
    arguments = ["--recipe", "data/recipe.yaml", "--out", "runs/crash", "-p", "prompt.system=crash"]
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


def test_to_stops_after_a_stage(project):
    arguments = ["run", "--recipe", "data/recipe.yaml", "--out", "runs/to"]
    done = ftlib(project, *arguments, "--to", "1")
    assert done.returncode == 0, done.stderr
    path = project / "runs" / "to"
    assert (path / "01_data").is_dir() and not (path / "02_train").exists()
    assert (path / "report.html").is_file()
    assert ftlib(project, *arguments, "--to", "02_train_qlora").stdout.count("skipped") == 1
    assert (path / "02_train").is_dir() and not (path / "03_evaluate").exists()
    wrong = ftlib(project, *arguments, "--to", "6")
    assert wrong.returncode == 2 and "one of 01_data, 02_train" in wrong.stderr


@pytest.mark.parametrize("name", ["3", "03", "03_evaluate"])
def test_stages_have_several_names(name):
    assert stage_named(name) == "03_evaluate"


def test_answers_come_before_their_review(project):
    pairs = {"base": ["base", "finetuned"], "rag": ["finetuned", "rag"]}
    orders = [
        execution_order(Recipe.load(project / "data" / "recipe.yaml", {"review.pair": pair})) for pair in pairs.values()
    ]
    assert orders[0] == list(NOTEBOOKS)
    assert orders[1] == ["01_data", "02_train", "03_evaluate", "05_compare", "04_review"]


def test_an_experiment_by_the_command_line_leaves_the_baseline_alone(finished, project):
    before = {file: file.read_bytes() for file in finished[0].rglob("*") if file.is_file()}
    arguments = ["--recipe", "data/recipe.yaml", "--out", "runs/whole", "-p", "train.epochs=2"]
    done = ftlib(project, "run", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped") == 1, "notebook 01 does not depend on the epochs"
    assert "an experiment beside whole" in done.stdout.splitlines()[0]
    experiment = project / "runs" / "whole@train.epochs=2"
    assert (experiment / "report.html").is_file() and (experiment / "05_compare").is_dir()
    assert {file: file.read_bytes() for file in finished[0].rglob("*") if file.is_file()} == before


def test_the_users_mistake_under_plain_papermill_is_the_one_message(project, tmp_path):
    """Without `ftlib run` around it: the last words are ours, and no frame of ours stands before them."""
    notebook = project / "notebooks" / "02_train_qlora.ipynb"
    command = [sys.executable, "-W", "ignore", "-m", "papermill", str(notebook), str(tmp_path / "out.ipynb")]
    parameters = ["-p", "run_dir", str(tmp_path / "run"), "-p", "recipe", "data/recipe.yaml", "--no-progress-bar"]
    done = subprocess.run([*command, *parameters], cwd=project, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode != 0
    message = done.stderr[done.stderr.rindex("01_data/train.jsonl") :].splitlines()
    assert [line.split(":")[0].strip() for line in message[1:4]] == ["expected", "found", "to do"]
    assert "run notebooks/01_data_prep.ipynb first" in message[3]
    assert not re.search(r"ftlib/\w+\.py", done.stderr), done.stderr
    outputs = [cell.outputs for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells if "outputs" in cell]
    (error,) = [output for part in outputs for output in part if output.output_type == "error"]
    assert error.ename == "UserError"
    assert "run notebooks/01_data_prep.ipynb first" in "".join(error.traceback)
    assert "run.need" not in "".join(error.traceback)


def write_answered_run(folder: Path, recipe: Path, right: dict[str, int], questions: int = 40) -> Path:
    """A run with notebook 03's files: each system is right on its first so many questions, the last two it declines."""
    Run.open(folder, recipe)
    for stage in ("01_data", "03_evaluate"):
        (folder / stage).mkdir()
    lines = [{"id": f"q{n}", "question": f"Which is number {n}?", "references": [str(n)]} for n in range(questions)]
    jsonl.write(folder / "01_data" / "test.jsonl", lines)
    items = [
        {"id": f"q{n}", "system": system, "cluster": f"c{n}", "em": float(n < count), "refused": n >= questions - 2}
        | {"refusal_expected": n >= questions - 2}
        for system, count in right.items()
        for n in range(questions)
    ]
    atomic.write_json(folder / "03_evaluate" / "scores.json", {"items": items})
    return folder


def test_two_runs_are_compared_question_by_question(tmp_path, project, capsys):
    recipe = project / "data" / "recipe.yaml"
    a = write_answered_run(tmp_path / "a", recipe, {"base": 5, "finetuned": 10, "gone": 3})
    b = write_answered_run(tmp_path / "b", recipe, {"base": 5, "finetuned": 30, "new": 3})
    (b / "recipe.yaml").write_text((b / "recipe.yaml").read_text().replace("epochs: 3.0", "epochs: 5.0"))
    assert main(["compare", str(a), str(b)]) == 0
    shown = capsys.readouterr().out
    lines = {tuple(line.split()[:3]): line.split() for line in shown.splitlines() if "exact match" in line}
    assert set(lines) == {("base", "exact", "match"), ("finetuned", "exact", "match")}, "those answered in both"
    base, tuned = lines.values()
    assert base[3:6] == ["0.132", "0.132", "+0.000"] and base[-2:] == ["38", "1"]
    assert tuned[3:6] == ["0.263", "0.789", "+0.526"] and float(tuned[-1]) < 0.01
    assert "train.epochs: 3.0 in A, 5.0 in B" in shown


def test_runs_with_other_questions_are_not_compared(tmp_path, project, capsys):
    recipe = project / "data" / "recipe.yaml"
    a = write_answered_run(tmp_path / "a", recipe, {"base": 5})
    b = write_answered_run(tmp_path / "b", recipe, {"base": 5}, questions=41)
    assert main(["compare", str(a), str(b)]) == 2
    assert "the same questions and references" in capsys.readouterr().err
    assert main(["compare", str(a), str(tmp_path)]) == 2
    assert "a finished notebook 03" in capsys.readouterr().err


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
