"""Claim: on a CPU, rows of up to 512 tokens train faster with plain attention than with PyTorch's fused one.

``python benchmarks/attention.py [--recipe R] [--lengths ...]``: both on the same batches, in turns, the median of each.
Prints a JSON list of ``{length, rows, eager_tokens_per_second, sdpa_tokens_per_second, ratio, loss_difference}``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from ftlib.core.batches import PaddingCollator  # noqa: E402
from ftlib.core.load import load_base  # noqa: E402
from ftlib.core.lora import add_lora  # noqa: E402
from ftlib.core.loss import summed_loss  # noqa: E402
from ftlib.recipe import Recipe  # noqa: E402

KINDS = ("eager", "sdpa")
ANSWER = 8  # labelled tokens of a row


def step(model, batch) -> tuple[float, float]:
    """Seconds and loss of one forward and backward pass."""
    began = time.perf_counter()
    with torch.autocast(model.device.type, model.dtype, enabled=model.dtype == torch.bfloat16):
        loss = summed_loss(model, batch)
    loss.backward()
    model.zero_grad()
    return time.perf_counter() - began, loss.item() / len(batch["targets"])


def compare(recipe: Recipe, length: int, tokens: int, rounds: int) -> dict[str, float]:
    """One line of the list: the same batch through both, alternating."""
    rows = max(1, tokens // length)
    models = {}
    for kind in KINDS:
        chosen = recipe.model_copy(update={"model": recipe.model.model_copy(update={"attention": kind})})
        base, tokenizer = load_base(chosen)
        models[kind] = add_lora(base, recipe.lora, recipe.seed).train()
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(10, base.config.vocab_size, (rows, length), generator=generator).tolist()
    batch = PaddingCollator(tokenizer.pad_token_id)(
        [{"input_ids": row, "labels": [-100] * (length - ANSWER) + row[-ANSWER:]} for row in ids]
    )
    measured = {kind: [] for kind in KINDS}
    for turn in range(rounds + 1):
        for kind in KINDS if turn % 2 else KINDS[::-1]:
            measured[kind].append(step(models[kind], batch))
    seconds = {kind: statistics.median(s for s, _ in measured[kind][1:]) for kind in KINDS}  # the first warms up
    found = {f"{kind}_tokens_per_second": round(rows * length / seconds[kind]) for kind in KINDS}
    difference = abs(measured["eager"][0][1] - measured["sdpa"][0][1])
    ratio = round(seconds["sdpa"] / seconds["eager"], 2)
    return {"length": length, "rows": rows, **found, "ratio": ratio, "loss_difference": difference}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=ROOT / "data" / "recipes" / "demo.yaml")
    parser.add_argument("--lengths", type=int, nargs="+", default=[24, 64, 128, 256, 512, 1024])
    parser.add_argument("--tokens", type=int, default=1024, help="of a batch (default: 1024)")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    recipe = Recipe.load(given.recipe)
    print(json.dumps([compare(recipe, length, given.tokens, given.rounds) for length in given.lengths], indent=1))


if __name__ == "__main__":
    main()
