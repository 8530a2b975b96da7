"""Rows to batches: padding, label positions, and which rows share a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

# What a model is told beside the tokens where rows are packed, by transformers' names; see `ftlib.core.packing`.
PACKED_INPUTS = ("position_ids", "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")
IGNORED = -100  # the label that PyTorch's cross entropy leaves out


class TowardsBase(NamedTuple):
    """An example that teaches no token: at its labelled ones the base's own prediction is to be kept."""

    input_ids: list[int]
    labels: list[int]


class PaddingCollator:
    """Pads rows on the right to the longest of their batch and lists the positions that have a label.

    The positions are found here, on the CPU, because finding them on a GPU (`nonzero`) would
    make the host wait for everything queued there, once per micro-batch.

    Args:
        pad_token_id: fills `input_ids`; any valid id does, since padding has no label and comes last.
        encoder_decoder: labels are what a decoder writes, not the input's continuation.
        multiple: widths are rounded up to a multiple of this many tokens (fewer distinct
            widths are fewer graphs for torch.compile).
    """

    def __init__(self, pad_token_id: int, *, encoder_decoder: bool = False, multiple: int = 1):
        self.pad_token_id, self.encoder_decoder, self.multiple = pad_token_id, encoder_decoder, multiple

    def __call__(self, rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
        """Make one batch.

        Args:
            rows: mappings (or objects with attributes) with `input_ids` and `labels`, of equal length but for
                an encoder-decoder's.

        Returns:
            `input_ids`, `attention_mask` of shape (batch, seq) and `labels` (batch, seq; an encoder-decoder's
            are (batch, written)); `positions`, `targets` of shape (labelled,): index into the flattened
            hidden states in front of the output layer and the token that has to be predicted there. With rows for
            which `is_towards_base` holds also `teacher`, a batch of these alone, and `taught`, the places of their
            labelled tokens among `positions`; their `targets` are -100.
        """
        batch = self._batch(rows)
        chosen = [at for at, row in enumerate(rows) if is_towards_base(row)]
        if chosen:
            taught = torch.isin(self.rows_of(batch), torch.tensor(chosen)).nonzero().squeeze(1)
            batch["targets"][taught] = IGNORED
            batch |= {"teacher": self._batch([rows[at] for at in chosen]), "taught": taught}
        return batch

    def rows_of(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Which row each of a batch's `positions` belongs to: (labelled,)."""
        return batch["positions"] // batch["labels"].shape[1]

    def _batch(self, rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
        pairs = [self._checked(row) for row in rows]
        input_ids = self._padded([ids for ids, _ in pairs], self.pad_token_id)
        labels = self._padded([labels for _, labels in pairs], IGNORED)
        attention_mask = self._padded([[1] * len(ids) for ids, _ in pairs], 0)
        positions, targets = labelled_positions(labels, following=not self.encoder_decoder)
        return {
            "input_ids": input_ids,
            "labels": labels,
            "attention_mask": attention_mask,
            "positions": positions,
            "targets": targets,
        }

    def _checked(self, row) -> tuple[Sequence[int], Sequence[int]]:
        pair = ids, labels = ids_and_labels(row)
        if not len(ids) or not len(labels) or (len(ids) != len(labels) and not self.encoder_decoder):
            raise ValueError(f"expected input_ids and labels of equal length above 0, got {len(ids)} and {len(labels)}")
        return pair

    def _padded(self, rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
        """(batch, seq): `seq` is the longest row's, rounded up."""
        width = -(-max(map(len, rows)) // self.multiple) * self.multiple
        padded = torch.full((len(rows), width), fill, dtype=torch.long)
        for i, row in enumerate(rows):
            padded[i, : len(row)] = torch.as_tensor(row, dtype=torch.long)
        return padded


def is_towards_base(row) -> bool:
    """Whether a row is a `TowardsBase`, or a mapping that says so under this name in small letters."""
    return bool(row.get("towards_base")) if isinstance(row, Mapping) else isinstance(row, TowardsBase)


def ids_and_labels(row) -> tuple[Sequence[int], Sequence[int]]:
    """Both of an `Example` or of a mapping with these keys."""
    return (row["input_ids"], row["labels"]) if isinstance(row, Mapping) else (row.input_ids, row.labels)


def row_tokens(row, encoder_decoder: bool = False) -> int:
    """Tokens that a row's forward pass reads, those that a decoder is shown included."""
    ids, labels = ids_and_labels(row)
    return len(ids) + (len(labels) if encoder_decoder else 0)


def batches_that_fit(lengths: Sequence[int], most_tokens: int, most_rows: int | None = None) -> list[list[int]]:
    """Indices of rows of similar length, longest first: what needs most memory fails at once.

    Args:
        lengths: tokens of each row.
        most_tokens: places of a batch, padding included; a longer row has a batch of its own.
        most_rows: rows of a batch, or None.

    Returns:
        One list of indices a batch.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    batches, start = [], 0
    while start < len(order):
        rows = max(1, most_tokens // max(1, lengths[order[start]]))
        rows = min(rows, most_rows or rows)
        batches.append(order[start : start + rows])
        start += rows
    return batches


def labelled_positions(labels: torch.Tensor, following: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions where a labelled token is predicted, and that token.

    Args:
        labels: (batch, seq), -100 where nothing is trained; labels[b, t] is the token at t.
        following: the model at t predicts the token at t + 1 (a causal model); else the one at t (a decoder
            whose inputs are the labels, shifted).

    Returns:
        positions (labelled,) into the flattened batch * seq, targets (labelled,).
    """
    predicted = labels
    if following:
        predicted = torch.full_like(labels, IGNORED)
        predicted[:, :-1] = labels[:, 1:]
    flat = predicted.flatten()
    positions = (flat != IGNORED).nonzero().squeeze(1)
    return positions, flat[positions]


def on_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch with its tensors, those of a batch in it included, on a device."""
    moved = {name: value.to(device) if torch.is_tensor(value) else value for name, value in batch.items()}
    return moved | {name: on_device(value, device) for name, value in batch.items() if isinstance(value, Mapping)}


class LengthGroupedBatches:
    """Random batches of rows of similar length, a pure function of (lengths, seed).

    Every epoch shuffles the rows, sorts each stretch of `pool_batches` batches by length and
    shuffles the batches made of it: little padding, and still another order in each epoch.

    Args:
        lengths: tokens of each row.
        batch_rows: rows in a batch (the last one of an epoch may hold fewer).
        epochs: how often each row comes up.
        seed: of the order.
        pool_batches: batches sorted together; more is less padding and less randomness.
        drawn: further rows (their indices) that come up in one epoch only; after the last list the first comes
            again.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_rows: int,
        epochs: int,
        seed: int,
        pool_batches: int = 32,
        drawn: Sequence[Sequence[int]] = (),
    ):
        self.lengths, self.batch_rows, self.epochs = list(lengths), batch_rows, epochs
        self.seed, self.pool_batches, self.drawn = seed, pool_batches, drawn
        own = {row for rows in drawn for row in rows}
        self.always = [row for row in range(len(self.lengths)) if row not in own]

    def rows(self, epoch: int) -> list[int]:
        """Indices of the rows that come up in an epoch."""
        return [*self.always, *(self.drawn[epoch % len(self.drawn)] if self.drawn else ())]

    def count(self, epochs: float) -> float:
        """Batches in so many epochs."""
        whole, drawn = int(epochs), [len(rows) for rows in self.drawn] or [0]
        rows = (len(self.always) + drawn[epoch % len(drawn)] for epoch in range(whole + 1))
        sizes = [-(-count // self.batch_rows) for count in rows]
        return sum(sizes[:whole]) + (epochs - whole) * sizes[whole]

    def __len__(self) -> int:
        return int(self.count(self.epochs))

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in range(self.epochs):
            yield from self.epoch(epoch)

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of one epoch, in order."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        rows = self.rows(epoch)
        order = [rows[i] for i in torch.randperm(len(rows), generator=generator).tolist()]
        pool = self.batch_rows * self.pool_batches
        ordered = []
        for start in range(0, len(order), pool):
            ordered += sorted(order[start : start + pool], key=self.lengths.__getitem__)
        batches = [ordered[i : i + self.batch_rows] for i in range(0, len(ordered), self.batch_rows)]
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
