"""Cross entropy at the labelled positions only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F


def has_encoder(model: torch.nn.Module) -> bool:
    """Whether the model reads with an encoder and writes with a decoder, as T5 does."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


@contextmanager
def only_positions(model: torch.nn.Module, positions: torch.Tensor) -> Iterator[None]:
    """Let the output layer see only some positions, so that all other logits are never computed.

    The hidden states are selected in front of the model's own output layer, not behind our own
    call of it: what a model does after the layer (scaling, soft caps) still happens.

    Args:
        model: a language model, with or without PEFT.
        positions: (selected,) index into the flattened batch * seq.

    Yields:
        Nothing; inside, the model's logits have the shape (1, selected, vocabulary).
    """

    def select(module, args):  # args[0]: (batch, seq, hidden)
        return (args[0].flatten(0, 1).index_select(0, positions).unsqueeze(0), *args[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def labelled_logits(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], *, masked: bool = False, all_logits: bool = False
) -> torch.Tensor:
    """Logits at the labelled positions of a right-padded batch.

    Args:
        model: the language model; called whole, so mixed precision wrappers apply.
        batch: from `PaddingCollator`.
        masked: pass a causal model the attention mask too. Under causal attention padding on the right
            cannot reach a real token, and without a mask the attention kernel takes its fast path.
        all_logits: compute all of them and choose afterwards, the plain path.

    Returns:
        (labelled, vocabulary) in float32.
    """
    inputs = {"input_ids": batch["input_ids"], "use_cache": False}
    if masked or has_encoder(model):
        inputs["attention_mask"] = batch["attention_mask"]
    if has_encoder(model):
        inputs["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels=batch["labels"])
    if all_logits:
        return model(**inputs).logits.flatten(0, 1).index_select(0, batch["positions"]).float()
    with only_positions(model, batch["positions"]):
        return model(**inputs).logits.squeeze(0).float()


def summed_loss(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], *, masked: bool = False, all_logits: bool = False
) -> torch.Tensor:
    """Sum over the labelled tokens of -log p(token | what stands before it), in nats; see `labelled_logits`."""
    logits = labelled_logits(model, batch, masked=masked, all_logits=all_logits)
    return F.cross_entropy(logits, batch["targets"], reduction="sum")
