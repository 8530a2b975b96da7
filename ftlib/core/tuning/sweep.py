"""A sweep: many short trainings with other values in the recipe, chosen by Optuna, compared on validation rows."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib import jsonl
from ftlib.core.explosion import ExplosionError
from ftlib.core.load import load_base
from ftlib.core.lora import for_training
from ftlib.core.plan import PLAN_NAME
from ftlib.core.reading import draw
from ftlib.core.train import TrainResult, train
from ftlib.core.tuning.space import check_space, one_line, suggested, with_values
from ftlib.data.prompts import Renderer
from ftlib.data.tokens import load_tokenizer
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.recipe.training import SweepSpace
from ftlib.rows import Row
from ftlib.stage import lock

if TYPE_CHECKING:
    from optuna import Study, Trial

_STUDY, _FILE = "sweep", "study.sqlite"


class SweepResult(NamedTuple):
    """What a sweep found."""

    trials: int  # that came to an end, the pruned ones included
    pruned: int
    best: dict[str, Any]  # dotted field to value
    best_loss: float  # of the adapter that the best trial kept, on validation rows, nats per token
    rows: int  # validation rows that it was measured on
    folder: Path

    @property
    def overrides(self) -> str:
        """The best values as arguments of the command line."""
        return " ".join(f"-p {shlex.quote(f'{field}={one_line(value)}')}" for field, value in self.best.items())

    def text(self) -> str:
        """The best values and what they are worth."""
        return (
            f"best of {self.trials} trials ({self.pruned} ended early): {self.best_loss:.4f} nats per token\n"
            f"  {self.overrides}\n"
            f"chosen on these {self.rows} validation rows: the same loss flatters it there, and the more trials, the "
            "more; the frozen test set of notebook 03 says what it is worth"
        )


def require_optuna() -> None:
    """Make sure that Optuna is installed.

    Raises:
        UserError: it is not.
    """
    import importlib.util

    if importlib.util.find_spec("optuna") is None:
        raise UserError.of("sweep", "Optuna to be installed", "no optuna", 'pip install "ftlib[sweep]", or optuna')


def sweep(
    recipe: Recipe,
    train_rows: Sequence[Row],
    val_rows: Sequence[Row],
    folder: Path,
    trials: int,
    *,
    space: SweepSpace | None = None,
    interactive: bool = False,
    say: Callable[[str], object] = print,
) -> SweepResult:
    """Train until `trials` trainings have come to an end; called again after a kill it goes on.

    Each trial is a whole training by `train` from a fresh adapter. Its values are Optuna's (TPE, the first ten at
    random), a function of the seed and of what earlier trials came to. A trial whose validation loss lies above the
    median of the others' at the same share of the training ends early; so does one that explodes. The study lies in
    SQLite; a killed trial goes on from its last checkpoint.

    Args:
        recipe: what is tried around; epochs, rows and all else are the same in all trials, but for what is swept.
        train_rows, val_rows: as notebook 01 divides them.
        folder: gets study.sqlite and trials/. trials: how many in all, earlier ones included.
        space: fields and their choices; None for the recipe's section `sweep`.
        interactive: a live bar instead of plain lines. say: is told of each trial.

    Raises:
        UserError: Optuna is not installed, the space is not allowed, another process sweeps here, or no trial came
            to its end.
    """
    require_optuna()
    from optuna.pruners import MedianPruner
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    space = recipe.sweep if space is None else space
    check_space(recipe, space)
    folder.mkdir(parents=True, exist_ok=True)
    claim = lock(folder, _STUDY)
    try:
        study = open_study(folder, MedianPruner(n_startup_trials=3))
        _take_up(study)
        objective = _Objective(recipe, train_rows, val_rows, folder, space, interactive)
        while (done := len(_finished(study))) < trials:
            study.sampler = TPESampler(seed=(recipe.seed + done) % 2**32)
            study.optimize(objective, n_trials=1)
            say(_line(study.trials[-1], done + 1, trials))
        whole = study.get_trials(states=(TrialState.COMPLETE,))
        if not whole:
            fix = "lower the rates in the sweep, or look at the rows that the trials' errors name"
            raise UserError.of("sweep", "one trial that comes to its end", f"{trials} that exploded", fix)
        best = study.best_trial
        finished = _finished(study)
        return SweepResult(len(finished), len(finished) - len(whole), best.params, best.value, len(val_rows), folder)
    finally:
        claim.release(force=True)


class _Objective:
    """One trial: a training in a folder that its values name."""

    def __init__(self, recipe, train_rows, val_rows, folder: Path, space: SweepSpace, interactive: bool):
        self.recipe, self.space, self.folder, self.interactive = recipe, space, folder, interactive
        self.tokenizer = load_tokenizer(recipe.model)
        self.renderer = Renderer.of(recipe, self.tokenizer)
        self.rows = list(train_rows)
        self.examples, self.held_out = (list(map(self.renderer.example, part)) for part in (self.rows, val_rows))

    def __call__(self, trial: Trial) -> float:
        """The validation loss of the adapter that a training with the trial's values keeps."""
        from optuna import TrialPruned

        values = {field: suggested(trial, field, choices) for field, choices in self.space.items()}
        same = [
            done for done in _finished(trial.study) if done.params == trial.params and done.state.name == "COMPLETE"
        ]
        if same:  # the same training would come to the same
            return same[0].value
        folder = self.folder / "trials" / hashlib.sha256(one_line(values).encode()).hexdigest()[:12]
        try:
            loss = self._train(with_values(self.recipe, values), folder, _Reports(trial, folder)).best_loss
        except ExplosionError as error:
            trial.set_user_attr("ended", str(error).splitlines()[0])
            raise TrialPruned from error
        except TrialPruned:
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            raise
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return loss

    def _train(self, recipe: Recipe, folder: Path, reports: _Reports) -> TrainResult:
        drawn = draw(self.rows, math.ceil(recipe.train.epochs), recipe, self.renderer).examples
        model = for_training(load_base(recipe, tokenizer=self.tokenizer)[0], recipe)
        more = {"drawn": drawn, "interactive": self.interactive, "on_log": reports}
        return train(model, self.tokenizer, self.examples, self.held_out, folder, recipe, **more)


class _Reports:
    """Tells Optuna each validation loss, at the share of the training (in thousandths) at which it was measured."""

    def __init__(self, trial: Trial, folder: Path):
        self.trial, self.folder, self.told = trial, folder, set()
        if (folder / "metrics.jsonl").is_file():  # of before a kill
            jsonl.cut_torn_line(folder / "metrics.jsonl")
            for entry in jsonl.read(folder / "metrics.jsonl"):
                self._tell(entry)

    def __call__(self, entry: dict) -> None:
        """For `train(on_log=...)`."""
        from optuna import TrialPruned

        if 0 < self._tell(entry) < 1000 and self.trial.should_prune():  # at its end it is whole
            raise TrialPruned

    def _tell(self, entry: dict) -> int:
        """The share; 0 for lines without a validation."""
        if "eval_loss" not in entry or not entry["step"]:
            return 0
        steps = json.loads((self.folder / PLAN_NAME).read_text(encoding="utf-8"))["total_steps"]
        share = 1000 * entry["step"] // steps
        if share not in self.told:
            self.trial.report(entry["eval_loss"], share)
            self.told.add(share)
        return share


def open_study(folder: str | Path, pruner: Any = None) -> Study:
    """The study in a sweep's folder, new or as it was left."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=f"sqlite:///{(Path(folder) / _FILE).resolve()}",
        study_name=_STUDY,
        direction="minimize",
        load_if_exists=True,
        pruner=pruner,
    )


def _take_up(study: Study) -> None:
    """Trials that a kill left running are begun again with their values; their trainings find their checkpoints."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={"goes_on_with": trial.number})


def _finished(study: Study) -> list:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _line(trial: Any, number: int, trials: int) -> str:
    values = ", ".join(f"{field} {value:.3g}" if isinstance(value, float) else f"{field} {value}" for field, value in
                       trial.params.items())  # fmt: skip
    if trial.state.name == "COMPLETE":
        return f"trial {number} of {trials}: validation loss {trial.value:.4f} with {values}"
    return f"trial {number} of {trials}: {trial.user_attrs.get('ended', 'pruned, worse than the median')}; {values}"
