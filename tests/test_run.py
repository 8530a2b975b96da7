"""The run directory: stages are whole or absent, resumed or made again, never mixed."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from ftlib import jsonl, plots
from ftlib import stage as stage_module
from ftlib.recipe import UserError
from ftlib.run import Run, project_root
from ftlib.stage import NOTEBOOKS, recover


@pytest.fixture
def run(tiny_recipe: Path, tmp_path: Path) -> Run:
    return Run.open(tmp_path / "run", tiny_recipe)


def make(run: Run, stage: str, reads: list[Path], text: str = "x", sections=("data",)) -> Path:
    made = run.begin(stage, reads, sections)
    (made.path / "out.jsonl").write_text(json.dumps({"text": text}) + "\n")
    return made.finish()


def make_three(run: Run) -> None:
    make(run, "01_data", [run.recipe.data.path])
    make(run, "02_train", [run.need("01_data/out.jsonl")], sections=["train"])
    make(run, "03_evaluate", [run.need("02_train/out.jsonl")], sections=["evaluate"])


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
    stage = run.begin("01_data", [run.recipe.data.path], ["data"])
    assert stage.path.name == "01_data.partial"
    assert not (run.path / "01_data").exists()
    assert not run.is_complete("01_data")
    (stage.path / "rows.jsonl").write_text("{}\n")
    assert stage.finish() == run.path / "01_data"
    assert run.is_complete("01_data")
    assert not (run.path / "01_data.partial").exists()
    manifest = json.loads((run.path / "01_data" / "manifest.json").read_text())
    assert list(manifest["outputs"]) == ["rows.jsonl"]
    assert list(manifest["key"]["inputs"]) == [str(run.recipe.data.path)]
    assert set(manifest["key"]["recipe"]) == {"data", "seed"}


def test_a_partial_stage_is_resumed_only_on_the_same_inputs(run):
    first = run.begin("01_data", [run.recipe.data.path], ["data"])
    (first.path / "half.jsonl").write_text("{}\n")
    first.headline("rows_in", 3)
    again = run.begin("01_data", [run.recipe.data.path], ["data"])
    assert again.resumed
    assert (again.path / "half.jsonl").exists()
    rows = Path(run.recipe.data.path) / "alpaca.jsonl"
    rows.write_text(rows.read_text() + "\n")
    changed = run.begin("01_data", [run.recipe.data.path], ["data"])
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
    make(run, "01_data", [run.recipe.data.path], text="other")
    assert not (run.path / "02_train").exists()
    assert not (run.path / "03_evaluate").exists()
    assert reviews.read_bytes() == b"people's work"
    assert "wall_seconds_02_train_qlora" not in json.loads((run.path / "summary.json").read_text())


def test_finishing_a_stage_with_the_same_bytes_keeps_what_follows(run):
    make_three(run)
    make(run, "01_data", [run.recipe.data.path])
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
        run.begin("02_train", [run.path / "01_data" / "train.jsonl"], ["train"])
    make_three(run)
    changed = Run.open(run.path, tiny_recipe, {"data.max_tokens": 99})
    with pytest.raises(UserError, match="the recipe's data changed"):
        changed.need("01_data/out.jsonl")


def test_headlines_become_a_flat_summary(run):
    stage = run.begin("01_data", [run.recipe.data.path], ["data"])
    stage.headline("em_base", 0.25, ci95=(0.1, 0.4), n=20)
    stage.headline("nothing_to_measure", float("nan"))
    with pytest.raises(TypeError):
        stage.headline("wrong", "0.5")
    stage.finish()
    summary = json.loads((run.path / "summary.json").read_text())
    assert (summary["em_base"], summary["em_base_ci95"], summary["em_base_n"]) == (0.25, [0.1, 0.4], 20)
    assert summary["nothing_to_measure"] is None
    assert summary["wall_seconds_01_data_prep"] >= 0
    assert all(not isinstance(value, dict) for value in summary.values())


def test_numpy_scalars_are_headlines_too(run):
    import numpy as np

    stage = run.begin("01_data", [run.recipe.data.path], ["data"])
    stage.headline("score", np.float64(0.5), ci95=(np.float32(0.25), np.float64(0.75)), n=np.int64(4))
    stage.finish()
    assert json.loads((run.path / "summary.json").read_text())["score_ci95"] == [0.25, 0.75]


def test_figures_are_saved_with_captions_and_named_safely(run):
    stage = run.begin("01_data", [run.recipe.data.path], ["data"])
    stage.figure(plots.histogram([1, 2, 2, 3], title="t"), "lengths", caption="Lengths <b>of rows</b>.")
    with pytest.raises(ValueError, match="figure name"):
        stage.figure(plots.histogram([1]), "../escape", caption="x")
    final = stage.finish()
    assert (final / "figures" / "lengths.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((final / "manifest.json").read_text())["figures"] == {"lengths": "Lengths <b>of rows</b>."}


def test_wall_time_counts_the_killed_attempt(run):
    first = run.begin("01_data", [run.recipe.data.path], ["data"])
    manifest = json.loads((first.path / "manifest.json").read_text())
    manifest["begun_unix"] -= 100  # as if the first attempt had begun 100 seconds earlier
    (first.path / "manifest.json").write_text(json.dumps(manifest))
    run.begin("01_data", [run.recipe.data.path], ["data"]).finish()
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
    stage_module.lock(path, "01_data")
    ready.set()
    leave.wait(30)


def test_two_processes_never_write_one_stage(run, monkeypatch):
    context = multiprocessing.get_context("spawn")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(run.path, ready, leave))
    other.start()
    try:
        assert ready.wait(30)
        monkeypatch.setattr(stage_module, "SECONDS_TO_WAIT_FOR_LOCK", 0.3)
        with pytest.raises(UserError, match="another process writes this stage"):
            run.begin("01_data", [run.recipe.data.path], ["data"])
    finally:
        leave.set()
        other.join(30)
    assert run.begin("01_data", [run.recipe.data.path], ["data"]).path.exists()


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
