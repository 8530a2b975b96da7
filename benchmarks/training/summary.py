"""From single trainings to one entry a stack: medians over the rounds, ratios within them, and agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

# Largest relative differences between stacks that compute the same. The gradient norm's is wide because TRL keeps a
# quantized model's adapter in bfloat16, which moved the norm by up to 5 % within eight steps of the demo shape.
TOLERANCE = {"loss": 0.02, "grad_norm": 0.1}


def throughput(run: Mapping[str, Any], step_tokens: Sequence[int], warmup: int) -> float:
    """Real (not padding) tokens a second over the steps behind the warm-up."""
    timed = [step for step in run["steps"] if step["step"] > warmup]
    return sum(step_tokens[step["step"] - 1] for step in timed) / sum(step["seconds"] for step in timed)


def summarize(runs: Mapping[str, Sequence[Mapping[str, Any]]], step_tokens: Sequence[int], warmup: int,
              reference: str = "recipe") -> list[dict[str, Any]]:  # fmt: skip
    """One entry for each stack.

    Args:
        runs: per stack its rounds, in order; a stack that was skipped has one round that says so.
        step_tokens: real tokens of each step. warmup: steps at the start that are not timed.
        reference: the stack that ratios are taken to, round by round.

    Returns:
        Entries with `stack`, `tokens_per_second` (median), `loss` and `grad_norm` at the last step,
        `peak_memory_bytes` (median), the rounds behind them and, where the reference ran, the ratio to it;
        or `stack` and `skipped`.
    """
    rates = {
        stack: [throughput(run, step_tokens, warmup) for run in rounds]
        for stack, rounds in runs.items()
        if "skipped" not in rounds[0]
    }
    return [
        _entry(stack, rounds, rates[stack], rates.get(reference, []), reference)
        if stack in rates
        else {"stack": stack, "skipped": rounds[0]["skipped"]}
        for stack, rounds in runs.items()
    ]


def _entry(stack: str, rounds, rates: list[float], reference_rates: list[float], reference: str) -> dict[str, Any]:
    last = rounds[0]["steps"][-1]
    entry = {
        "stack": stack,
        "tokens_per_second": median(rates),
        "loss": last["loss"],
        "grad_norm": last["grad_norm"],
        "peak_memory_bytes": int(median(run["peak_memory_bytes"] for run in rounds)),
        "tokens_per_second_rounds": rates,
        "steps": [{k: step[k] for k in ("step", "loss", "grad_norm")} for step in rounds[0]["steps"]],
    }
    if reference_rates:
        ratios = [rate / other for rate, other in zip(rates, reference_rates, strict=True)]
        entry["ratio_to"] = reference
        entry |= {"ratio": median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios)}
    return entry


def disagreement(entries: Sequence[Mapping[str, Any]], key: str) -> float:
    """Largest relative difference, over all steps, between the first stack and any other; key: loss or grad_norm."""
    ran = [entry for entry in entries if "steps" in entry]
    return max(
        (
            abs(one[key] - other[key]) / max(abs(one[key]), abs(other[key]), 1e-12)
            for entry in ran[1:]
            for one, other in zip(ran[0]["steps"], entry["steps"], strict=True)
        ),
        default=0.0,
    )


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The entries as lines of text."""
    lines = [
        f"{'stack':14} {'tokens/s':>10} {'ratio':>6} {'(range)':>14} {'loss':>8} {'grad norm':>10} {'peak MiB':>9} "
        f"{'of GEMM':>8}"
    ]
    for entry in entries:
        if "skipped" in entry:
            lines.append(f"{entry['stack']:14} skipped: {entry['skipped']}")
            continue
        ratio = f"{entry['ratio']:6.2f}" if "ratio" in entry else f"{'':6}"
        spread = f"({entry['ratio_lowest']:.2f}-{entry['ratio_highest']:.2f})" if "ratio" in entry else ""
        share = f"{entry['gemm_share']:8.0%}" if "gemm_share" in entry else ""
        lines.append(
            f"{entry['stack']:14} {entry['tokens_per_second']:10,.0f} {ratio} {spread:>14} {entry['loss']:8.4f} "
            f"{entry['grad_norm']:10.4f} {entry['peak_memory_bytes'] / 2**20:9,.0f} {share}"
        )
    return "\n".join(lines)
