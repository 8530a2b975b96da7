"""The memory that `ftlib plan` expects beside the memory that a training takes, each in a fresh process.

    python benchmarks/plan.py --base data/base_model --rows 16 --length 128 [-p train.activation_checkpointing=true]
    python benchmarks/plan.py --base qwen2 --rows 8 --length 256 -p model.dtype=float32

prints expected and measured peak and their ratio, and the time of a step: on a CPU of the process's main memory, on a
GPU of the tensors. A base of `FAMILIES` is made on the spot, with random weights.
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
FAMILIES = {  # about 50 to 130 million parameters each
    "qwen2": {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 14, "num_attention_heads": 8,
              "num_key_value_heads": 2, "vocab_size": 60_000, "tie_word_embeddings": True},
    "gemma3_text": {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 4,
                    "num_key_value_heads": 1, "head_dim": 128, "vocab_size": 100_000},
    "gpt2": {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50_257},
    "t5": {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "vocab_size": 32_128},
}  # fmt: skip


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

    recipe, started = recipe_for(job), time.perf_counter()
    found = plan_recipe(recipe, labelled=job["labelled"], libraries=library_bytes())
    memory = found.chosen.memory
    return memory._asdict() | {
        "peak": memory.peak, "seconds": time.perf_counter() - started, "choice": found.chosen.name,
        "seconds_per_step": memory.seconds}  # fmt: skip


def measured(job: dict) -> dict:
    """The peak of a short training on rows that all have the full length, validation rows included."""
    from ftlib.core.device import peak_device_bytes, tokens_that_fit
    from ftlib.core.load import load_base
    from ftlib.core.lora import for_training
    from ftlib.core.loss import has_encoder
    from ftlib.core.train import train

    recipe = recipe_for(job)
    model, tokenizer = load_base(recipe)
    model, length = for_training(model, recipe), job["length"]
    loaded, written = peak_device_bytes(), max(1, round(job["labelled"] * length))
    set_peak_back()
    labels = [5] * written if has_encoder(model) else [-100] * (length - written) + [5] * written
    row = {"input_ids": [5] * length, "labels": labels}
    rows, held_out = job["rows"] * recipe.train.accumulation * STEPS, -(-tokens_that_fit(model) // length)
    with tempfile.TemporaryDirectory() as folder:
        result = train(model, tokenizer, [row] * rows, [row] * held_out, folder, recipe)
        lines = [json.loads(line) for line in result.metrics_path.read_text(encoding="utf-8").splitlines()]
    later = [line["seconds"] for line in lines if "loss" in line and line["step"] > 1]  # the first step warms up
    step, inside = sum(later) / (result.steps - 1), result.plan.peak_memory_bytes
    peak = {"peak": peak_device_bytes(), "loaded": loaded, "planned_inside": inside}
    return peak | {"seconds_per_step": step, "reasons": result.plan.reasons}


def set_peak_back() -> None:
    """From here on the peak is the training's: loading holds pages of the published file for a moment, and more."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # Linux alone has it


def made_base(family: str, folder: Path) -> str:
    """A folder with a model of this family and the embedded model's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "data" / "base_model")
    ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = AutoConfig.for_model(family, **FAMILIES[family], **ends, decoder_start_token_id=tokenizer.pad_token_id)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    torch.manual_seed(0)
    kind.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def main() -> None:
    """Plan, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="data/base_model", help=f"a folder, or one of {', '.join(FAMILIES)}")
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
        print("\n" + json.dumps({"planned": planned, "measured": measured}[job["what"]](job)))
        return
    with tempfile.TemporaryDirectory() as folder:
        job = {name: getattr(options, name) for name in ("base", "recipe", "rows", "length", "labelled", "overrides")}
        if options.base in FAMILIES:
            job["base"] = made_base(options.base, Path(folder))
        found = {what: run_fresh(job | {"what": what}) for what in ("planned", "measured")}
    found["ratio"] = found["planned"]["peak"] / found["measured"]["peak"]
    for what in ("planned", "measured"):
        numbers = {k: f"{v / 2**20:,.0f} MiB" for k, v in found[what].items() if isinstance(v, int) and v > 2**10}
        print(what, numbers, f"{found[what]['seconds_per_step']:.3f} s a step")
    print(f"planned over measured: {found['ratio']:.3f}")
    if options.out:
        options.out.write_text(json.dumps(job | found | {"base": options.base}, indent=2) + "\n", encoding="utf-8")


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
