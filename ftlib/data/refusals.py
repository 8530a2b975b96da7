"""Training rows whose answer is the refusal: how many there are, and which go where the recipe bounds their share.

A model that never sees a question declined declines none; one that sees too many declines what it knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ftlib.data.similar import digest, normal_form
from ftlib.rows import Row


def refuses(row: Row, refusal: str) -> bool:
    """Whether the row's answer is, or begins with, the agreed sentence (`prompt.refusal`); "" is nobody's."""
    sentence = normal_form(refusal)
    return bool(sentence) and f"{normal_form(row.answer)} ".startswith(f"{sentence} ")


def surplus(rows: Iterable[tuple[int, Row]], refusal: str, most: float, seed: int) -> list[int]:
    """Numbers of the refusing rows to leave out, so that refusals are at most the share `most` of the rows that stay.

    Which of all (number, row) go is decided by a hash of seed and id, so that neither order nor number of rows moves a
    choice.
    """
    hashed, others = [], 0
    for number, row in rows:
        if refuses(row, refusal):
            hashed.append((digest(str(seed), row.id), number))
        else:
            others += 1
    allowed = len(hashed) if most >= 1 else math.floor(most * others / (1 - most) + 1e-9)
    return sorted(number for _, number in sorted(hashed)[allowed:])
