"""The five notebooks do what they say, run by the command line on the smoke recipe."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from ftlib.stage import NOTEBOOKS, READS

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "data" / "recipes" / "smoke.yaml"
FILES = {stage: ROOT / "notebooks" / f"{name}.ipynb" for stage, name in NOTEBOOKS.items()}
STAGE_FILES = {
    "01_data": ["train.jsonl", "val.jsonl", "test.jsonl", "rejected.jsonl", "leakage.json", "audit.json"],
    "02_train": ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "metrics.jsonl", "plan.json"],
    "03_evaluate": ["generations.jsonl", "scores.json", "arc.json", "forgetting.json"],
    "04_review": ["errors.jsonl"],
    "05_compare": ["arms.jsonl", "comparison.json"],
}
SHARES = ["em_base", "em_finetuned", "em_few_shot", "em_rag", "em_rag_ft", "em_stale_finetuned", "em_stale_rag"]
SECONDS = 3600  # a busy machine is no failure

# What IPython runs in every kernel of the smoke run: it writes down which fields of the recipe a notebook reads.
WATCH = """
def _watch(folder):
    import functools, json, pathlib
    from ftlib import fingerprint, recipe, run
    from ftlib.recipe import Recipe

    def names(model, prefix=""):
        for name, field in model.model_fields.items():
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(kind, type) and issubclass(kind, recipe.Section):
                    inside = f"{prefix}{name}." + ("" if kind is field.annotation else "*.")
                    found[kind] = inside
                    names(kind, inside)

    found, seen, state = {}, set(), {"on": False}
    names(Recipe)

    def get(self, name, plain=recipe.Section.__getattribute__):
        value = plain(self, name)
        if state["on"] and name in type(self).model_fields and not isinstance(value, recipe.Section):
            seen.add(found[type(self)] + name)
        return value

    def watched(function, **after):
        @functools.wraps(function)
        def call(*args, **options):
            before, state["on"] = state["on"], False
            try:
                result = function(*args, **options)
            finally:
                state["on"] = before
            state.update(after)
            return result
        return call

    def finish(self, plain=run.Stage.finish):
        (pathlib.Path(folder) / f"{self.name}.json").write_text(json.dumps(sorted(seen)))
        return plain(self)

    recipe.Section.__getattribute__ = get
    fingerprint.stage_key = watched(fingerprint.stage_key)
    run.Run.open = watched(run.Run.open, on=True)
    run.Stage.finish = finish

_watch({folder!r})
del _watch
"""


def environment() -> dict[str, str]:
    return os.environ | {"HF_HUB_OFFLINE": "1"}


def without_network() -> list[str]:
    """The command prefix that takes the network away, [] where the system does not allow it."""
    prefix = ["unshare", "--map-root-user", "--net"]
    allowed = shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    return prefix if allowed else []


def command(out: Path, *more: str) -> list[str]:
    arguments = ["-m", "ftlib.cli", "run", "--recipe", str(SMOKE), "--out", str(out), *more]
    return [*without_network(), sys.executable, *arguments]


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> tuple[Path, str]:
    """The five notebooks, once, on the shrunken recipe: no hub, and no network where that can be taken away."""
    folder = tmp_path_factory.mktemp("smoke")
    out, startup = folder / "run", folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "watch.py").write_text(WATCH.replace("{folder!r}", repr(str(folder))))
    watched = environment() | {"IPYTHONDIR": str(folder / "ipython")}
    done = subprocess.run(command(out), cwd=ROOT, env=watched, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return out, done.stdout


@pytest.mark.notebook
@pytest.mark.timeout(SECONDS)
class TestSmokeRun:
    def test_every_stage_leaves_its_files(self, smoke):
        for stage, names in STAGE_FILES.items():
            for name in names:
                assert (smoke[0] / stage / name).stat().st_size > 0, f"{stage}/{name}"
        assert not list(smoke[0].glob("*.partial"))

    @pytest.mark.parametrize("stage", NOTEBOOKS)
    def test_every_field_of_the_recipe_that_a_notebook_reads_is_declared(self, smoke, stage):
        """Else a change of that field would leave the stage standing."""
        read = json.loads((smoke[0].parent / f"{stage}.json").read_text())
        declared = [entry.partition("{")[0] + "*" if "{" in entry else entry for entry in READS[stage].split()]
        missing = [field for field in read if not any(f"{field}.".startswith(f"{entry}.") for entry in declared)]
        assert missing == []
        assert len(read) > 3

    def test_notebook_01_does_not_depend_on_the_training(self):
        assert not [entry for entry in READS["01_data"].split() if entry in ("train", "train.epochs", "lora")]

    def test_every_cell_ran_without_error(self, smoke):
        for name in NOTEBOOKS.values():
            executed = nbformat.read(smoke[0] / "notebooks" / f"{name}.ipynb", as_version=4)
            for cell in executed.cells:
                if cell.cell_type == "code" and cell.source.strip():
                    assert cell.execution_count is not None, f"{name}: {cell.source}"
                    assert not [output for output in cell.outputs if output.output_type == "error"]
            assert (smoke[0] / "notebooks" / f"{name}.html").is_file()

    def test_every_notebook_shows_its_saved_pictures_once(self, smoke):
        for stage, name in NOTEBOOKS.items():
            executed = nbformat.read(smoke[0] / "notebooks" / f"{name}.ipynb", as_version=4)
            outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
            shown = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
            saved = list((smoke[0] / stage / "figures").glob("*.png"))
            assert len(saved) >= 1
            assert len(shown) == len(set(shown)) >= len(saved), name

    def test_headlines_have_interval_and_n(self, smoke):
        summary = json.loads((smoke[0] / "summary.json").read_text())
        for key in [*SHARES, "refusal_accuracy_finetuned"]:
            low, high = summary[f"{key}_ci95"]
            assert 0 <= low <= summary[key] <= high <= 1, key
            assert summary[f"{key}_n"] >= 1, key
        for key in ["rows_in", "rows_kept", "train_tokens_per_second", "train_peak_memory_bytes"]:
            assert summary[key] > 0, key

    def test_rows_in_are_kept_or_rejected(self, smoke):
        summary = json.loads((smoke[0] / "summary.json").read_text())
        rejected = (smoke[0] / "01_data" / "rejected.jsonl").read_text().count("\n")
        assert summary["rows_in"] == summary["rows_kept"] + rejected

    def test_memory_stays_within_four_gibibytes(self, smoke):
        summary = json.loads((smoke[0] / "summary.json").read_text())
        for name in NOTEBOOKS.values():
            assert summary[f"peak_memory_bytes_{name}"] < 4 * 2**30, name

    def test_only_safe_formats_are_left(self, smoke):
        unsafe = {".bin", ".pkl", ".pickle", ".ckpt", ".npy"}
        stages = [file for stage in NOTEBOOKS for file in (smoke[0] / stage).rglob("*")]
        assert not [file for file in stages if file.suffix in unsafe and "checkpoints" not in file.parts]

    def test_the_report_links_every_notebook(self, smoke):
        page = (smoke[0] / "report.html").read_text(encoding="utf-8")
        for name in NOTEBOOKS.values():
            assert f'href="notebooks/{name}.html"' in page
        assert "<script" not in page

    def test_the_same_command_again_skips_everything(self, smoke):
        done = subprocess.run(command(smoke[0]), cwd=ROOT, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("skipped") == 5

    def test_the_network_was_away(self, smoke):
        if not without_network():
            pytest.skip("this system does not let us take the network away; HF_HUB_OFFLINE=1 was set")
        probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
        done = subprocess.run([*without_network(), sys.executable, "-c", probe], capture_output=True, text=True)
        assert "unreachable" in done.stderr  # not even the machine itself is there

    def test_killed_at_every_stage_it_ends_in_the_same_adapter(self, smoke, tmp_path):
        """SIGKILL as soon as a stage has begun, five times; the result is the uninterrupted run's."""
        out = tmp_path / "killed"
        for stage in NOTEBOOKS:
            kill_when_begun(out, stage)
            assert not (out / stage).exists()
        done = subprocess.run(command(out), cwd=ROOT, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        assert done.stdout.count("skipped") == 4
        for name in ["01_data/train.jsonl", "01_data/val.jsonl", "02_train/adapter/adapter_model.safetensors"]:
            assert digest(out / name) == digest(smoke[0] / name), name


def kill_when_begun(out: Path, stage: str) -> None:
    process = subprocess.Popen(
        command(out), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + SECONDS
    try:
        while not (out / f"{stage}.partial" / "manifest.json").exists():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline, f"{stage} did not begin"
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)


@pytest.mark.notebook
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("stage", list(NOTEBOOKS)[1:])
def test_a_notebook_alone_says_which_notebook_makes_its_inputs(stage, tmp_path):
    position = list(NOTEBOOKS).index(stage)
    out = ["-p", "run_dir", str(tmp_path / "run"), "-p", "recipe", str(SMOKE), "-p", "interactive", "False"]
    arguments = ["-m", "papermill", str(FILES[stage]), str(tmp_path / "out.ipynb"), *out, "--cwd", str(ROOT)]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode != 0
    earlier = list(NOTEBOOKS.values())[:position]
    assert any(f"run notebooks/{name}.ipynb first" in done.stderr for name in earlier), done.stderr[-2000:]
