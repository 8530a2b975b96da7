"""How good the detectors are, where somebody planted the defects and wrote down which: precision and recall.

Nothing here is read by a detector; it looks at what they decided afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from ftlib import jsonl
from ftlib.data.table import Entry
from ftlib.errors import UserError

_PII = ("email", "phone", "card", "iban", "ip", "secret")
_DETECTORS = ("html", "mojibake", "exact_duplicate", "near_duplicate", "duplicate", "contradiction", "leak", "pii")
_DETECTORS += (*_PII, "empty", "truncated", "overlong", "language", "boilerplate")
# detector -> kinds of planted defects that it is to find
_FINDS = {name: {name} for name in _DETECTORS} | {
    "duplicate": {"exact_duplicate", "near_duplicate"},
    "leak": {"leak_exact", "leak_near"},
    "pii": set(_PII),
    "language": {"wrong_language"},
    "boilerplate": {"boilerplate_only", "boilerplate_around"},
}
# A slip that normalization undoes (two question marks) makes a near copy an exact one: either name is right for it.
_ALSO_RIGHT = {"exact_duplicate": {"near_duplicate"}, "near_duplicate": {"exact_duplicate"}}


def detectors(
    path: str | Path, entries: Iterable[Entry], folder: Path, copies: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Precision and recall of each detector, as `score` has them, once all rows are judged.

    Args:
        path: JSON lines of the planted defects, see `read`.
        entries: those that passed the checks, with `changes` and `pii`.
        folder: where the ledger's rejected.jsonl lies, closed.
        copies: ids of rejected copies -> ids that stay in their place.
    """
    rejected = jsonl.read(folder / "rejected.jsonl")
    checked = ({"id": entry.row.id, "changes": entry.changes, "pii": entry.pii} for entry in entries)
    return score(read(path), flags(chain(checked, rejected), rejected), copies)


def read(path: str | Path) -> dict[str, list[dict[str, Any]]]:
    """The planted defects by id, of JSON lines of `{"id": ..., "defects": [{"kind": ..., ...}]}`."""
    field, wanted = f"data.truth_path = {path}", 'JSON lines of {"id": ..., "defects": [...]}'
    found = list(jsonl.iterate(path)) if Path(path).is_file() else []
    if not found or not all("id" in row for row in found):
        raise UserError.of(field, wanted, "a line without id" if found else "no line", "correct the field or the file")
    return {row["id"]: row.get("defects", []) for row in found}


def flags(rows: Iterable[Mapping[str, Any]], rejected: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """detector -> ids: by all rows that were checked (id, changes, pii), and by those of rejected.jsonl."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        kinds = row.get("pii", ())
        for name in (*row.get("changes", ()), *kinds, *(["pii"] if kinds else [])):
            found["mojibake" if name == "encoding" else name].add(row["id"])
    for row in rejected:
        reason = row["reason"]
        copied = ["duplicate"] if reason.endswith("_duplicate") else []
        for name in ("leak" if reason.startswith("leak_") else reason, *copied):
            found[name].add(row["id"])
    return found


def score(
    planted: Mapping[str, list[dict[str, Any]]], found: Mapping[str, set[str]], copies: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Precision and recall of each detector whose defect was `planted` (from `read`), by what `flags` found.

    A planted copy and its original are the same for a detector, so either of the two may be the one that it rejects,
    and it counts only if the pair is the planted pair; `copies` are rejected ids -> ids that stay in their place.

    Returns:
        detector -> {precision, recall, n (planted), found, missed: ids, wrong: ids}; precision is None where nothing
        was found. An exact copy that is named near (or the reverse) is right for precision and, for recall, found.
    """
    of = {row: str(d["of"]) for row, defects in planted.items() for d in defects if "of" in d}
    pairs = {frozenset(pair) for pair in of.items()}
    pairs |= {frozenset((a, b)) for a in of for b in of if a != b and of[a] == of[b]}
    out = {}
    for detector, kinds in _FINDS.items():
        targets = {row for row, defects in planted.items() if any(d["kind"] in kinds for d in defects)}
        if not targets:
            continue
        also = _ALSO_RIGHT.get(detector, set())
        flagged = set(found.get(detector, ()))
        right, reached = flagged & targets, flagged
        if any(d["kind"] in kinds | also and "of" in d for defects in planted.values() for d in defects):
            named = flagged.union(*(found.get(other, ()) for other in also))
            paired = {row for row in named if frozenset((row, copies.get(row, ""))) in pairs}
            right, reached = flagged & paired, paired | {copies[row] for row in paired}
        missed, wrong = sorted(targets - reached), sorted(flagged - right)
        out[detector] = {
            "precision": round(len(right) / len(flagged), 4) if flagged else None,
            "recall": round(1 - len(missed) / len(targets), 4),
            "n": len(targets),
            "found": len(flagged),
            "missed": missed[:20],
            "wrong": wrong[:20],
        }
    return out
