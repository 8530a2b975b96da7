"""How good the detectors are, where somebody planted the defects and wrote down which: precision and recall.

Nothing here is read by a detector; it looks at what they decided afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftlib import jsonl

# detector -> kinds of planted defects that it is to find
_FINDS = {
    "html": {"html"},
    "mojibake": {"mojibake"},
    "exact_duplicate": {"exact_duplicate"},
    "near_duplicate": {"near_duplicate"},
    "duplicate": {"exact_duplicate", "near_duplicate"},
    "contradiction": {"contradiction"},
    "leak": {"leak_exact", "leak_near"},
    "pii": {"email", "phone", "card", "iban", "ip", "secret"},
    "email": {"email"},
    "phone": {"phone"},
    "card": {"card"},
    "iban": {"iban"},
    "ip": {"ip"},
    "secret": {"secret"},
    "empty": {"empty"},
    "truncated": {"truncated"},
    "overlong": {"overlong"},
    "language": {"wrong_language"},
    "boilerplate": {"boilerplate_only", "boilerplate_around"},
}
# A slip that normalization undoes (two question marks) makes a near copy an exact one: either name is right for it.
_ALSO_RIGHT = {
    "exact_duplicate": {"near_duplicate"},
    "near_duplicate": {"exact_duplicate"},
}


def read(path: str | Path) -> dict[str, list[dict[str, Any]]]:
    """The planted defects.

    Args:
        path: JSON lines of `{"id": ..., "defects": [{"kind": ..., ...}]}`.

    Returns:
        id -> defects.
    """
    return {row["id"]: row.get("defects", []) for row in jsonl.iterate(path)}


def flags(rows: Iterable[Mapping[str, Any]], rejected: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """What each detector said.

    Args:
        rows: all rows that were checked, with id, changes and pii.
        rejected: the rows of rejected.jsonl.

    Returns:
        detector -> ids.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for change in row.get("changes", ()):
            found[{"encoding": "mojibake"}.get(change, change)].add(row["id"])
        for kind in row.get("pii", ()):
            found[kind].add(row["id"])
            found["pii"].add(row["id"])
    for row in rejected:
        reason = row["reason"]
        found["leak" if reason.startswith("leak_") else reason].add(row["id"])
        if reason.endswith("_duplicate"):
            found["duplicate"].add(row["id"])
    return found


def score(planted: Mapping[str, list[dict[str, Any]]], found: Mapping[str, set[str]], copies: Mapping[str, str]):
    """Precision and recall of each detector whose defect was planted.

    A planted copy and its original are the same for a detector, so either of the two may be the one that it rejects,
    and it counts only if the pair is the planted pair.

    Args:
        planted: from `read`.
        found: from `flags`.
        copies: id of a rejected duplicate or contradiction -> id of the row that stays in its place.

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
        flagged = set(found.get(detector, ()))
        right_kinds = kinds | _ALSO_RIGHT.get(detector, set())
        also = set().union(*(found.get(other, set()) for other in _ALSO_RIGHT.get(detector, ())))
        copied = any(d["kind"] in right_kinds and "of" in d for defects in planted.values() for d in defects)
        if copied:
            right = {row for row in flagged if frozenset((row, copies.get(row, ""))) in pairs}
            reached = {row for row in flagged | also if frozenset((row, copies.get(row, ""))) in pairs}
            reached |= {copies[row] for row in reached}
        else:
            right, reached = flagged & targets, flagged
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
