"""What ftlib builds on although nobody promises it: named here, bounded in pyproject.toml, there in this version."""

from __future__ import annotations

import ast
import importlib
import inspect
import operator
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
TREES = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "ftlib").rglob("*.py"))]
ABOVE_OURS = {  # a library's classes with one of ours below them
    "Trainer": "transformers:Trainer",
    "AtomicTrainer": "transformers:Trainer",  # ours, with another of ours below it
    "DPOTrainer": "trl:DPOTrainer",
    "HFLM": "lm_eval.models.huggingface:HFLM",
    "bnb.nn.Linear4bit": "bitsandbytes.nn:Linear4bit",
}
# Names with an underscore in front that ftlib reads, calls or replaces in a library: where they stand, and its package.
PRIVATE = {
    "transformers": {
        "transformers.trainer:Trainer": [
            "_clip_grad_norm",
            "_get_output_dir",
            "_internal_call",
            "_load_from_checkpoint",
            "_prepare_inputs",
            "_save",
            "_save_checkpoint",
        ],
        "transformers.training_args": ["_n_gpu"],
        "transformers.configuration_utils": ["_attn_implementation"],
        "transformers.modeling_utils": ["_keep_in_fp32_modules", "_no_split_modules", "_supports_attention_backend"],
        "transformers.generation.utils": ["_is_stateful"],
        "transformers.utils.hub": ["_raise_exceptions_for_missing_entries"],
        "transformers.cli.serving.utils:BaseHandler": ["_build_generation_config"],
    },
    "accelerate": {"accelerate.state": ["_shared_state"]},
    "lm-eval": {"lm_eval.models.huggingface:HFLM": ["_model_call", "_loglikelihood_tokens"]},
    "trl": {"trl:DPOTrainer": ["_prepare_dataset"]},
    "tqdm": {"tqdm.std": ["_time"]},
    "torch": {
        "torch": ["_dynamo", "_subclasses"],
        "torch:Tensor": ["_version"],
        "torch._ops": ["_overloadpacket"],
        "torch.nn:Module": ["_apply", "_buffers", "_compiled_call_impl"],
        "torch.utils": ["_python_dispatch", "_pytree"],
        "torch:ops.aten": ["_local_scalar_dense", "_unsafe_view"],
    },
}
# Public by name, promised by nobody: the inside of a server or of a layer, and C functions handed through.
INSIDE = {
    "transformers": {
        "transformers.cli.serving.server": ["build_server"],
        "transformers.cli.serving.model_manager:ModelManager": ["get_gen_models"],
        "transformers.cli.serving.utils:GenerateManager": ["generate_streaming", "generate_non_streaming"],
        "transformers.cli.serving.utils:CBGenerateManager": ["generate_streaming", "generate_non_streaming"],
        "transformers.cli.transformers": ["app"],
        "transformers.trainer_utils": ["rotate_checkpoints", "get_last_checkpoint"],
        "transformers.trainer": ["self.model_accepts_loss_kwargs", "self._loss_shifts_labels"],
    },
    "peft": {
        "peft.tuners.lora:LoraLayer": [
            "lora_A",
            "lora_B",
            "scaling",
            "lora_dropout",
            "lora_variant",
            "lora_magnitude_vector",
        ],
        "peft.tuners.lora:Linear": ["get_delta_weight"],
        "peft.tuners.tuners_utils:BaseTunerLayer": ["get_base_layer", "merge"],
    },
    "bitsandbytes": {"bitsandbytes.nn:Params4bit": ["blocksize"], "bitsandbytes.nn:Linear4bit": ["quant_type"]},
    "accelerate": {"accelerate.utils.memory": ["should_reduce_batch_size"]},
    "llama-cpp-python": {
        "llama_cpp": ["llama_model_get_vocab", "llama_vocab_is_eog"],
        "llama_cpp:Llama": ["scores", "eval", "reset", "generate", "n_vocab"],
        "llama_cpp.llama_chat_format": ["Jinja2ChatFormatter"],
    },
}


PLACES = [(package, place) for listed in (PRIVATE, INSIDE) for package, places in listed.items() for place in places]


def requirements() -> dict[str, list[Requirement]]:
    """All that pyproject.toml says of each library, its extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    found: dict[str, list[Requirement]] = {}
    for each in map(Requirement, lines):
        found.setdefault(each.name, []).append(each)
    return found


def own_names() -> set[str]:
    """Names that ftlib itself defines: functions, classes, and what is assigned anywhere."""
    nodes = [node for tree in TREES for node in ast.walk(tree)]
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    written = [node for node in nodes if isinstance(getattr(node, "ctx", None), ast.Store)]
    # `self._x = ...` is ours, `args._x = ...` is somebody's
    mine = {node.attr for node in written if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"}
    return defined | mine | {node.id for node in written if isinstance(node, ast.Name)} | set(dir(NamedTuple("T", [])))


def names_used(node: ast.AST) -> list[str]:
    """Names with which code can reach into a library: attributes, imports, keywords, and those asked for as text."""
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [part for alias in node.names for part in f"{getattr(node, 'module', '')}.{alias.name}".split(".")]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr"):
        return [getattr(node.args[1], "value", "")]
    return [node.arg or ""] if isinstance(node, ast.keyword) else []


def names_replaced(tree: ast.AST) -> Iterator[str]:
    """Names of a library's class that one of ours below it defines or uses, whoever else has such a name."""
    for node in ast.walk(tree):
        for base in map(ast.unparse, getattr(node, "bases", ())):
            if base in ABOVE_OURS:
                module, _, name = ABOVE_OURS[base].partition(":")
                above = dir(getattr(importlib.import_module(module), name))
                inside = [name for each in ast.walk(node) for name in [getattr(each, "name", ""), *names_used(each)]]
                yield from set(inside) & set(above)


def there(place: str, name: str) -> bool:
    """Whether a module, or a class of it (`module:Class`), has a name or at least reads it in its source."""
    module, _, part = place.partition(":")
    holder = importlib.import_module(module)
    holder = operator.attrgetter(part)(holder) if part else holder
    try:
        return hasattr(holder, name) or name in inspect.getsource(holder)
    except (OSError, TypeError):
        return False


@pytest.mark.parametrize("package", sorted(PRIVATE | INSIDE))
def test_a_library_whose_inside_is_used_has_an_upper_bound(package):
    for each in requirements()[package]:
        assert [part for part in each.specifier if part.operator == "<"], f"{each}: expected an upper bound, too"


@pytest.mark.parametrize(("package", "place"), PLACES, ids=lambda value: value)
def test_what_is_built_on_is_there(package, place):
    pytest.importorskip(place.partition(":")[0].split(".")[0], reason=f"{package} belongs to an extra")
    names = [name for listed in (PRIVATE, INSIDE) for name in listed.get(package, {}).get(place, [])]
    assert names and [name for name in names if not there(place, name)] == []


def test_every_private_name_that_is_used_is_listed():
    own = own_names()
    used = {name for tree in TREES for node in ast.walk(tree) for name in names_used(node) if name not in own}
    used |= {name for tree in TREES for name in names_replaced(tree)}
    listed = {name for places in PRIVATE.values() for names in places.values() for name in names}
    assert {name for name in used if str(name).startswith("_") and not str(name).endswith("_")} == listed


def test_four_bit_layers_take_the_block_size_where_it_is_set():
    from bitsandbytes.nn import Linear4bit, Params4bit

    assert "blocksize" in inspect.signature(Params4bit.__new__).parameters
    assert "quant_type" in inspect.signature(Linear4bit.__init__).parameters
