"""Rows to batches: padding, label positions, and which rows share a batch."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

IGNORED = -100  # the label that PyTorch's cross entropy leaves out


class PaddingCollator:
    """Pads rows on the right to the longest of their batch and lists the positions that have a label.

    The positions are found here, on the CPU, because finding them on a GPU (`nonzero`) would
    make the host wait for everything queued there, once per micro-batch.

    Args:
        pad_token_id: fills `input_ids`; any valid id does, since padding has no label and comes last.
        multiple: widths are rounded up to a multiple of this many tokens (fewer distinct
            widths are fewer graphs for torch.compile).
    """

    def __init__(self, pad_token_id: int, multiple: int = 1):
        self.pad_token_id = pad_token_id
        self.multiple = multiple

    def __call__(self, rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
        """Make one batch.

        Args:
            rows: mappings (or objects with attributes) with `input_ids` and `labels` of equal length.

        Returns:
            `input_ids`, `labels`, `attention_mask` of shape (batch, seq); `positions`, `targets`
            of shape (labelled,): index into the flattened (batch * seq) hidden states and the
            token that has to be predicted there.
        """
        pairs = [_ids_and_labels(row) for row in rows]
        width = max(len(ids) for ids, _ in pairs)
        width = -(-width // self.multiple) * self.multiple
        input_ids = torch.full((len(pairs), width), self.pad_token_id, dtype=torch.long)
        labels = torch.full((len(pairs), width), IGNORED, dtype=torch.long)
        attention_mask = torch.zeros((len(pairs), width), dtype=torch.long)
        for i, (ids, row_labels) in enumerate(pairs):
            input_ids[i, : len(ids)] = torch.as_tensor(ids, dtype=torch.long)
            labels[i, : len(ids)] = torch.as_tensor(row_labels, dtype=torch.long)
            attention_mask[i, : len(ids)] = 1
        positions, targets = labelled_positions(labels)
        return {"input_ids": input_ids, "labels": labels, "attention_mask": attention_mask,
                "positions": positions, "targets": targets}


def _ids_and_labels(row) -> tuple[Sequence[int], Sequence[int]]:
    ids, labels = (row["input_ids"], row["labels"]) if isinstance(row, Mapping) else (row.input_ids, row.labels)
    if len(ids) != len(labels) or len(ids) == 0:
        raise ValueError(f"expected input_ids and labels of equal length above 0, got {len(ids)} and {len(labels)}")
    return ids, labels


def labelled_positions(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions whose next token has a label, and that token.

    Args:
        labels: (batch, seq), -100 where nothing is trained; labels[b, t] is the token at t.

    Returns:
        positions (labelled,) into the flattened batch * seq, targets (labelled,).
    """
    following = torch.full_like(labels, IGNORED)
    following[:, :-1] = labels[:, 1:]  # the model at t predicts the token at t + 1
    flat = following.flatten()
    positions = (flat != IGNORED).nonzero().squeeze(1)
    return positions, flat[positions]


class SequentialBatches:
    """Batch b holds rows b * batch_rows ... (b + 1) * batch_rows - 1: resuming is counting.

    Args:
        batches: number of batches.
        batch_rows: rows in each.
    """

    def __init__(self, batches: int, batch_rows: int):
        self.batches, self.batch_rows = batches, batch_rows

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        for b in range(self.batches):
            yield list(range(b * self.batch_rows, (b + 1) * self.batch_rows))


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
    """

    def __init__(self, lengths: Sequence[int], batch_rows: int, epochs: int, seed: int, pool_batches: int = 32):
        self.lengths, self.batch_rows, self.epochs = list(lengths), batch_rows, epochs
        self.seed, self.pool_batches = seed, pool_batches

    @property
    def per_epoch(self) -> int:
        """Batches in one epoch."""
        return -(-len(self.lengths) // self.batch_rows)

    def __len__(self) -> int:
        return self.per_epoch * self.epochs

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in range(self.epochs):
            yield from self.epoch(epoch)

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of one epoch, in order."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        pool = self.batch_rows * self.pool_batches
        ordered = []
        for start in range(0, len(order), pool):
            ordered += sorted(order[start : start + pool], key=self.lengths.__getitem__)
        batches = [ordered[i : i + self.batch_rows] for i in range(0, len(ordered), self.batch_rows)]
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
