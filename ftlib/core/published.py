"""What a model's folder, or its place on the hub, says without loading the model."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from ftlib.errors import UserError
from ftlib.recipe import Recipe


def is_whole_model(path: str | Path) -> bool:
    """Whether a folder holds a whole model, as `train.method: full` writes it, and no adapter."""
    return (Path(path) / "config.json").is_file() and not (Path(path) / "adapter_config.json").is_file()


def shape_of(recipe: Recipe, folder: str | None = None) -> dict[str, object]:
    """What makes the weights of one model fit another: of the recipe's base, or of a model in a folder."""
    from transformers import AutoConfig

    options = recipe.model.model_dump(include={"trust_remote_code"} | (set() if folder else {"revision"}))
    config = AutoConfig.from_pretrained(folder or recipe.model.base, **options).get_text_config(decoder=True)
    names = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")
    return {name: getattr(config, name) for name in names}


def read_weight(recipe: Recipe) -> tuple[str, torch.Tensor]:
    """One large matrix of the base as it was published, without loading the model: the first of its layers' largest.

    Embeddings are left aside: they have the vocabulary's size, or occur once where a layer's matrices
    occur once a layer.

    Args:
        recipe: names the base.

    Returns:
        Its name and the weight in float32.

    Raises:
        UserError: the base has no safetensors.
    """
    from safetensors import safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    files: dict[str, Path] = {}
    for file in _weight_files(recipe):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a dict)
                shapes[name], files[name] = tuple(tensors.get_slice(name).get_shape()), file
    name = _first_large_matrix(shapes, shape_of(recipe)["vocab_size"])
    with safe_open(files[name], framework="pt") as tensors:
        return name, tensors.get_tensor(name).float()


def _first_large_matrix(shapes: Mapping[str, tuple[int, ...]], vocabulary: int) -> str:
    matrices = {name: shape for name, shape in shapes.items() if len(shape) == 2}
    inner = {name: shape for name, shape in matrices.items() if vocabulary not in shape} or matrices
    times = Counter(inner.values())
    best = max(times, key=lambda shape: (times[shape] > 1, shape[0] * shape[1]))
    by_number = lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    return min((name for name, shape in inner.items() if shape == best), key=by_number)


def _weight_files(recipe: Recipe) -> list[Path]:
    from transformers.utils import cached_file

    base, revision = recipe.model.base, recipe.model.revision
    with named_model(base):
        index = cached_file(
            base, "model.safetensors.index.json", revision=revision, _raise_exceptions_for_missing_entries=False
        )
        names = {"model.safetensors"}
        if index is not None:
            names = set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
        return [Path(cached_file(base, name, revision=revision)) for name in sorted(names)]


@contextmanager
def named_model(base: str) -> Iterator[None]:
    """Say which model was not found instead of showing where in the library it was missed."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError.of(
            f"model.base = {base}",
            "a folder with a language model in safetensors, or a model on the hub",
            reason,
            "correct model.base (a folder: relative to the recipe); offline, download the model first",
        ) from error
