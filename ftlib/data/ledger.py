"""The ledger: every row that is changed, flagged or rejected, with its reason: nothing disappears silently."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

from ftlib.data.table import Judged
from ftlib.errors import UserError
from ftlib.rows import Row, row_json

_EXCERPT = 400  # characters of a flagged text that are written down
_EXAMPLES = 5

# What would have kept rows of a reason, where a setting decides.
_SETTINGS = {
    "overlong": "raise data.max_tokens",
    "language": "set data.language to the language of the rows, or to null to accept all",
    "unreadable": "mend the file",
    "refusal": "raise data.refusal_share",
    "review": "people dropped them: see data.decisions_path",
    "malformed": "name the columns in data.columns",
    "empty": "write the missing question or answer; where it stands in another column, name that in data.columns",
}

_CHECKS = ("truncated", "boilerplate", "exact_duplicate", "near_duplicate", "contradiction")  # whose level says it
_KEEPING = {check: f"data.checks.{check}: flag keeps them" for check in _CHECKS} | _SETTINGS
_CHANGES = {
    "language": "set data.language, or data.checks.language: off",
    "leak_context": "name the passage's column in data.split.group_by to keep it on one side",
} | {check: f"data.checks.{check}: reject takes them out" for check in (*_CHECKS, "empty")}


class Ledger(AbstractContextManager):
    """Counts rows in, kept, flagged and rejected.

    As they come, rejected rows are written whole to rejected.jsonl in its folder, and each flag to flagged.jsonl (id,
    check, detail, and how question and answer begin).

    Attributes:
        rows_in: rows read, good and bad.
        rejected: rows by reason.
        flagged: rows by check.
        changed: rows by what was mended in them.
        examples: the first few flags of each check, as they are written.
    """

    def __init__(self, folder: str | Path):
        self.rows_in = 0
        self.rejected: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.examples: dict[str, list[dict[str, str]]] = {}
        self._file, self._flags = (
            (Path(folder) / name).open("w", encoding="utf-8", newline="\n")
            for name in ("rejected.jsonl", "flagged.jsonl")
        )

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is buffered."""
        self._file.close()
        self._flags.close()

    def flag(self, row: Row, found: Sequence[tuple[str, str]]) -> None:
        """Notes what checks found in a row that stays: (check, detail) pairs."""
        for check, detail in found:
            self.flagged[check] += 1
            said = {"question": row.question[:_EXCERPT], "answer": row.answer[:_EXCERPT]}
            record = {"id": row.id, "check": check, "detail": detail} | said
            self._flags.write(json.dumps(record, ensure_ascii=False) + "\n")
            if len(examples := self.examples.setdefault(check, [])) < _EXAMPLES:
                examples.append(record)

    def reject(self, judged: Judged) -> None:
        """Notes that a row goes; its texts are written as they are, so personal data must be masked before."""
        entry, reason, detail, _ = judged
        self.rejected[reason] += 1
        beside = {name: getattr(entry, name) for name in ("place", "changes", "pii")}
        record = {"id": entry.row.id, "reason": reason, "detail": detail} | row_json(entry.row) | beside
        self._file.write(json.dumps({k: v for k, v in record.items() if v}, ensure_ascii=False) + "\n")

    def losses(self) -> list[dict[str, Any]]:
        """Rows lost by reason, the most first, each with its share of all and the setting that decides."""
        return [
            {"reason": reason, "rows": n, "share": round(n / self.rows_in, 4), "change": _KEEPING.get(reason, "")}
            for reason, n in self.rejected.most_common()
        ]

    def flags(self) -> list[dict[str, Any]]:
        """Rows flagged by check, the most first, each with its share of all."""
        return [
            {"reason": check, "flagged": n, "share": round(n / self.rows_in, 4), "change": _CHANGES.get(check, "")}
            for check, n in self.flagged.most_common()
        ]

    def advice(self, max_tokens: int, tokens: Sequence[int]) -> list[str]:
        """What each setting that rejected rows has cost, a line each; `tokens` are those of every over-long row."""
        lines = [
            f"{rows:,} of {self.rows_in:,} rows lost as {reason}: {_SETTINGS[reason]}"
            for reason, rows in self.rejected.most_common()
            if reason in _SETTINGS and reason != "overlong"
        ]
        if tokens:
            longest, spared = sorted(tokens, reverse=True), int(0.05 * self.rows_in)
            keeps = f"{_rounded(longest[0]):,} keeps all"
            if spared < len(longest):
                keeps = f"{_rounded(longest[spared]):,} keeps 95 %, {keeps}"
            lost = f"{len(tokens):,} of {self.rows_in:,} rows lost to data.max_tokens: {max_tokens:,}"
            lines.insert(0, f"{lost}; {keeps}")
        return lines

    def stop(self, after: str, expected: str) -> NoReturn:
        """Raises UserError: what was expected `after` a step is not there; it says what to do about the most lost."""
        to_do = "bring more rows or change data.split (val_fraction, group_by, val_from, test_from)"
        for reason, rows in self.rejected.most_common(1):
            leaked = "they stand in data.test_path or data.decontaminate too"
            change = _SETTINGS.get(reason, leaked if reason.startswith("leak") else "look at these rows in the data")
            to_do = f"{rows} of {self.rows_in} rows were rejected as {reason}: {change}"
        found = f"none of {self.rows_in} rows in; rejected: {dict(self.rejected)}"
        raise UserError.of(f"data after {after}", expected, found, to_do)

    def balance(self, kept: int) -> None:
        """Asserts that rows in = kept (over all splits) + rejected."""
        self._file.flush()
        self._flags.flush()
        gone = sum(self.rejected.values())
        assert self.rows_in == kept + gone, f"{self.rows_in} rows in, but {kept} kept and {gone} rejected"


def _rounded(tokens: int) -> int:
    """Up to the next multiple of 64."""
    return -(-tokens // 64) * 64
