"""The five notebooks, one after the other, headless: what `ftlib run` does."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ftlib import atomic, progress
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.run import Run, notebook_file, project_root
from ftlib.stage import NOTEBOOKS, lock

SECONDS_BETWEEN_LINES = 2.0
LONGEST_SOCKET_PATH = 100  # bytes; systems allow 104 to 108
Say = Callable[[str], None]


class NotebookError(Exception):
    """A notebook failed through no fault of the user's."""


def check_inputs(run: Run) -> None:
    """Make sure that every path the run's recipe names exists, before anything is written.

    Raises:
        UserError: a file or folder is missing, or a model folder holds no model.
    """
    for field, path in run.recipe.paths().items():
        if not os.path.exists(path):
            raise run.missing(field)
    base = Path(run.recipe.model.base)
    if base.is_absolute() and not (base / "config.json").is_file():
        expected = "a model folder with config.json, tokenizer.json and *.safetensors"
        fix = "name another folder or a model on the hub"
        raise UserError.of("recipe field model.base", expected, f"no config.json in {base}", fix)


def execution_order(recipe: Recipe) -> list[str]:
    """The stages in the order in which they can be made.

    Notebook 04 reviews answers: where one of the systems in `review.pair` answers in notebook 05 alone, that is first.
    """
    order = list(NOTEBOOKS)
    if not set(recipe.review.pair) <= set(recipe.evaluate.systems):
        order[3], order[4] = order[4], order[3]
    return order


def stage_named(name: str) -> str:
    """The stage that people mean by `3`, `03`, `03_evaluate` or its notebook's name; UserError if there is none."""
    for stage, notebook in NOTEBOOKS.items():
        if name in (stage, notebook, stage[:2], stage[1]):
            return stage
    raise UserError.of(f"--to {name}", f"one of {', '.join(NOTEBOOKS)}", repr(name), "give its number or its name")


def run_all(
    recipe: str | Path,
    run_dir: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
    to: str | None = None,
    say: Say = print,
) -> Run:
    """Bring every stage of a run up to date; stages that stand are skipped, a killed one goes on.

    Args:
        recipe, run_dir, overrides: as of `Run.open`.
        force: make every stage anew.
        to: the last stage to make, see `stage_named`; None for all.
        say: where progress lines go.

    Raises:
        UserError: the recipe, the data or the model is not usable.
        NotebookError: a notebook failed for another reason.
    """
    run = Run.open(run_dir, recipe, overrides, make=False)
    check_inputs(run)
    order = execution_order(run.recipe)
    wanted = order[: order.index(stage_named(to)) + 1] if to else order
    made_here = not run.path.exists()
    run.make()
    claim = lock(run.path, "run")
    try:
        for stage in wanted if force else ():
            run.discard(stage)
        for number, stage in enumerate(wanted, start=1):
            _bring_up_to_date(run, stage, f"[{number}/{len(wanted)}] {NOTEBOOKS[stage]}", say)
        run.refresh_summary()
    except UserError:
        _remove_if_empty(run.path, made_here)
        raise
    finally:
        claim.release(force=True)
    return run


def _bring_up_to_date(run: Run, stage: str, title: str, say: Say) -> None:
    name = NOTEBOOKS[stage]
    executed = run.path / "notebooks" / f"{name}.ipynb"
    working = executed.with_name(f".{name}.ipynb")
    if run.is_complete(stage):
        _publish(working, executed)  # killed after its stage was sealed: what was executed until then is kept
        say(f"{title}: complete, its inputs unchanged, skipped")
        return
    say(f"{title}: {run.stale_reason(stage)}")
    started = time.monotonic()
    asked = {"run_dir": str(run.path), "recipe": str(run.recipe_file), "overrides": run.overrides, "interactive": False}
    try:
        _execute(notebook_file(stage), working, asked, title, say)
    except UserError:
        working.unlink(missing_ok=True)
        partial = run.path / f"{stage}.partial"  # it goes, unless it holds hours of training or generation
        if stage == "01_data" or not [*partial.glob("checkpoints/*"), *partial.glob("*.jsonl")]:
            run.discard(stage, partial_only=True)
        raise
    except NotebookError:
        _publish(working, executed)
        raise
    seconds = time.monotonic() - started
    _publish(working, executed)
    if not run.is_complete(stage):
        raise NotebookError(f"{name} ran to its end, yet its stage {stage} does not stand: {run.stale_reason(stage)}")
    run.record_wall(stage, seconds)
    say(f"{title}: done in {seconds:.1f} s")


def _execute(source: Path, working: Path, parameters: dict[str, Any], title: str, say: Say) -> None:
    """Run one notebook with papermill into `working`, and sort its failures."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if not source.is_file():
        fix = "call ftlib from the project's folder"
        raise UserError.of(str(source), "the project's notebooks", "no such file", fix)
    working.parent.mkdir(exist_ok=True)
    # JupyterLab's debugger prints a warning about frozen modules into every kernel's stderr
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    cells = len(json.loads(source.read_text(encoding="utf-8"))["cells"]) + 1  # papermill adds the parameters
    try:
        with tempfile.TemporaryDirectory(prefix="ftlib-") as sockets:
            papermill.execute_notebook(
                source,
                working,
                parameters=parameters,
                cwd=project_root(),
                progress_bar=False,
                stdout_file=_progress_lines(say),
                on_cell_execute=_cell_lines(title, cells, say),
                config=_private_transport(Path(sockets)),
            )
    except PapermillExecutionError as error:
        if error.ename == "UserError":
            raise UserError(error.evalue) from error
        raise NotebookError(f"{source}, cell {error.cell_index + 1}: {error.ename}: {error.evalue}") from error
    except DeadKernelError as error:
        raise NotebookError(f"{source}: its kernel died (most often: not enough memory)") from error


def _private_transport(folder: Path) -> Any:
    """Talk to the kernel over Unix sockets in `folder`: no other user can listen in, and no network is needed."""
    from traitlets.config import Config

    prefix = folder / "kernel"  # Jupyter appends "-1" to "-5"; without a prefix it would write into the working folder
    fits = os.name == "posix" and len(f"{prefix}-5") < LONGEST_SOCKET_PATH
    return Config({"KernelManager": {"transport": "ipc", "ip": str(prefix)}} if fits else {})


def _progress_lines(say: Say) -> SimpleNamespace:
    """A file that passes a kernel's progress lines on to the terminal, nothing else that it prints."""

    def write(text: str) -> None:
        for line in text.splitlines():
            if line.startswith(progress.LINE_MARK):
                say(f"      {line}")

    return SimpleNamespace(write=write, flush=lambda: None)


def _cell_lines(title: str, cells: int, say: Say) -> Callable[..., None]:
    """What nbclient calls before each code cell: now and then a line that says which one, and after how long."""
    started = last = time.monotonic()

    def report(cell: Any, cell_index: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            say(f"{title}: cell {cell_index + 1}/{cells}, {last - started:.0f} s")

    return report


def _publish(working: Path, executed: Path) -> None:
    """Give the executed copy, if there is one, its name and write its HTML beside it."""
    if working.exists():
        from nbconvert import HTMLExporter

        exporter = HTMLExporter(require_js_url="", jquery_url="", mathjax_url="", embed_images=True)
        page, _ = exporter.from_filename(str(working), resources={"metadata": {"name": executed.stem}})
        atomic.write_text(executed.with_suffix(".html"), page)
        working.replace(executed)


def _remove_if_empty(path: Path, made_here: bool) -> None:
    """A run directory that we made and that holds no stage and no one's work is removed again."""
    own = {"recipe.yaml", "manifest.json", "summary.json", "notebooks"}
    entries = list(path.iterdir())
    if not made_here or any(entry.name not in own and entry.suffix != ".lock" for entry in entries):
        return
    with contextlib.suppress(OSError):
        for entry in entries:
            entry.rmdir() if entry.is_dir() else entry.unlink()
        path.rmdir()
