"""All rows as loaded, judged: what the checks say of each, what people decided about it, and which rows stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.data.checks import Checker, Overhead, template_overhead, token_counter
from ftlib.data.habits import Habits
from ftlib.data.ledger import Ledger
from ftlib.data.pool import mapped
from ftlib.data.reviewed import Decided, follow
from ftlib.data.table import Entry, Judged, Watch, each, write_entries
from ftlib.data.tokens import load_tokenizer


class Judgement(NamedTuple):
    """What `judge_rows` found; how many rows it mended, flagged and rejected stands in its ledger."""

    table: Any  # a `datasets.Dataset` of the rows that stay, mended
    pii: Counter[str]  # rows by kind of personal data, every kind that is looked for
    followed: Counter[str]  # decisions by what became of them
    overlong: list[int]  # tokens of the rows that have too many


def judging(data, usual: Habits, model, overhead: Overhead) -> Callable[[list[Entry]], tuple[list[Judged], list[int]]]:
    """A function from entries to what `Checker.judged` says of them, and how many tokens the over-long ones have.

    `data` and `model`, whose tokenizer counts, are the recipe's sections.
    """
    checker = Checker(data, usual, token_counter(load_tokenizer(model)), overhead)

    def judged(entries: list[Entry]) -> tuple[list[Judged], list[int]]:
        before = len(checker.tokens)
        return list(checker.judged(entries)), checker.tokens[before:]

    return judged


def judge_rows(
    raw, usual: Habits, recipe, renderer, decisions: Mapping[str, Decided], ledger: Ledger, file: Path, watch: Watch
) -> Judgement:
    """Mends, masks and checks every row, follows what was decided about it, and writes those that stay.

    Args:
        raw: the rows as loaded, a table of `ftlib.data.table`.
        usual: what `learn_habits` found in them.
        recipe: whose `data` says what is checked, and whose `model` counts tokens.
        renderer: of the prompt, whose template adds tokens.
        decisions: by the id of their row.
        ledger: notes each row that is changed, flagged or rejected.
        file: the Arrow file to write.
        watch: shows how far it is.

    Returns:
        The rows that stay, and counts.

    Raises:
        UserError: `data.language` is no language code that the detector knows.
    """
    make = partial(judging, recipe.data, usual, recipe.model, template_overhead(renderer))
    pii, followed, overlong = Counter(dict.fromkeys(recipe.data.pii.kinds, 0)), Counter(), []

    def staying() -> Iterator[Entry]:
        for batch, tokens in mapped(make, watch(each(raw)), len(raw)):
            overlong.extend(tokens)
            for found in batch:
                one, done = follow(found, decisions)
                followed.update([done] * bool(done))
                ledger.changed.update(one.entry.changes)
                pii.update(one.entry.pii)
                if one.reason:
                    ledger.reject(one)
                else:
                    ledger.flag(one.entry.row, one.flags)
                    yield one.entry

    return Judgement(write_entries(staying(), file), pii, followed, overlong)
