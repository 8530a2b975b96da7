"""Rows laid end to end in one row: no padding, and no token that sees another row's.

transformers tells the rows apart by `position_ids`, which begin again with each of them: its attentions make a
block-diagonal causal mask of that, and flash attention takes the lengths, which are made once a batch here.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain

import torch

from ftlib.core.batches import IGNORED, LengthGroupedBatches, PaddingCollator, labelled_positions


class PackingCollator(PaddingCollator):
    """As `PaddingCollator`, for causal models: a batch is one row of all tokens.

    Args:
        flash: also give the places where rows begin, as transformers' flash attention takes them.
    """

    def __init__(self, *, flash: bool = False):
        super().__init__(pad_token_id=0)
        self.flash = flash

    def _batch(self, rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
        """`input_ids`, `labels`, `attention_mask`, `position_ids` (1, tokens); `positions`, `targets` (labelled,);
        `row_starts` (rows,)."""
        pairs = [self._checked(row) for row in rows]
        ids = torch.tensor([list(chain.from_iterable(ids for ids, _ in pairs))])
        labels = torch.tensor([list(chain.from_iterable([IGNORED, *labels[1:]] for _, labels in pairs))])
        ends = list(accumulate(len(ids) for ids, _ in pairs))
        positions, targets = labelled_positions(labels)
        batch = {
            "input_ids": ids,
            "labels": labels,
            "attention_mask": torch.ones_like(ids),
            "position_ids": torch.cat([torch.arange(len(ids)) for ids, _ in pairs]).unsqueeze(0),
            "positions": positions,
            "targets": targets,
            "row_starts": torch.tensor([0, *ends[:-1]]),
        }
        return batch | (_lengths(ends) if self.flash else {})

    def rows_of(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Which row each of a batch's `positions` belongs to: (labelled,)."""
        return torch.bucketize(batch["positions"], batch["row_starts"], right=True) - 1


def _lengths(ends: Sequence[int]) -> dict[str, torch.Tensor | int]:
    """What flash attention's kernels for rows of unequal length take, by transformers' names."""
    starts = torch.tensor([0, *ends], dtype=torch.int32)
    longest = int(starts.diff().max())
    return {"cu_seq_lens_q": starts, "cu_seq_lens_k": starts, "max_length_q": longest, "max_length_k": longest}


class BestFitBatches(LengthGroupedBatches):
    """Random batches of at most so many tokens: each row goes where the least room is left that it fits in.

    Args:
        lengths, epochs, seed, drawn: as of `LengthGroupedBatches`.
        batch_tokens: of a batch; a longer row has one of its own.
        pool_rows: rows that are divided together; more is fuller batches and less randomness.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_tokens: int,
        epochs: int,
        seed: int,
        pool_rows: int = 4096,
        drawn: Sequence[Sequence[int]] = (),
    ):
        super().__init__(lengths, max(1, pool_rows // 32), epochs, seed, drawn=drawn)
        self.batch_tokens, self.pool_rows = batch_tokens, pool_rows
        self._counts: dict[int, int] = {}

    def count(self, epochs: float) -> float:
        """Batches in so many epochs; other epochs have other batches, so they are made to be counted."""
        whole = int(epochs)
        sizes = [self._size(epoch) for epoch in range(whole + (epochs > whole))]
        return sum(sizes[:whole]) + (epochs - whole) * (sizes[whole] if epochs > whole else 0)

    def _size(self, epoch: int) -> int:
        if epoch not in self._counts:
            self._counts[epoch] = len(self.epoch(epoch))
        return self._counts[epoch]

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of one epoch, in order."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        rows = self.rows(epoch)
        order = [rows[i] for i in torch.randperm(len(rows), generator=generator).tolist()]
        pools = (order[start : start + self.pool_rows] for start in range(0, len(order), self.pool_rows))
        batches = [batch for pool in pools for batch in self._best_fit(pool)]
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

    def _best_fit(self, rows: Sequence[int]) -> list[list[int]]:
        """Best-fit decreasing: at most 11/9 of the fewest batches possible, and one more (Johnson et al. 1974)."""
        batches: list[list[int]] = []
        room: list[tuple[int, int]] = []  # (tokens left, batch), ascending
        for row in sorted(rows, key=lambda row: -self.lengths[row]):
            at = bisect_left(room, (self.lengths[row], -1))
            if at == len(room):
                batches.append([row])
                left, batch = self.batch_tokens - self.lengths[row], len(batches) - 1
            else:
                left, batch = room.pop(at)
                batches[batch].append(row)
                left -= self.lengths[row]
            insort(room, (left, batch))
        return batches
