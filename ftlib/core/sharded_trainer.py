"""The trainer where the model is split among the processes (FSDP2)."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from ftlib.core.sharding import (
    average_on_cpus,
    code_sums,
    gathered,
    hand_out,
    load_optimizer_state,
    optimizer_state,
    require_codes,
    take_fsdp,
)
from ftlib.core.trainer import TokenTrainer


class ShardedTrainer(TokenTrainer):
    """`TokenTrainer` with an adapter on a base of which each process holds a part.

    Trainer's own checkpoints of such a model hold the base, too, and in as many parts as there are processes. Here they
    are as those of one process: the adapter in PEFT's format and the optimizer's state, gathered and written by the
    first process, so that any number of processes can go on from them.

    Args:
        optimizers: the optimizer, made for the model as it is before it is split, and its schedule.
        Others: as for `TokenTrainer`.
    """

    def __init__(self, *, optimizers: tuple, **kwargs):
        super().__init__(**kwargs)
        self.optimizer, self.lr_scheduler = optimizers  # Trainer refuses them with FSDP: its first version made others
        self._start_is_due = False

    def create_accelerator_and_postprocess(self) -> None:
        """Trainer's accelerator, which splits on CPUs as well."""
        super().create_accelerator_and_postprocess()
        take_fsdp(self.accelerator.state)
        self.is_fsdp_enabled = True

    # -- splitting -------------------------------------------------------------------------
    def _evaluate_start(self) -> None:
        self._start_is_due = True  # when the model is split

    def _prepare_for_training(self, *args):
        codes = code_sums(self.model)
        prepared = super()._prepare_for_training(*args)
        average_on_cpus(self.model)
        require_codes(self.model, codes)
        if self._start_is_due:
            super()._evaluate_start()
            self.metrics_log.start_clock()
            self._start_is_due = False
        return prepared

    def _load_ended(self, checkpoint: Path) -> bool:
        ended = super()._load_ended(checkpoint)
        if ended:  # as after a training: what comes next asks a split model
            self._prepare_for_training(self.args.max_steps, None, None)
        return ended

    def _is_finite(self, row: int) -> bool:
        """Unknown: processes would have to look at a row together, and only one may have found a broken batch."""
        return True

    # -- checkpoints -----------------------------------------------------------------------
    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The adapter, gathered from all processes and written by the first."""
        tensors = gathered(self.model)
        if self.args.should_save:
            self._save(output_dir, tensors)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        hand_out(self.model, load_file(Path(resume_from_checkpoint) / "adapter_model.safetensors"))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = optimizer_state(self.optimizer.optimizer)
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str) -> None:
        optimizer, scheduler = (
            torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True)
            for name in (OPTIMIZER_NAME, SCHEDULER_NAME)
        )
        load_optimizer_state(self.optimizer.optimizer, optimizer)
        self.lr_scheduler.load_state_dict(scheduler)
