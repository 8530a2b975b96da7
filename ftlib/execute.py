"""The five notebooks, one after the other, headless: what `ftlib run` does."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
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


def check_inputs(recipe: Recipe) -> None:
    """Make sure that every path the recipe names exists, before anything is written.

    Raises:
        UserError: a file or folder is missing, or a model folder holds no model.
    """
    for field, path in recipe.paths().items():
        if not path.exists():
            raise UserError.of(
                f"recipe field {field}", "an existing file or folder", f"{path} is not there", "correct the path"
            )
    base = Path(recipe.model.base)
    if base.is_absolute() and not (base / "config.json").is_file():
        expected = "a model folder with config.json, tokenizer.json and *.safetensors"
        raise UserError.of(
            "recipe field model.base",
            expected,
            f"no config.json in {base}",
            "name another folder or a model on the hub",
        )


def execution_order(recipe: Recipe) -> list[str]:
    """The stages in the order in which they can be made.

    Notebook 04 reviews answers: where one of the systems in `review.pair` answers in notebook 05 alone, that is first.
    """
    order = list(NOTEBOOKS)
    if not set(recipe.review.pair) <= set(recipe.evaluate.systems):
        order[3], order[4] = order[4], order[3]
    return order


def stage_named(name: str) -> str:
    """The stage that people mean by `3`, `03`, `03_evaluate` or its notebook's name.

    Raises:
        UserError: there is no such stage.
    """
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
        recipe: the recipe file.
        run_dir: the run directory, made if it is not there; see `Run.open` for what other overrides do.
        overrides: dotted recipe fields to values.
        force: make every stage anew.
        to: the last stage to make, see `stage_named`; None for all.
        say: where progress lines go.

    Returns:
        The run, with summary.json up to date.

    Raises:
        UserError: the recipe, the data or the model is not usable.
        NotebookError: a notebook failed for another reason.
    """
    run = Run.find(run_dir, recipe, overrides)
    check_inputs(run.recipe)
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
    working, executed = _copies(run, name)
    if run.is_complete(stage):
        if working.exists():  # killed after its stage was sealed: what was executed until then is kept
            _publish(working, executed)
        say(f"{title}: complete, its inputs unchanged, skipped")
        return
    say(f"{title}: {run.stale_reason(stage)}")
    started = time.monotonic()
    parameters = {"run_dir": str(run.path), "recipe": str(run.recipe_file), "overrides": run.overrides}
    try:
        _execute(stage, working, parameters | {"interactive": False}, title, say)
    except UserError:
        working.unlink(missing_ok=True)
        _discard_worthless(run, stage)
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


def _execute(stage: str, working: Path, parameters: dict[str, Any], title: str, say: Say) -> None:
    """Run one notebook with papermill into `working`, and sort its failures."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    source = notebook_file(stage)
    if not source.is_file():
        raise UserError.of(
            str(source), "the project's notebooks", "no such file", "call ftlib from the project's folder"
        )
    working.parent.mkdir(exist_ok=True)
    _register_engine()
    # JupyterLab's debugger prints a warning about frozen modules into every kernel's stderr
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    try:
        with tempfile.TemporaryDirectory(prefix="ftlib-") as sockets:
            papermill.execute_notebook(
                source,
                working,
                parameters=parameters,
                engine_name="ftlib",
                cwd=project_root(),
                progress_bar=False,
                title=title,
                say=say,
                stdout_file=_ProgressLines(say),
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


class _ProgressLines:
    """Passes a kernel's progress lines on to the terminal, nothing else that it prints."""

    def __init__(self, say: Say):
        self._say = say

    def write(self, text: str) -> None:
        for line in text.splitlines():
            if line.startswith(progress.LINE_MARK):
                self._say(f"      {line}")

    def flush(self) -> None:
        """Nothing is held back."""


def _register_engine() -> None:
    """papermill's own engine, plus a line now and then: which cell of how many, after how long."""
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(
            cls, nb_man: Any, kernel_name: str, title: str = "", say: Say = print, **options: Any
        ) -> Any:
            started = last = time.monotonic()
            cell_start, cells = nb_man.cell_start, len(nb_man.nb.cells)

            def report(cell: Any, cell_index: int | None = None, **more: Any) -> None:
                nonlocal last
                if cell.cell_type == "code" and time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                    last = time.monotonic()
                    say(f"{title}: cell {(cell_index or 0) + 1}/{cells}, {last - started:.0f} s")
                cell_start(cell, cell_index, **more)

            nb_man.cell_start = report
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("ftlib", Engine)


def _copies(run: Run, name: str) -> tuple[Path, Path]:
    """(the copy being executed, the finished copy)."""
    folder = run.path / "notebooks"
    return folder / f".{name}.ipynb", folder / f"{name}.ipynb"


def _publish(working: Path, executed: Path) -> None:
    """Give the executed copy its name and write its HTML beside it."""
    if not working.exists():
        return
    html = executed.with_suffix(".html")
    atomic.write_text(html, _to_html(working))
    working.replace(executed)


def _to_html(notebook: Path) -> str:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(require_js_url="", jquery_url="", mathjax_url="", embed_images=True)
    body, _ = exporter.from_filename(str(notebook), resources={"metadata": {"name": notebook.stem.lstrip(".")}})
    return body


def _discard_worthless(run: Run, stage: str) -> None:
    """After the user's mistake: an unfinished stage goes, unless it holds hours of training or generation."""
    partial = run.path / f"{stage}.partial"
    kept = [*partial.glob("checkpoints/*"), *partial.glob("*.jsonl")]
    if stage == "01_data" or not kept:
        run.discard(stage, partial_only=True)


def _remove_if_empty(path: Path, made_here: bool) -> None:
    """A run directory that we made and that holds no stage and no one's work is removed again."""
    own = {"recipe.yaml", "manifest.json", "summary.json", "notebooks"}
    names = {entry.name for entry in path.iterdir()} if path.exists() else set()
    if not made_here or any(name not in own and not name.endswith(".lock") for name in names):
        return
    for entry in path.iterdir():
        with contextlib.suppress(OSError):
            entry.rmdir() if entry.is_dir() else entry.unlink()
    with contextlib.suppress(OSError):
        path.rmdir()
