"""Room 01 from end to end: what notebook 01 does step by step."""

from pathlib import Path
from typing import Any

from ftlib.data.pictures import wilson
from ftlib.data.preparation import Preparation
from ftlib.recipe import Recipe, UserError

SECTIONS = ("data", "prompt", "model", "train", "evaluate")  # parts of the recipe that this stage depends on


def inputs(recipe: Recipe) -> list[Path]:
    """Every file that this stage reads, for the run's fingerprint."""
    data = recipe.data
    listed = [data.test_path, data.truth_path, *data.decontaminate]
    local = [Path(name) for name in (data.path, recipe.evaluate.arc_path) if name and Path(name).exists()]
    base = Path(recipe.model.base)
    local += [base / name for name in ("tokenizer.json", "tokenizer_config.json") if (base / name).is_file()]
    return local + [Path(path) for path in listed if path]


def prepare(run) -> Path:
    """The whole room at once, as notebook 01 does it step by step.

    Args:
        run: :class:`ftlib.run.Run`.

    Returns:
        The stage's folder.

    Raises:
        UserError: wherever a step finds the user's input wrong; nothing is left half-written.
    """
    stage = run.begin("01_data", reads=inputs(run.recipe), sections=SECTIONS)
    try:
        with Preparation(run.recipe, stage.path, interactive=run.interactive) as preparation:
            preparation.load()
            preparation.clean()
            preparation.deduplicate()
            preparation.split()
            preparation.check_leakage()
            preparation.save()
            report = preparation.audit()
    except UserError:
        run.discard("01_data", partial_only=True)
        raise
    headlines(stage, report)
    return stage.finish()


def headlines(stage, report: dict[str, Any]) -> None:
    """Notes the stage's headline numbers: rows, and each detector's precision and recall with Wilson intervals."""
    stage.headline("rows_in", report["rows"]["in"])
    stage.headline("rows_kept", report["rows"]["kept"], n=report["rows"]["in"])
    for name, figure in report.get("detectors", {}).items():
        for measure, n in (("precision", figure["found"]), ("recall", figure["n"])):
            if n and figure[measure] is not None:
                stage.headline(f"{measure}_{name}", figure[measure], ci95=wilson(figure[measure], n), n=n)
