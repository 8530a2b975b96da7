"""An export opened as its users will: through transformers, or PEFT alone, with what lies in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ftlib.export.merge import published_base
from ftlib.progress import without_library_bars

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker
    from ftlib.export.players import TorchPlayer


@contextmanager
def merged_player(asker: Asker, folder: Path) -> Iterator[TorchPlayer]:
    """A merged model as anyone loads it, computing in the run's dtype."""
    from ftlib.core.load import model_class

    own = asker.engine.model
    with without_library_bars():
        model = model_class(asker.run.recipe).from_pretrained(folder, dtype=own.dtype, use_safetensors=True)
    yield _torch_player(asker, model.to(own.device).eval(), folder, "transformers, merged model")


@contextmanager
def adapter_player(asker: Asker, folder: Path, *, full: bool = False, without: bool = False) -> Iterator[TorchPlayer]:
    """An exported adapter through PEFT alone, on the base as the recipe stores it or as it was published.

    Args:
        asker: the run's.
        folder: the export.
        full: on the base as published, as a server without quantization does.
        without: with the adapter switched off.
    """
    from ftlib.core.finetuned import attach_adapters
    from ftlib.core.load import load_base

    own, recipe = asker.engine.model, asker.run.recipe
    base = published_base(recipe).to(own.device, own.dtype) if full else load_base(recipe)[0]
    model = attach_adapters(base, {"default": folder}, fused=False)
    words = "transformers and PEFT, adapter on the base " + ("as published" if full else "as it was trained on")
    player = _torch_player(asker, model, folder, words)
    if without:
        with model.disable_adapter():
            yield player
    else:
        yield player


def _torch_player(asker: Asker, model, folder: Path, engine: str) -> TorchPlayer:
    """With the folder's own tokenizer, template and stops."""
    from transformers import AutoTokenizer, GenerationConfig

    from ftlib.export.players import TorchPlayer

    stops = GenerationConfig.from_pretrained(folder).eos_token_id
    stops = stops if isinstance(stops, list) else [stops]
    rows = asker.run.recipe.evaluate.batch_rows
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return TorchPlayer(model, tokenizer, [stop for stop in stops if stop is not None], rows, engine)
