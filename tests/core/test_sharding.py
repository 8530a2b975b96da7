"""A model split among two processes (FSDP2, gloo on the CPU) learns what a whole one does, and goes on after a kill."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ftlib.core.headless import train_stage
from ftlib.core.load import load_base
from ftlib.core.sharding import as_split, code_sums, is_split, require_codes, require_known_launch
from ftlib.errors import UserError

LAUNCHES = Path(__file__).parents[2] / "data" / "recipes" / "accelerate"
PLAIN = {"load_in_4bit": False}
FIELDS = {"epochs": 2, "accumulation": 4, "eval_every_steps": 2, "save_every_seconds": 1e-6, "batch_rows": 2}


def settings(name: str) -> dict[str, str]:
    """What `accelerate launch` tells its processes of a configuration file, as accelerate itself reads it."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    args = launch_command_parser().parse_args(["--config_file", str(LAUNCHES / name), "--main_process_port", "0", "-"])
    told = prepare_multi_gpu_env(_validate_launch_command(args)[0])
    return {key: value for key, value in told.items() if key.startswith(("ACCELERATE_", "FSDP_"))}


@pytest.fixture(scope="module")
def trained(make_recipe, train_together):
    """Folders of trainings: plain, nf4 and bf16 whole (one_) and split (two_), and split with dropout, also killed."""
    common = {"learning_rate": 0.01, "compile": False, "monitor_every_seconds": 0} | FIELDS
    recipes = {
        "plain": make_recipe(train=common, quantization=PLAIN),
        "nf4": make_recipe(train=common),
        "bf16": make_recipe(train=common, model__dtype="bfloat16"),
        "dropout": make_recipe(train=common, lora__dropout=0.2),
    }
    split = {"processes": 2, "environment": settings("fsdp2.yaml")}
    trainings = [{"into": f"one_{name}", "recipe": name} for name in ("plain", "nf4", "bf16")]
    trainings += [{"into": f"two_{name}", "recipe": name} | split for name in recipes]
    killed = {"into": "killed", "recipe": "dropout"} | split
    folder, statuses = train_together(recipes, [*trainings, killed | {"die_at": 3}, killed, killed])
    assert 9 in statuses[-3]
    return folder


def lines(folder: Path, key: str) -> list[tuple[int, float]]:
    """(step, value) of each line of metrics.jsonl that has the key."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line[key]) for line in found if key in line]


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a training's adapter."""
    return load_file(folder / "adapter" / "adapter_model.safetensors")


@pytest.mark.parametrize("recipe", ["plain", "nf4"])
def test_a_split_model_takes_the_steps_of_a_whole_one_in_float32(trained, recipe):
    one, two = trained / f"one_{recipe}", trained / f"two_{recipe}"
    for key, allowed in (("loss", 1e-5), ("grad_norm", 1e-4), ("eval_loss", 1e-5), ("eval_exact", 0)):
        assert lines(two, key) == [(step, pytest.approx(value, rel=allowed)) for step, value in lines(one, key)], key
    assert len(lines(one, "loss")) >= 4 and lines(two, "tokens") == lines(one, "tokens")
    expected, found = adapter(one), adapter(two)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=2e-5, msg=name)


def test_a_split_model_takes_the_steps_of_a_whole_one_in_bfloat16(trained):
    one, two = trained / "one_bf16", trained / "two_bf16"
    for key, allowed in (("loss", 5e-3), ("eval_loss", 5e-3), ("grad_norm", 5e-2)):
        assert lines(two, key) == [(step, pytest.approx(value, rel=allowed)) for step, value in lines(one, key)], key
    expected, found = (torch.cat([each.flatten() for each in adapter(folder).values()]) for folder in (one, two))
    assert expected.dtype == found.dtype == torch.float32
    assert torch.cosine_similarity(expected, found, dim=0) > 0.99


def test_a_killed_process_the_others_stopped_and_all_go_on_to_the_same_bits(trained):
    whole, killed = trained / "two_dropout", trained / "killed"
    assert lines(killed, "loss") == lines(whole, "loss") != lines(trained / "two_nf4", "loss")
    files = [(folder / "adapter" / "adapter_model.safetensors").read_bytes() for folder in (whole, killed)]
    assert files[0] == files[1]


def test_the_adapter_is_peft_s_and_a_checkpoint_that_of_one_process(trained, make_recipe):
    from ftlib.core.finetuned import load_finetuned

    checkpoint = trained / "two_nf4" / "checkpoints" / "checkpoint-5"
    single = trained / "one_nf4" / "checkpoints" / "checkpoint-5"
    apart = {"rng_state.pth", "rng_state_0.pth", "rng_state_1.pth"}
    assert {file.name for file in checkpoint.iterdir()} - apart == {file.name for file in single.iterdir()} - apart
    state = torch.load(checkpoint / "optimizer.pt", weights_only=True)["state"]
    assert len(state) == len(adapter(trained / "two_nf4")) and {float(each["step"]) for each in state.values()} == {5.0}
    model, _ = load_finetuned(make_recipe(), trained / "two_nf4" / "adapter")
    assert type(model).__name__ == "PeftModelForCausalLM"


@pytest.fixture
def group_of_one(tmp_path, monkeypatch):
    """This process as a group in which models can be split, and a launch that asks for it."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("cast", [None, torch.bfloat16])
def test_codes_that_gathering_changes_are_noticed(group_of_one, make_recipe, cast):
    """In float32 the codes travel as float32: a policy that casts what is gathered takes them for numbers."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    model, _ = load_base(as_split(make_recipe()))
    codes = code_sums(model)
    assert len(codes) == 14 and all(layer.weight.dtype == torch.float32 for layer in codes)
    for module in (*model.model.layers, model):
        fully_shard(module, mp_policy=MixedPrecisionPolicy(param_dtype=cast))
    if cast is None:
        require_codes(model, codes)
    else:
        with pytest.raises(UserError, match="14 of 14 layers changed"):
            require_codes(model, codes)


@pytest.mark.parametrize("name", ["fsdp2.yaml", "fsdp2_nodes.yaml"])
def test_the_launch_files_ask_for_what_is_done(monkeypatch, name):
    for key, value in settings(name).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("WORLD_SIZE", "2")
    require_known_launch()
    assert is_split()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed"),
        ({"WORLD_SIZE": "1"}, "at least two processes"),
        ({"FSDP_VERSION": "1"}, "fsdp_version"),
        ({"FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}, "fsdp_cpu_ram_efficient_loading"),
        ({"FSDP_OFFLOAD_PARAMS": "true"}, "fsdp_offload_params"),
    ],
)
def test_another_launch_is_refused_before_anything_is_read(monkeypatch, change, said):
    for key, value in (settings("fsdp2.yaml") | {"WORLD_SIZE": "2"} | change).items():
        monkeypatch.setenv(key, value)
    with pytest.raises(UserError, match=said):
        train_stage("nowhere.yaml", "nowhere")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"train__method": "full", "quantization": PLAIN}, r"train\.method"),
        ({"train__optimizer": "adamw_8bit"}, r"train\.optimizer"),
        ({"train__compile": True}, r"train\.compile"),
        ({"quantization": {"load_in_4bit": False, "load_in_8bit": True}}, r"load_in_8bit"),
        ({"quantization__gemm": "cached"}, r"quantization\.gemm"),
        ({"model__dtype": "float16"}, r"model\.dtype"),
        ({"lora__use_dora": True}, r"lora\.use_dora"),
    ],
)
def test_what_a_split_model_cannot_do_is_said(make_recipe, fields, said):
    with pytest.raises(UserError, match=said):
        as_split(make_recipe(**fields))


def test_a_recipe_is_followed_but_for_what_needs_whole_weights(make_recipe):
    recipe = make_recipe()
    split = as_split(recipe)
    assert (split.lora.fused, split.quantization.gemm, split.train.compile) == (False, "streamed", False)
    changed = {"lora": recipe.lora, "quantization": recipe.quantization, "train": recipe.train}
    assert split.model_copy(update=changed) == recipe and "ACCELERATE_USE_FSDP" not in os.environ
