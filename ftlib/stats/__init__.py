"""How sure we are: intervals, paired tests and agreement, the same ones in every room.

The only place where a measure gets its interval; `docs/METHODS.md` says what each assumes and how well it covers.
"""

from ftlib.stats.intervals import (
    Headline,
    Interval,
    Paired,
    few_ci95,
    flip_test,
    known_limits,
    linear,
    mean_ci95,
    paired_difference,
    ratio_ci95,
)
from ftlib.stats.proportions import holm, mcnemar, needed_n, tango, wilson

__all__ = ["Headline", "Interval", "Paired", "few_ci95", "flip_test", "holm", "known_limits", "linear", "mcnemar"]
__all__ += ["mean_ci95", "needed_n", "paired_difference", "ratio_ci95", "tango", "wilson"]
