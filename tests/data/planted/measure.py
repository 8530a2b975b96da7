"""What the room finds of planted defects, and what it does to sound look-alikes.

A person who has not read the detectors wrote the defects (`open_set`: read by those who mend the detectors; `held_out`:
never). Run as a script it prints the table: `python -m tests.data.planted.measure open_set`.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ftlib import jsonl
from ftlib.data.preparation import STEPS, Preparation
from ftlib.recipe import Recipe

ROOT = Path(__file__).parents[3]
MASKED = ("secret", "card", "iban", "email", "phone")
MENDED = ("mojibake", "html")
PAIRED = ("near_duplicate", "contradiction")


class Found(NamedTuple):
    """Of one kind: planted and found, sound look-alikes and those that something was found in."""

    planted: int
    found: int
    sound: int
    wrong: int
    missed: list[str]  # ids
    mistaken: list[str]

    @property
    def recall(self) -> float:
        """Share of the planted that was found."""
        return self.found / max(self.planted, 1)

    @property
    def precision(self) -> float:
        """Share of what was found that was planted, look-alikes counted."""
        return self.found / max(self.found + self.wrong, 1)


def measure(planted, folder: Path, tokenizer_dir: Path | str, **data: Any) -> dict[str, Found]:
    """Runs the room with its defaults (and `data` fields) over a planted set; kind -> what was found."""
    jsonl.write(folder / "train.jsonl", planted.train)
    jsonl.write(folder / "test.jsonl", planted.test)
    paths = {"path": str(folder / "train.jsonl"), "test_path": str(folder / "test.jsonl")}
    fields = {"max_tokens": 100_000, "leakage": "warn", **paths, **data}
    recipe = Recipe.model_validate({"name": "planted", "data": fields, "model": {"base": str(tokenizer_dir)}})
    with Preparation(recipe, folder / "out") as preparation:
        for step in STEPS:
            getattr(preparation, step)()
    texts, marks = _texts(folder / "out"), _marks(folder / "out")
    before = {row["id"]: _text(row) for row in planted.train}
    hits: dict[str, dict[bool, list[tuple[str, bool]]]] = defaultdict(lambda: {True: [], False: []})
    for plant in planted.plants:
        hits[plant.kind][plant.sound].append((plant.id, _is_hit(plant, before, texts, marks)))
    return {kind: _found(by_soundness) for kind, by_soundness in sorted(hits.items())}


def _found(hits: Mapping[bool, list[tuple[str, bool]]]) -> Found:
    planted, sound = hits[False], hits[True]
    missed, mistaken = [at for at, hit in planted if not hit], [at for at, hit in sound if hit]
    return Found(len(planted), len(planted) - len(missed), len(sound), len(mistaken), missed, mistaken)


def _is_hit(plant, before: Mapping[str, str], texts: Mapping[str, str], marks: Mapping[str, dict[str, set]]) -> bool:
    """Whether the room found (masked, mended, flagged or rejected) what a plant is of; of a sound one, did anything."""
    text, own = texts[plant.id], marks.get(plant.id, {})
    if plant.kind in MASKED:
        return plant.text not in text and (plant.sound or plant.text[-8:] not in text)
    if plant.kind in MENDED:
        if plant.sound:
            return (plant.text or before[plant.id]) not in text
        return plant.text not in text and _flat(plant.clean) in _flat(text)
    if plant.kind in PAIRED:
        checks = (plant.kind, "exact_duplicate") if plant.kind == "near_duplicate" else (plant.kind,)
        others = marks.get(plant.of, {})
        mine, theirs = (set().union(*(m.get(check, set()) for check in checks)) for m in (own, others))
        return plant.of in mine or plant.id in theirs or bool(mine & theirs)
    if plant.kind.startswith("leak_"):
        return any(plant.of in others for check, others in own.items() if check.startswith("leak_"))
    return plant.kind in own


def _flat(text: str) -> str:
    return " ".join(text.split())


def _text(row: Mapping[str, Any]) -> str:
    return "\n".join(str(row.get(part) or "") for part in ("question", "context", "answer"))


def _texts(out: Path) -> dict[str, str]:
    """What is left of every row, kept or rejected."""
    names = ("train", "val", "rejected")
    rows = (row for name in names for row in jsonl.iterate(out / f"{name}.jsonl"))
    said = ((row, [turn["content"] for turn in row.get("turns", ())]) for row in rows)
    return {row["id"]: "\n".join([*turns, row.get("context", ""), *row.get("references", ())]) for row, turns in said}


def _marks(out: Path) -> dict[str, dict[str, set[str]]]:
    """id -> check -> details (for pairs the ids of the other rows), of flagged and rejected rows."""
    marks: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, check in (("flagged", "check"), ("rejected", "reason")):
        for record in jsonl.iterate(out / f"{name}.jsonl"):
            marks[record["id"]][record[check]].add(str(record.get("detail", "")))
    return marks


def table(found: Mapping[str, Found]) -> str:
    """The figures as text, a line a kind."""
    lines = [f"{'kind':<18}{'planted':>8}{'recall':>8}{'sound':>8}{'wrong':>7}{'precision':>11}"]
    for kind, of in found.items():
        lines.append(f"{kind:<18}{of.planted:>8}{of.recall:>8.2f}{of.sound:>8}{of.wrong:>7}{of.precision:>11.2f}")
    return "\n".join(lines)


def main(
    name: str, material: str = str(ROOT.parent / "shared" / "material" / "data"), base: str = "data/base_model"
) -> None:
    """Prints the table of one planted set and writes what was missed beside it."""
    planted = importlib.import_module(f"tests.data.planted.{name}").make(material)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(planted, Path(folder), ROOT / "data" / "base_model")
    print(table(found))
    misses = {kind: {"missed": of.missed, "mistaken": of.mistaken} for kind, of in found.items()}
    print(json.dumps(misses, indent=1)) if "-v" in sys.argv else None


if __name__ == "__main__":
    main(sys.argv[1])
