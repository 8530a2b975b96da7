"""The stacks that are compared; each trains the job's rows and reports every step.

All of them: the same NF4 base, LoRA on all linear layers with the same start, AdamW, constant rate, the same rows in
every step, and the dtype that is fast on the device. What remains is how each of them does it.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from typing import Any

Log = Callable[[int, float, float], None]  # step, loss, gradient norm
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MAX_GRAD_NORM = 1.0


class Skipped(Exception):
    """A stack that cannot run here, and why."""


def ftlib(job: dict[str, Any], log: Log, compiled: bool = False) -> None:
    """This project: `load_base`, `add_lora` and `train`, everything left to its planner."""
    from ftlib.core import trainer_factory
    from ftlib.core.load import load_base
    from ftlib.core.lora import add_lora
    from ftlib.core.train import train
    from ftlib.recipe import Recipe

    recipe = Recipe.model_validate(
        {
            "name": "benchmark",
            "seed": job["seed"],
            "data": {"path": "generated"},
            "model": {"base": job["model"]},
            "lora": {"r": job["r"], "alpha": job["alpha"]},
            "train": {
                "epochs": 1,
                "learning_rate": job["learning_rate"],
                "batch_rows": job["batch_rows"],
                "accumulation": job["accumulation"],
                "max_length": job["max_length"],
                "warmup_ratio": 0,
                "scheduler": "constant",
                "max_grad_norm": MAX_GRAD_NORM,
                "eval_every_steps": 10**6,  # at the start and the end only, outside the timed steps
                "save_every_seconds": 10**6,
                "compile": compiled or "auto",
            },
        }
    )
    trainer_factory.LOG_EVERY_STEPS = 1  # as in the other stacks
    model, tokenizer = load_base(recipe)
    model = add_lora(model, recipe.lora, recipe.seed)

    def on_log(entry: dict) -> None:
        if "loss" in entry:
            log(entry["step"], entry["loss"], entry["grad_norm"])

    with tempfile.TemporaryDirectory() as folder:
        train(model, tokenizer, job["rows"], job["rows"][:2], folder, recipe, on_log=on_log)


def ftlib_compiled(job: dict[str, Any], log: Log) -> None:
    """The same with `train.compile: true`, which its planner tries where a training takes minutes, as these do not."""
    ftlib(job, log, compiled=True)


def recipe(job: dict[str, Any], log: Log) -> None:
    """What the QLoRA tutorials write: transformers, peft and bitsandbytes with gradient checkpointing."""
    _tutorial(job, log, gradient_checkpointing=True)


def plain(job: dict[str, Any], log: Log) -> None:
    """The tutorials' recipe without gradient checkpointing, which a model that fits into memory does not need."""
    _tutorial(job, log, gradient_checkpointing=False)


def _tutorial(job: dict[str, Any], log: Log, *, gradient_checkpointing: bool) -> None:
    import torch
    from peft import get_peft_model, prepare_model_for_kbit_training
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model, tokenizer = _quantized(job)
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=gradient_checkpointing)
    torch.manual_seed(job["seed"])
    model = get_peft_model(model, _lora_config(job))
    model.config.use_cache = False
    options = {"gradient_checkpointing": gradient_checkpointing, **_arguments(job)}
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=model,
            args=TrainingArguments(output_dir=folder, **options),
            train_dataset=_dataset(job),
            data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
            callbacks=[_reporter(log)],
        ).train()


def trl(job: dict[str, Any], log: Log) -> None:
    """TRL's SFTTrainer with its own defaults, among them gradient checkpointing and a bfloat16 adapter."""
    if importlib.util.find_spec("trl") is None:
        raise Skipped("trl is not installed (pip install trl)")
    model, tokenizer = _quantized(job)
    _sft(model, tokenizer, job, log, peft_config=_lora_config(job))


def unsloth(job: dict[str, Any], log: Log) -> None:
    """Unsloth's FastLanguageModel under TRL's SFTTrainer, as in its notebooks."""
    if importlib.util.find_spec("unsloth") is None:
        raise Skipped("unsloth is not installed (pip install unsloth); it needs a CUDA GPU")
    import torch

    if not torch.cuda.is_available():
        raise Skipped("unsloth needs a CUDA GPU")
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(job["model"], max_seq_length=job["max_length"],
                                                         dtype=None, load_in_4bit=True)  # fmt: skip
    model = FastLanguageModel.get_peft_model(
        model,
        r=job["r"],
        lora_alpha=job["alpha"],
        lora_dropout=0,
        bias="none",
        target_modules=LINEAR,
        use_gradient_checkpointing="unsloth",
        random_state=job["seed"],
    )
    _sft(model, tokenizer, job, log)


STACKS: dict[str, Callable[[dict[str, Any], Log], None]] = {
    "ftlib": ftlib,
    "ftlib-compiled": ftlib_compiled,
    "recipe": recipe,
    "plain": plain,
    "trl": trl,
    "unsloth": unsloth,
}


def _sft(model, tokenizer, job: dict[str, Any], log: Log, **options) -> None:
    from trl import SFTConfig, SFTTrainer

    with tempfile.TemporaryDirectory() as folder:
        SFTTrainer(
            model=model,
            args=SFTConfig(output_dir=folder, max_length=job["max_length"], **_arguments(job)),
            train_dataset=_dataset(job),
            processing_class=tokenizer,
            callbacks=[_reporter(log)],
            **options,
        ).train()


def _quantized(job: dict[str, Any]):
    """The base in NF4 with double quantization, and its tokenizer, as the tutorials load them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    dtype = getattr(torch, job["dtype"])
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                bnb_4bit_compute_dtype=dtype)  # fmt: skip
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(
        job["model"], dtype=dtype, quantization_config=config, device_map={"": device}
    )
    return model, AutoTokenizer.from_pretrained(job["model"])


def _lora_config(job: dict[str, Any]):
    from peft import LoraConfig

    # no dropout: its random numbers differ between stacks, and with them everything that is compared here
    return LoraConfig(r=job["r"], lora_alpha=job["alpha"], lora_dropout=0.0, bias="none", target_modules=LINEAR,
                      task_type="CAUSAL_LM")  # fmt: skip


def _arguments(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {
        "use_cpu": not torch.cuda.is_available(),  # else a CPU is refused bfloat16, also where it is fast
        "per_device_train_batch_size": job["batch_rows"],
        "gradient_accumulation_steps": job["accumulation"],
        "num_train_epochs": 1,
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "constant",
        "max_grad_norm": MAX_GRAD_NORM,
        "weight_decay": 0.0,
        "bf16": job["dtype"] == "bfloat16",
        "train_sampling_strategy": "sequential",  # the job's rows are shuffled already
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "seed": job["seed"],
    }


def _dataset(job: dict[str, Any]):
    from datasets import Dataset

    rows = [job["rows"][i] for step in job["steps"] for i in step]
    return Dataset.from_list([row | {"attention_mask": [1] * len(row["input_ids"])} for row in rows])


def _reporter(log: Log):
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            if logs and "loss" in logs:
                log(state.global_step, float(logs["loss"]), float(logs["grad_norm"]))

    return Reporter()
