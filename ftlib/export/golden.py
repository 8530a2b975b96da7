"""Golden prompts: questions of the run's own test set as token ids, kept with the run, which every export must give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ftlib import jsonl, rows
from ftlib.evaluate.scores import choose_rows

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker
    from ftlib.systems import System

FILE = "golden.jsonl"
PROMPTS = 32


class Golden(NamedTuple):
    """One prompt: what a chat server is sent, and the token ids that the run's own model reads for it."""

    id: str
    messages: list[dict[str, str]]
    ids: list[int]


def golden_prompts(asker: Asker, system: System, count: int = PROMPTS) -> list[Golden]:
    """The run's golden prompts of a system; written to RUN/golden.jsonl where there are none of it yet.

    Args:
        asker: renders them, as the evaluation did.
        system: how they are asked: its instruction counts.
        count: how many, taken evenly from the test set's slices.

    Raises:
        UserError: the run has no test rows.
    """
    file = asker.run.path / FILE
    lines = jsonl.read(file) if file.is_file() else []
    mine = [line for line in lines if line["system"] == system.name and line["instruction"] == system.told]
    if not mine:
        asked = [asker.ask(system, row).prompt for row in tested_rows(asker, count)]
        mine = [
            {"id": prompt.id, "system": system.name, "instruction": system.told}
            | {"messages": prompt.messages, "ids": prompt.ids}
            for prompt in asked
        ]
        jsonl.write(file, [*lines, *mine])
    return [Golden(line["id"], line["messages"], line["ids"]) for line in mine]


def tested_rows(asker: Asker, limit: int | None) -> list[rows.Row]:
    """Rows of the run's frozen test set, evenly from its slices; `limit` None for those that notebook 03 asked.

    Raises:
        UserError: the run has none.
    """
    file: Path = asker.run.path / "01_data" / "test.jsonl"
    if not file.is_file() or not (read := rows.read(file)):
        raise asker.run.missing("01_data/test.jsonl")
    recipe = asker.run.recipe
    return choose_rows(read, limit or recipe.evaluate.limit, recipe.data.columns.slice)
