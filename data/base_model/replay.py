"""Writes replay.jsonl: articles from the generator that wrote the pretraining, none of the demo's or of holdout.jsonl.

    python data/base_model/replay.py

A little of what a model was pretrained on, shown while it is fine-tuned, keeps it from forgetting the rest
(`train.replay_path`). With a base of somebody else's, take any general text.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from data.base_model.make import others  # noqa: E402
from ftlib import jsonl  # noqa: E402

SEED, ARTICLES = "replay", 300


def articles() -> list[dict[str, str]]:
    """Texts with ids, the same on every machine."""
    reader = others()
    held_out = {line["text"] for line in jsonl.iterate(HERE / "holdout.jsonl")}
    rng, texts = Random(SEED), {}
    while len(texts) < ARTICLES:
        text = reader.sample(rng, "article").context
        if text not in held_out:
            texts.setdefault(text, len(texts))
    return [{"id": f"replay-{number:03}", "text": text} for text, number in texts.items()]


if __name__ == "__main__":
    print(jsonl.write(HERE / "replay.jsonl", articles()), "articles")
