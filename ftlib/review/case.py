"""One wrong answer with everything the rules of the taxonomy look at, normalized once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ftlib.evaluate.metrics import is_refusal, normalize
from ftlib.review.training_index import Key, TrainingIndex
from ftlib.rows import Row

# Digits that are part of a name (IP67, RS-485, v2.1) are no quantity, so nothing wordlike may stand before them.
QUANTITY = re.compile(r"(?<![\w.,-])([-+\u2212]?\d+(?:[.,]\d+)*)\s*([^\W\d_]+|[%°\u20ac$\u00a3][^\W\d_]*)?")


@dataclass(frozen=True)
class Case:
    """A generated answer that did not match, and what it should have been."""

    row: Row  # of the test set
    prediction: str  # "" where there was none
    refusal: str  # the sentence that declines
    index: TrainingIndex
    also: Sequence[str] = ()  # further sentences that decline
    near_miss_similarity: float = 0.8  # share of agreeing characters from which an answer counts as a slip
    mixup_max_subjects: int = 3  # with more holders than this a value is common and names no culprit

    @cached_property
    def said(self) -> str:
        """The prediction after SQuAD's normalization."""
        return normalize(self.prediction)

    @cached_property
    def accepted(self) -> tuple[str, ...]:
        """The references after SQuAD's normalization, empty ones left out."""
        return tuple(text for text in map(normalize, self.row.references) if text)

    @cached_property
    def question(self) -> str:
        """The question after SQuAD's normalization."""
        return normalize(self.row.question)

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """(subject, attribute) pairs that the question is about."""
        return self.index.keys(self.row, self.accepted)

    @cached_property
    def holders(self) -> tuple[str, ...]:
        """Other subjects for which the prediction would have been the right value."""
        return self.index.holders(self.keys, self.said)

    @cached_property
    def refused(self) -> bool:
        """Whether the model declined."""
        return is_refusal(self.prediction, self.refusal, self.also)


def quantities(text: str) -> tuple[tuple[float, str], ...]:
    """Numbers with the unit that follows them, in order; "" where none follows.

    A comma before exactly three digits groups thousands (1,200), any other comma is a decimal point (2,5).
    """
    return tuple((_number(digits), unit.lower()) for digits, unit in QUANTITY.findall(text))


def _number(digits: str) -> float:
    plain = digits.replace("\u2212", "-")
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    whole, _, fraction = plain.replace(",", ".").partition(".")
    return float(f"{whole}.{fraction.replace('.', '') or '0'}")


def skeleton(text: str) -> str:
    """The text with every quantity's number replaced by #: what is left when only the number is wrong."""
    return normalize(QUANTITY.sub(lambda found: f" number {found.group(2) or ''} ", text))
