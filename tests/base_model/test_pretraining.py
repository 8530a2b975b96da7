from __future__ import annotations

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from data.base_model.muon import muon_adamw
from data.base_model.pretraining import SequentialBatches, pretrain, warmup_cosine


class Copies:
    """Item i is a pure function of i: eight random tokens and the same eight again, the second half trained."""

    def __len__(self):
        return 400

    def __getitem__(self, i):
        half = torch.randint(3, 20, (8,), generator=torch.Generator().manual_seed(i)).tolist()
        return {"input_ids": half + half, "labels": [-100] * 8 + half}


def _model():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=20, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        attention_dropout=0.1, tie_word_embeddings=True))  # fmt: skip


class Killed(Exception):
    pass


def _pretrain(folder, model=None, steps=12, on_log=None, **options):
    model = model or _model()
    options = {"log_every_steps": 3, "save_every_seconds": 1e-6, "compile": False, **options}
    return model, pretrain(
        model, Copies(), folder, optimizer=muon_adamw(model), schedule=warmup_cosine(steps, 2), batch_rows=4,
        total_steps=steps, on_log=on_log, **options)  # fmt: skip


def _weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_an_interrupted_pretraining_ends_where_a_whole_one_does(tmp_path):
    def stop(entry):
        if entry["step"] == 7:
            raise Killed

    with pytest.raises(Killed):
        _pretrain(tmp_path / "a", on_log=stop)
    checkpoints = sorted(p.name for p in (tmp_path / "a" / "checkpoints").glob("checkpoint-*"))
    assert checkpoints == ["checkpoint-5", "checkpoint-6"]
    resumed, result = _pretrain(tmp_path / "a")
    whole, expected = _pretrain(tmp_path / "b")
    assert torch.equal(_weights(resumed), _weights(whole))
    assert result[:2] == expected[:2] == (12, 12 * 4 * 16)
    assert resumed.config.use_cache  # Trainer would have turned it off, for whoever loads the model later
    kept = [json.loads(line)["step"] for line in result.metrics_path.read_text().splitlines()]
    assert kept == sorted(set(kept)) and kept[-1] == 12


def test_a_kill_while_saving_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    from ftlib.core.trainer import TokenTrainer

    original = TokenTrainer._save_rng_state

    def torn(self, output_dir):
        if self.state.global_step == 5:
            raise Killed  # weights and optimizer are written, the rest is not
        original(self, output_dir)

    monkeypatch.setattr(TokenTrainer, "_save_rng_state", torn)
    with pytest.raises(Killed):
        _pretrain(tmp_path)
    assert sorted(p.name for p in (tmp_path / "checkpoints").glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-4"]
    monkeypatch.setattr(TokenTrainer, "_save_rng_state", original)
    resumed, _ = _pretrain(tmp_path)
    whole, _ = _pretrain(tmp_path / "b")
    assert torch.equal(_weights(resumed), _weights(whole))


def test_loss_falls_and_evaluations_are_logged(tmp_path):
    seen = []
    _pretrain(
        tmp_path, steps=60, on_log=seen.append, save_every_seconds=1e9, eval_every_steps=30,
        eval_fn=lambda model: {"eval_training_mode": float(model.training)})  # fmt: skip
    losses = [entry["loss"] for entry in seen if "loss" in entry]
    assert losses[-1] < losses[0] - 0.1
    evaluated = [(entry["step"], entry["eval_training_mode"]) for entry in seen if "eval_training_mode" in entry]
    assert evaluated == [(0, 0.0), (30, 0.0), (60, 0.0)]
    assert {"step", "tokens", "loss", "grad_norm", "learning_rate", "tokens_per_second"} <= set(seen[1])


def test_plain_and_labelled_logits_agree(tmp_path):
    options = {"steps": 3, "log_every_steps": 1}
    losses = []
    for flag in (True, False):
        seen = []
        _pretrain(tmp_path / str(flag), on_log=seen.append, only_labelled_logits=flag, **options)
        losses.append([entry["loss"] for entry in seen])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_short_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected 2000 items, got 400"):
        _pretrain(tmp_path, steps=500)


def test_sequential_batches_count():
    assert list(SequentialBatches(2, 3)) == [[0, 1, 2], [3, 4, 5]]
    assert len(SequentialBatches(2, 3)) == 2


def test_the_schedule_has_the_values_it_promises():
    cosine = warmup_cosine(100, 10, floor=0.1)
    assert cosine(0) == pytest.approx(1 / 11) and cosine(10) == pytest.approx(1.0)
    assert cosine(55) == pytest.approx(0.55) and cosine(100) == pytest.approx(0.1)
