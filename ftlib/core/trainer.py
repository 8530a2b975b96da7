"""transformers' Trainer with token-normalized loss, atomic checkpoints and exact resume."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from transformers.trainer_callback import PrinterCallback, TrainerState
from transformers.trainer_utils import get_last_checkpoint

from ftlib.core.atomic_trainer import AtomicTrainer
from ftlib.core.checkpoints import STAGING
from ftlib.core.distributed import Through, is_main, launched, wait_for_all, whole
from ftlib.core.explosion import Broken, ExplosionWatch, explosion_error, require_finite
from ftlib.core.loss import summed_loss
from ftlib.core.metrics_log import MetricsLog
from ftlib.core.monitor import Monitor
from ftlib.core.pace import Pace, without_gain
from ftlib.core.shared_beginning import shared_attention

TRAINER_STATE_NAME = "trainer_state.json"


class TokenTrainer(AtomicTrainer):
    """Full-parameter and adapter training of a language model.

    Args:
        batches: index lists, one per micro-batch, for the whole training; a pure function of the
            recipe, so that a resumed training sees exactly the batches that are left.
        evaluator: called with the model in eval mode every `eval_every_steps` and at the end;
            returns numbers for the log, among them what `best_by` asks for.
        eval_every_steps: steps between evaluations; 0 for none.
        patience: evaluations without a new best before training stops; 0 for never.
        min_delta: by how much a new best must be lower to count there (nats a token, or share of answers).
        keep_best: save the model at its best evaluation as best-<step>.
        best_by: "loss" for the lowest `eval_loss`, "exact" for the highest `eval_exact`.
        save_every_seconds: time between checkpoints.
        only_labelled_logits: compute logits at labelled positions only.
        kl_weight: of the divergence from the base, on rows that keep to it.
        metrics_path: JSON lines, one per log and one per sample of the hardware.
        on_log: called with every logged dict, but not with samples of the hardware.
        monitor_every_seconds: time between these samples; 0 for none.
        stop_on_explosion: the rule of `explosion.ExplosionWatch`.
        Others: as for `transformers.Trainer`.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *,
        batches: Sequence[list[int]],
        metrics_path: Path,
        save_every_seconds: float,
        evaluator: Callable[[torch.nn.Module], dict[str, float]] | None = None,
        eval_every_steps: int = 0,
        patience: int = 0,
        min_delta: float = 0.0,
        keep_best: bool = False,
        best_by: str = "loss",
        only_labelled_logits: bool = True,
        kl_weight: float = 1.0,
        on_log: Callable[[dict], None] | None = None,
        monitor_every_seconds: float = 0.0,
        stop_on_explosion: str = "off",
        **kwargs,
    ):
        super().__init__(callbacks=[Pace(eval_every_steps if evaluator else 0, save_every_seconds)], **kwargs)
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = True  # so that Trainer counts the labels of the whole accumulation
        self._loss_shifts_labels = True
        self.batches, self.evaluator, self.on_log = batches, evaluator, on_log
        self.patience, self.min_delta, self.keep_best, self.best_by = patience, min_delta, keep_best, best_by
        self.only_labelled_logits, self.kl_weight = only_labelled_logits, kl_weight
        self.metrics_log = MetricsLog(metrics_path, at_step=lambda: self.state.global_step)
        self.watch, self._batch = ExplosionWatch(stop_on_explosion, gradients=not self.args.fp16), None
        self.monitor = Monitor(self.metrics_log.note, monitor_every_seconds if is_main() else 0.0)

    # -- data ------------------------------------------------------------------------------
    def get_train_dataloader(self) -> DataLoader:
        """The batches in their order; a resumed training skips the index lists, not the rows."""
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)

    # -- loss ------------------------------------------------------------------------------
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Sum of the labelled tokens' losses over the number of labels in the whole accumulation."""
        self.metrics_log.count(inputs["attention_mask"].sum())
        everywhere = not self.only_labelled_logits
        model = model if model is self.model else Through(model, self.model)
        options = {"masked": everywhere, "all_logits": everywhere, "kl_weight": self.kl_weight}
        with self._as_others(inputs):
            loss = summed_loss(model, inputs, **options)
        loss = loss / num_items_in_batch * self.accelerator.num_processes
        self._watch_batch(loss)
        return loss

    def training_step(self, model, inputs, num_items_in_batch=None):
        """As transformers', forward and backward with the attention that the batch's layout asks for."""
        with shared_attention(self.model, inputs):
            return super().training_step(model, inputs, num_items_in_batch)

    def _as_others(self, inputs):
        """Eager for a row that is alone in its batch: compiled layers would be compiled anew for that one."""
        alone = len(inputs["input_ids"]) == 1 < self.args.per_device_train_batch_size
        if alone and "position_ids" not in inputs:  # packed rows are one always
            return torch.compiler.set_stance("force_eager")
        return contextlib.nullcontext()

    def _clip_grad_norm(self, model):
        self.accelerator.unscale_gradients()  # float16's losses are scaled up; does nothing in other dtypes
        parameters = [p for p in model.parameters() if p.grad is not None]
        norm = whole(torch.nn.utils.clip_grad_norm_(parameters, self.args.max_grad_norm, foreach=True))
        self.watch.add(self.state.global_step + 1, None, norm)
        if norm.device.type == "cpu":  # before the step is taken; elsewhere looking would make the host wait
            self._stop_if_broken()
        return norm

    def floating_point_ops(self, inputs) -> int:
        """0: counting walks over all parameters at every step, and nothing here reads it."""
        return 0

    # -- explosions ------------------------------------------------------------------------
    def _watch_batch(self, loss: torch.Tensor) -> None:
        accumulation = self.args.gradient_accumulation_steps
        if self._batch is None:  # the first one since the start or the checkpoint
            self._batch = self.state.global_step * accumulation
        self.watch.add(self.state.global_step + 1, self._batch, loss.detach() * accumulation)
        self._batch += 1

    def _stop_if_broken(self) -> None:
        broken = self.watch.look()
        if broken is None:
            return
        last = get_last_checkpoint(self.args.output_dir)
        rate = self.lr_scheduler.get_last_lr()[0]
        raise explosion_error(broken, self._rows_of(broken), rate, Path(last).name if last else None)

    def _rows_of(self, broken: Broken) -> list[str]:
        """Ids of the rows of a broken batch (or of all of a step); where some break alone, of these."""
        accumulation, processes = self.args.gradient_accumulation_steps, self.args.world_size
        numbers = broken.reading.rows(self.batches, accumulation, processes, self.args.process_index)
        alone = [] if math.isfinite(broken.value) else [row for row in numbers if not self._is_finite(row)]
        return [str(self.train_dataset[row].get("id", f"number {row}")) for row in alone or numbers]

    def _is_finite(self, row: int) -> bool:
        inputs = self._prepare_inputs(self.data_collator([self.train_dataset[row]]))
        with torch.no_grad(), self.compute_loss_context_manager():
            return bool(summed_loss(self.model, inputs).isfinite())

    # -- evaluation ------------------------------------------------------------------------
    def evaluate(self, *args, **kwargs) -> dict[str, float]:
        """Run `evaluator`, keep the best model, decide on stopping early."""
        self._stop_if_broken()
        with self.metrics_log.paused():
            metrics = self._evaluator_metrics()
            if self.keep_best or self.patience:
                self._compare_with_best(self._to_lower(metrics))
        self.log(metrics)
        self.control.should_training_stop |= self._patience_is_over(self.state)
        return metrics

    def _to_lower(self, metrics: Mapping[str, float]) -> float:
        return -metrics["eval_exact"] if self.best_by == "exact" else metrics["eval_loss"]

    def _evaluator_metrics(self) -> dict[str, float]:
        self.model.eval()
        with torch.compiler.set_stance("force_eager"):  # else eval mode and its shapes are compiled as well
            metrics = self.evaluator(self.model)
        self.model.train()
        if self.watch.rule != "off":
            require_finite(metrics.get("eval_loss", 0.0), self.state.global_step)
        return metrics

    def _compare_with_best(self, value: float) -> None:
        """Note a new lowest value, and keep what has it."""
        state = self.state
        if state.best_metric is None or value < state.best_metric:
            state.best_metric, state.best_global_step = value, state.global_step
            if self.keep_best:
                self.save_aside(f"best-{state.global_step}")

    def load_best(self) -> None:
        """Put the model's trained parameters back to the lowest validation loss."""
        if self.keep_best and self.state.best_global_step:
            self._load_from_checkpoint(str(self.folder / f"best-{self.state.best_global_step}"))

    # -- checkpoints -----------------------------------------------------------------------
    def resume(self) -> None:
        """Train from the last whole checkpoint, or from the start."""
        if is_main():
            shutil.rmtree(self.folder / STAGING, ignore_errors=True)
        wait_for_all()
        last = get_last_checkpoint(str(self.folder))
        if is_main():
            self.metrics_log.forget_after(int(last.rsplit("-", 1)[1]) if last else 0)
        if launched() > 1:  # else all processes would drop the same places
            set_seed(self.args.seed, device_specific=True)
        if last is None and self.evaluator:
            self._evaluate_start()
        self.metrics_log.start_clock()
        if last is None or not self._load_ended(Path(last)):
            with self.monitor:
                self.train(resume_from_checkpoint=last)

    def _evaluate_start(self) -> None:
        """Step 0: where the training starts from."""
        self.log(self._evaluator_metrics())

    def _load_ended(self, checkpoint: Path) -> bool:
        """Take over weights and state where the checkpoint is a training's last one."""
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        if state.global_step < self.args.max_steps and not self._patience_is_over(state):
            return False
        self.state = state
        self._load_from_checkpoint(str(checkpoint))
        return True

    def _patience_is_over(self, state: TrainerState) -> bool:
        evaluated = [entry for entry in state.log_history if "eval_loss" in entry and entry["step"]]
        values = [self._to_lower(entry) for entry in evaluated]
        return bool(self.patience) and without_gain(values, self.min_delta) >= self.patience

    def _save_checkpoint(self, model, trial) -> None:
        self._stop_if_broken()  # the last checkpoint is a good one
        with self.metrics_log.paused():
            super()._save_checkpoint(model, trial)

    # -- log -------------------------------------------------------------------------------
    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Append to metrics.jsonl: step, tokens so far, and the throughput since the last log."""
        self._stop_if_broken()
        tokens, throughput = self.metrics_log.lap(trained="loss" in logs)
        self.state.num_input_tokens_seen += tokens
        logs |= throughput
        entry = {"step": self.state.global_step, "tokens": self.state.num_input_tokens_seen}
        entry |= {k: round(v, 8) if isinstance(v, float) else v for k, v in logs.items()}
        if "train_runtime" not in entry:  # Trainer's closing summary repeats what the lines add up to
            self.metrics_log.append(entry)
            if self.on_log:
                self.on_log(entry)
        # Trackers are called here, not from the thread that samples.
        sampled = self.monitor.latest if self.args.report_to else {}
        super().log(logs | {f"hardware_{name}": value for name, value in sampled.items()})
