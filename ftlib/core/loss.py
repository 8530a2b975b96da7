"""Cross entropy at the labelled positions only, and how likely a model finds given answers."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.nn import functional as F

from ftlib.core.batches import PACKED_INPUTS, PaddingCollator, batches_that_fit, row_tokens
from ftlib.core.device import tokens_that_fit
from ftlib.core.shared_beginning import shared_attention
from ftlib.stats import Interval, ratio_ci95


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
    inputs |= {name: batch[name] for name in PACKED_INPUTS if name in batch}
    if "shared_mask" in batch:
        inputs["attention_mask"] = batch["shared_mask"]
    elif (masked and "position_ids" not in batch) or has_encoder(model):  # beside one, models look for no packed rows
        inputs["attention_mask"] = batch["attention_mask"]
    if has_encoder(model):
        inputs["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels=batch["labels"])
    if all_logits:
        with shared_attention(model, batch):
            return model(**inputs).logits.flatten(0, 1).index_select(0, batch["positions"]).float()
    with only_positions(model, batch["positions"]), shared_attention(model, batch):
        return model(**inputs).logits.squeeze(0).float()


def summed_loss(
    model: torch.nn.Module,
    batch: dict[str, torch.Tensor],
    *,
    masked: bool = False,
    all_logits: bool = False,
    kl_weight: float = 1.0,
) -> torch.Tensor:
    """Sum over the labelled tokens of -log p(token | what stands before it), in nats; see `labelled_logits`.

    Args:
        model, batch, masked, all_logits: as there. Rows that a batch marks for the base (`PaddingCollator`) have
            `kl_weight` * `divergence` in the place of -log p.
        kl_weight: without unit.
    """
    teacher = None
    if "teacher" in batch:  # first: switching the adapter off and on again touches what a graph would hold
        teacher = base_logits(model, batch["teacher"], masked=masked, all_logits=all_logits)
    logits = labelled_logits(model, batch, masked=masked, all_logits=all_logits)
    loss = F.cross_entropy(logits, batch["targets"], reduction="sum")
    if teacher is None:
        return loss
    return loss + kl_weight * divergence(teacher, logits.index_select(0, batch["taught"]))


@torch.no_grad()
def base_logits(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], *, masked: bool = False, all_logits: bool = False
) -> torch.Tensor:
    """`labelled_logits` with the adapter switched off and without dropout; the model's mode is left as it was.

    Raises:
        ValueError: the model has no adapter, so that nothing remembers the base.
    """
    if not hasattr(model, "disable_adapter"):
        raise ValueError("a model with an adapter is expected: switched off, it is the base")
    training = model.training
    model.eval()
    with model.disable_adapter(), torch.compiler.set_stance("force_eager"):  # else that mode is compiled as well
        logits = labelled_logits(model, batch, masked=masked, all_logits=all_logits)
    model.train(training)
    return logits


def divergence(base: torch.Tensor, adapted: torch.Tensor) -> torch.Tensor:
    """KL(base || adapted) = sum over places and words of p (log p - log q), in nats; q may be off where p is small.

    Args:
        base: logits (places, vocabulary) of the distribution p that is kept. adapted: likewise, of q.
    """
    log_p, log_q = F.log_softmax(base, dim=-1), F.log_softmax(adapted, dim=-1)
    return F.kl_div(log_q, log_p, reduction="sum", log_target=True)


class LogLikelihood(NamedTuple):
    """Of one example's labelled tokens, in nats."""

    sum_logprob: float
    tokens: int
    is_greedy: bool = True  # each labelled token is the most likely one: greedy decoding would write them all


@torch.no_grad()
def log_likelihood(
    model: torch.nn.Module,
    tokenizer,
    examples: Sequence,
    *,
    batch_rows: int | None = None,
    most_tokens: int | None = None,
) -> list[LogLikelihood]:
    """log p(labelled tokens | everything before them) of each example.

    Args:
        model: a causal model or an encoder-decoder; put into eval mode.
        tokenizer: for its padding token.
        examples: `Example`s or mappings with `input_ids` and `labels` (-100: not scored).
        batch_rows: examples per forward, at most. most_tokens: places per forward, at most. None for as many as the
            free memory holds.

    Returns:
        One result per example, in the order given. exp(-sum / tokens) is the perplexity.
    """
    model.eval()
    collate = PaddingCollator(tokenizer.pad_token_id, encoder_decoder=has_encoder(model))
    lengths = [row_tokens(example, has_encoder(model)) for example in examples]
    results: list[LogLikelihood | None] = [None] * len(examples)
    for chosen in batches_that_fit(lengths, most_tokens or tokens_that_fit(model), batch_rows):
        for i, result in zip(chosen, _score(model, collate([examples[i] for i in chosen])), strict=True):
            results[i] = result
    return results


def _score(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> list[LogLikelihood]:
    device = next(model.parameters()).device
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    rows, width = batch["labels"].shape
    with autocast(model):
        logits = labelled_logits(model, batch)  # (labelled, vocabulary)
    logprobs = -F.cross_entropy(logits, batch["targets"], reduction="none").double()
    row_of = batch["positions"] // width
    sums = torch.zeros(rows, dtype=torch.double, device=device).index_add_(0, row_of, logprobs).tolist()
    counts = torch.bincount(row_of, minlength=rows).tolist()
    missed = torch.bincount(row_of, weights=(logits.argmax(-1) != batch["targets"]).float(), minlength=rows).tolist()
    return [LogLikelihood(*scores) for scores in zip(sums, counts, [miss == 0 for miss in missed], strict=True)]


def computed_in(model: torch.nn.Module) -> torch.dtype:
    """What a model's products run in; one that is trained as a whole keeps its weights in float32 all the same."""
    return getattr(model, "autocast_dtype", model.dtype)


def autocast(model: torch.nn.Module):
    """Mixed precision as in training, where what is trained is float32 and the rest may not be."""
    if computed_in(model) == torch.bfloat16:
        return torch.autocast(next(model.parameters()).device.type, torch.bfloat16)
    return contextlib.nullcontext()


def mean_loss(model: torch.nn.Module, tokenizer, examples: Sequence, batch_rows: int | None = None) -> dict[str, float]:
    """Loss per labelled token over all examples: every token counts the same, whatever its batch.

    Returns:
        `eval_loss` in nats per token, `eval_tokens`, and `eval_exact`: the share of examples whose labelled
        tokens greedy decoding would write exactly, which the same forward pass tells.
    """
    return loss_summary(log_likelihood(model, tokenizer, examples, batch_rows=batch_rows))


def loss_summary(scored: Sequence[LogLikelihood]) -> dict[str, float]:
    """What `mean_loss` returns, from the results of `log_likelihood`."""
    tokens = sum(score.tokens for score in scored)
    loss = -sum(score.sum_logprob for score in scored) / max(tokens, 1)
    return {"eval_loss": loss, "eval_exact": sum(s.is_greedy for s in scored) / len(scored), "eval_tokens": tokens}


def loss_interval(
    scored: Sequence[LogLikelihood],
    *,
    minus: Sequence[LogLikelihood] | None = None,
    clusters: Sequence[Hashable] | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Loss per labelled token with its 95 % interval; exp of each is the perplexity.

    The tokens of one answer are not independent, nor are rows that share a fact: both are drawn together.

    Args:
        scored: results of `log_likelihood`.
        minus: of another model on the same rows; then the interval is of the paired difference.
        clusters: `rows.cluster` of each row; None where every row stands alone.
        samples: bootstrap samples. seed: of the drawing.

    Returns:
        Loss (or difference) in nats per token; `n` counts the rows with a labelled token.

    Raises:
        ValueError: no row has one.
    """
    said = [number for number, score in enumerate(scored) if score.tokens]
    nats = [(minus[i].sum_logprob if minus is not None else 0.0) - scored[i].sum_logprob for i in said]
    together = None if clusters is None else [clusters[i] for i in said]
    return ratio_ci95(nats, [scored[i].tokens for i in said], samples, seed, clusters=together)
