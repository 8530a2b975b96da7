"""Questions about subjects that do not exist, to be declined: training questions with another name in them.

A model that is trained on what is known alone answers whatever it is asked (Zhang et al. 2024, R-Tuning, arXiv
2311.09677; Kang et al. 2024, arXiv 2403.05612), and one that meets the same few unknown names in every epoch learns
these names. So every epoch makes up its own. They have to be of the subjects' kind: a model that declines the Zores 23
need not decline the Apple 65. So a word of the language gives way to another one that is used about as often.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftlib.data.language import frequencies, spoken
from ftlib.data.refusals import refuses
from ftlib.errors import UserError
from ftlib.rows import Row, values

if TYPE_CHECKING:
    from ftlib.recipe import Recipe

_PART = re.compile(r"\d+|[^\W\d_]{3,}")  # what of a name is exchanged
_WORD = re.compile(r"[^\W\d_]{3,}")
_NEAR = 1.6  # ranks of frequency, up to so many times, that count as alike
_TRIES = 20  # for a name that nobody has


def unknown_questions(rows: Sequence[Row], epochs: int, recipe: Recipe) -> list[list[Row]]:
    """One list an epoch of questions about made-up subjects, `train.unknown_share` of the training rows in each.

    Where nearly all names of a subject's shape are taken (numbers of one digit, say) there are fewer.

    Args:
        rows: the training rows; used are questions that name their subject (`data.columns.subject`) and are answered.
        epochs: how many lists. recipe: its sections train, data and prompt, and its training seed.

    Raises:
        UserError: they are asked for, and no question names its subject.
    """
    count = round(recipe.train.unknown_share * len(rows))
    if not count:
        return [[] for _ in range(epochs)]
    column = recipe.data.columns.subject
    named = [(row, name) for row in rows if not refuses(row, recipe.prompt.refusal) and (name := _named(row, column))]
    if not named:
        field = f"train.unknown_share = {recipe.train.unknown_share:g}"
        wanted = "questions that name their subject word for word, in the column data.columns.subject"
        found = f"none in the column {column!r}" if column else "no such column named"
        raise UserError.of(field, wanted, found, "name the column, or set train.unknown_share: 0")
    language = spoken(recipe.data.language, (row.question for row in rows))
    names = _MadeUpNames(rows, {name for row in rows for name in values(row, column)}, language)
    parts = []
    for epoch in range(epochs):
        rng = random.Random(f"{recipe.training_seed} unknown {epoch}")
        chosen = [rng.choice(named) for _ in range(count)]
        renamed = [(row, name, names.like(name, rng)) for row, name in chosen]
        made = [row.asking(row.question.replace(name, other)) for row, name, other in renamed if other]
        answer = (recipe.prompt.refusal,)
        parts.append([row._replace(id=f"unknown-{epoch}-{at}", references=answer) for at, row in enumerate(made)])
    return parts


def _named(row: Row, column: str | None) -> str:
    """The subject's name as it stands in the question; "" where the question is not one by itself."""
    if row.history or row.context:
        return ""
    return next((name for name in values(row, column) if name in row.question and _PART.search(name)), "")


class _MadeUpNames:
    """Names of the same kind as given ones, of words that no training question has."""

    def __init__(self, rows: Sequence[Row], taken: set[str], language: str | None):
        self._taken, self._known = taken, {word for row in rows for word in _WORD.findall(row.question.lower())}
        self._words, self._spoken = sorted(self._known), list(frequencies(language)) if language else []
        self._rank = {word: rank for rank, word in enumerate(self._spoken)}

    def like(self, name: str, rng: random.Random) -> str | None:
        """The name with one or more of its parts exchanged: none may be told by one part alone; None: all are taken."""
        parts = [part.span() for part in _PART.finditer(name)]
        for _ in range(_TRIES):
            made = name
            for start, end in sorted(rng.sample(parts, rng.randint(1, len(parts))), reverse=True):
                made = made[:start] + self._other(name[start:end], rng) + made[end:]
            if made not in self._taken:
                return made
        return None

    def _other(self, part: str, rng: random.Random) -> str:
        if part.isdigit():  # as many digits
            return "".join(rng.choice("123456789") for _ in part)
        words = (self._word(part.lower(), rng) for _ in range(_TRIES))
        made = next((word for word in words if word not in self._known), part)
        return made.upper() if part.isupper() else made.capitalize() if part[0].isupper() else made

    def _word(self, word: str, rng: random.Random) -> str:
        """One about as frequent; for one that no list has, the head of a known word and the tail of another."""
        if word in self._rank:
            rank = self._rank[word] + 1
            found = self._spoken[int(rank / _NEAR) : int(rank * _NEAR) + 1]
            return rng.choice(found)
        head, tail = rng.choice(self._words), rng.choice(self._words)
        return (head[: (len(head) + 1) // 2] + tail[len(tail) // 2 :])[: len(word) + 3]  # without spaces a word is long
