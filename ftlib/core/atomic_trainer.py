"""transformers' Trainer with checkpoints that are whole or not there, and weights in safetensors only."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import load_file
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from ftlib.core.checkpoints import STAGING, checkpoint_bytes, save_weights, written_whole
from ftlib.core.distributed import is_main


class AtomicTrainer(Trainer):
    """Trainer that writes checkpoints aside and renames them: a kill at any moment leaves the previous one.

    Beside the newest `save_total_limit` checkpoints it keeps what `save_aside` wrote for the best step.

    Args:
        As for `transformers.Trainer`.
    """

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""
        return Path(self.args.output_dir)

    def save_aside(self, name: str) -> None:
        """Write the weights alone, without the optimizer's state, into a folder beside the checkpoints."""
        with written_whole(self.folder, name, checkpoint_bytes(self.model, 0)) as folder:
            self.save_model(str(folder), _internal_call=True)

    def _get_output_dir(self, trial) -> str:
        return str(self.folder / STAGING)

    def _save_checkpoint(self, model, trial) -> None:
        with written_whole(self.folder, f"checkpoint-{self.state.global_step}", checkpoint_bytes(self.model)):
            super()._save_checkpoint(model, trial)
        if is_main():
            self._remove_old()

    def _remove_old(self) -> None:
        rotate_checkpoints(output_dir=str(self.folder), save_total_limit=self.args.save_total_limit)
        for best in self.folder.glob("best-*"):
            if best.name != f"best-{self.state.best_global_step}":
                shutil.rmtree(best)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Trainer's own version also pickles its arguments."""
        save_weights(self.model, output_dir, state_dict)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        """Weights only; tied weights are stored once and arrive through the other name."""
        folder = Path(resume_from_checkpoint)
        if hasattr(self.model, "peft_config"):
            from peft import set_peft_model_state_dict

            set_peft_model_state_dict(self.model, load_file(folder / "adapter_model.safetensors"))
        elif (folder / "model.safetensors").exists():
            self.model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        else:  # sharded
            super()._load_from_checkpoint(resume_from_checkpoint, model)
