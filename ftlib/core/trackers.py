"""Experiment trackers that a training's numbers also go to: Weights & Biases, Trackio, MLflow, TensorBoard.

transformers' own integrations do the sending; here they are told where to write. What a tracker's own environment
variables say wins over that. By default everything stays on this machine: W&B runs offline until `WANDB_MODE` says
otherwise, MLflow writes SQLite until `MLFLOW_TRACKING_URI` names a server. No key is read, shown or stored here.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ftlib.errors import UserError

# Modules that a tracker needs, and what to install for them. MLflow without its server needs an SQL library.
_MODULES = {
    "wandb": ["wandb"],
    "trackio": ["trackio"],
    "mlflow": ["mlflow", "sqlalchemy", "alembic"],
    "tensorboard": ["tensorboard"],
}
_PACKAGES = {"mlflow": "mlflow-skinny", "sqlalchemy": "SQLAlchemy"}


def require_trackers(names: Sequence[str]) -> None:
    """Make sure that the trackers of the recipe's `train.report_to` are installed.

    Raises:
        UserError: one is not; says what to install.
    """
    for name in names:
        missing = [module for module in _MODULES[name] if importlib.util.find_spec(module) is None]
        if missing:
            packages = " ".join(_PACKAGES.get(module, module) for module in missing)
            found, fix = f"no {', '.join(missing)}", f"pip install {packages}, or leave {name} out of train.report_to"
            raise UserError.of("train.report_to", f"{name} to be installed", found, fix)


@contextmanager
def reporting(names: Sequence[str], folder: Path, project: str, run_name: str) -> Iterator[None]:
    """Where trackers write while the block lasts, and an end to each of them after it.

    Args:
        names: of the recipe's `train.report_to`; with none nothing happens.
        folder: gets a file or folder of each; made where it is missing.
        project: W&B's and Trackio's project, MLflow's experiment.
        run_name: of this training; TensorBoard's folder of its events.
    """
    if not names:
        yield
        return
    require_trackers(names)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    before = dict(os.environ)
    for name, value in _settings(folder, project, run_name).items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)  # the trackers' own, of their libraries
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        _end(names)
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _settings(folder: Path, project: str, run_name: str) -> dict[str, str]:
    """The trackers' own environment variables."""
    return {
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_PROJECT": project,
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "TRACKIO_DIR": str(folder / "trackio"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_EXPERIMENT_NAME": project,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TENSORBOARD_LOGGING_DIR": str(folder / "tensorboard" / run_name.replace("/", "-")),
    }


def _end(names: Sequence[str]) -> None:
    """Close what is still open; transformers ends a run of W&B never, the others' only after a training that ended."""
    if "wandb" in names and "wandb" in sys.modules and sys.modules["wandb"].run is not None:
        sys.modules["wandb"].finish()
    if "mlflow" in names and "mlflow" in sys.modules and sys.modules["mlflow"].active_run() is not None:
        sys.modules["mlflow"].end_run(status="KILLED")
    if "trackio" in names and "trackio" in sys.modules:
        trackio = sys.modules["trackio"]
        if trackio.context_vars.current_run.get() is not None:
            trackio.finish()
