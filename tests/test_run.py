"""The run directory: stages are whole or absent, resumed or made again, never mixed."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest

from ftlib import fingerprint, jsonl, plots
from ftlib import stage as stage_module
from ftlib.errors import UserError
from ftlib.run import Run, project_root
from ftlib.stage import NOTEBOOKS, recover


@pytest.fixture
def run(tiny_recipe: Path, tmp_path: Path) -> Run:
    return Run.open(tmp_path / "run", tiny_recipe)


def make(run: Run, stage: str, reads: Sequence[Path] = (), text: str = "x") -> Path:
    made = run.begin(stage, reads)
    (made.path / "out.jsonl").write_text(json.dumps({"text": text}) + "\n")
    return made.finish()


def make_three(run: Run) -> None:
    make(run, "01_data")
    make(run, "02_train", [run.need("01_data/out.jsonl")])
    make(run, "03_evaluate", [run.need("02_train/out.jsonl")])


def test_project_root_is_found_from_below(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "data" / "x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "data" / "x")
    assert project_root() == tmp_path
    lone = tmp_path.parent / f"{tmp_path.name}_lone"
    lone.mkdir()
    monkeypatch.chdir(lone)
    assert project_root() == lone


def test_open_writes_what_was_asked(run):
    assert "epochs: 1.0" in (run.path / "recipe.yaml").read_text()
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["seed"] == 7
    assert len(manifest["inputs"]["data.path"]["sha256"]) == 64
    assert {"python", "torch", "transformers"} <= set(manifest["libraries"])
    assert manifest["hardware"]["cores"] >= 1


def test_a_wrong_recipe_leaves_no_folder(tmp_path, tiny_recipe):
    with pytest.raises(UserError):
        Run.open(tmp_path / "never", tiny_recipe, {"train.epochs": 0})
    assert not (tmp_path / "never").exists()


def test_a_stage_appears_only_when_finished(run):
    stage = run.begin("01_data")
    assert stage.path.name == "01_data.partial"
    assert not (run.path / "01_data").exists()
    assert not run.is_complete("01_data")
    (stage.path / "rows.jsonl").write_text("{}\n")
    assert stage.finish() == run.path / "01_data"
    assert run.is_complete("01_data")
    assert not (run.path / "01_data.partial").exists()
    manifest = json.loads((run.path / "01_data" / "manifest.json").read_text())
    assert list(manifest["outputs"]) == ["rows.jsonl"]
    key = manifest["key"]
    assert set(key["files"]) == {"data.path", "data.test_path", "model.base"}
    assert {"seed", "data.columns.slice", "prompt.template"} <= set(key["recipe"])
    assert "train.epochs" not in key["recipe"]
    assert set(key["source"]) == {"corridor", "data"}
    assert str(run.path.parent) not in json.dumps(key), "a key does not say where anything lies"


def test_a_partial_stage_is_resumed_only_on_the_same_inputs(run):
    first = run.begin("01_data")
    (first.path / "half.jsonl").write_text("{}\n")
    first.headline("rows_in", 3)
    again = run.begin("01_data")
    assert again.resumed
    assert (again.path / "half.jsonl").exists()
    rows = Path(run.recipe.data.path) / "alpaca.jsonl"
    rows.write_text(rows.read_text() + "\n")
    changed = run.begin("01_data")
    assert not changed.resumed
    assert not (changed.path / "half.jsonl").exists()


@pytest.mark.parametrize(
    ("overrides", "stale"),
    [
        ({"data.max_tokens": 100}, ["01_data", "02_train", "03_evaluate"]),
        ({"train.epochs": 2}, ["02_train", "03_evaluate"]),
        ({"evaluate.limit": 3}, ["03_evaluate"]),
        ({"seed": 8}, ["01_data", "02_train", "03_evaluate"]),
        ({"rag.top_k": 9}, []),
    ],
)
def test_a_changed_field_invalidates_its_stage_and_all_after_it(run, tiny_recipe, overrides, stale):
    make_three(run)
    changed = Run.open(run.path, tiny_recipe, overrides)
    assert [name for name in list(NOTEBOOKS)[:3] if not changed.is_complete(name)] == stale


def test_finishing_a_stage_anew_removes_what_was_made_from_the_old_one(run):
    make_three(run)
    reviews = run.path / "reviews.sqlite"
    reviews.write_bytes(b"people's work")
    make(run, "01_data", text="other")
    assert not (run.path / "02_train").exists()
    assert not (run.path / "03_evaluate").exists()
    assert reviews.read_bytes() == b"people's work"
    assert "wall_seconds_02_train_qlora" not in json.loads((run.path / "summary.json").read_text())


def test_finishing_a_stage_with_the_same_bytes_keeps_what_follows(run):
    make_three(run)
    make(run, "01_data")
    assert run.is_complete("03_evaluate")


def test_altered_or_removed_output_is_noticed(run):
    make_three(run)
    (run.path / "02_train" / "out.jsonl").write_text("{}\n")
    assert run.stale_reason("02_train") == "02_train/out.jsonl was altered"
    assert run.stale_reason("03_evaluate") == "02_train: 02_train/out.jsonl was altered"
    (run.path / "02_train" / "out.jsonl").unlink()
    assert run.stale_reason("02_train") == "02_train/out.jsonl was removed"
    assert run.is_complete("01_data")


def test_need_names_the_notebook_that_makes_the_file(run, tiny_recipe):
    with pytest.raises(UserError, match=r"run notebooks/02_train_qlora\.ipynb first"):
        run.need("02_train/adapter")
    with pytest.raises(UserError, match=r"run notebooks/01_data_prep\.ipynb first"):
        run.begin("02_train", [run.path / "01_data" / "train.jsonl"])
    make_three(run)
    tiny_recipe.write_text(tiny_recipe.read_text().replace("data:", "data:\n  max_tokens: 99"))
    changed = Run.open(run.path, tiny_recipe)
    with pytest.raises(UserError, match=r"the recipe's data\.max_tokens changed"):
        changed.need("01_data/out.jsonl")


def test_headlines_become_a_flat_summary(run):
    stage = run.begin("01_data")
    stage.headline("em_base", 0.25, ci95=(0.1, 0.4), n=20)
    stage.headline("nothing_to_measure", float("nan"))
    with pytest.raises(TypeError):
        stage.headline("wrong", "0.5")
    stage.fact("dtype", "bfloat16")
    stage.finish()
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["dtype_01_data_prep"] == "bfloat16"
    assert (summary["em_base"], summary["em_base_ci95"], summary["em_base_n"]) == (0.25, [0.1, 0.4], 20)
    assert summary["nothing_to_measure"] is None
    assert summary["wall_seconds_01_data_prep"] >= 0
    assert all(not isinstance(value, dict) for value in summary.values())


def test_numpy_scalars_are_headlines_too(run):
    import numpy as np

    stage = run.begin("01_data")
    stage.headline("score", np.float64(0.5), ci95=(np.float32(0.25), np.float64(0.75)), n=np.int64(4))
    stage.finish()
    assert json.loads((run.path / "summary.json").read_text())["score_ci95"] == [0.25, 0.75]


def test_figures_are_saved_with_captions_and_named_safely(run):
    stage = run.begin("01_data")
    stage.figure(plots.histogram([1, 2, 2, 3], title="t"), "lengths", caption="Lengths <b>of rows</b>.")
    with pytest.raises(ValueError, match="figure name"):
        stage.figure(plots.histogram([1]), "../escape", caption="x")
    final = stage.finish()
    assert (final / "figures" / "lengths.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((final / "manifest.json").read_text())["figures"] == {"lengths": "Lengths <b>of rows</b>."}


def test_wall_time_counts_the_killed_attempt(run):
    first = run.begin("01_data")
    manifest = json.loads((first.path / "manifest.json").read_text())
    manifest["begun_unix"] -= 100  # as if the first attempt had begun 100 seconds earlier
    (first.path / "manifest.json").write_text(json.dumps(manifest))
    run.begin("01_data").finish()
    summary = json.loads((run.path / "summary.json").read_text())
    assert 100 <= summary["wall_seconds_01_data_prep"] < 130


def test_a_rename_cut_in_two_is_mended(run):
    make_three(run)
    os.rename(run.path / "02_train", run.path / "02_train.old")  # killed before the new one moved in
    recover(run.path)
    assert run.is_complete("02_train")
    os.rename(run.path / "02_train", run.path / "02_train.partial")  # sealed, killed before its rename
    recover(run.path)
    assert run.is_complete("02_train")
    assert not (run.path / "02_train.old").exists()


def _hold(path: Path, ready, leave) -> None:
    claim = stage_module.lock(path, "01_data")
    ready.set()
    leave.wait(300)
    claim.release()


def test_two_processes_never_write_one_stage(run, monkeypatch):
    context = multiprocessing.get_context("spawn")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(run.path, ready, leave))
    other.start()
    try:
        assert ready.wait(300)  # a busy machine takes its time to start a process
        monkeypatch.setattr(stage_module, "SECONDS_TO_WAIT_FOR_LOCK", 0.3)
        with pytest.raises(UserError, match="another process writes this stage"):
            run.begin("01_data")
    finally:
        leave.set()
        other.join(300)
    assert run.begin("01_data").path.exists()


def test_a_notebook_run_again_in_its_kernel_does_not_wait_for_itself(run, monkeypatch):
    monkeypatch.setattr(stage_module, "SECONDS_TO_WAIT_FOR_LOCK", 0.0)
    first = run.begin("01_data")
    again = run.begin("01_data")  # the first is still held
    assert again.resumed
    again.finish()
    assert first.path != again.path


def test_finishing_twice_is_finishing_once(run):
    """ "Run from here on": the cells after `begin` are run again in the same kernel."""
    make_three(run)
    stage = run.begin("01_data")
    for text in ("first", "second"):
        (stage.path / "out.jsonl").write_text(json.dumps({"text": text}) + "\n")
        stage.headline("rows_kept", len(text))
        stage.figure(plots.histogram([1, 2]), text, caption=text)
        assert stage.finish() == run.path / "01_data"
        assert run.stale_reason("01_data") is None
    assert jsonl.read(run.path / "01_data" / "out.jsonl") == [{"text": "second"}]
    manifest = stage_module.read_manifest(run.path / "01_data")
    assert set(manifest["figures"]) == {"first", "second"}
    assert {"figures/first.png", "figures/second.png", "out.jsonl"} == set(manifest["outputs"])
    assert json.loads((run.path / "summary.json").read_text())["rows_kept"] == 6
    assert not list(run.path.glob("*.partial")) + list(run.path.glob("*.old"))


def test_finishing_again_what_someone_else_made_anew_is_refused(run):
    stage = run.begin("01_data")
    stage.finish()
    shutil.rmtree(run.path / "01_data")
    with pytest.raises(UserError, match="removed or made anew"):
        stage.finish()
    assert run.begin("01_data").finish().is_dir()


def test_a_copied_run_stands(run, tiny_recipe, tmp_path):
    """Run folder, recipe and data elsewhere: a key holds contents, not places."""
    make_three(run)
    shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}_copy")
    moved = tmp_path.parent / f"{tmp_path.name}_copy"
    shutil.rmtree(run.path)
    copy = Run.open(moved / "run", moved / tiny_recipe.name)
    assert [copy.stale_reason(name) for name in list(NOTEBOOKS)[:3]] == [None] * 3


@pytest.mark.parametrize("field", ["data.path", "data.test_path", "model.base"])
def test_a_changed_file_of_the_recipe_is_named(run, field, tmp_path):
    shutil.copytree(run.recipe.model.base, tmp_path / "base")
    run.recipe.model.base = str(tmp_path / "base")
    make(run, "01_data")
    path = run.recipe.paths()[field]
    changed = next(path.iterdir()) if path.is_dir() else path
    with changed.open("ab") as file:
        file.write(b" ")
    assert run.stale_reason("01_data") == f"{field} changed"


def test_a_changed_notebook_counts_but_not_its_parameters_or_prose(run, monkeypatch, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in ("x = 1", "run_dir = ''")])
    notebook.cells[1].metadata.tags = ["parameters"]
    file = tmp_path / "notebook.ipynb"
    nbformat.write(notebook, file)
    monkeypatch.setattr("ftlib.run.notebook_file", lambda stage: file)
    make(run, "01_data")
    notebook.cells[1].source = "run_dir = 'elsewhere'"
    notebook.cells.append(nbformat.v4.new_markdown_cell("prose"))
    nbformat.write(notebook, file)
    assert run.stale_reason("01_data") is None
    notebook.cells[0].source = "x = 2"
    nbformat.write(notebook, file)
    assert run.stale_reason("01_data") == "the notebook's cells changed"


def test_changed_source_counts_but_not_its_comments(run, monkeypatch, tmp_path):
    package = tmp_path / "ftlib"
    shutil.copytree(fingerprint.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", package)
    make(run, "01_data")

    def append(module: str, text: str) -> str | None:
        with (package / module).open("a") as file:
            file.write(text)
        return run.stale_reason("01_data")

    (package / "data" / "new.py").write_text('"""A docstring."""\n\n\ndef f():\n    """Says."""\n    return 1\n')
    assert run.stale_reason("01_data") == "ftlib's source changed (data)"
    make(run, "01_data")
    (package / "data" / "new.py").write_text('def f():\n    """Says more."""\n    return (1)  # one\n')
    assert run.stale_reason("01_data") is None
    assert append("cli/commands.py", "\nx = 1\n") is None, "what only runs the notebooks"
    assert append("core/__init__.py", "\nx = 1\n") is None, "a room above"
    assert append("rows.py", "\nx = 1\n") == "ftlib's source changed (corridor)"
    make(run, "01_data")
    assert append("data/word_lists.yaml", "\nmore: [word]\n") == "ftlib's source changed (data)"


def test_what_came_from_the_hub_is_known_by_its_revision(run, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    run.recipe.model.base, run.recipe.data.path = "some/model", "some/rows:train"
    stage = run.begin("01_data")  # nothing is downloaded yet
    for folder in ("models--some--model", "datasets--some--rows"):
        reference = tmp_path / "hub" / folder / "refs" / "main"
        reference.parent.mkdir(parents=True)
        reference.write_text("a" * 40)
    stage.finish()
    hub = stage_module.read_manifest(run.path / "01_data")["key"]["hub"]
    assert hub["model.base"] == {"name": "some/model", "commit": "a" * 40}
    assert hub["data.path"] == {"name": "some/rows:train", "commit": "a" * 40}
    assert run.stale_reason("01_data") is None
    reference.write_text("b" * 40)
    assert run.stale_reason("01_data") == "data.path: the hub's some/rows:train has another revision"
    run.recipe.data.path = "other/rows"
    assert run.stale_reason("01_data") == "the recipe's data.path changed"


def test_only_the_systems_that_a_stage_compares_count(run):
    make(run, "03_evaluate")
    run.recipe.systems["rag"].label = "search"
    assert run.stale_reason("03_evaluate") is None
    run.recipe.systems["finetuned"].label = "trained"
    assert run.stale_reason("03_evaluate") == "the recipe's systems.finetuned.label changed"


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_experiment_has_a_folder_of_its_own(run, tiny_recipe, capsys):
    """Notebook 02's own example: other epochs, without notebook 01 being run again."""
    make_three(run)
    before = everything_in(run.path)
    experiment = Run.open(run.path, tiny_recipe, {"train.epochs": 2})
    assert experiment.path == run.path.with_name("run@train.epochs=2")
    (line,) = capsys.readouterr().out.splitlines()
    assert "train.epochs=2" in line and str(experiment.path) in line
    make(experiment, "02_train", [experiment.need("01_data/out.jsonl")], text="other")
    make(experiment, "03_evaluate", [experiment.need("02_train/out.jsonl")])
    assert everything_in(run.path) == before
    again = Run.open(run.path, tiny_recipe, {"train.epochs": 2.0})
    assert again.path == experiment.path and again.is_complete("03_evaluate")
    other = Run.open(experiment.path, tiny_recipe, {"train.epochs": 3})
    assert other.path == run.path.with_name("run@train.epochs=3")
    assert other.is_complete("01_data") and not (other.path / "02_train").exists()
    assert everything_in(run.path) == before


def test_a_folder_remembers_its_overrides(run, tiny_recipe, capsys):
    first = Run.open(run.path.with_name("other"), tiny_recipe, {"train.epochs": 2})
    make(first, "01_data")
    assert capsys.readouterr().out == ""
    again = Run.open(first.path, tiny_recipe)
    assert again.path == first.path and again.recipe.train.epochs == 2
    assert capsys.readouterr().out == "other was made with train.epochs=2: this holds here, too\n"
    assert Run.open(first.path, tiny_recipe, {"train.epochs": "2"}).path == first.path
    assert capsys.readouterr().out == ""


def test_before_anything_is_finished_overrides_may_change(run, tiny_recipe):
    run.begin("01_data")
    assert Run.open(run.path, tiny_recipe, {"train.epochs": 2}).path == run.path
    assert Run.open(run.path, tiny_recipe, {"train.epochs": 3}).recipe.train.epochs == 3


def test_names_of_experiments_are_safe_short_and_apart(run, tiny_recipe):
    make(run, "01_data")
    texts = ["../../etc", "a/b", "a b", "x" * 300, "x" * 301]
    folders = {Run.open(run.path, tiny_recipe, {"prompt.system": text}, make=False).path for text in texts}
    assert len(folders) == len(texts)
    for folder in folders:
        assert folder.parent == run.path.parent and len(folder.name) < 120


def test_jsonl_round_trip_and_torn_line(tmp_path):
    file = tmp_path / "rows.jsonl"
    rows = [{"id": "1", "text": "Grüße \u2028 \n"}, {"id": "2", "text": ""}]
    assert jsonl.write(file, rows) == 2
    assert jsonl.read(file) == rows
    with file.open("ab") as torn:
        torn.write(b'{"id": "3", "te')
    jsonl.append(file, {"id": "4"})
    assert [row["id"] for row in jsonl.iterate(file)] == ["1", "2", "4"]


@pytest.mark.parametrize(
    ("line", "byte", "found"),
    [
        (b'{"a": }', 15, "Expecting value"),
        (b"[1, 2]", 9, "list"),
        (b'{"a": "\xff"}', 16, "0xff"),
        (b"[" * 100_000, 9, "nested too deeply"),
    ],
)
def test_a_broken_line_is_named_to_the_byte(tmp_path, line, byte, found):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(UserError) as caught:
        jsonl.read(file)
    assert f"line 2 (byte {byte})" in str(caught.value)
    assert found in str(caught.value)
