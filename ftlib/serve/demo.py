"""`ftlib demo`: the page of a run on this machine, for people who don't run notebooks. Voilà shows the widget."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ftlib.errors import UserError
from ftlib.serve.guarded import HOST, free_port

# A browser loads nothing from elsewhere, whatever Voilà's own templates or a text on the page name.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'self'"
)
IDLE_SECONDS = 600  # after which the models of a visitor who left are unloaded
_CELL = "from ftlib.serve.page import AskPage\nAskPage.of({run!r}, {names!r})"


def show_page(
    run_dir: str | Path,
    port: int,
    names: Sequence[str] = (),
    *,
    browser: bool = True,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the page until Ctrl-C or SIGTERM; every visitor gets a process with the models of their own.

    Args:
        run_dir: a run directory.
        port: of this machine; 0: any free one.
        names: of the recipe's systems; none: the base, the trained adapter, and the base with passages.
        browser, say: whether one is opened; is told the address.

    Raises:
        UserError: no such run or system, no adapter is trained yet, the port is taken, or Voilà is not installed.
    """
    if find_spec("voila") is None:
        raise UserError.of("ftlib demo", "the extra `demo`", "Voilà is not installed", "pip install 'ftlib[demo]'")
    check_page(run_dir, names)
    port = free_port(port)
    with tempfile.TemporaryDirectory(prefix="ftlib-demo-") as folder:
        notebook = write_notebook(Path(folder), Path(run_dir).resolve(), names)
        from traitlets.config import Config
        from voila.app import Voila

        say(
            f"http://{HOST}:{port}/ shows {run_dir}; the first answer takes as long as its models load. Ctrl-C ends it."
        )
        arguments = [str(notebook), f"--port={port}", f"--Voila.ip={HOST}", "--Voila.port_retries=0"]
        arguments += [f"--MappingKernelManager.cull_idle_timeout={IDLE_SECONDS}", "--Voila.log_level=WARN"]
        arguments += [] if browser else ["--no-browser"]
        settings = {"headers": {"Content-Security-Policy": POLICY}}
        config = Config({"VoilaConfiguration": {"prelaunch_hook": refuse_other_names}})
        Voila.launch_instance(arguments, tornado_settings=settings, config=config)


def refuse_other_names(handler: Any, notebook: Any, cwd: str) -> None:
    """Voilà's hook before a page is made: status 403 for a web page that calls this machine by a name of its own."""
    from tornado.web import HTTPError

    if handler.request.host_name not in (HOST, "localhost"):
        raise HTTPError(403)


def check_page(run_dir: str | Path, names: Sequence[str] = ()) -> None:
    """Raises UserError, before anything is started, where the page could not be made."""
    from ftlib.ask.standing import open_run, trained_adapter
    from ftlib.serve.page import usual_systems
    from ftlib.systems import TRAINED, systems

    run = open_run(run_dir)
    chosen = systems(run.recipe, names).values() if names else usual_systems(run)
    if any(system.adapter == TRAINED for system in chosen):
        trained_adapter(run)


def write_notebook(folder: Path, run: Path, names: Sequence[str]) -> Path:
    """The notebook that Voilà runs for a visitor: one cell, whose source is not shown."""
    import nbformat

    cell = nbformat.v4.new_code_cell(_CELL.format(run=str(run), names=list(names)))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    file = folder / "demo.ipynb"
    nbformat.write(notebook, file)
    return file
