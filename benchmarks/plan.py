"""The memory that `ftlib plan` expects beside the memory that a training takes, each in a fresh process.

    python benchmarks/plan.py --base data/base_model --rows 16 --length 128 [-p train.activation_checkpointing=true]

prints expected and measured peak and their ratio: on a CPU of the process's main memory, on a GPU of the tensors.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = 4


def recipe_for(job: dict):
    """The recipe that is both planned and trained."""
    from ftlib.cli import parse_overrides
    from ftlib.recipe import Recipe

    fields = {"model.base": job["base"], "train.batch_rows": job["rows"], "train.max_length": job["length"]}
    fields |= {"train.replay_path": None, "train.replay_share": 0.0, "train.context.share": 0.0, "train.epochs": 1}
    return Recipe.load(ROOT / job["recipe"], fields | parse_overrides(job["overrides"]), root=ROOT)


def planned(job: dict) -> dict:
    """What the plan says, without the weights."""
    from ftlib.core.fit import plan_recipe
    from ftlib.core.memory import library_bytes

    started = time.perf_counter()
    found = plan_recipe(recipe_for(job), labelled=job["labelled"], libraries=library_bytes())
    return found.chosen.memory._asdict() | {
        "peak": found.chosen.memory.peak, "seconds": time.perf_counter() - started, "choice": found.chosen.name,
        "seconds_per_step": found.chosen.seconds}  # fmt: skip


def measured(job: dict) -> dict:
    """The peak of a short training on rows that all have the full length."""
    from ftlib.core.device import peak_device_bytes
    from ftlib.core.load import load_base
    from ftlib.core.lora import add_lora
    from ftlib.core.memory import library_bytes
    from ftlib.core.train import train

    recipe, before = recipe_for(job), library_bytes()
    model, tokenizer = load_base(recipe)
    model = add_lora(model, recipe.lora, recipe.training_seed)
    loaded = peak_device_bytes()
    masked = job["length"] - max(1, round(job["labelled"] * job["length"]))
    row = {"input_ids": [5] * job["length"], "labels": [-100] * masked + [5] * (job["length"] - masked)}
    rows = [row] * (job["rows"] * recipe.train.accumulation * STEPS)
    with tempfile.TemporaryDirectory() as folder:
        result = train(model, tokenizer, rows, [row], folder, recipe)
    seconds = result.seconds / result.steps
    return {"peak": peak_device_bytes(), "libraries": before, "loaded": loaded, "seconds_per_step": seconds}


def main() -> None:
    """Plan, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="data/base_model")
    parser.add_argument("--recipe", default="data/recipes/demo.yaml")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--labelled", type=float, default=0.1, help="share of the tokens that are trained")
    parser.add_argument("-p", dest="overrides", action="append", default=[], metavar="field=value")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job = json.loads(options.job)
        print("\n" + json.dumps((planned if job["what"] == "planned" else measured)(job)))
        return
    job = {name: getattr(options, name) for name in ("base", "recipe", "rows", "length", "labelled", "overrides")}
    found = {what: run_fresh(job | {"what": what}) for what in ("planned", "measured")}
    found["ratio"] = found["planned"]["peak"] / found["measured"]["peak"]
    for what in ("planned", "measured"):
        numbers = {k: f"{v / 2**20:,.0f} MiB" for k, v in found[what].items() if isinstance(v, int) and v > 2**10}
        print(what, numbers, f"{found[what]['seconds_per_step']:.3f} s a step")
    print(f"planned over measured: {found['ratio']:.3f}")
    if options.out:
        options.out.write_text(json.dumps(job | found, indent=2) + "\n", encoding="utf-8")


def run_fresh(job: dict) -> dict:
    """One half in a process of its own, whose memory is its own."""
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
