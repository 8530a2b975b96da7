"""The recipe: one YAML file that says everything a run depends on.

Every section is a pydantic model that refuses unknown fields, so that a misspelt setting is an error and not a silent
default. Relative paths inside a recipe are relative to the recipe file, those in overrides to the project's root.
"""

from ftlib.recipe.comparison import EndpointRecipe, EvaluateRecipe, RagRecipe, ReviewRecipe, SystemRecipe
from ftlib.recipe.data import BiasRecipe, ChecksRecipe, ColumnsRecipe, DataRecipe, PiiRecipe, SplitRecipe
from ftlib.recipe.preference import PreferRecipe
from ftlib.recipe.section import PathOrName, Section
from ftlib.recipe.training import (
    ContextRecipe,
    LoraRecipe,
    ModelRecipe,
    PreflightRecipe,
    PromptRecipe,
    QuantizationRecipe,
    TrainRecipe,
)
from ftlib.recipe.tuning import RangeRecipe
from ftlib.recipe.whole import SYSTEMS, Recipe

__all__ = [
    "SYSTEMS",
    "BiasRecipe",
    "ChecksRecipe",
    "ColumnsRecipe",
    "ContextRecipe",
    "DataRecipe",
    "EndpointRecipe",
    "EvaluateRecipe",
    "LoraRecipe",
    "ModelRecipe",
    "PathOrName",
    "PiiRecipe",
    "PreferRecipe",
    "PreflightRecipe",
    "PromptRecipe",
    "QuantizationRecipe",
    "RagRecipe",
    "RangeRecipe",
    "Recipe",
    "ReviewRecipe",
    "Section",
    "SplitRecipe",
    "SystemRecipe",
    "TrainRecipe",
]
