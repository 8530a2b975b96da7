"""The ledger: every row that is changed or rejected, with its reason, so that nothing disappears silently."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

from ftlib.data.table import Judged
from ftlib.errors import UserError
from ftlib.rows import row_json

# What would have kept rows of a reason, where a setting decides.
_SETTINGS = {
    "overlong": "raise data.max_tokens",
    "language": "set data.language to the language of the rows, or to null to accept all",
    "contradiction": "set data.contradictions: keep",
    "near_duplicate": "raise data.near_duplicate_similarity",
    "unreadable": "mend the file",
    "malformed": "name the columns in data.columns",
}


class Ledger(AbstractContextManager):
    """Counts rows in, kept and rejected, and writes the rejected ones to a file (JSON lines) as they come.

    Attributes:
        rows_in: rows read, good and bad.
        rejected: rows by reason.
        changed: rows by what was mended in them.
    """

    def __init__(self, path: str | Path):
        self.rows_in = 0
        self.rejected: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self._file = Path(path).open("w", encoding="utf-8", newline="\n")  # noqa: SIM115 - closed by close()

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is buffered."""
        self._file.close()

    def reject(self, judged: Judged) -> None:
        """Notes that a row goes; its texts are written as they are, so personal data must be masked before."""
        entry, reason, detail = judged
        self.rejected[reason] += 1
        beside = {name: getattr(entry, name) for name in ("place", "changes", "pii")}
        record = {"id": entry.row.id, "reason": reason, "detail": detail} | row_json(entry.row) | beside
        self._file.write(json.dumps({k: v for k, v in record.items() if v}, ensure_ascii=False) + "\n")

    def losses(self) -> list[dict[str, Any]]:
        """Rows lost by reason, the most first, each with its share of all and the setting that decides."""
        return [
            {
                "reason": reason,
                "rows": rows,
                "share": round(rows / self.rows_in, 4),
                "change": _SETTINGS.get(reason, ""),
            }
            for reason, rows in self.rejected.most_common()
        ]

    def stop(self, after: str, expected: str) -> NoReturn:
        """Raises UserError: what was expected `after` a step is not there; it says what to do about the most lost."""
        to_do = "bring more rows or raise data.split.val_fraction"
        for reason, rows in self.rejected.most_common(1):
            change = _SETTINGS.get(reason, "look at these rows in the data")
            to_do = f"{rows} of {self.rows_in} rows were rejected as {reason}: {change}"
        found = f"none of {self.rows_in} rows in; rejected: {dict(self.rejected)}"
        raise UserError.of(f"data after {after}", expected, found, to_do)

    def balance(self, kept: int) -> None:
        """Asserts that rows in = kept (over all splits) + rejected."""
        self._file.flush()
        gone = sum(self.rejected.values())
        assert self.rows_in == kept + gone, f"{self.rows_in} rows in, but {kept} kept and {gone} rejected"
