"""One process of the benchmark: makes the material, or trains one stack once, so that its peak memory is its own.

    python -m training.worker JOB.json

Prints `step loss` after every step; writes its result as JSON where the job says.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any


def prepare(job: dict[str, Any]) -> dict[str, Any]:
    """Write the model and the rows; returns where they are and what a training needs to know of the device."""
    import torch

    from ftlib.core.device import available_bytes, describe
    from training import rows, shapes

    folder, shape = Path(job["folder"]), shapes.SHAPES[job["shape"]]
    machine, free = describe(), available_bytes()
    needed = shapes.memory_needed(shape._replace(batch_rows=job["batch_rows"]), machine.kind == "cuda")
    if free < needed:
        return {"too_small": f"--shape {job['shape']} needs about {needed / 2**30:.0f} GiB on this {machine.kind} "
                             f"device, {free / 2**30:.1f} GiB are free: take a smaller shape, fewer --rows-per-batch "
                             f"or a larger device"}  # fmt: skip
    disk = shutil.disk_usage(folder).free
    if job["shape"] != "demo" and disk < 2.2 * shape.parameters:
        return {"too_small": f"--shape {job['shape']} is written to {folder.parent}, which needs about "
                             f"{2.2 * shape.parameters / 2**30:.0f} GiB, {disk / 2**30:.1f} GiB are free: set TMPDIR "
                             f"to a larger place"}  # fmt: skip
    per_step = job["batch_rows"] * job["accumulation"]
    made = rows.generate(
        per_step * job["steps"], shape.prompt_tokens, shape.answer_tokens, shape.max_length, job["seed"], job["shared"]
    )
    lengths = [len(row["input_ids"]) for row in made]
    steps = rows.steps_of(lengths, job["batch_rows"], job["accumulation"], job["seed"])
    data = folder / "rows.json"
    data.write_text(json.dumps({"rows": made, "steps": steps}), encoding="utf-8")
    model = shapes.build(job["shape"], folder / "model", job["seed"])
    return {
        "model": str(model),
        "data": str(data),
        "dtype": machine.compute_dtype,
        "max_length": shape.max_length,
        "step_tokens": [sum(lengths[i] for i in step) for step in steps],
        "trained_tokens": sum(label != rows.IGNORED for row in made for label in row["labels"]),
        "device": f"{machine.name}, {machine.cores} cores, {torch.get_num_threads()} threads",
        "versions": machine.versions,
        "gflops": gemm_gflops(sum(lengths) // len(lengths) * job["batch_rows"], shape, machine.compute_dtype),
    }


def gemm_gflops(tokens: int, shape, dtype: str) -> float:
    """What this device's matrix products reach where they are largest: a micro-batch by a layer's widest weight.

    A frozen base of N weights takes 4 N operations a token, forward and for the inputs' gradients (2 N each).
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.ones(tokens, shape.hidden, dtype=getattr(torch, dtype), device=device)
    b = torch.ones(shape.hidden, shape.intermediate, dtype=a.dtype, device=device)
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(10):
            a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 10 * 2 * tokens * shape.hidden * shape.intermediate / min(seconds) / 1e9


def train(job: dict[str, Any]) -> dict[str, Any]:
    """Train the job's stack once; every step with its loss, gradient norm and seconds."""
    from ftlib.core.device import peak_device_bytes
    from training.stacks import STACKS, Skipped

    job |= json.loads(Path(job["data"]).read_text(encoding="utf-8"))
    steps: list[dict[str, float]] = []
    clock = time.perf_counter()

    def log(step: int, loss: float, grad_norm: float) -> None:
        nonlocal clock
        now = time.perf_counter()
        steps.append({"step": step, "loss": loss, "grad_norm": grad_norm, "seconds": now - clock})
        clock = now
        print(f"step {step} {loss:.4f}", flush=True)

    try:
        STACKS[job["stack"]](job, log)
    except Skipped as reason:
        return {"skipped": str(reason)}
    return {"steps": steps, "peak_memory_bytes": peak_device_bytes()}


def main() -> int:
    """Do the job named on the command line."""
    warnings.filterwarnings("ignore", category=FutureWarning)  # of one library about another; not what is measured
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    result = prepare(job) if job["kind"] == "prepare" else train(job)
    Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
