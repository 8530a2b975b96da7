"""Which row goes where: by a hash of its group, so that neither order nor number of rows moves a row.

A hash of (seed, group) is a fair coin that every row carries with it: adding rows never moves old ones, in contrast
to shuffling or to exact quotas per stratum. The price is that shares are met in expectation only; so the share that
each stratum got is reported with its interval.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from ftlib import rows as row_values
from ftlib.data.candidates import components
from ftlib.data.similar import digest
from ftlib.data.table import NAMES, TEST, TRAIN, VAL, each
from ftlib.errors import UserError
from ftlib.stats import wilson

_APART = "\x1f"  # between the keys of a row that belongs to several groups


def share(seed: int, salt: str, key: str) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    return digest(str(seed), salt, key) / 2**64


def side(seed: int, key: str, val_fraction: float, test_fraction: float) -> int:
    """TRAIN, VAL or TEST for a group `key`; the fractions are shares of groups, 0..1 (no test rows: 0)."""
    if share(seed, "test", key) < test_fraction:
        return TEST
    return VAL if share(seed, "val", key) < val_fraction else TRAIN


def assign(
    table, alive: np.ndarray, asking: np.ndarray, recipe, seed: int, test_from_file: bool, created: str | None = None
) -> np.ndarray:
    """The side of every row: int8 (n,) of TRAIN, VAL, TEST; -1 where it takes no part.

    Args:
        table: the working table. alive: bool (n,), rows that take part.
        asking: uint64 (n,), equal for rows that ask the same, so that no copy stands on the other side.
        recipe, seed: the recipe's `data.split`; of the hash.
        test_from_file: whether the test set is given, so that no row is taken for it.
        created: the dates' column, of a temporal split.

    Raises:
        UserError: a temporal split without dates.
    """
    keys = group_keys(table, asking)
    sides = np.full(len(table), -1, dtype=np.int8)
    test_fraction = 0.0 if test_from_file else recipe.test_fraction
    if recipe.method == "temporal":
        by_key = _temporal(table, alive, keys, recipe, test_fraction, created)
    else:
        rows = Counter(keys[row] for row in np.flatnonzero(alive))
        by_key = {key: side(seed, key, recipe.val_fraction, test_fraction) for key in rows}
        half = rows.total() / 2
        most = {key for key, count in rows.items() if count > half}
        by_key |= dict.fromkeys(most, TRAIN)  # else little would be left to train
        _fill_empty(by_key, most, seed, [(VAL, "val")] + [(TEST, "test")] * (test_fraction > 0))
    sides[alive] = [by_key[keys[row]] for row in np.flatnonzero(alive)]
    return sides


def _fill_empty(by_key: dict[str, int], most: set[str], seed: int, wanted: list[tuple[int, str]]) -> None:
    """Chance leaves a side of a very small data set empty; then the group nearest to its threshold goes there.

    `most` holds the key of the group that most rows belong to, if there is one; it stays.
    """
    for at, salt in wanted:
        train = [key for key, now in by_key.items() if now == TRAIN and key not in most]
        if at not in by_key.values() and train and len(train) + len(most) > 1:
            by_key[min(train, key=lambda key: share(seed, salt, key))] = at


def group_keys(table, asking: np.ndarray) -> list[str]:
    """The group of every row; rows that share any of their group values, directly or through others, have one key.

    What a row asks (`asking`, of `assign`) is such a value too, where it has no other or another row asks the same.
    """
    _, number, rows = np.unique(asking, return_inverse=True, return_counts=True)
    raw = []  # one text a row: a million tuples would be as large as the texts in them
    for entry, asked, others in zip(each(table, ["group"]), asking.tolist(), rows[number].tolist(), strict=True):
        keys = entry.row.group
        raw.append(_APART.join((*keys, f"{asked:016x}") if others > 1 or not keys else keys))
    if not any(_APART in key for key in raw):
        return raw
    keys = sorted({part for key in raw for part in key.split(_APART)})
    number = {key: at for at, key in enumerate(keys)}
    joined = [[number[part] for part in key.split(_APART)] for key in set(raw)]
    pairs = np.array([(first, other) for first, *others in joined for other in others], dtype=np.int64)
    labels = components(len(keys), pairs[:, 0], pairs[:, 1]).tolist()
    smallest = dict(zip(reversed(labels), reversed(keys), strict=True))
    return [smallest[labels[number[key.partition(_APART)[0]]]] for key in raw]


def _temporal(
    table, alive: np.ndarray, keys: list[str], recipe, test_fraction: float, created: str | None
) -> dict[str, int]:
    """The side of each group by the date of its newest row."""
    latest: dict[str, str] = defaultdict(str)
    for entry, key, use in zip(each(table, ["meta"]), keys, alive, strict=True):
        if use:
            latest[key] = max(latest[key], row_values.value(entry.row, created))
    dates = sorted(latest.values())
    if not dates or not dates[0]:
        wanted, found = "a date for every row in the column that data.columns.created names", sum(not d for d in dates)
        fix = "name the column in data.columns.created or use method: hash"
        raise UserError.of("data.split.method = temporal", wanted, f"{found} groups without one", fix)

    def quantile(q: float) -> str:
        return dates[min(len(dates) - 1, int(q * len(dates)))]

    test_from = recipe.test_from or quantile(1 - test_fraction)
    val_from = recipe.val_from or quantile(1 - test_fraction - recipe.val_fraction)
    return {k: TEST if test_fraction and d >= test_from else VAL if d >= val_from else TRAIN for k, d in latest.items()}


def strata(table, sides: np.ndarray, column: str) -> dict[str, Any]:
    """How each value of one of the owner's columns was shared out, as `assign` gave the sides.

    Returns:
        stratum -> {train, val, test, val_share, val_share_ci95 (Wilson)}.
    """
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for entry, at in zip(each(table, ["meta"]), sides.tolist(), strict=True):
        if at >= 0:
            counts[row_values.value(entry.row, column, row_values.NO_VALUE)][at] += 1
    report = {}
    for name, count in sorted(counts.items()):
        total = count[TRAIN] + count[VAL]
        low, high = wilson(count[VAL], total) if total else (0.0, 1.0)
        report[name] = {label: count[at] for at, label in enumerate(NAMES)} | {
            "val_share": round(count[VAL] / total, 4) if total else None,
            "val_share_ci95": [round(low, 4), round(high, 4)],
        }
    return report
