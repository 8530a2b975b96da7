"""Prompt engineering with a budget: what a system is told of the form of its answers, chosen on validation rows.

Every system may be told any of a few texts, or nothing, and is scored with each on the same validation rows; the test
set is not looked at. So no system is compared at the disadvantage that nobody told it how to answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib import atomic
from ftlib.errors import UserError
from ftlib.evaluate.answers import answer
from ftlib.evaluate.scores import is_right, score_generations
from ftlib.stats import Interval, known_limits, mean_ci95
from ftlib.stats.intervals import as_json
from ftlib.systems import AUTO, System, with_refusal

if TYPE_CHECKING:
    from ftlib.core.engine import Engine
    from ftlib.data.prompts import Prompt
    from ftlib.recipe import Recipe
    from ftlib.rows import Row


class Choice(NamedTuple):
    """What a system is told.

    Attributes:
        system: its name.
        instruction: the text, "" for none.
        tried: each candidate to its share of right answers on the validation rows; empty where nothing was tried.
    """

    system: str
    instruction: str
    tried: dict[str, Interval]


def candidates(recipe: Recipe) -> list[str]:
    """The texts that a system may be told: none, then `evaluate.instructions` with the refusal put in."""
    told = (with_refusal(text, recipe.prompt.refusal).strip() for text in recipe.evaluate.instructions)
    return list(dict.fromkeys(["", *told]))


def choose_instruction(
    engine: Engine,
    system: System,
    rows: Sequence[Row],
    prompts_of: Callable[[System], Sequence[Prompt]],
    path: str | Path,
    recipe: Recipe,
    *,
    interactive: bool = False,
) -> Choice:
    """Ask every candidate the same validation rows; the most right answers win, of equal ones the earlier candidate.

    Args:
        engine, recipe, interactive: who generates; its section `evaluate`, and the refusal; a live bar or lines.
        system: who is asked; one whose instruction the recipe gives keeps it.
        rows: validation rows; where there are none, nothing is told.
        prompts_of: a system with an instruction to its prompts for these rows. Where they have no room for a
            candidate (a `UserError`), it is left out.
        path: JSON lines of answers; what stands there already is not asked again.
    """
    if system.instruction != AUTO or not rows:
        return Choice(system.name, system.told, {})
    settings = recipe.evaluate
    batches = {"max_new_tokens": settings.max_new_tokens, "batch_rows": settings.batch_rows}
    options = {"columns": recipe.data.columns, "refusal": recipe.prompt.refusal, "also": settings.refusal_phrases}
    tried = {}
    for number, text in enumerate(candidates(recipe)):
        told, name = system._replace(instruction=text), f"{system.name}, instruction {number}"
        try:
            prompts = prompts_of(told)
            _check_room(engine, told, prompts, settings.max_new_tokens)
        except UserError:
            if not text:
                raise
            continue
        lines = answer(engine, told, prompts, path, name=name, interactive=interactive, **batches)
        items = score_generations(rows, lines, right=settings.right, **options)
        right = [float(is_right(item)) for item in items]
        tried[text] = mean_ci95(right, [i["cluster"] for i in items], settings.bootstrap_samples, recipe.seed)
    return Choice(system.name, max(tried, key=lambda text: tried[text].mean), tried)


def _check_room(engine: Engine, system: System, prompts: Sequence[Prompt], max_new_tokens: int) -> None:
    longest = max((len(prompt.ids) for prompt in prompts), default=0)
    if system.told and engine.is_local(system) and engine.window and longest > engine.window - max_new_tokens:
        expected = f"prompts of at most {engine.window - max_new_tokens} tokens"
        raise UserError.of(f"instruction {system.told!r}", expected, f"{longest} tokens", "shorten it")


def choice_lines(choices: Mapping[str, Choice], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """One line a candidate, for a notebook's table: what is told, and each system's share of right answers."""
    told = dict.fromkeys(text for choice in choices.values() for text in choice.tried)
    lines = []
    for text in told:
        line = {"told": text or "(nothing)"}
        for name, choice in choices.items():
            if found := choice.tried.get(text):
                mark = " *" if choice.instruction == text else ""
                limits = known_limits(found)
                interval = f" [{limits[0]:.0%}, {limits[1]:.0%}]" if limits else ""
                line[labels[name]] = f"{found.mean:.0%}{interval}{mark}"
        lines.append(line | {"n": max(choice.tried[text].n for choice in choices.values() if text in choice.tried)})
    return lines


def write_choices(path: str | Path, choices: Mapping[str, Choice]) -> None:
    """Keep the choices as JSON, by system: what is told, and of every candidate mean, interval and n."""
    atomic.write_json(Path(path), as_json(dict(choices)))


def read_choices(path: str | Path) -> dict[str, Choice]:
    """The choices of such a file, {} where there is none."""
    return {
        name: Choice(name, each["instruction"], {text: _interval(made) for text, made in each["tried"].items()})
        for name, each in atomic.read_json(Path(path)).items()
    }


def _interval(made: Mapping[str, Any]) -> Interval:
    """An interval from JSON, which holds no infinite limits."""
    return Interval(**{key: math.nan if value is None else value for key, value in made.items()})
