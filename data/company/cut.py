"""Writes a part of the demo company's data, for models that take longer: ``python data/company/cut.py [--products 8]``.

It keeps the facts of the products that most test questions are about, and as many refusals about them, about the
company and about invented products; the knowledge base stays whole. The rows are those of the company's own files,
defects included, unchanged.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).resolve().parent
FACTS, REWORDED, NEVER_TRAINED, REFUSALS = "trained_fact", "reworded_fact", "untrained_fact", "unanswerable"


def cut(out: Path, products: int, refusals: int) -> dict[str, int]:
    """Writes raw/ and test.jsonl to `out`; the counts of their rows."""
    test = _read(HERE / "test.jsonl")
    slices = {line["id"]: line["slice"] for line in _read(HERE / "truth.jsonl")}
    asked = Counter(row["product"] for row in test if row["slice"] == FACTS)
    chosen = {name for name, _ in asked.most_common(products)}
    left_out = set(asked) - chosen

    def is_kept(row: dict, which: str) -> bool:
        if which in (FACTS, REWORDED):
            return row["product"] in chosen
        return which == REFUSALS and row["product"] not in left_out

    raw = {f"raw/{path.name}": _read(path) for path in sorted((HERE / "raw").glob("*.jsonl"))}
    kept = {name: [row for row in rows if is_kept(row, slices[row["id"]])] for name, rows in raw.items()}
    declined = [row for rows in kept.values() for row in rows if slices[row["id"]] == REFUSALS]
    few = {
        row["id"] for row in evenly(declined, refusals, lambda row: (row["product"] in chosen) - (not row["product"]))
    }
    files = {name: [r for r in rows if slices[r["id"]] == FACTS or r["id"] in few] for name, rows in kept.items()}
    files["test.jsonl"] = [row for row in test if row["slice"] == NEVER_TRAINED or is_kept(row, row["slice"])]
    return {name: _write(out / name, rows) for name, rows in files.items()}


def evenly(rows: Iterable[dict], count: int, kind: Callable[[dict], int]) -> list[dict]:
    """Up to `count` rows, one of each kind in turn, in the order of their ids' hashes."""
    kinds: dict[int, list[dict]] = {}
    for row in sorted(rows, key=lambda row: sha256(row["id"].encode()).hexdigest()):
        kinds.setdefault(kind(row), []).append(row)
    turns = ((place, which, row) for which, members in kinds.items() for place, row in enumerate(members))
    return [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])[:count]]


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _write(path: Path, rows: Iterable[dict]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def main() -> None:
    """Writes the files and prints what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=8, help="how many products (default: 8)")
    parser.add_argument("--refusals", type=int, default=210, help="how many refusals (default: 210)")
    parser.add_argument("--out", type=Path, default=HERE.parent / "company_cut", help="folder to write to")
    given = parser.parse_args()
    for name, count in cut(given.out, given.products, given.refusals).items():
        print(f"{name:<20}{count:>6,}")


if __name__ == "__main__":
    main()
