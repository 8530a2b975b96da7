from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import set_peft_model_state_dict

from ftlib.core.batches import PaddingCollator
from ftlib.core.finetuned import load_finetuned
from ftlib.core.load import load_base
from ftlib.core.loss import mean_loss, summed_loss
from ftlib.core.published import is_whole_model
from ftlib.core.train import train
from ftlib.data.prompts import Example, Renderer
from ftlib.errors import UserError
from ftlib.rows import Row
from tests.families import save_family


def _adapter(folder: Path) -> bytes:
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes()


def _losses(path: Path, key: str = "loss") -> list[float]:
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [line[key] for line in lines if key in line]


@pytest.fixture
def run(adapted, rows, tmp_path):
    """A function that trains a fresh adapter: name, recipe -> (result, folder)."""

    def go(name, recipe, train_rows=rows[:20], val_rows=rows[20:]):
        model, tokenizer = adapted(recipe)
        return train(model, tokenizer, train_rows, val_rows, tmp_path / name, recipe), tmp_path / name

    return go


def test_training_lowers_the_loss_and_writes_what_it_promises(run, make_recipe):
    result, folder = run("a", make_recipe(train__epochs=6, train__early_stopping_patience=0))
    assert result.best_loss < result.base_loss - 0.1
    assert result.steps == 6 * 5 and not result.stopped_early
    assert {p.name for p in folder.iterdir()} == {"adapter", "checkpoints", "metrics.jsonl", "plan.json"}
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["total_steps"] == 30 and plan["rows"] == 20
    chosen = "dtype gemm attention packing shared beginning compile adapter activation checkpointing"
    assert " ".join(reason.split(":")[0] for reason in plan["reasons"]) == chosen
    assert len(list((folder / "checkpoints").glob("checkpoint-*"))) <= 2
    assert result.tokens_per_second > 0 and result.peak_memory_bytes > 2**26
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["r"] == 4
    pickles = [p.name for p in folder.rglob("*") if p.suffix == ".bin"]
    assert pickles == []


def test_lora_plus_ratio_multiplies_the_rate_of_b_alone(run, make_recipe, rows):
    from safetensors.torch import load

    def after_one_step(ratio):
        recipe = make_recipe(train__epochs=0.2, train__warmup_ratio=0.0, train__lora_plus_ratio=ratio)
        assert run(str(ratio), recipe)[0].steps == 1
        return load(_adapter(run(str(ratio), recipe)[1]))

    plain, plus = after_one_step(1.0), after_one_step(8.0)
    for name, weight in plain.items():
        # B starts at 0, so AdamW's first step is the rate itself; A's gradient is 0 as long as B is.
        wanted = 8 * weight if "lora_B" in name else weight
        torch.testing.assert_close(plus[name], wanted, msg=name)
    assert any(weight.abs().max() > 0 for name, weight in plain.items() if "lora_B" in name)


def test_same_seed_same_adapter_bit_for_bit(run, make_recipe):
    dropout = {"r": 4, "alpha": 8, "dropout": 0.1}  # randomness in the loop, too
    torch.manual_seed(1)
    first = _adapter(run("a", make_recipe(lora=dropout))[1])
    torch.manual_seed(2)
    assert _adapter(run("b", make_recipe(lora=dropout))[1]) == first
    assert _adapter(run("c", make_recipe(lora=dropout, seed=4))[1]) != first


@pytest.mark.parametrize(
    "off",
    [{"train__logits": "all"}, {"quantization": {"gemm": "streamed"}}, {"lora": {"r": 4, "alpha": 8, "fused": False}}],
    ids=["all-logits", "streamed", "unfused"],
)
def test_each_fast_path_can_be_turned_off_with_the_same_losses(run, make_recipe, off):
    on = {"quantization": {"gemm": "cached"}}
    _, fast = run("on", make_recipe(**on))
    _, plain = run("off", make_recipe(**(on | off)))
    for key in ("loss", "eval_loss"):
        assert _losses(plain, key) == pytest.approx(_losses(fast, key), rel=2e-4)


def test_accumulation_normalizes_by_the_tokens_of_all_its_batches(run, make_recipe, rows):
    """Rows with 2 to 4 labels in batches of 2: means of means would differ from one batch of 8."""
    once = {"train__epochs": 1, "train__batch_rows": 8, "train__scheduler": "constant", "train__warmup_ratio": 0}
    _, whole = run("whole", make_recipe(**once), rows[:8])
    _, parts = run("parts", make_recipe(**once | {"train__batch_rows": 2, "train__accumulation": 4}), rows[:8])
    assert _losses(parts)[0] == pytest.approx(_losses(whole)[0], rel=1e-5)
    assert _losses(parts, "grad_norm")[0] == pytest.approx(_losses(whole, "grad_norm")[0], rel=1e-4)


def test_texts_that_keep_to_the_base_do_and_count_as_tokens_of_the_accumulation(run, make_recipe, rows):
    once = {"train__epochs": 1, "train__batch_rows": 8, "train__scheduler": "constant", "train__warmup_ratio": 0}
    texts = [dict(row, labels=row["input_ids"], towards_base=True) for row in rows[4:8]]
    both, split = [*rows[:4], *texts], {"train__batch_rows": 2, "train__accumulation": 4, "train__replay_kl": 1.0}
    _, whole = run("whole", make_recipe(**once, train__replay_kl=1.0), both)
    _, parts = run("parts", make_recipe(**once | split), both)
    labels = sum(label != -100 for row in both for label in row["labels"][1:])
    answers = sum(label != -100 for row in rows[:4] for label in row["labels"][1:])
    model, tokenizer = load_base(make_recipe())
    said = summed_loss(model, PaddingCollator(tokenizer.pad_token_id)(rows[:4])).item()
    assert answers < labels and _losses(whole)[0] == pytest.approx(said / labels, rel=1e-4)
    assert _losses(parts)[0] == pytest.approx(_losses(whole)[0], rel=1e-4)
    assert _losses(parts, "grad_norm")[0] == pytest.approx(_losses(whole, "grad_norm")[0], rel=1e-3)


def test_a_heavier_pull_leaves_texts_nearer_to_the_base(run, make_recipe, rows, adapted):
    from safetensors.torch import load

    texts = [dict(row, labels=row["input_ids"], towards_base=True) for row in rows[10:20]]

    def apart(weight):
        recipe = make_recipe(train__epochs=6, train__replay_kl=weight, train__early_stopping_patience=0)
        _, folder = run(f"kl {weight}", recipe, [*rows[:10], *texts])
        model, tokenizer = adapted(recipe)
        set_peft_model_state_dict(model, load(_adapter(folder)))
        batch = PaddingCollator(tokenizer.pad_token_id)(texts)
        with torch.no_grad():
            return summed_loss(model, batch).item()

    light, heavy = apart(0.01), apart(10.0)
    assert 0 < heavy < 0.5 * light


def test_the_best_adapter_is_kept_and_training_stops_early(run, make_recipe, rows):
    """Validation rows contradict the training rows, so their loss rises."""
    contrary = [dict(row, labels=[-100 if x == -100 else 7 for x in row["labels"]]) for row in rows[20:]]
    fields = {"train__epochs": 40, "train__eval_every_steps": 3, "train__early_stopping_patience": 2}
    result, folder = run("a", make_recipe(**fields), rows[:20], contrary)
    losses = _losses(folder, "eval_loss")
    assert result.stopped_early and result.steps < 40 * 5
    assert result.best_loss == min(losses[1:]) and result.steps == result.best_step + 2 * 3


def test_a_training_that_ends_while_it_still_learns_says_so(run, make_recipe, capsys):
    result, folder = run("a", make_recipe(train__epochs=1, train__eval_every_steps=50))
    losses = _losses(folder, "eval_loss")
    assert result.last_fall == pytest.approx(1 - losses[-1] / losses[-2])
    shown = "since the evaluation before: more train.epochs" in capsys.readouterr().out
    assert shown is (result.last_fall >= 0.1)
    assert "more train.epochs" in result._replace(last_fall=0.2).ending(make_recipe())
    assert "more train.epochs" not in result._replace(last_fall=0.05).ending(make_recipe())


def test_a_gain_too_small_to_count_stops_the_training_too(run, make_recipe, capsys):
    fields = {"train__epochs": 8, "train__eval_every_steps": 3, "train__early_stopping_patience": 2}
    result, folder = run("a", make_recipe(**fields, train__early_stopping_min_delta=100.0))
    assert result.stopped_early and result.steps == 3 * 3  # the first evaluation is a best, two more are not
    losses = _losses(folder, "eval_loss")
    assert result.best_loss == min(losses[1:]) and result.best_step == 3 * losses[1:].index(min(losses[1:])) + 3
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith(f"kept: step {result.best_step} of 40, by validation loss ({result.best_loss:.4f})")
    assert told.endswith("stopped at step 9: 2 evaluations without a new best by more than 100")
    assert run("a", make_recipe(**fields, train__early_stopping_min_delta=100.0))[0].steps == 9  # and stays stopped


STORED = {
    "nf4": {"quant_type": "nf4", "block_size": 128},
    "fp4": {"quant_type": "fp4", "double_quant": False},
    "int8": {"load_in_4bit": False, "load_in_8bit": True},
    "16-bit": {"load_in_4bit": False},
}


@pytest.mark.parametrize("lora", [{}, {"use_dora": True}, {"use_rslora": True}], ids=["lora", "dora", "rslora"])
@pytest.mark.parametrize("stored", STORED)
def test_every_method_learns_on_every_storage_and_comes_back_as_it_was(run, make_recipe, rows, stored, lora, dtype):
    """Saved, loaded on a fresh base and scored again: what was trained is what is used."""
    fields = {"train__epochs": 4, "train__early_stopping_patience": 0, "model__dtype": dtype}
    recipe = make_recipe(quantization=STORED[stored], lora={"r": 4, "alpha": 8} | lora, **fields)
    if stored == "int8" and "use_dora" in lora:  # PEFT loses the scales there
        with pytest.raises(UserError, match=r"lora\.use_dora"):
            run("a", recipe)
        return
    result, folder = run("a", recipe)
    assert result.best_loss < result.base_loss - 0.1
    model, tokenizer = load_finetuned(recipe, folder / "adapter")
    found = mean_loss(model, tokenizer, rows[20:])["eval_loss"]
    assert found == pytest.approx(result.best_loss, rel=1e-4 if dtype == "float32" else 2e-2)


def test_all_weights_can_be_trained(run, make_recipe, rows, dtype):
    fields = {"train__epochs": 4, "train__method": "full", "train__learning_rate": 0.003, "model__dtype": dtype}
    recipe = make_recipe(quantization={"load_in_4bit": False}, train__activation_checkpointing=False, **fields)
    result, folder = run("a", recipe)
    assert result.best_loss < result.base_loss - 0.3
    assert result.plan.trainable_parameters == result.plan.total_parameters
    assert "adapter: none, all weights of the model are trained" in result.plan.reasons
    assert any(reason.startswith(f"dtype: {dtype}") for reason in result.plan.reasons)
    saved = folder / "adapter"
    assert is_whole_model(saved) and not list(folder.rglob("*.bin")) and (saved / "tokenizer.json").is_file()
    model, tokenizer = load_finetuned(recipe, saved)
    assert model.dtype == getattr(torch, dtype) and not any(p.requires_grad for p in model.parameters())
    found = mean_loss(model, tokenizer, rows[20:])["eval_loss"]
    assert found == pytest.approx(result.best_loss, rel=1e-4 if dtype == "float32" else 2e-2)
    base = mean_loss(load_base(recipe)[0], tokenizer, rows[20:])["eval_loss"]
    assert base == pytest.approx(result.base_loss, rel=1e-4 if dtype == "float32" else 2e-2)  # is still the base


def test_a_full_training_goes_on_from_its_checkpoint(run, make_recipe, tmp_path):
    fields = {"train__method": "full", "train__learning_rate": 0.003, "train__save_every_seconds": 1e-6}
    recipe = make_recipe(quantization={"load_in_4bit": False}, train__epochs=1, **fields)
    _, whole = run("whole", recipe)
    run("again", recipe)
    for last in ("checkpoint-5", "best-4", "best-5"):  # as a kill after step 4 leaves it
        shutil.rmtree(tmp_path / "again" / "checkpoints" / last, ignore_errors=True)
    state = json.loads((tmp_path / "again" / "checkpoints" / "checkpoint-4" / "trainer_state.json").read_text())
    shutil.copytree(whole / "checkpoints" / "checkpoint-4", tmp_path / "again" / "checkpoints" / "best-4")
    assert state["global_step"] == state["best_global_step"] == 4
    run("again", recipe)
    weights = [(folder / "adapter" / "model.safetensors").read_bytes() for folder in (whole, tmp_path / "again")]
    assert weights[0] == weights[1]


def _tensors(value) -> list[torch.Tensor]:
    """All tensors in nested dictionaries."""
    if isinstance(value, dict):
        return [tensor for each in value.values() for tensor in _tensors(each)]
    return [value] if torch.is_tensor(value) else []


def test_an_optimizer_of_the_recipes_choice_goes_on_exactly(run, make_recipe, tmp_path):
    """8-bit states stand in the checkpoint; the first layers are large enough for them."""
    recipe = make_recipe(
        train__epochs=1,
        train__optimizer="paged_adamw_8bit",
        train__save_every_seconds=1e-6,
        lora={"r": 64, "alpha": 64},
    )
    result, whole = run("whole", recipe)
    assert any("paged_adamw_8bit" in reason for reason in result.plan.reasons)
    state = torch.load(whole / "checkpoints" / "checkpoint-5" / "optimizer.pt", weights_only=True)["state"]
    assert torch.uint8 in {tensor.dtype for tensor in _tensors(state)}
    run("again", recipe)
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "checkpoint-5")
    run("again", recipe)
    assert _adapter(tmp_path / "again") == _adapter(whole)


def test_noise_on_the_embeddings_changes_the_training_and_not_the_evaluation(run, make_recipe):
    fields = {"train__epochs": 1, "train__early_stopping_patience": 0}
    _, quiet = run("quiet", make_recipe(**fields))
    _, noisy = run("noisy", make_recipe(**fields, train__neftune_alpha=5.0))
    _, again = run("again", make_recipe(**fields, train__neftune_alpha=5.0))
    assert _losses(noisy, "eval_loss")[0] == _losses(quiet, "eval_loss")[0]  # the base, before any step
    assert _losses(noisy)[0] != pytest.approx(_losses(quiet)[0], rel=1e-4)
    assert _adapter(noisy) == _adapter(again) != _adapter(quiet)


def test_plain_texts_train_every_token_but_the_first(run, make_recipe, adapted):
    """Rows without turns, as notebook 01 makes them of a column of texts."""
    texts = ["The kettle is red.", "The lamp is blue and new.", "The bag is green."]
    _, tokenizer = adapted()
    renderer = Renderer("auto", tokenizer)
    made = [renderer.example(Row(f"t{n}", (), "", (text,))) for n, text in enumerate(texts * 3)]
    result, _ = run("a", make_recipe(train__epochs=8, train__early_stopping_patience=0), made, made[:3])
    assert result.plan.trained_tokens == sum(len(example.input_ids) - 1 for example in made)
    assert result.best_loss < result.base_loss - 0.5


def test_the_adapter_can_be_chosen_by_exact_answers(run, make_recipe):
    fields = {"train__epochs": 8, "train__best_by": "exact", "train__early_stopping_patience": 0}
    result, folder = run("a", make_recipe(**fields))
    exact = _losses(folder, "eval_exact")
    assert result.best_exact == max(exact[1:])
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    first = next(line["step"] for line in lines if line["step"] and line.get("eval_exact") == max(exact[1:]))
    assert result.best_step == first


def test_all_tokens_can_be_trained(run, make_recipe, rows):
    result, _ = run("a", make_recipe(train__epochs=1, train__loss_on="all"))
    assert result.plan.trained_tokens == sum(len(row["input_ids"]) - 1 for row in rows[:20])


def test_rows_that_do_not_fit_are_the_users_to_decide(run, make_recipe, rows):
    with pytest.raises(UserError, match=r"train\.max_length"):
        run("a", make_recipe(train__max_length=8))
    with pytest.raises(UserError, match="at least one row"):
        run("b", make_recipe(), [])


KILLED = """
import json, os, signal, sys
from pathlib import Path
from ftlib.core.lora import add_lora
from ftlib.core.load import load_base
from ftlib.core.train import train
from ftlib.recipe import Recipe

folder = Path(sys.argv[1])
recipe = Recipe.model_validate_json((folder / "recipe.json").read_text())
rows = json.loads((folder / "rows.json").read_text())
model, tokenizer = load_base(recipe)

def die(entry):
    if entry["step"] >= 7 and "loss" in entry:
        os.kill(os.getpid(), signal.SIGKILL)

model = add_lora(model, recipe.lora, recipe.seed)
train(model, tokenizer, rows[:20], rows[20:], folder / "killed", recipe, on_log=die)
"""


def test_a_killed_training_resumes_to_the_same_adapter(run, make_recipe, rows, tmp_path):
    fields = {"train__save_every_seconds": 1e-6, "lora": {"r": 4, "alpha": 8, "dropout": 0.1}}
    recipe = make_recipe(**fields)
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums split over threads depend on their number
    environment = os.environ | threads | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    killed = tmp_path / "killed"
    assert not (killed / "adapter").exists()
    whole_checkpoint = max(int(p.name.split("-")[1]) for p in (killed / "checkpoints").glob("checkpoint-*"))
    assert 1 <= whole_checkpoint < 7
    torn = killed / "checkpoints" / ".partial" / "checkpoint-7"  # as a kill in the middle of saving leaves it
    torn.mkdir(parents=True, exist_ok=True)
    (torn / "trainer_state.json").write_text('{"global_st')

    result, _ = run("killed", recipe)
    uninterrupted, folder = run("whole", recipe)
    assert _adapter(killed) == _adapter(folder)
    assert result.tokens == uninterrupted.tokens and result.best_step == uninterrupted.best_step
    steps = [json.loads(line)["step"] for line in (killed / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_training_again_after_the_end_changes_nothing(run, make_recipe):
    recipe = make_recipe(train__epochs=1)
    _, folder = run("a", recipe)
    before = _adapter(folder)
    result, _ = run("a", recipe)
    assert _adapter(folder) == before and result.steps == 5


def test_an_encoder_decoder_trains_answers_only(tmp_path, make_recipe):
    folder = save_family("t5", tmp_path / "model")
    recipe = make_recipe(model={"base": str(folder), "dtype": "float32"}, train__loss_on="all")
    model, tokenizer = load_base(recipe)
    row = Example([5, 6, tokenizer.eos_token_id], [7, tokenizer.eos_token_id])
    with pytest.raises(UserError, match=r"train\.loss_on"):
        train(model, tokenizer, [row], [row], tmp_path / "out", recipe)
