"""The ledger: every row that is changed or rejected, with its reason, so that nothing disappears silently."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

_SHOWN = ("question", "context", "answer", "source", "product", "created", "place")


class Ledger:
    """Counts rows in, kept and rejected, and writes the rejected ones to a file as they come.

    Args:
        path: the file for rejected rows (JSON lines); an earlier one is replaced.

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

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is buffered."""
        self._file.close()

    def reject(self, row: dict[str, Any], reason: str, detail: str = "") -> None:
        """Notes that a row goes.

        Args:
            row: with its id; texts are written as they are, so personal data must be masked before.
            reason: one word that is counted.
            detail: what exactly was found, e.g. the id of the row that stays.
        """
        self.rejected[reason] += 1
        record = {"id": row["id"], "reason": reason, "detail": detail}
        record |= {name: row[name] for name in (*_SHOWN, "changes", "pii") if row.get(name)}
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def balance(self, kept: int) -> None:
        """Asserts that rows in = kept + rejected.

        Args:
            kept: rows that stay, over all splits.
        """
        self._file.flush()
        gone = sum(self.rejected.values())
        assert self.rows_in == kept + gone, f"{self.rows_in} rows in, but {kept} kept and {gone} rejected"
