"""Section `sweep`: which fields are tried, and with which values."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ftlib.recipe.section import Section

Scalar = bool | int | float | str | None


class RangeRecipe(Section):
    """Numbers between two ends, which belong to it; with `log` each tenfold is as likely, with `whole` no fractions."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _has_an_inside(self) -> RangeRecipe:
        if not self.low < self.high or (self.log and self.low <= 0):
            least = "above 0 and " if self.log else ""
            raise ValueError(f"a low end {least}below the high one, not {self.low:g} and {self.high:g}")
        return self


# A dotted field to its choices, e.g. {train.learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}, lora.r: [4, 8, 16]}.
SweepSpace = dict[str, RangeRecipe | Annotated[list[Scalar], Field(min_length=1)]]
