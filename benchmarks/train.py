"""QLoRA training speed: this project beside what people write from the tutorials, beside TRL and Unsloth.

    python benchmarks/train.py --shape demo --stacks ftlib,recipe,plain,trl --out FILE

Every stack trains the same NF4 base with the same adapter on the same rows with the same optimizer, each in a process
of its own, in turns over several rounds. Loss and gradient norm are recorded at every step: stacks that compute the
same thing agree. FILE gets a JSON list of `{stack, tokens_per_second, loss, grad_norm, peak_memory_bytes, ...}`,
`{stack, skipped}` for a stack that cannot run here. Tokens are real ones, padding and warm-up steps not counted.
Exits with 1 where a stack fails or the stacks disagree, with 2 where the device is too small for the shape.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from training.shapes import ROOT, SHAPES
from training.summary import TOLERANCE, disagreement, summarize, table

from ftlib.progress import progress

STACKS = ("ftlib", "ftlib-compiled", "recipe", "plain", "trl", "unsloth")


class Failed(Exception):
    """A process of the benchmark ended with an error; its last words."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, with the shape's defaults filled in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="demo")
    parser.add_argument("--stacks", default="ftlib,recipe,plain,trl", help=f"of {', '.join(STACKS)}")
    parser.add_argument("--out", type=Path, help="the JSON file (default: benchmarks/results/train_<shape>.json)")
    parser.add_argument("--steps", type=int, help="optimizer steps of one training")
    parser.add_argument("--warmup", type=int, help="steps at the start that are not timed (default: a sixth)")
    parser.add_argument("--rounds", type=int, help="trainings of each stack, in turns")
    parser.add_argument("--rows-per-batch", type=int, help="rows per micro-batch")
    parser.add_argument("--shared", type=int, default=0, help="tokens that all rows begin with, as a system prompt")
    parser.add_argument("--accumulation", type=int, default=4, help="micro-batches per step")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="processor threads")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    shape = SHAPES[options.shape]
    options.stacks = list(dict.fromkeys(options.stacks.split(",")))
    if unknown := set(options.stacks) - set(STACKS):
        parser.error(f"--stacks: expected names of {', '.join(STACKS)}, got {', '.join(sorted(unknown))}")
    options.steps = options.steps or shape.steps
    options.rounds = options.rounds or shape.rounds
    options.rows_per_batch = options.rows_per_batch or shape.batch_rows
    options.warmup = max(1, options.steps // 6) if options.warmup is None else options.warmup
    if not 0 <= options.warmup < options.steps:
        parser.error(f"--warmup: expected fewer than the {options.steps} steps, got {options.warmup}")
    options.out = options.out or ROOT / "benchmarks" / "results" / f"train_{options.shape}.json"
    return options


def work(job: dict[str, Any], folder: Path, threads: int, description: str) -> dict[str, Any]:
    """Run one job in a process of its own and show its steps.

    Raises:
        Failed: it ended with an error.
    """
    file, result = folder / "job.json", folder / "result.json"
    file.write_text(json.dumps(job | {"result": str(result)}), encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(ROOT / "benchmarks"), str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
                                "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}  # fmt: skip
    errors = folder / "errors.txt"
    with errors.open("w") as words, progress(total=job.get("steps"), desc=description, interactive=False) as bar:
        process = subprocess.Popen([sys.executable, "-m", "training.worker", str(file)], env=environment, text=True,
                                   stdout=subprocess.PIPE, stderr=words)  # fmt: skip
        for line in process.stdout:
            if line.startswith("step "):
                bar.set_postfix({"loss": line.split()[2]})
                bar.update(1)
    if process.wait() != 0:
        raise Failed(f"{description}: exit code {process.returncode}\n{errors.read_text()[-3000:]}")
    return json.loads(result.read_text(encoding="utf-8"))


def measure(options: argparse.Namespace, job: dict[str, Any], folder: Path) -> dict[str, list[dict]]:
    """All rounds of all stacks in turns; each round begins with another stack."""
    runs: dict[str, list[dict]] = {stack: [] for stack in options.stacks}
    for number in range(options.rounds):
        turn = number % len(options.stacks)
        for stack in options.stacks[turn:] + options.stacks[:turn]:
            if runs[stack] and "skipped" in runs[stack][0]:
                continue
            description = f"round {number + 1} of {options.rounds}, {stack}"
            runs[stack].append(work(job | {"kind": "train", "stack": stack}, folder, options.threads, description))
    return runs


def main() -> int:
    """Prepare, measure, print, write."""
    options = parse()
    job = {"shape": options.shape, "steps": options.steps, "batch_rows": options.rows_per_batch, "seed": options.seed,
           "shared": options.shared, "accumulation": options.accumulation, "r": 16, "alpha": 32,
           "learning_rate": 2e-4}  # fmt: skip
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            material = work(job | {"kind": "prepare", "folder": name}, folder, options.threads, "model and rows")
            if "too_small" in material:
                print(material["too_small"], file=sys.stderr)
                return 2
            print(f"{options.shape} on {material['device']}, {material['dtype']}: {options.steps} steps of "
                  f"{options.rows_per_batch} x {options.accumulation} rows, {sum(material['step_tokens']):,} tokens, "
                  f"{material['trained_tokens']:,} of them trained; {options.warmup} steps of warm-up")  # fmt: skip
            runs = measure(options, job | material, folder)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    entries = summarize(runs, material["step_tokens"], options.warmup)
    limit = material["gflops"] * 1e9 / (4 * SHAPES[options.shape].parameters)
    print(f"matrices multiply at {material['gflops']:,.0f} GFLOP/s: {limit:,.0f} tokens/s if nothing else took time")
    entries = [entry | ({"gemm_share": entry["tokens_per_second"] / limit} if "steps" in entry else {})
               for entry in entries]  # fmt: skip
    setting = {k: material[k] for k in ("device", "dtype", "versions", "gflops")} | {
        k: job[k] for k in ("shape", "steps", "batch_rows", "accumulation", "seed", "shared")}  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps([entry | {"setting": setting} for entry in entries], indent=1) + "\n")
    print(table(entries))
    return check_agreement(entries)


def check_agreement(entries: list[dict[str, Any]]) -> int:
    """Say how far the stacks are apart over all steps; 1 where that is too far for their speeds to be compared."""
    apart = {key: disagreement(entries, key) for key in TOLERANCE}
    print("largest difference between stacks over all steps: "
          + ", ".join(f"{key} {value:.2%} (allowed {TOLERANCE[key]:.0%})" for key, value in apart.items()))  # fmt: skip
    if differ := any(apart[key] > TOLERANCE[key] for key in apart):
        print("the stacks do not compute the same, so their speeds cannot be compared", file=sys.stderr)
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
