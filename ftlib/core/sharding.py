"""A model that is split among the processes that train it (FSDP2): which launches ask for it, what it can't do, and how
what it has learned is gathered and handed out again.

accelerate splits the model, torch gathers a layer where it is used. Written for accelerate 1.15, torch 2.13 and
bitsandbytes 0.50; docs/DISTRIBUTED.md says what was tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_map_only

from ftlib.core.distributed import launched, whole
from ftlib.core.optimizers import trainable
from ftlib.core.quantize import linear_4bit
from ftlib.data.tokens import is_encoder_decoder
from ftlib.errors import UserError

if TYPE_CHECKING:
    from ftlib.recipe import Recipe

_FILE = "data/recipes/accelerate/fsdp2.yaml"
_SETTINGS = {  # as that file has them; other values are for what is not done here
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
    "FSDP_OFFLOAD_PARAMS": "false",
    "FSDP_ACTIVATION_CHECKPOINTING": "false",
}
_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "sgd")


def is_split() -> bool:
    """Whether the launcher asks for a model that is split among the processes."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1")


def require_known_launch() -> None:
    """Raises where a launcher asks for what is not done here.

    Raises:
        UserError: DeepSpeed, FSDP of version 1, or FSDP2 with other settings than data/recipes/accelerate/fsdp2.yaml.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() in ("true", "1"):
        fix = f"launch with data/recipes/accelerate/ddp.yaml, or {_FILE}; see docs/DISTRIBUTED.md"
        raise UserError.of("accelerate launch", "DDP, or FSDP2", "DeepSpeed", fix)
    if not is_split():
        return
    if launched() == 1:
        fix = "give --num_processes, or leave the launcher out"
        raise UserError.of("accelerate launch (FSDP)", "at least two processes, which share the model", "one", fix)
    for name, wanted in _SETTINGS.items():
        found = os.environ.get(name, "nothing")
        if found.lower() != wanted.lower():
            where = f"accelerate launch ({name.lower()})"
            raise UserError.of(where, wanted, found, f"launch with --config_file {_FILE}, see docs/DISTRIBUTED.md")


def as_split(recipe: Recipe) -> Recipe:
    """A recipe as a split model follows it: what reads whole weights outside of their layer's turn is off.

    The fused adapter keeps merged copies, cached weights are copies in themselves, and compiled layers would be
    compiled with their gathering.

    Args:
        recipe: its sections `model`, `quantization`, `lora` and `train`.

    Returns:
        The recipe with `lora.fused`, `train.compile` and `quantization.gemm` set for a split model.

    Raises:
        UserError: it asks for something that is not done here with a split model.
    """
    train, quantization = recipe.train, recipe.quantization
    kind = "an encoder-decoder" if is_encoder_decoder(recipe.model) else "a causal model"
    for field, found, known, why in (
        ("model.base", kind, ("a causal model",), "two halves that share their embeddings are not split"),
        ("train.method", train.method, ("lora",), "checkpoints hold what an adapter learns"),
        ("train.optimizer", train.optimizer, _OPTIMIZERS, "the state of others is not split with the weights"),
        ("train.compile", train.compile, ("auto", False), "the layers' gathering is not compiled"),
        ("quantization.load_in_8bit", quantization.load_in_8bit, (False,), "8-bit weights lose their scales"),
        ("quantization.gemm", quantization.gemm, ("auto", "streamed"), "cached weights would be whole in each process"),
        ("model.dtype", recipe.model.dtype, ("auto", "float32", "bfloat16"), "losses are not scaled"),
        ("lora.use_dora", recipe.lora.use_dora, (False,), "DoRA reads whole weights"),
    ):
        if found not in known:
            expected = f"{' or '.join(map(str, known))} where the model is split among processes (FSDP2): {why}"
            fix = f"change {field}, or launch with data/recipes/accelerate/ddp.yaml"
            raise UserError.of(field, expected, str(found), fix)
    sections = {
        "train": train.model_copy(update={"compile": False}),
        "quantization": quantization.model_copy(update={"gemm": "streamed"}),
        "lora": recipe.lora.model_copy(update={"fused": False}),
    }
    return recipe.model_copy(update=sections)


def take_fsdp(state: Any) -> None:
    """Have accelerate split the model as the launch says, on CPUs as on GPUs, with weights gathered as they are stored.

    Of a launch's FSDP settings accelerate takes note on GPUs only; nothing that it does with them needs one. Mixed
    precision is autocast's, as without FSDP: a policy that casts what is gathered would take 4-bit codes for numbers,
    and gradients would be added up in 16 bits.

    Args:
        state: accelerate's `AcceleratorState`.
    """
    from accelerate import PartialState
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    if state.distributed_type == DistributedType.MULTI_CPU:
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        PartialState().distributed_type = DistributedType.FSDP  # from which states that are made later take theirs
        state.distributed_type = DistributedType.FSDP
    state.fsdp_plugin.mixed_precision_policy = None


def average_on_cpus(model: torch.nn.Module) -> None:
    """Have gradients added up and then divided: gloo has given the sum where an average was asked for.

    With torch 2.13 it gives the average; pytorch/pytorch#162338 is about an earlier one.

    Args:
        model: split already.
    """
    for module in _split_modules(model):
        if next(module.parameters()).device.type == "cpu":
            module.set_force_sum_reduction_for_comms(True)


def gathered(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What is trained, whole and in main memory, by the model's own names; all processes have to call it at once."""
    return {name: whole(each.detach()).cpu() for name, each in trainable(model).items()}


@torch.no_grad()
def hand_out(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Give an adapter its values; a split one takes its part of them.

    Args:
        model: a PeftModel. tensors: whole, by the names of PEFT's files, the same in every process.
    """
    from peft import get_peft_model_state_dict

    named = get_peft_model_state_dict(model, state_dict=trainable(model), save_embedding_layers=False)
    for name, parameter in named.items():
        parameter.copy_(_part_of(tensors[name], parameter))


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What an optimizer's `state_dict` is in one process: whole, in main memory; all have to call it at once."""
    return tree_map_only(torch.Tensor, lambda each: whole(each).cpu(), optimizer.state_dict())


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimizer the state that `optimizer_state` gathered; each process takes its part of it."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    parts = {
        number: {name: _part_of(each, parameters[number]) for name, each in values.items()}
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": parts})


def _part_of(values: Any, parameter: torch.Tensor) -> Any:
    """This process's part of what is as large as a split parameter; anything else as it is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(parameter, DTensor) or getattr(values, "shape", None) != parameter.shape:
        return values
    placed = values.to(parameter.device)
    return distribute_tensor(placed, parameter.device_mesh, parameter.placements, src_data_rank=None)  # nobody sends


def code_sums(model: torch.nn.Module) -> dict[torch.nn.Module, int]:
    """The sum of the bytes of each 4-bit layer's codes; the layers also note how their codes are to be read.

    Splitting makes plain tensors of the weights, which know no scales any more; bitsandbytes then asks the layer.

    Args:
        model: not split yet.
    """
    for layer in linear_4bit(model):
        layer.quant_state = layer.weight.quant_state
    return {layer: _sum_of_codes(layer) for layer in linear_4bit(model)}


def require_codes(model: torch.nn.Module, expected: Mapping[torch.nn.Module, int]) -> None:
    """Raises where gathering changes 4-bit codes: they travel as numbers of another type, and a copy may mend a NaN.

    Args:
        model: split. expected: its `code_sums` when it was whole.

    Raises:
        UserError: they have changed.
    """
    found = {}
    for module in _split_modules(model):
        module.unshard()
        layers = linear_4bit(module)  # those of deeper parts, too, which are split still
        found |= {layer: _sum_of_codes(layer) for layer in layers if not hasattr(layer.weight, "device_mesh")}
        module.reshard()
    changed = sum(found.get(layer) != number for layer, number in expected.items())
    if changed:
        where, fix = "4-bit weights, split among processes (FSDP2)", "launch with data/recipes/accelerate/ddp.yaml"
        raise UserError.of(where, "gathered as they were split", f"{changed} of {len(expected)} layers changed", fix)


def _sum_of_codes(layer: torch.nn.Module) -> int:
    return int(layer.weight.data.view(torch.uint8).sum(dtype=torch.int64))


def _split_modules(model: torch.nn.Module) -> Iterator[Any]:
    from torch.distributed.fsdp import FSDPModule

    return (module for module in model.modules() if isinstance(module, FSDPModule))
