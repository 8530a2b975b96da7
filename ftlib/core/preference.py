"""Preference training: DPO on pairs of answers that people have compared, from a trained adapter, through TRL."""

from __future__ import annotations

import functools
import os
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ftlib import atomic, jsonl
from ftlib.core.finetuned import attach_adapters, load_finetuned
from ftlib.core.load import load_base
from ftlib.core.loss import computed_in, has_encoder, log_likelihood
from ftlib.core.optimizers import make_optimizer, trainable
from ftlib.core.published import is_whole_model
from ftlib.data.prompts import IGNORED, Example, Renderer
from ftlib.data.tokens import load_tokenizer
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.rows import Row, Turn
from ftlib.stats import Interval, Paired, mean_ci95, paired_difference
from ftlib.stats.intervals import as_json

RESULT_NAME = "preferences.json"


class PreferencePair(NamedTuple):
    """A question with the answer that people prefer and the one that they do not, rendered."""

    id: str
    chosen: Example
    rejected: Example


class PreferResult(NamedTuple):
    """What a preference training came to."""

    adapter_dir: Path
    trained: int  # pairs
    held_out: int  # pairs
    steps: int
    before: Interval | None  # share of held-out pairs whose preferred answer is the likelier one; None without any
    after: Interval | None
    change: Paired | None

    def text(self) -> str:
        """Two lines for people."""
        lines = [f"{self.adapter_dir}: {self.trained} pairs, {self.steps} steps"]
        if self.after is None:
            return lines[0] + "; none held out, so nothing says whether it helped (prefer.held_out)"
        ends = f"[{self.change.low:+.3f}, {self.change.high:+.3f}]"
        told = f"the preferred answer is the likelier one in {self.before.mean:.3f} before, {self.after.mean:.3f} after"
        return "\n".join([*lines, f"{told}: {self.change.difference:+.3f} {ends}, n = {self.held_out} held-out pairs"])


def prefer(
    recipe: Recipe,
    adapter: str | Path,
    pairs_file: str | Path,
    out_dir: str | Path,
    *,
    say: Callable[[str], object] = print,
) -> PreferResult:
    """Train a copy of an adapter with DPO; the reference that it is held to is the adapter as it was.

    L = -log sigmoid(beta [log p(chosen) / p0(chosen) - log p(rejected) / p0(rejected)]), summed over an answer's
    tokens. Pairs are shown as the recipe renders questions, with history and context; passages that only one system
    had been shown are no part of them.

    Args:
        recipe: its sections `prefer`, `model`, `quantization`, `prompt`, and `train.optimizer` and `train.max_length`.
        adapter: folder of a PEFT adapter on the recipe's base; it is only read.
        pairs_file: JSON lines as notebook 04 exports them (question, history, context, chosen, rejected).
        out_dir: a new folder; gets the adapter in PEFT's format and preferences.json.
        say: is told how many pairs there are.

    Returns:
        The result; agreement is of the adapter that was saved and loaded again.

    Raises:
        UserError: TRL is missing, there are no pairs, one is too long, the model has no adapter or is an
            encoder-decoder, or `out_dir` holds something already.
    """
    out_dir = Path(out_dir)
    _require(adapter, out_dir)
    tokenizer = load_tokenizer(recipe.model)
    pairs = read_pairs(pairs_file, Renderer.of(recipe, tokenizer), recipe.train.max_length)
    train, held_out = divide(pairs, recipe.prefer.held_out, recipe.training_seed)
    say(f"{len(train)} pairs to train, {len(held_out)} of other questions held out")
    base, _ = load_base(recipe, tokenizer=tokenizer)
    if has_encoder(base):
        raise UserError.of("model.base", "a causal model", "an encoder-decoder", "TRL's DPO trains no such model")
    model = attach_adapters(base, {"default": adapter}, recipe.lora.fused, trainable=True)
    before = agreement(model, tokenizer, held_out)
    staged = out_dir.with_name(out_dir.name + ".partial")
    shutil.rmtree(staged, ignore_errors=True)
    steps, log = _train(model, tokenizer, train, recipe, staged)
    del model, base
    after = agreement(load_finetuned(recipe, staged)[0], tokenizer, held_out)
    result = _result(out_dir, len(train), steps, before, after, [pair.id for pair in held_out])
    told = result._asdict() | {"settings": recipe.prefer.model_dump(), "log": log}
    del told["adapter_dir"]  # a folder can be moved
    atomic.write_json(staged / RESULT_NAME, as_json(told))
    shutil.rmtree(out_dir, ignore_errors=True)
    os.replace(staged, out_dir)
    return result


def _require(adapter: str | Path, out_dir: Path) -> None:
    if is_whole_model(adapter):
        found, fix = "a whole model (train.method: full)", "train an adapter (train.method: lora)"
        raise UserError.of(str(adapter), "a PEFT adapter", found, fix)
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise UserError.of(str(out_dir), "a new folder", "something in it already", "name another with --out")
    try:
        import trl  # noqa: F401 (whether it is there)
    except ImportError as error:
        fix = "pip install 'ftlib[prefer]'"
        raise UserError.of("ftlib prefer", "the package trl", "it is not installed", fix) from error


def read_pairs(file: str | Path, renderer: Renderer, max_tokens: int) -> list[PreferencePair]:
    """Pairs as notebook 04 exports them.

    Args:
        file: JSON lines. renderer: as in training. max_tokens: of a question with an answer.

    Raises:
        UserError: there is none, a line has not what it should, or one is too long.
    """
    pairs = []
    for number, line in enumerate(jsonl.iterate(file), 1):
        try:
            said = [Turn(turn["role"], turn["content"]) for turn in line.get("history") or []]
            asked = Row(str(line["id"]), (*said, Turn("user", line["question"])), line.get("context") or "", ())
            answers = [asked._replace(references=(line[name],)) for name in ("chosen", "rejected")]
        except (KeyError, TypeError) as error:
            expected = "id, question, chosen and rejected (history and context optional)"
            where, fix = f"{file}, line {number}", "export the preferences again with notebook 04"
            raise UserError.of(where, expected, f"no {error}", fix) from None
        pairs.append(PreferencePair(asked.id, *(renderer.example(row, max_tokens=max_tokens) for row in answers)))
    if not pairs:
        fix = "rate answers in notebook 04: a pair is made where more people prefer one than the other"
        raise UserError.of(str(file), "at least one pair", "none", fix)
    return pairs


def divide(
    pairs: Sequence[PreferencePair], share: float, seed: int
) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Pairs to train and pairs of other questions to hold out; of a single question none is held out.

    Args:
        pairs: any. share: of the questions to hold out. seed: of the choice.
    """
    questions = sorted({pair.id for pair in pairs})
    apart = set(random.Random(seed).sample(questions, min(round(share * len(questions)), len(questions) - 1)))
    return [pair for pair in pairs if pair.id not in apart], [pair for pair in pairs if pair.id in apart]


def agreement(model: torch.nn.Module, tokenizer, pairs: Sequence[PreferencePair]) -> list[float]:
    """1 for each pair whose preferred answer the model finds likelier, as a whole, than the other; else 0."""
    chosen, rejected = (
        log_likelihood(model, tokenizer, part) if pairs else []
        for part in ([pair.chosen for pair in pairs], [pair.rejected for pair in pairs])
    )
    return [float(a.sum_logprob > b.sum_logprob) for a, b in zip(chosen, rejected, strict=True)]


def _train(
    model: torch.nn.Module, tokenizer, pairs: Sequence[PreferencePair], recipe: Recipe, staged: Path
) -> tuple[int, list[dict[str, Any]]]:
    """Run TRL's trainer, save the adapter alone; the steps taken and what was logged."""
    from datasets import Dataset
    from trl import DPOConfig

    section, dtype = recipe.prefer, computed_in(model)
    with tempfile.TemporaryDirectory() as folder:
        args = DPOConfig(
            output_dir=folder,
            beta=section.beta,
            num_train_epochs=section.epochs,
            per_device_train_batch_size=section.batch_rows,
            max_length=None,
            bf16=dtype == torch.bfloat16,
            fp16=dtype == torch.float16 and model.device.type == "cuda",
            use_cpu=model.device.type == "cpu",
            activation_checkpointing=False,
            dataloader_pin_memory=model.device.type == "cuda",
            max_grad_norm=recipe.train.max_grad_norm,
            seed=recipe.training_seed,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        args._n_gpu = min(args.n_gpu, 1)
        rate = {"learning_rate": section.learning_rate, "lora_plus_ratio": recipe.train.lora_plus_ratio}
        optimizer = make_optimizer(model, args, recipe.train.optimizer, **rate)
        values = {name: each.detach().clone() for name, each in trainable(model).items()}
        rows = Dataset.from_list([_ids(pair) for pair in pairs])
        given = {"args": args, "train_dataset": rows, "processing_class": tokenizer, "optimizers": (optimizer, None)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # TRL 1.16 reads names that transformers 5.23 has changed
            trainer = _trainer_class()(model=model, **given)
            _put_back(model, values)
            trainer.train()
        model.save_pretrained(staged, selected_adapters=["default"], save_embedding_layers=False)
    return trainer.state.global_step, [entry for entry in trainer.state.log_history if "loss" in entry]


def _put_back(model: torch.nn.Module, values: Mapping[str, torch.Tensor]) -> None:
    """The adapter in float32 as it was: TRL rounds one on a quantized base to 16 bits, and so are small steps lost."""
    for name, parameter in model.named_parameters():
        if name in values:
            parameter.data = values[name]


@functools.cache
def _trainer_class() -> type:
    from transformers.trainer_callback import PrinterCallback
    from trl import DPOTrainer

    class RenderedDPOTrainer(DPOTrainer):
        """TRL's trainer on rows that are token ids already, from the one renderer of prompts."""

        def __init__(self, **options):
            super().__init__(**options)
            self.remove_callback(PrinterCallback)

        def _prepare_dataset(self, dataset, *args):
            return dataset

    return RenderedDPOTrainer


def _ids(pair: PreferencePair) -> dict[str, list[int]]:
    """TRL's columns: both answers follow the same prompt."""
    start = pair.chosen.labels.count(IGNORED)
    prompt, chosen, rejected = (
        pair.chosen.input_ids[:start],
        *(e.input_ids[start:] for e in (pair.chosen, pair.rejected)),
    )
    return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}


def _result(
    out_dir: Path, trained: int, steps: int, before: list[float], after: list[float], questions: list[str]
) -> PreferResult:
    if not before:
        return PreferResult(out_dir, trained, 0, steps, None, None, None)
    shares = [mean_ci95(each, clusters=questions) for each in (before, after)]
    change = paired_difference(after, before, clusters=questions)
    return PreferResult(out_dir, trained, len(before), steps, *shares, change)
