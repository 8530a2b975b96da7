"""The working table: checked rows in an Arrow file, and of each whether it is still in and on which side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ftlib.data import split
from ftlib.data.duplicates import fetch
from ftlib.data.ledger import Ledger
from ftlib.data.load import BATCH_ROWS, each
from ftlib.recipe import UserError

_SHOWN = ("id", "question", "answer", "created")


class Rows:
    """Checked rows on their way through the later steps.

    Args:
        table: ``datasets.Dataset``, see :func:`ftlib.data.checks.checked_schema`.
        ledger: where rejected rows are noted.

    Attributes:
        alive: bool (n,), which rows are still in.
        sides: int8 (n,), split.TRAIN, VAL, TEST; -1 before the split and for rows that are out.
    """

    def __init__(self, table, ledger: Ledger):
        self.table, self._ledger = table, ledger
        self.alive = np.ones(len(table), dtype=bool)
        self.sides = np.full(len(table), -1, dtype=np.int8)

    def __len__(self) -> int:
        return len(self.table)

    def reject(self, verdicts: Mapping[int, tuple[str, str]]) -> None:
        """Takes rows out and notes why; a row that is out already stays so.

        Args:
            verdicts: row number -> (reason, detail).
        """
        numbers = [number for number in sorted(verdicts) if self.alive[number]]
        for start in range(0, len(numbers), BATCH_ROWS):
            block = numbers[start : start + BATCH_ROWS]
            for number, row in fetch(self.table, block, self.table.column_names).items():
                self._ledger.reject(row, *verdicts[number])
        self.alive[numbers] = False
        self.sides[numbers] = -1

    def on(self, side: int, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Rows of one side, in order.

        Args:
            side: split.TRAIN, VAL or TEST.
            columns: only these, or all if None.
        """
        for row, at in zip(each(self.table, columns), self.sides.tolist(), strict=True):
            if at == side:
                yield row

    def count(self, side: int) -> int:
        """Number of rows of one side."""
        return int((self.sides == side).sum())

    def shown(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Id, question, answer and date of some rows, for reports."""
        rows = fetch(self.table, numbers, _SHOWN)
        return [rows[int(number)] for number in numbers]

    def require(self, after: str) -> None:
        """Stops where nothing is left to train or to validate with.

        Args:
            after: the step that has just been taken, for the message.

        Raises:
            UserError: no row for training or none for validation.
        """
        for at, name in ((split.TRAIN, "training"), (split.VAL, "validation")):
            if not self.count(at):
                raise UserError.of(
                    f"data after {after}",
                    f"at least one row for {name}",
                    f"none of {self._ledger.rows_in} rows in; rejected: {dict(self._ledger.rejected)}",
                    "look at rejected.jsonl's reasons; bring more rows or raise data.split.val_fraction",
                )
