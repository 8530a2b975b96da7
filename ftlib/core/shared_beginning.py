"""What most rows begin with (template, system prompt) is read once a batch, in training, gradients included.

A batch is one row of tokens: the beginning, then each row's rest, all of one width. Every product, norm and activation
is computed of that; only attention looks at the rest of each row beside the beginning. Without dropout it is the same
loss and the same gradients as of whole rows (tests/core/test_shared_beginning.py); with it the beginning drops the same
places for all rows of a batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from torch.nn import functional as F

from ftlib.core.batches import IGNORED, PaddingCollator, ids_and_labels, is_towards_base, labelled_positions

_PREFIX = "shared_"  # of the attentions' names among transformers'
_LOOKED_AT = 2048  # rows, evenly, that show what most of them begin with


def common_beginning(rows: Sequence, most_tokens: int) -> list[int]:
    """The untrained tokens that rows begin with, as many as save most: at each of them it goes with most rows.

    Args:
        rows: as `PaddingCollator` takes them. most_tokens: of the beginning.

    Returns:
        Token ids; none where fewer than half of the rows agree on the first.
    """
    step = -(-len(rows) // _LOOKED_AT) or 1
    looked_at = going = [ids_and_labels(row) for row in rows[::step] if not is_towards_base(row)]
    found: list[int] = []
    saved = [0]
    while len(found) < most_tokens:
        at = len(found)
        counts = Counter(ids[at] for ids, labels in going if _untrained(labels, at))
        token, count = max(counts.items(), key=lambda each: each[1], default=(0, 0))
        if 2 * count <= len(looked_at):
            break
        going = [(ids, labels) for ids, labels in going if _untrained(labels, at) and ids[at] == token]
        found.append(token)
        saved.append(count * len(found))
    return found[: max(range(len(saved)), key=saved.__getitem__)]


def _untrained(labels: Sequence[int], at: int) -> bool:
    """Whether the token there and the next one are shown only: what is predicted is told apart by its row."""
    return at + 1 < len(labels) and labels[at] == labels[at + 1] == IGNORED


def begins_with(row, beginning: Sequence[int]) -> bool:
    """Whether a row can be read after a beginning that others share."""
    ids, labels = ids_and_labels(row)
    count = len(beginning)
    return len(ids) > count and list(ids[:count]) == list(beginning) and _untrained(labels, count - 1)


class SharedCollator(PaddingCollator):
    """As `PaddingCollator`, for causal models: a batch is one row of a beginning and what follows it in each row.

    Args:
        pad_token_id: as there. beginning: from `common_beginning`.
        least: share of a batch's tokens that are to be saved; where fewer would be, its rows are read whole.
    """

    def __init__(self, pad_token_id: int, beginning: Sequence[int], least: float = 0.0):
        super().__init__(pad_token_id)
        self.beginning, self.least = list(beginning), least

    def _batch(self, rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
        """As of whole rows; but for `labels` (batch, width) and `attention_mask` (batch, seq), which count tokens, of
        one row of all places: `input_ids`, `position_ids` (1, shared + batch * width), `shared_mask` (batch, 1, width,
        shared + width), and `positions` in it. Rows that begin otherwise stand there whole and don't see the beginning.
        """
        sharing = torch.tensor([begins_with(row, self.beginning) for row in rows])
        shared, pairs = len(self.beginning), [self._checked(row) for row in rows]
        saved = shared * (int(sharing.sum()) - 1)
        if saved <= 0 or saved < self.least * sum(len(ids) for ids, _ in pairs):
            return super()._batch(rows)
        starts = [shared if own else 0 for own in sharing]
        cut = [(ids[start:], labels[start:]) for (ids, labels), start in zip(pairs, starts, strict=True)]
        ids = self._padded([ids for ids, _ in cut], self.pad_token_id)
        labels = self._padded([labels for _, labels in cut], IGNORED)
        width = ids.shape[1]
        places = torch.arange(width) + shared * sharing.unsqueeze(1)
        positions, targets = labelled_positions(labels)
        return {
            "input_ids": torch.cat([torch.tensor(self.beginning), ids.flatten()]).unsqueeze(0),
            "labels": labels,
            "attention_mask": self._padded([[1] * len(ids) for ids, _ in pairs], 0),
            "position_ids": torch.cat([torch.arange(shared), places.flatten()]).unsqueeze(0),
            "shared_mask": _seen(sharing, shared, width),
            "positions": positions + shared,
            "targets": targets,
        }

    def rows_of(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Which row each of a batch's `positions` belongs to: (labelled,)."""
        if "shared_mask" not in batch:
            return super().rows_of(batch)
        return (batch["positions"] - len(self.beginning)) // batch["labels"].shape[1]


def _seen(sharing: torch.Tensor, shared: int, width: int) -> torch.Tensor:
    """(batch, 1, width, shared + width): a place sees its row up to itself, and the beginning where it is its own."""
    own = torch.ones(width, width, dtype=torch.bool).tril().expand(len(sharing), 1, width, width)
    return torch.cat([sharing.view(-1, 1, 1, 1).expand(-1, 1, width, shared), own], dim=-1)


@contextmanager
def shared_attention(model: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Inside, a model's attention takes the batch as it is laid out: the model's own, or one for a shared beginning.

    The backward pass belongs inside, too, where activations are computed again.
    """
    config = model.config
    before = config._attn_implementation
    own = before.removeprefix(_PREFIX)
    config._attn_implementation = _registered(own) if "shared_mask" in batch else own
    try:
        yield
    finally:
        config._attn_implementation = before


@cache
def _registered(own: str) -> str:
    """The name under which transformers finds the attention, from the name of the model's own."""
    from transformers import AttentionInterface

    AttentionInterface.register(_PREFIX + own, ATTENTIONS[own])
    return _PREFIX + own


def _attention(attend):
    """An attention as transformers calls them, for `SharedCollator`'s batches."""

    def shared(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
        if kwargs.get("s_aux") is not None:
            raise NotImplementedError("attention with sinks")
        rows, _, width, seen = attention_mask.shape
        at = seen - width
        options = {"scaling": query.shape[-1] ** -0.5 if scaling is None else scaling, "dropout": dropout}
        options["softcap"] = kwargs.get("softcap")
        own = lambda x: x[0, :, at:].unflatten(1, (rows, width)).transpose(0, 1)  # (rows, heads, width, dim)
        both = lambda x: torch.cat([x[:, :, :at].expand(rows, -1, -1, -1), own(x)], dim=2)
        causal = torch.ones(at, at, dtype=torch.bool, device=query.device).tril()
        first = attend(query[:, :, :at], key[:, :, :at], value[:, :, :at], causal, **options)
        rest = attend(own(query), both(key), both(value), attention_mask, **options)
        return torch.cat([first.transpose(1, 2), rest.transpose(1, 2).flatten(0, 1).unsqueeze(0)], dim=1), None

    return shared


def _by_hand(query, key, value, mask, *, scaling: float, dropout: float, softcap: float | None) -> torch.Tensor:
    """Attention in plain products, the softmax in float32, as transformers' eager one; heads share keys unrepeated."""
    groups, width = key.shape[1], query.shape[2]
    folded = query.unflatten(1, (groups, -1)).flatten(2, 3)  # (rows, groups, heads of a group * width, dim)
    scores = (folded @ key.transpose(2, 3)).unflatten(2, (-1, width)) * scaling
    scores = softcap * torch.tanh(scores / softcap) if softcap else scores
    mask = mask.unsqueeze(-3) if mask.dim() == 4 else mask
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1, dtype=torch.float32)
    weights = weights.to(query.dtype)
    weights = F.dropout(weights, dropout) if dropout else weights  # torch.compile takes no comparison for `training`
    return (weights.flatten(2, 3) @ value).unflatten(2, (-1, width)).flatten(1, 2)


def _by_torch(query, key, value, mask, *, scaling: float, dropout: float, softcap: float | None) -> torch.Tensor:
    if softcap:
        raise NotImplementedError("soft caps in PyTorch's attention")
    return F.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scaling, enable_gqa=True)


ATTENTIONS = {"eager": _attention(_by_hand), "sdpa": _attention(_by_torch)}  # by transformers' names of the others
