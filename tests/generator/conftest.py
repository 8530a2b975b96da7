"""One export of the demo company for all tests of this folder."""

from pathlib import Path
from typing import NamedTuple

import pytest

from data.generator.demo import Demo
from data.generator.export import export
from ftlib import jsonl

SEED = 20


class Exported(NamedTuple):
    """The written files, read again; ``raw`` holds (id, question, context, answer) of every answer."""

    folder: Path
    counts: dict[str, int]
    raw: list[tuple[str, str, str, str]]
    truth: dict[str, dict]
    test: list[dict]
    updates: list[dict]


@pytest.fixture(scope="session")
def demo() -> Demo:
    return Demo.sample(SEED)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("company")
    counts = export(folder, SEED)
    raw = [(r["id"], r["instruction"], r["input"], r["output"]) for r in jsonl.read(folder / "raw" / "alpaca.jsonl")]
    for line in jsonl.read(folder / "raw" / "messages.jsonl"):
        said = [message["content"] for message in line["messages"]]
        for i in range(0, len(said), 2):
            raw.append((line["id"] if i == 0 else f"{line['id']}#{i // 2 + 1}", said[i], "", said[i + 1]))
    truth = {row["id"]: row for row in jsonl.read(folder / "truth.jsonl")}
    return Exported(folder, counts, raw, truth, jsonl.read(folder / "test.jsonl"), jsonl.read(folder / "updates.jsonl"))
