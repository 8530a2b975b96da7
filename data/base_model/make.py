"""Makes the embedded base model: tokenizer, corpus, pretraining, scores.

``python data/base_model/make.py`` trains on a CPU or a GPU with the code that also fine-tunes (ftlib.core), keeps
checkpoints in ``checkpoints/`` beside this file and goes on where it stopped when called again.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import torch  # noqa: E402

from data.base_model import tokenizer as tokenizers  # noqa: E402
from data.base_model.architecture import build  # noqa: E402
from data.base_model.corpus import Corpus  # noqa: E402
from data.base_model.examine import scores  # noqa: E402
from data.base_model.muon import muon_adamw  # noqa: E402
from data.base_model.pretraining import pretrain, warmup_cosine  # noqa: E402
from data.generator.demo import N_RESERVED_NAMES, NAME, Demo  # noqa: E402
from data.generator.reading import Reader  # noqa: E402
from ftlib.core import device  # noqa: E402

SEED = 7
TOKENIZER_SEED = 1
COMPANY_SEED = 20
BATCH_ROWS = 16
STEPS = 3000
# The rate follows a cosine of HORIZON steps, which the last FALL steps cut short.
WARMUP_STEPS, HORIZON, FALL = 100, 4800, 1000
MUON = {"lr_matrix": 4e-3, "lr_other": 2e-3, "adjust_lr": "match_rms_adamw"}
ADAMW = {"lr_matrix": 1e-3, "lr_other": 2e-3}


def main() -> None:
    """Trains (or goes on training), scores and saves."""
    given = _arguments()
    reader = others()
    tokenizer = tokenizers.learn_to(given.out, reader, TOKENIZER_SEED)
    model = build(len(tokenizer), tokenizers.MAX_POSITIONS, SEED, structured=not given.plain_start)
    corpus = Corpus(tokenizer, reader, given.steps * BATCH_ROWS, SEED)
    machine = device.describe()
    if machine.kind == "cpu":
        model.set_attn_implementation("eager")  # faster than the fused kernel at these lengths (docs/LOG.md)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {tokenizers.describe(tokenizer)}", flush=True)
    result = pretrain(
        model,
        corpus,
        given.out / "checkpoints",
        optimizer=optimizer(model, given.optimizer),
        schedule=schedule(given.steps),
        batch_rows=BATCH_ROWS,
        total_steps=given.steps,
        save_every_seconds=given.save_every_seconds,
        eval_fn=lambda m: scores(m, tokenizer, reader, given.eval_dialogues),
        eval_every_steps=given.eval_every,
        log_every_steps=25,
        seed=SEED,
        bf16=machine.bf16,
        compile=given.compile,
        on_log=lambda entry: print(json.dumps(entry), flush=True),
    )
    save(model.eval(), tokenizer, given.out)
    final = scores(model, tokenizer, reader, 4 * given.eval_dialogues)
    print(json.dumps({"steps": result.steps, "tokens": result.tokens, **final}), flush=True)


def save(model, tokenizer, folder: Path) -> None:
    """bf16 safetensors and the tokenizer."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.float()


def others() -> Reader:
    """Samples companies that have neither the demo company's name nor one of its products' names."""
    demo = Demo.sample(COMPANY_SEED, N_RESERVED_NAMES)
    return Reader(frozenset(product.name for product in demo.products), frozenset({NAME}))


def schedule(steps: int) -> Callable[[int], float]:
    """Warm-up and a cosine; over the last third of a training, FALL steps of the usual one, linearly to nothing."""
    cosine, begins = warmup_cosine(steps * HORIZON // STEPS, WARMUP_STEPS, floor=0.02), steps - steps * FALL // STEPS
    return lambda step: cosine(min(step, begins)) * min(1.0, (steps - step) / (steps - begins))


def optimizer(model, kind: str = "adamw") -> torch.optim.Optimizer:
    """AdamW with a lower rate for the layers' matrices than for embeddings and norms; or Muon, to compare."""
    if kind == "muon":
        return muon_adamw(model, **MUON)
    inside = [p for p in model.model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in inside}
    others = [p for p in model.parameters() if id(p) not in chosen]
    groups = [{"params": inside, "lr": ADAMW["lr_matrix"]}, {"params": others, "lr": ADAMW["lr_other"]}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0, fused=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the model and its checkpoints")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--eval-every", type=int, default=100, help="steps between scores")
    parser.add_argument("--eval-dialogues", type=int, default=24, help="dialogues of each kind per score")
    parser.add_argument("--save-every-seconds", type=float, default=240)
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default="adamw")
    parser.add_argument("--plain-start", action="store_true", help="transformers' own initialization, to compare")
    parser.add_argument("--compile", action="store_true", help="torch.compile the layers (pays on bf16 hardware)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
