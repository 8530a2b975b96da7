"""Claim: the base model's structured start brings in-context lookup with a fraction of the tokens of a random start.

Trains both starts on the same first sequences of the corpus and prints the share of exact answers of each, and its
ratio. ``python benchmarks/base_model_start.py [--steps 200] [--out FILE]``; 200 steps take about 12 minutes on two
CPU cores. The tokenizer is the shipped one.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from transformers import PreTrainedTokenizerFast

from data.base_model import make
from data.base_model.architecture import build
from data.base_model.corpus import Corpus
from data.base_model.examine import scores
from data.base_model.pretraining import pretrain
from data.base_model.tokenizer import MAX_POSITIONS
from data.generator.reading import Reader
from ftlib.core import device


def trained(structured: bool, steps: int, folder: Path) -> dict:
    """Scores, tokens and the last logged loss and gradient norm after ``steps`` steps."""
    tokenizer, reader = PreTrainedTokenizerFast.from_pretrained(make.HERE), Reader()
    model = build(len(tokenizer), MAX_POSITIONS, make.SEED, structured=structured)
    corpus = Corpus(tokenizer, reader, make.STEPS * make.BATCH_ROWS, make.SEED)  # the curriculum of the whole training
    result = pretrain(
        model,
        corpus,
        folder,
        optimizer=make.optimizer(model),
        batch_rows=make.BATCH_ROWS,
        schedule=make.schedule(make.STEPS),
        total_steps=steps,
        seed=make.SEED,
        save_every_seconds=1e9,
        bf16=device.describe().bf16,
        compile=False,
    )
    last = json.loads(result.metrics_path.read_text(encoding="utf-8").splitlines()[-1])
    return {
        "start": "structured" if structured else "random",
        "steps": steps,
        "tokens": result.tokens,
        "loss": last["loss"],
        "grad_norm": last["grad_norm"],
        **scores(model.eval(), tokenizer, reader, 60),
    }


def main() -> None:
    """Trains both and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [trained(s, given.steps, Path(folder) / str(s)) for s in (True, False)]
    print(json.dumps(rows, indent=1))
    for key in ("em_lookup", "em_article", "em_articles", "em_recall"):
        structured, random = rows[0][key], rows[1][key]
        print(f"{key:12} structured {structured:.3f}  random {random:.3f}  ratio {structured / max(random, 1e-3):.1f}")
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
