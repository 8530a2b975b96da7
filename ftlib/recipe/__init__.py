"""The recipe: one YAML file that says everything a run depends on.

Every section is a pydantic model that refuses unknown fields, so that a misspelt setting is an error and not a silent
default. Relative paths inside a recipe are relative to the recipe file, those in overrides to the project's root.
"""

from ftlib.recipe.comparison import EndpointRecipe, RagRecipe, SystemRecipe
from ftlib.recipe.data import BiasRecipe, ColumnsRecipe, DataRecipe, SplitRecipe
from ftlib.recipe.section import Section
from ftlib.recipe.training import ModelRecipe, PreflightRecipe, RangeRecipe, TrainRecipe
from ftlib.recipe.whole import SYSTEMS, Recipe

__all__ = ["SYSTEMS", "BiasRecipe", "ColumnsRecipe", "DataRecipe", "EndpointRecipe", "ModelRecipe", "PreflightRecipe"]
__all__ += ["RagRecipe", "RangeRecipe", "Recipe", "Section", "SplitRecipe", "SystemRecipe", "TrainRecipe"]
