"""The recipe: one YAML file that says everything a run depends on.

Every section is a pydantic model that refuses unknown fields, so that a misspelt
setting is an error and not a silent default. Relative paths inside a recipe are
relative to the recipe file; relative paths in overrides to the project's root.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ftlib import recipe_file
from ftlib.recipe_sections import (
    DataRecipe,
    EvaluateRecipe,
    LoraRecipe,
    ModelRecipe,
    PromptRecipe,
    QuantizationRecipe,
    RagRecipe,
    ReviewRecipe,
    SystemRecipe,
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
    data: DataRecipe
    prompt: PromptRecipe = PromptRecipe()
    model: ModelRecipe
    quantization: QuantizationRecipe = QuantizationRecipe()
    lora: LoraRecipe = LoraRecipe()
    train: TrainRecipe = TrainRecipe()
    evaluate: EvaluateRecipe = EvaluateRecipe()
    review: ReviewRecipe = ReviewRecipe()
    rag: RagRecipe = RagRecipe()
    systems: dict[str, SystemRecipe] = SYSTEMS

    @model_validator(mode="after")
    def _systems_are_known(self) -> Recipe:
        for field, names in (("evaluate.systems", self.evaluate.systems), ("review.pair", self.review.pair)):
            for name in names:
                if name not in self.systems:
                    raise ValueError(f"{field} to name systems among {', '.join(self.systems)}, not {name!r}")
        for name in self.evaluate.systems:
            if self.systems[name].prompt != "question":
                raise ValueError(f"evaluate.systems to be asked the question alone; {name!r} belongs to notebook 05")
        return self

    @classmethod
    def load(cls, path: str | Path, overrides: Mapping[str, Any] | None = None, *, root: Path | None = None) -> Recipe:
        """Read a recipe file and apply overrides.

        Args:
            path: the YAML file.
            overrides: dotted field names to values, e.g. `{"train.epochs": 1}`.
            root: what relative paths in overrides are relative to; the working directory if None.

        Returns:
            The checked recipe, all its paths absolute.

        Raises:
            UserError: the file is missing or is no YAML mapping, or a field or value is not allowed.
        """
        path = Path(path)
        values = recipe_file.read_yaml(path)
        recipe_file.make_absolute(cls, values, path.resolve().parent)
        for field, value in (overrides or {}).items():
            recipe_file.override(cls, values, field, value, root or Path.cwd())
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise recipe_file.explain(cls, error, path, overrides or {}) from None

    def paths(self) -> dict[str, Path]:
        """All local paths the recipe names, by dotted field; a model's hub name is not a path."""
        found: dict[str, Path] = {}
        for field, kind, value in recipe_file.path_values(type(self), self.model_dump()):
            items = value if isinstance(value, list) else [value]
            for number, item in enumerate(items):
                if kind is Path or Path(item).is_absolute():
                    found[field if len(items) == 1 else f"{field}[{number}]"] = Path(item)
        return found

    def dump(self) -> str:
        """The recipe as YAML, every field written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
