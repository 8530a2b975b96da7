"""How a batch's rows are laid out: padded to each other, end to end, or with what they begin with read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from ftlib.core.batches import PaddingCollator, ids_and_labels, on_device, row_tokens
from ftlib.core.distributed import launched
from ftlib.core.loss import autocast, computed_in, has_encoder, labelled_logits
from ftlib.core.packing import PackingCollator
from ftlib.core.shared_beginning import ATTENTIONS, SharedCollator, begins_with, common_beginning
from ftlib.recipe import Recipe

_WORTH_SAVING = 0.1  # of all tokens
_WORTH_IN_BATCH = 0.25  # of a batch's: where less is saved, attention in two parts takes as long (docs/LOG.md)
_TRIED_ROWS = 4
_APART, _APART_16 = 1e-4, 0.05  # relative, of log probabilities: roundings stay below, in float32 and in 16 bits


class Layout(NamedTuple):
    """What was chosen, and why."""

    packed: bool = False
    beginning: tuple[int, ...] = ()  # tokens that are read once a batch; () for none
    reasons: tuple[str, ...] = ()
    least: float = 0.0  # share of a batch's tokens that are to be saved, or its rows are read whole

    def collator(self, model: torch.nn.Module, tokenizer) -> PaddingCollator:
        """What makes a batch of rows for this model."""
        if self.packed:
            return PackingCollator(flash="flash" in model.config._attn_implementation)
        if self.beginning:
            return SharedCollator(tokenizer.pad_token_id, self.beginning, self.least)
        return PaddingCollator(tokenizer.pad_token_id, encoder_decoder=has_encoder(model))

    def places(self, lengths: Sequence[int]) -> tuple[int, int]:
        """Rows and width of a padded batch that has as many places as one of rows of these lengths laid out so."""
        if self.packed:
            return 1, sum(lengths)
        shared = len(self.beginning) if max(lengths) > len(self.beginning) else 0
        if shared * (len(lengths) - 1) < self.least * sum(lengths):
            shared = 0
        rest = max(lengths) - shared
        return len(lengths), -(-(shared + len(lengths) * rest) // len(lengths))


PADDED = Layout()  # each row whole, padded to the longest


def choose_layout(
    model: torch.nn.Module, tokenizer, rows: Sequence[dict], recipe: Recipe, an_epoch: int | None = None
) -> Layout:
    """The layout that the recipe asks for, as far as the model and the rows allow it.

    Args:
        model, tokenizer: as of `train`. rows: from `feed.training_rows`. recipe: its section `train`.
        an_epoch: how many of the rows, the first ones, come up in one epoch; None for all.
    """
    packed, why = choose_packing(model, recipe.train.packing)
    if packed:
        return Layout(True, (), (why,))
    beginning, told = _choose_beginning(model, tokenizer, rows[:an_epoch], recipe, _obstacle(model, rows, recipe))
    least = _WORTH_IN_BATCH if recipe.train.share_beginning == "auto" else 0.0
    return Layout(False, tuple(beginning), (why, f"shared beginning: {told}"), least)


def choose_packing(model: torch.nn.Module, wanted: bool) -> tuple[bool, str]:
    """Whether a batch's rows are laid end to end, and why."""
    if not wanted:
        return False, "packing: off, rows of similar length share a batch"
    if has_encoder(model):
        return False, "packing: off, because an encoder-decoder's two sides can't be told apart in one row"
    return True, f"packing: on, without padding; rows are told apart by {model.config._attn_implementation} attention"


def _choose_beginning(model, tokenizer, rows: Sequence[dict], recipe: Recipe, obstacle: str) -> tuple[list[int], str]:
    wanted = recipe.train.share_beginning
    if wanted is False or obstacle:
        return [], f"off, {obstacle or 'set by the recipe'}"
    beginning = common_beginning(rows, recipe.train.max_length)
    alike = [row for row in rows if begins_with(row, beginning)] if beginning else []
    tokens = sum(row_tokens(row) for row in rows)
    saved = len(beginning) * len(alike) * (1 - 1 / recipe.train.batch_rows) / tokens
    if len(alike) < 2 or (wanted == "auto" and saved < _WORTH_SAVING):
        return [], f"off, most rows begin alike in {len(beginning)} tokens, {saved:.0%} of all"
    if not _agree(model, tokenizer, beginning, alike):
        return [], "off, because this model computes something else then"
    return (
        beginning,
        f"on, {len(beginning)} tokens that rows begin with are read once a batch, up to {saved:.0%} of all saved",
    )


def _obstacle(model: torch.nn.Module, rows: Sequence[dict], recipe: Recipe) -> str:
    """Why the model can't read a beginning once for several rows; "" if it can."""
    config = model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None)
    if has_encoder(model):
        return "because an encoder reads each row whole"
    if model.config._attn_implementation not in ATTENTIONS or not getattr(model, "_supports_attention_backend", False):
        return f"because of {model.config._attn_implementation} attention"
    if window and window < max(len(ids_and_labels(row)[0]) for row in rows):
        return f"because attention looks back {window} tokens only"
    if recipe.train.neftune_alpha:
        return "because NEFTune's noise goes by a row's length"
    return "because several processes train" if launched() > 1 else ""


@torch.no_grad()
def _agree(model: torch.nn.Module, tokenizer, beginning: Sequence[int], rows: Sequence[dict]) -> bool:
    """Whether some short rows' tokens are as likely read either way."""
    few = sorted(rows, key=row_tokens)[:_TRIED_ROWS]
    training = model.training
    model.eval()
    try:
        with autocast(model), torch.compiler.set_stance("force_eager"):
            each = [
                _log_probabilities(model, layout.collator(model, tokenizer)(few))
                for layout in (PADDED, Layout(False, tuple(beginning)))
            ]
    except Exception:  # whatever a model's code does with a mask that it does not expect
        return False
    finally:
        model.train(training)
    allowed = _APART if computed_in(model) == torch.float32 else _APART_16
    return bool((each[0] - each[1]).norm() <= allowed * each[0].norm())


def _log_probabilities(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    batch = on_device(batch, model.device)
    return -F.cross_entropy(labelled_logits(model, batch), batch["targets"], reduction="none")
