"""What ftlib builds on although nobody promises it: named here, bounded in pyproject.toml, there in this version."""

from __future__ import annotations

import ast
import inspect
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# Methods of transformers' Trainer that begin with an underscore and that ours calls or replaces.
OF_TRAINER = {
    "_clip_grad_norm",
    "_get_output_dir",
    "_load_from_checkpoint",
    "_prepare_inputs",
    "_save",
    "_save_checkpoint",
}


def bounds() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {each.name: each for each in map(Requirement, project["dependencies"])}


@pytest.mark.parametrize("name", ["transformers", "peft", "bitsandbytes"])
def test_a_library_whose_inside_is_used_has_an_upper_bound(name):
    assert [part for part in bounds()[name].specifier if part.operator == "<"]


def test_the_private_methods_of_trainer_are_those_listed():
    from transformers import Trainer

    tree = ast.parse((ROOT / "ftlib" / "core" / "trainer.py").read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
    assert {name for name in private if hasattr(Trainer, name)} == OF_TRAINER


def test_what_is_set_on_trainer_from_outside_is_still_read_by_it():
    """A flag that Trainer no longer looks at would be set in vain, and nothing would say so."""
    from transformers import Trainer

    source = inspect.getsource(Trainer)
    for name in ("model_accepts_loss_kwargs", "_loss_shifts_labels"):
        assert f"self.{name}" in source, name


def test_layers_of_an_adapter_have_what_the_fused_path_reads():
    from peft.tuners.lora import LoraLayer

    source = inspect.getsource(LoraLayer)
    for name in ("lora_A", "lora_B", "scaling", "lora_dropout", "lora_magnitude_vector"):
        assert f"self.{name}" in source, name


def test_four_bit_layers_take_the_block_size_where_it_is_set():
    from bitsandbytes.nn import Linear4bit, Params4bit

    assert "blocksize" in inspect.signature(Params4bit.__new__).parameters
    assert "quant_type" in inspect.signature(Linear4bit.__init__).parameters
