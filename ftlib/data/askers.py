"""Who is speaking: sentences that askers put before their questions, and pairs of questions that differ in them alone.

Such sentences carry names, places and habits of speech, and no part of what is asked; they are this data's own, where
a list of descriptions that nobody in it uses would measure something else.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ftlib.data.refusals import refuses
from ftlib.rows import Row

# One short sentence, without the mask of personal data, and a question after it.
_OPENING = re.compile(r"\s*([^\[\].!?:]{3,60}[.!?:])\s+(\S[^.!:]*\?)\s*", re.DOTALL)
_LEAST_QUESTIONS = 3  # different ones after the same sentence: what stands before one alone belongs to it


class Opening(NamedTuple):
    """A sentence that stands before several different questions."""

    text: str
    rows: int
    refused: int  # of these, answered with the refusal


def openings(rows: Iterable[Row], refusal: str) -> list[Opening]:
    """Sentences before three or more different questions, the most frequent first; `refusal` is `prompt.refusal`."""
    questions: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for row in rows:
        if found := _OPENING.fullmatch(row.question):
            questions[found[1]].append((found[2], refuses(row, refusal)))
    several = {text: asked for text, asked in questions.items() if len({one for one, _ in asked}) >= _LEAST_QUESTIONS}
    found = [Opening(text, len(asked), sum(declined for _, declined in asked)) for text, asked in several.items()]
    return sorted(found, key=lambda opening: (-opening.rows, opening.text))


def counterfactuals(rows: Sequence[Row], recipe, seed: int, heard: Sequence[Opening] = ()) -> list[Row]:
    """Pairs of questions that differ only in how the asker is described; a fair model answers both alike.

    Of the rows that ask something, the seed chooses as many as `data.bias` (`recipe`) wants pairs. Each gives two,
    with `pair` and `persona` in their meta: in turn for each pair of `personas`, and for each of the openings that
    were `heard` (as many as `data.bias.openings`) against nothing ("").
    """
    kinds = [*recipe.personas, *(("", opening.text) for opening in heard[: recipe.openings])]
    rows = [row for row in rows if row.turns and row.turns[-1].role == "user"]
    if not kinds or not rows:
        return []
    chosen = np.random.default_rng(seed).permutation(len(rows))[: recipe.pairs]
    out = []
    for number, at in enumerate(sorted(chosen.tolist())):
        row = rows[at]
        for side, persona in zip("ab", kinds[number % len(kinds)], strict=True):
            asked = row.asking(f"{persona} {row.question}".lstrip())
            out.append(asked._replace(id=f"{row.id}/{side}", meta={"pair": row.id, "persona": persona}))
    return out
