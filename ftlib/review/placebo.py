"""What a rule's firing is worth: how often it fires where what it is about cannot be the reason.

Two placebos stand beside a system's errors. The errors of another system, which may never have seen the training rows:
what fires there as often was not learned. And the system's own wrong answers dealt anew, each to the question of
another: what still fires speaks of the answer alone, or of nothing.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.review.taxonomy import LABELS, firing
from ftlib.rows import Row
from ftlib.stats import Interval, mean_ci95

TRACED = frozenset(("training_conflict", "entity_mixup", "attribute_mixup", "common_value", "other_answer"))
REPEATS = "repeats training"  # any of `TRACED`
DEALT = "answers dealt anew"
# Rules that look at the answer, or at whether there is one: dealing changes nothing, so only other systems count.
ANSWER_ALONE = frozenset(
    ("empty", "malformed", "missed_refusal", "untaught_refusal", "over_refusal", "repetition", "other_answer")
)


class Fired(NamedTuple):
    """How often a rule gives evidence, whatever stands before it: on a system's errors and on placebos."""

    rule: str  # its label, or `REPEATS`
    share: Interval
    placebos: dict[str, Interval]
    alone: bool = False  # whether the rule is, or the group holds, one of `ANSWER_ALONE`

    @property
    def verdict(self) -> str:
        """Whether the share lies above every placebo's with its whole interval, below one's, or is not told apart."""
        counted = [each for name, each in self.placebos.items() if not (self.alone and name == DEALT)]
        told = " (dealing can't tell)" if self.alone and DEALT in self.placebos else ""
        if counted and all(self.share.low > other.high for other in counted):
            return f"more than the placebo{'s' * (len(counted) > 1)}{told}"
        if any(self.share.high < other.low for other in counted):
            return f"less than a placebo{told}"
        return f"not told apart: shows little{told}"


def dealt_anew(rows: Sequence[Row], predictions: Sequence[str | None], seed: int, **options: Any) -> list[list[str]]:
    """The rules that fire when every answer is given to another row's question.

    Args:
        rows: those of the wrong answers.
        predictions: the wrong answers, one a row.
        seed: of the dealing.
        **options: as of `ftlib.review.taxonomy.categorize`.
    """
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    following = dict(zip(order, order[1:] + order[:1], strict=True))  # a ring: nobody keeps his own
    return [list(firing(row, predictions[following[at]], **options)) for at, row in enumerate(rows)]


def against_placebos(
    fired: Sequence[Collection[str]],
    clusters: Sequence[Hashable],
    placebos: Mapping[str, tuple[Sequence[Collection[str]], Sequence[Hashable]]],
) -> list[Fired]:
    """Every rule that fires on a system's errors beside its placebos; what repeats training comes first.

    Args:
        fired: names of the rules that give evidence, one collection an error.
        clusters: one key an error.
        placebos: what people read, to the same two of the placebo; those without an error are left out.

    Returns:
        In the order of the rules; nothing where there is no error.
    """
    groups: dict[str, Collection[str]] = {REPEATS: TRACED, **{label: (name,) for name, label in LABELS.items()}}
    sides = {name: each for name, each in placebos.items() if each[0]}

    def share_of(found: Sequence[Collection[str]], keys: Sequence[Hashable], group: Collection[str]) -> Interval:
        return mean_ci95([float(any(name in group for name in each)) for each in found], keys)

    return [
        Fired(
            label,
            share_of(fired, clusters, group),
            {name: share_of(*each, group) for name, each in sides.items()},
            not ANSWER_ALONE.isdisjoint(group),
        )
        for label, group in groups.items()
        if any(name in group for each in fired for name in each)
    ]
