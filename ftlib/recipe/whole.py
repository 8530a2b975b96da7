"""The recipe: all sections together, and how one is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ftlib.recipe.comparison import EvaluateRecipe, RagRecipe, ReviewRecipe, SystemRecipe
from ftlib.recipe.data import DataRecipe
from ftlib.recipe.file import explain, make_absolute, override, path_values, read_yaml
from ftlib.recipe.training import (
    LoraRecipe,
    ModelRecipe,
    PreferRecipe,
    PromptRecipe,
    QuantizationRecipe,
    SweepSpace,
    TrainRecipe,
)

# Compared where the recipe names no systems: what prompting, retrieval, training and both together are worth.
SYSTEMS = {
    "base": SystemRecipe(label="base model"),
    "few_shot": SystemRecipe(label="few-shot prompt", prompt="few_shot"),
    "rag": SystemRecipe(label="RAG", prompt="retrieved"),
    "finetuned": SystemRecipe(label="fine-tuned", adapter="trained"),
    "rag_ft": SystemRecipe(label="RAG + fine-tuned", adapter="trained", prompt="retrieved"),
}


class Recipe(BaseModel):
    """A whole run: name, seed and one section per room or part."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: int = Field(0, ge=0, lt=2**32)
    lesson_seconds: float = Field(20.0, ge=0)  # what one demonstration beside the real work of notebook 02 may take
    data: DataRecipe
    prompt: PromptRecipe = PromptRecipe()
    model: ModelRecipe
    quantization: QuantizationRecipe = QuantizationRecipe()
    lora: LoraRecipe = LoraRecipe()
    train: TrainRecipe = TrainRecipe()
    sweep: SweepSpace = {}  # what `ftlib sweep` tries; no stage reads it
    evaluate: EvaluateRecipe = EvaluateRecipe()
    review: ReviewRecipe = ReviewRecipe()
    rag: RagRecipe = RagRecipe()
    prefer: PreferRecipe = PreferRecipe()  # of `ftlib prefer`; no stage reads it
    systems: dict[str, SystemRecipe] = SYSTEMS

    @model_validator(mode="after")
    def _systems_are_known(self) -> Recipe:
        for field, names in (("evaluate.systems", self.evaluate.systems), ("review.pair", self.review.pair)):
            for name in names:
                if name not in self.systems:
                    raise ValueError(f"{field} to name systems among {', '.join(self.systems)}, not {name!r}")
        for name in self.evaluate.systems:
            if self.systems[name].prompt != "question" or self.systems[name].examples:
                raise ValueError(f"evaluate.systems to be asked the question alone; {name!r} belongs to notebook 05")
        return self

    @model_validator(mode="after")
    def _method_fits(self) -> Recipe:
        if self.quantization.load_in_4bit and self.quantization.load_in_8bit:
            raise ValueError("quantization.load_in_4bit to be false beside load_in_8bit, not true")
        if self.train.method != "full":
            return self
        quantized = [name for name in ("load_in_4bit", "load_in_8bit") if getattr(self.quantization, name)]
        if quantized:
            raise ValueError(f"quantization.{quantized[0]} to be false where train.method is full, not true")
        if self.train.replay_kl:
            found = self.train.replay_kl
            raise ValueError(f"train.replay_kl to be 0 where no base is left (train.method: full), not {found}")
        if self.train.lora_plus_ratio != 1:
            found = self.train.lora_plus_ratio
            raise ValueError(f"train.lora_plus_ratio to be 1 without an adapter (train.method: full), not {found}")
        return self

    @classmethod
    def load(
        cls,
        path: str | Path,
        overrides: Mapping[str, Any] | None = None,
        *,
        root: Path | None = None,
        elsewhere: Path | None = None,
    ) -> Recipe:
        """Read a recipe file and apply overrides; all paths become absolute.

        Args:
            path: the YAML file.
            overrides: dotted field names to values, e.g. `{"train.epochs": 1}`.
            root: what relative paths in overrides are relative to; the working directory if None.
            elsewhere: a folder for relative paths of the file that lead nowhere from its own.

        Raises:
            UserError: the file is missing or no YAML mapping, or a field or value is not allowed.
        """
        path = Path(path)
        values = read_yaml(path)
        make_absolute(cls, values, *filter(None, [path.resolve().parent, elsewhere]))
        for field, value in (overrides or {}).items():
            override(cls, values, field, value, root or Path.cwd())
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise explain(cls, error, path, overrides or {}) from None

    @property
    def training_seed(self) -> int:
        """The seed of the adapter's first values, of the order of its rows and of what its epochs draw."""
        return self.seed if self.train.seed is None else self.train.seed

    def paths(self) -> dict[str, Path]:
        """All local paths the recipe names, by dotted field; a model's hub name is not a path."""
        found: dict[str, Path] = {}
        for field, kind, holder, key in path_values(type(self), self.model_dump()):
            items = holder[key] if isinstance(holder[key], list) else [holder[key]]
            for number, item in enumerate(items):
                if kind is Path or Path(item).is_absolute():
                    found[field if len(items) == 1 else f"{field}[{number}]"] = Path(item)
        return found

    def dump(self) -> str:
        """The recipe as YAML, every field written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
