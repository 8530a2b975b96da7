"""Section `prefer`: training on with what people prefer."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from ftlib.recipe.section import Section


class PreferRecipe(Section):
    """`ftlib prefer`: DPO (Rafailov et al. 2023) on pairs of answers, from the run's adapter.

    `beta` says how dear it is to move away from that adapter: more of it, less movement. A step reads `batch_rows`
    pairs. Questions in the share `held_out` are not trained; on their pairs it is counted how often the preferred
    answer is the likelier one, before and after.
    """

    beta: float = Field(0.1, gt=0)
    learning_rate: float = Field(2e-5, gt=0)
    epochs: float = Field(3.0, gt=0)
    batch_rows: PositiveInt = 8
    held_out: float = Field(0.2, ge=0, lt=1)
