"""Data preparation at size: rows a second of every step, and whether a million rows fit into 3 GiB.

    python benchmarks/data_prep.py --rows 1000000

The rows are generated (about 1 kB each, with duplicates, HTML, mojibake, personal data and context), streamed to a
file, and prepared by the same steps as notebook 01. Prints one line a step and the peak memory of the process; exits
with 1 where the peak is above the limit.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from ftlib.data.preparation import STEPS, Preparation
from ftlib.recipe import Recipe

ROOT = Path(__file__).parents[1]
DATA = {"columns": {"created": "created"}, "split": {"group_by": "conversation"}}
LIMIT_BYTES = 3 * 2**30
WORDS = ("valve", "sensor", "cable", "housing", "battery", "display", "pump", "filter", "gateway", "bracket", "probe")
WORDS += ("switch", "relay", "motor", "lamp", "fuse", "frame", "cover", "screw", "plate", "ring", "seal", "spring")
WORDS += ("lever", "wheel", "shaft", "gear", "belt", "chain", "panel", "button", "knob", "dial", "scale", "gauge")
ATTRIBUTES = ("weight", "price", "colour", "range", "voltage", "warranty", "accuracy", "interface", "memory", "size")


def sentence(rng: random.Random, words: int) -> str:
    """A sentence of random nouns."""
    return " ".join(rng.choices(WORDS, k=words)).capitalize() + "."


def generate(path: Path, rows: int, seed: int = 0) -> None:
    """Writes `rows` rows as JSON lines; a tenth has a defect."""
    rng = random.Random(seed)
    before = ("", "", "")
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            subject = f"{rng.choice(WORDS).capitalize()} {rng.randrange(10**6)}"
            question = f"What is the {rng.choice(ATTRIBUTES)} of the {rng.choice(WORDS)} in the {subject}?"
            context = " ".join(sentence(rng, 20) for _ in range(4))
            answer = f"{sentence(rng, 18)} {rng.randrange(1000)} units. {sentence(rng, 18)}"
            kind = rng.random()
            if kind < 0.02:
                question = f"<p>{question}</p>"
            elif kind < 0.04:
                question = f"GrÃ¼ÃŸe! {question}"
            elif kind < 0.06:
                question = f"{question} Write to user{number}@example.com."
            elif kind < 0.08 and number:
                question, context, answer = before
            before = (question, context, answer)
            row = {
                "id": f"r{number}",
                "instruction": question,
                "input": context,
                "output": answer,
                "created": f"2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
                "conversation": f"c{number // 2}",
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> int:
    """Generates, prepares, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--base", type=Path, default=ROOT / "data" / "base_model", help="folder with a tokenizer")
    arguments = parser.parse_args()
    rows = arguments.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "rows.jsonl", rows)
        size = (folder / "rows.jsonl").stat().st_size
        recipe = Recipe.model_validate(
            {
                "name": "benchmark",
                "data": {"path": str(folder / "rows.jsonl"), "max_tokens": 2048, "leakage": "drop", **DATA},
                "model": {"base": str(arguments.base)},
            }
        )
        started = time.perf_counter()
        with Preparation(recipe, folder / "out") as preparation:
            for step in STEPS:
                getattr(preparation, step)()
            report = preparation.report
        seconds = time.perf_counter() - started
    for step, figure in report["rows_per_second"].items():
        print(f"{step:14} {figure['rows']:>9,} rows {figure['seconds']:>9.1f} s {figure['rows_per_second']:>9,} rows/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{rows:,} rows, {size / 2**20:,.0f} MiB: {seconds:,.1f} s, {rows / seconds:,.0f} rows/s over all steps")
    print(f"kept {report['rows']['kept']:,}, rejected {report['rows']['rejected']}")
    print(f"peak memory {peak / 2**30:.2f} GiB (limit {LIMIT_BYTES / 2**30:.0f} GiB)")
    return int(peak > LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
