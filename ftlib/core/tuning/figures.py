"""Pictures of a rate's ramp and of a sweep."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ftlib.core.tuning.rates import RateFinding
from ftlib.core.tuning.sweep import open_study
from ftlib.plots import COLOURS, INK, bars_with_intervals, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEWEST = 4  # whole trials, for importance


@styled
def rate_figure(finding: RateFinding, used: float | None = None) -> Figure:
    """Losses over the rates of a ramp, with the suggestion and the rate that the recipe has (`used`)."""
    figure, axes = new_figure(7.0, 3.6)
    axes.plot(finding.rates, finding.losses, ".", color=COLOURS[6], markersize=4, alpha=0.6, label="batch")
    axes.plot(finding.rates, finding.smoothed, color=COLOURS[0], label="smoothed")
    marks = {"suggested": (finding.suggestion, COLOURS[1]), "in the recipe": (used, INK)}
    for label, (rate, colour) in marks.items():
        if rate is not None:
            axes.axvline(rate, color=colour, linestyle="--", linewidth=1.2, label=f"{label}: {rate:.2g}")
    axes.set(title="one short training, its rate growing", xlabel="learning rate", ylabel="nats per trained token")
    axes.set_xscale("log")
    if finding.losses:  # where the loss explodes would hide where it falls
        axes.set_ylim(0.9 * min(finding.losses), 1.5 * finding.smoothed[0])
    axes.legend()
    return figure


@styled
def sweep_figure(folder: str | Path) -> Figure:
    """Each whole trial as a line through its values, by Optuna; the darkest have the lowest loss.

    Args:
        folder: of `sweep`.
    """
    from optuna.visualization.matplotlib import plot_parallel_coordinate

    with _quiet():
        axes = plot_parallel_coordinate(open_study(folder), target_name="validation loss")
    whole = sum(trial.state.name == "COMPLETE" for trial in open_study(folder).trials)
    axes.set_title(f"{whole} whole trials, from validation loss to values")
    figure = axes.figure
    figure.set_size_inches(9.0, 4.2)
    figure.set_layout_engine("constrained")
    return figure


def importance_figure(folder: str | Path) -> Figure | None:
    """How much of the loss's variance over trials each field explains (Optuna's estimate); None with too few trials.

    Args:
        folder: of `sweep`.
    """
    from optuna.importance import get_param_importances

    study = open_study(folder)
    values = [trial.value for trial in study.trials if trial.state.name == "COMPLETE"]
    if len(values) < _FEWEST or len(set(values)) < 2:
        return None
    with _quiet():
        shares = get_param_importances(study)
    title, label = "what moved the loss", f"share of its variance over {len(values)} whole trials"
    return bars_with_intervals({name: (share, None) for name, share in shares.items()}, title=title, xlabel=label)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna calls its matplotlib pictures experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
