"""Claim: answers come several times faster in batches, and faster again where prompts begin alike.

``python benchmarks/generate.py [--recipe R] [--prompts N]``: the recipe's base answers few-shot prompts (a beginning
that all share, then a question of its own) one at a time, in batches, and in batches whose shared beginning is read
once, in turns. Prints JSON: answers per second of each, the ratios, and the share of answers that are the same tokens.
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

from ftlib.core import generate as generating  # noqa: E402
from ftlib.core.load import load_base  # noqa: E402
from ftlib.data.peek import first_rows  # noqa: E402
from ftlib.data.prompts import Renderer  # noqa: E402
from ftlib.recipe import Recipe  # noqa: E402

WAYS = {"alone": (1, 10**9), "batched": (None, 10**9), "shared": (None, generating._SHARED_TOKENS)}


def prompts_of(recipe: Recipe, renderer: Renderer, count: int, examples: int) -> list[list[int]]:
    """Questions of the recipe's own data behind the same few answered ones."""
    rows = first_rows(recipe, renderer, 4 * (count + examples))[: count + examples]
    shown = [token for row in rows[:examples] for token in renderer.example(row).input_ids]
    return [[*shown, *renderer.prompt(row).ids] for row in rows[examples:]]


def timed(model, tokenizer, prompts: list[list[int]], way: str, recipe: Recipe, new: int) -> tuple[float, list[str]]:
    """Seconds, and the answers."""
    rows, generating._SHARED_TOKENS = WAYS[way]
    began = time.perf_counter()
    answers = generating.generate(
        model, tokenizer, prompts, max_new_tokens=new, batch_rows=rows or recipe.evaluate.batch_rows
    )
    return time.perf_counter() - began, [answer.text for answer in answers]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=ROOT / "data" / "recipes" / "demo.yaml")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--examples", type=int, default=8, help="answered questions that all prompts begin with")
    parser.add_argument("--new", type=int, default=16, help="tokens of an answer at most")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    recipe = Recipe.load(given.recipe)
    model, tokenizer = load_base(recipe)
    prompts = prompts_of(recipe, Renderer.of(recipe, tokenizer), given.prompts, given.examples)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    answers: dict[str, list[str]] = {}
    for turn in range(given.rounds):
        for way in list(WAYS) if turn % 2 else list(WAYS)[::-1]:
            took, answers[way] = timed(model, tokenizer, prompts, way, recipe, given.new)
            seconds[way].append(took)
    per_second = {way: len(prompts) / statistics.median(took) for way, took in seconds.items()}
    same = {
        f"{way}_same": sum(map(str.__eq__, answers[way], answers["alone"])) / len(prompts)
        for way in ("batched", "shared")
    }
    ratios = {f"{way}_ratio": per_second[way] / per_second["alone"] for way in ("batched", "shared")}
    tokens = statistics.mean(map(len, prompts))
    setting = {"dtype": str(model.dtype), "threads": torch.get_num_threads(), "prompt_tokens": tokens}
    print(json.dumps({**setting, **per_second, **ratios, **same}, indent=1))


if __name__ == "__main__":
    main()
