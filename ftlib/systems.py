"""The systems under comparison: what the recipe says of each, and how a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ftlib.errors import UserError
from ftlib.plots import COLOURS
from ftlib.recipe import EndpointRecipe, Recipe

if TYPE_CHECKING:
    from ftlib.run import Run

TRAINED = "trained"  # the recipe's word for the adapter that this run trains
AUTO = "auto"  # for an instruction that validation rows choose


class System(NamedTuple):
    """One system: which model answers, and how it is asked."""

    name: str  # in files and headline keys
    label: str  # what people read
    adapter: str | None  # `TRAINED`, a folder or a hub name; None for the base alone
    prompt: str  # "question", "few_shot" or "retrieved"
    endpoint: EndpointRecipe | None  # a server that answers in the local model's place
    colour: str = COLOURS[0]
    instruction: str = ""  # how to answer: a text, "" for none, or `AUTO` until one is chosen
    adapter_scale: float = 1.0  # times what the adapter adds to the base
    declines: bool = False  # whether unsure answers become the refusal
    examples: str = ""  # training rows shown before the question: "fixed", "similar" or none

    @property
    def told(self) -> str:
        """The instruction that stands in its prompts; "" where there is none, or none is chosen yet."""
        return "" if self.instruction == AUTO else self.instruction


def systems(recipe: Recipe, names: Iterable[str] | None = None) -> dict[str, System]:
    """The recipe's systems by name, in its order: all, or those named.

    A label falls back to the name; a colour is the same whichever systems are chosen.

    Raises:
        UserError: a name is not among the recipe's systems.
    """
    wanted = set(recipe.systems if names is None else names)
    if unknown := sorted(wanted - set(recipe.systems)):
        expected, fix = f"names among {', '.join(recipe.systems)}", "name them under `systems:`"
        raise UserError.of("systems", expected, ", ".join(unknown), fix)
    return {
        name: System(
            name,
            part.label or name,
            part.adapter,
            "few_shot" if part.examples and part.prompt == "question" else part.prompt,
            part.endpoint,
            COLOURS[number % len(COLOURS)],
            with_refusal(part.instruction or "", recipe.prompt.refusal),
            part.adapter_scale,
            part.declines,
            part.examples or ("fixed" if part.prompt == "few_shot" else ""),
        )
        for number, (name, part) in enumerate(recipe.systems.items())
        if name in wanted
    }


def with_refusal(instruction: str, refusal: str) -> str:
    """The text of an instruction of the recipe, in which `{refusal}` stands for `prompt.refusal`."""
    return instruction.replace("{refusal}", refusal)


def adapter_path(system: System, run: Run) -> Path | str | None:
    """Where a system's adapter lies: in the run ("trained"), in a folder, on the hub; None for the base alone.

    Raises:
        UserError: this run has trained none yet, or from other inputs.
    """
    return run.need("02_train/adapter") if system.adapter == TRAINED else system.adapter


def colours(systems: Mapping[str, System]) -> dict[str, str]:
    """Each system's colour by its name, for figures."""
    return {name: system.colour for name, system in systems.items()}
