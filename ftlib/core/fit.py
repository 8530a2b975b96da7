"""Will it fit? What a recipe's training takes, from the model's configuration alone, and what to change if it does not.

The planning itself runs the training's own step on tensors without content (`ftlib.core.memory`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import torch

from ftlib.core import device as devices
from ftlib.core.load import choose_attention, compute_dtype
from ftlib.core.memory import TrainingMemory, heap_gaps, needed
from ftlib.core.plan import fits
from ftlib.core.quantize import choose_gemm
from ftlib.core.speed import Speed, measure_speed
from ftlib.errors import UserError
from ftlib.progress import progress
from ftlib.recipe import Recipe

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_STORED = {"plain": "as published", "int8": "8 bits", "cached": "4 bits + unpacked", "streamed": "4 bits"}
_Chosen = tuple[str, str, bool, int]  # dtype, gemm, checkpointing, rows of a micro-batch


class Variant(NamedTuple):
    """One way to train, and what it takes."""

    dtype: str
    gemm: str  # "plain", "int8", "cached" or "streamed"
    checkpointing: bool
    rows: int  # of a micro-batch
    memory: TrainingMemory

    @property
    def name(self) -> str:
        """In words."""
        again = "activations recomputed" if self.checkpointing else "activations kept"
        return f"{self.dtype}, {_STORED[self.gemm]}, {again}, {self.rows} rows"


class Fit(NamedTuple):
    """What the recipe asks for, the other ways, and what to change."""

    chosen: Variant
    others: list[Variant]
    limit: int  # bytes that are there
    length: int  # tokens of the longest row
    layers: int
    parameters: int
    advice: str  # "" where it fits

    def text(self) -> str:
        """The plan as people read it."""
        lines = [f"{self.parameters:,} parameters in {self.layers} layers; rows of {self.length} tokens"]
        lines += [f"the recipe's way: {self.chosen.name}", *_details(self.chosen, self.limit), ""]
        lines += [
            f"{'computed in':<12}{'base stored':<20}{'activations':<14}{'rows':>5}{'peak':>12}{'step at best':>14}"
        ]
        for each in [self.chosen, *self.others]:
            kept = "recomputed" if each.checkpointing else "kept"
            room = "" if fits(each.memory.peak, self.limit) else "  too much"
            lines.append(
                f"{each.dtype:<12}{_STORED[each.gemm]:<20}{kept:<14}{each.rows:>5}{_size(each.memory.peak):>12}"
                f"{each.memory.seconds:>12.2f} s{room}"
            )
        return "\n".join([*lines, "", self.advice or "It fits."])


def plan_recipe(
    recipe: Recipe, *, labelled: float = 1.0, memory_bytes: int | None = None, libraries: int = 0, others: bool = False
) -> Fit:
    """Plan the training that a recipe asks for, on this machine.

    Args:
        recipe: what would be trained; of its base the configuration is read, never the weights.
        labelled: share of a row's tokens that are trained; 1 is the most that can be.
        memory_bytes: what there is in the place of this machine's memory.
        libraries: from `memory.library_bytes`; 0 where the device's memory holds tensors alone.
        others: whether the other precisions, storages and the recomputing are planned, too.

    Raises:
        UserError: the base's configuration can't be read.
    """
    from transformers.utils import logging as hf_logging

    hf_logging.set_verbosity_error()  # a model without weights is warned about once a planned variant
    config, machine = _config(recipe), devices.describe()
    limit = memory_bytes or machine.memory_bytes
    attention, _ = choose_attention(recipe.model.attention, machine.kind, recipe.train.max_length)
    count, width = _parameters(config, recipe)
    speeds: dict[str, Speed] = {}

    def make(choice: _Chosen) -> Variant:
        name, gemm, again, rows = choice
        dtype = getattr(torch, name)
        speeds[name] = speeds.get(name) or measure_speed(dtype, width)
        train = recipe.train.model_copy(update={"accumulation": _share(recipe, rows)})
        evaluated = devices.tokens_of_forward(config, dtype, machine.kind, limit - libraries - count * dtype.itemsize)
        found = needed(
            config,
            recipe.model_copy(update={"train": train}),
            dtype=dtype,
            gemm=gemm,
            checkpointing=again,
            rows=rows,
            length=recipe.train.max_length,
            labelled=labelled,
            attention=attention,
            libraries=libraries,
            gaps=heap_gaps(),
            evaluated=evaluated,
            speed=speeds[name],
        )
        return Variant(*choice, found)

    chosen = _asked(recipe, machine._replace(memory_bytes=limit), count, make)
    ways = [choice for choice in _other_choices(chosen, recipe) if choice != tuple(chosen[:4])] if others else []
    made = [make(choice) for choice in progress(ways, desc="planning", interactive=False)] if ways else []
    layers = getattr(config.get_text_config(decoder=True), "num_hidden_layers", 0)
    advice = _advice(chosen, recipe, limit, make)
    return Fit(chosen, made, limit, recipe.train.max_length, layers, count, advice)


def parse_bytes(text: str) -> int:
    """`24GiB`, `24G`, `16000M` or a plain number, in bytes.

    Raises:
        UserError: it is none of these.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not found:
        raise UserError.of("--memory", "a size such as 24GiB or 800MiB", repr(text), "write a number and its unit")
    return int(float(found[1]) * UNITS[found[2].upper()])


def _config(recipe: Recipe) -> Any:
    from transformers import AutoConfig

    options = recipe.model.model_dump(include={"revision", "trust_remote_code"})
    try:
        return AutoConfig.from_pretrained(recipe.model.base, **options)
    except (OSError, ValueError) as error:
        expected, fix = "a folder with config.json, or a model on the hub", "correct model.base"
        found = str(error).strip().splitlines()[0]
        raise UserError.of(f"model.base = {recipe.model.base}", expected, found, fix) from None


def _parameters(config: Any, recipe: Recipe) -> tuple[int, int]:
    """How many there are, and the width of the model's hidden states."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        model = kind.from_config(config, trust_remote_code=recipe.model.trust_remote_code)
    return model.num_parameters(), config.get_text_config(decoder=True).hidden_size


def _asked(recipe: Recipe, machine: devices.Device, parameters: int, make: Callable[[_Chosen], Variant]) -> Variant:
    """What the training would choose by itself."""
    dtype = compute_dtype(recipe.model.dtype, machine)
    stored, gemm = recipe.quantization, "plain"
    if stored.load_in_4bit:
        gemm = choose_gemm(stored.gemm, parameters * dtype.itemsize, machine.memory_bytes)[0]
    elif stored.load_in_8bit:
        gemm = "int8"
    wanted, name = recipe.train.activation_checkpointing, str(dtype).removeprefix("torch.")
    found = make((name, gemm, wanted is True, recipe.train.batch_rows))
    if wanted == "auto" and not fits(found.memory.peak, machine.memory_bytes):
        return make((name, gemm, True, recipe.train.batch_rows))
    return found


def _other_choices(chosen: Variant, recipe: Recipe) -> Iterator[_Chosen]:
    storages = ("plain",) if recipe.train.method == "full" else ("plain", "cached", "streamed")
    for dtype, gemm, again in product(("float32", "bfloat16"), storages, (False, True)):
        yield dtype, gemm, again, chosen.rows


def _share(recipe: Recipe, rows: int) -> int:
    """Micro-batches of so many rows that make the recipe's step."""
    return -(-recipe.train.batch_rows * recipe.train.accumulation // rows)


def _advice(chosen: Variant, recipe: Recipe, limit: int, make) -> str:
    """The least that has to change until it fits; "" where it fits."""
    if fits(chosen.memory.peak, limit):
        return ""
    told = f"It needs {_size(chosen.memory.peak)} of {_size(limit)}."
    for choice in _smaller(chosen, recipe):
        found = make(choice)
        if fits(found.memory.peak, limit):
            return f"{told} {_size(found.memory.peak)} do with\n  " + " ".join(_changes(chosen, found, recipe))
    return f"{told} No smaller batch fits: lower train.max_length, or take a smaller model or more GPUs."


def _smaller(chosen: Variant, recipe: Recipe) -> Iterator[_Chosen]:
    """Ways that take less and less; what costs least time comes first."""
    dtype, gemm, again, rows = chosen[:4]
    if gemm == "cached":
        gemm = "streamed"
        yield dtype, gemm, again, rows
    if not again:
        again = True
        yield dtype, gemm, again, rows
    if gemm == "plain" and recipe.train.method != "full":
        gemm = "streamed"
        yield dtype, gemm, again, rows
    while rows > 1:
        rows //= 2
        yield dtype, gemm, again, rows


def _changes(before: Variant, after: Variant, recipe: Recipe) -> Iterator[str]:
    """As arguments of the command line."""
    if before.gemm == "plain" and after.gemm != "plain":
        yield "-p quantization.load_in_4bit=true"
    if after.gemm == "streamed" != before.gemm:
        yield "-p quantization.gemm=streamed"
    if after.checkpointing and not before.checkpointing:
        yield "-p train.activation_checkpointing=true"
    if after.rows != before.rows:
        yield f"-p train.batch_rows={after.rows} -p train.accumulation={_share(recipe, after.rows)}"


def _details(variant: Variant, limit: int) -> list[str]:
    memory, told = variant.memory, {
        "weights": "the base as it is stored",
        "unpacked": "its weights unpacked for the products",
        "trained": "what is trained",
        "optimizer": "the optimizer's state",
        "activations": "kept from forward to backward",
        "working": "logits, gradients, what backward works with",
        "evaluating": "or, in the place of these two, what an evaluation takes",
        "gaps": "holes in the heap",
        "left": "what an evaluation leaves there",
        "libraries": "the process itself",
    }  # fmt: skip
    lines = [f"  {_size(getattr(memory, name)):>12}  {words}" for name, words in told.items() if getattr(memory, name)]
    return [*lines, f"  {_size(memory.peak):>12}  at the peak, of {_size(limit)}"]


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 10 * 2**30 else f"{count / 2**20:,.0f} MiB"
