"""transformers' Trainer with token-normalized loss, atomic checkpoints and exact resume."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import torch
from accelerate.utils import set_seed
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback, TrainerState
from transformers.trainer_utils import get_last_checkpoint, rotate_checkpoints

from ftlib import atomic
from ftlib.core.checkpoints import STAGING, checkpoint_bytes, room_for, written_whole
from ftlib.core.distributed import Through, is_main, launched, sum_over_all, wait_for_all, whole
from ftlib.core.explosion import Broken, ExplosionError, ExplosionWatch, explosion_error
from ftlib.core.loss import summed_loss
from ftlib.core.monitor import Monitor
from ftlib.core.pace import Pace, without_gain
from ftlib.progress import without_library_bars

TRAINER_STATE_NAME = "trainer_state.json"


class TokenTrainer(Trainer):
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
        self.eval_every_steps = eval_every_steps
        self.only_labelled_logits, self.kl_weight = only_labelled_logits, kl_weight
        self.metrics_path = Path(metrics_path)
        self._tokens_since_log, self._paused, self._log_clock = 0, 0.0, time.perf_counter()
        self.watch, self._batch = ExplosionWatch(stop_on_explosion, gradients=not self.args.fp16), None
        self.monitor = Monitor(self.note, monitor_every_seconds if is_main() else 0.0)
        self._writing = threading.Lock()

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
        self._tokens_since_log = self._tokens_since_log + inputs["attention_mask"].sum()
        everywhere = not self.only_labelled_logits
        model = model if model is self.model else Through(model, self.model)
        options = {"masked": everywhere, "all_logits": everywhere, "kl_weight": self.kl_weight}
        with self._as_others(inputs):
            loss = summed_loss(model, inputs, **options)
        loss = loss / num_items_in_batch * self.accelerator.num_processes
        self._watch_batch(loss)
        return loss

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
        accumulation, batch = self.args.gradient_accumulation_steps, broken.reading.batch
        processes, place = self.args.world_size, self.args.process_index  # they take the batches in turn
        start, count = (broken.reading.step - 1) * accumulation * processes, accumulation * processes
        if batch is not None:
            start, count = batch * processes + place, 1
        numbers = [row for rows in islice(self.batches, start, start + count) for row in rows]
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
        started = time.perf_counter()
        metrics = self._evaluator_metrics()
        if self.keep_best or self.patience:
            self._compare_with_best(self._to_lower(metrics))
        self._paused += time.perf_counter() - started
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
        if self.watch.rule != "off" and not math.isfinite(metrics.get("eval_loss", 0.0)):
            where, found = f"training, validation at step {self.state.global_step}", str(metrics["eval_loss"])
            fix = "set model.dtype: float32, or lower train.learning_rate; at step 0 the base itself is broken"
            raise ExplosionError.of(where, "a finite loss", found, fix)
        return metrics

    def _compare_with_best(self, value: float) -> None:
        """Note a new lowest value, and keep what has it."""
        state = self.state
        if state.best_metric is None or value < state.best_metric:
            state.best_metric, state.best_global_step = value, state.global_step
            if self.keep_best:
                self._save_aside(f"best-{state.global_step}")

    def load_best(self) -> None:
        """Put the model's trained parameters back to the lowest validation loss."""
        if self.keep_best and self.state.best_global_step:
            self._load_from_checkpoint(str(Path(self.args.output_dir) / f"best-{self.state.best_global_step}"))

    # -- checkpoints -----------------------------------------------------------------------
    def resume(self) -> None:
        """Train from the last whole checkpoint, or from the start."""
        out_dir = Path(self.args.output_dir)
        if is_main():
            shutil.rmtree(out_dir / STAGING, ignore_errors=True)
        wait_for_all()
        last = get_last_checkpoint(str(out_dir))
        if is_main():
            self._forget_after(int(last.rsplit("-", 1)[1]) if last else 0)
        if launched() > 1:  # else all processes would drop the same places
            set_seed(self.args.seed, device_specific=True)
        self._log_clock, self._paused = time.perf_counter(), 0.0
        if last is None and self.evaluator:
            self._evaluate_start()
        if last is None or not self._load_ended(Path(last)):
            with self.monitor:
                self.train(resume_from_checkpoint=last)

    def _evaluate_start(self) -> None:
        """Step 0: where the training starts from."""
        self.log(self._evaluator_metrics())
        self._log_clock, self._paused = time.perf_counter(), 0.0

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

    def _forget_after(self, step: int) -> None:
        """Drop logged lines that the resumed training is going to write again."""
        if not self.metrics_path.exists():
            return
        kept = []
        for line in self.metrics_path.read_text(encoding="utf-8").splitlines():
            if line.endswith("}") and json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        atomic.write_text(self.metrics_path, "".join(kept))

    def _get_output_dir(self, trial) -> str:
        return str(Path(self.args.output_dir) / STAGING)

    def _save_checkpoint(self, model, trial) -> None:
        """Written aside and renamed when whole: a kill at any moment leaves the previous one."""
        self._stop_if_broken()  # the last checkpoint is a good one
        started = time.perf_counter()
        out_dir, name = Path(self.args.output_dir), f"checkpoint-{self.state.global_step}"
        with written_whole(out_dir, name, checkpoint_bytes(self.model)):
            super()._save_checkpoint(model, trial)
        if is_main():
            self._remove_old(out_dir)
        self._paused += time.perf_counter() - started

    def _remove_old(self, out_dir: Path) -> None:
        rotate_checkpoints(output_dir=str(out_dir), save_total_limit=self.args.save_total_limit)
        for best in out_dir.glob("best-*"):
            if best.name != f"best-{self.state.best_global_step}":
                shutil.rmtree(best)

    def _save_aside(self, name: str) -> None:
        with written_whole(Path(self.args.output_dir), name, checkpoint_bytes(self.model, 0)) as folder:
            self.save_model(str(folder), _internal_call=True)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Only safetensors: Trainer's own version also pickles its arguments."""
        options = {"save_embedding_layers": False} if hasattr(self.model, "peft_config") else {}
        with without_library_bars():  # else one per checkpoint in a headless log
            self.model.save_pretrained(output_dir, state_dict=state_dict, **options)

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

    # -- log -------------------------------------------------------------------------------
    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Append to metrics.jsonl: step, tokens so far, and the throughput since the last log."""
        self._stop_if_broken()
        now, tokens = time.perf_counter(), sum_over_all(int(self._tokens_since_log))
        self.state.num_input_tokens_seen += tokens
        entry = {"step": self.state.global_step, "tokens": self.state.num_input_tokens_seen}
        if "loss" in logs:
            seconds = now - self._log_clock - self._paused
            logs["tokens_per_second"] = tokens / max(seconds, 1e-9)
            logs["seconds"] = seconds
            self._log_clock, self._paused = now, 0.0
        self._tokens_since_log = 0
        entry |= {k: round(v, 8) if isinstance(v, float) else v for k, v in logs.items()}
        if "train_runtime" not in entry:  # Trainer's closing summary repeats what the lines add up to
            self._append(entry)
            if self.on_log:
                self.on_log(entry)
        # Trackers are called here, not from the thread that samples.
        super().log(logs | {f"hardware_{name}": value for name, value in self._sampled().items()})

    def _sampled(self) -> dict[str, float]:
        return dict(self.monitor.latest) if self.args.report_to else {}

    def note(self, line: dict) -> None:
        """Append a line to metrics.jsonl with the step that the training is at, from any thread."""
        if self._batch is not None:  # before the first batch a resumed training does not know its step yet
            self._append(line)

    def _append(self, line: dict) -> None:
        if not is_main():
            return
        line_room = room_for(self.metrics_path.parent, 2**20, "line of metrics.jsonl")
        with line_room, self._writing, self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.state.global_step} | line) + "\n")
