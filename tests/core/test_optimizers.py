from __future__ import annotations

import pytest
import torch

from ftlib.core.lora import for_training
from ftlib.core.optimizers import make_optimizer, optimizer_note
from ftlib.core.pace import arguments
from ftlib.errors import UserError

NAMES = {  # what transformers makes of each, and whether its state is in 8 bits
    "adamw_torch": ("AdamW", False),
    "adamw_torch_fused": ("AdamW", False),
    "adamw_8bit": ("AdamW", True),
    "paged_adamw_8bit": ("AdamW", True),
    "paged_adamw_32bit": ("AdamW", False),
    "lion_8bit": ("Lion", True),
    "adafactor": ("Adafactor", False),
    "sgd": ("SGD", False),
}


class Wide(torch.nn.Module):
    """A matrix that is large enough for 8-bit states, and a vector."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(128, 64)
        self.device = torch.device("cpu")


@pytest.fixture
def args(tmp_path):
    fields = {"total_steps": 1, "accumulation": 1, "batch_rows": 1, "max_grad_norm": 1.0, "log_every_steps": 1}
    return arguments(tmp_path, **fields, keep=1, seed=0, bf16=False)


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_lowers_what_it_is_given(args, name):
    torch.manual_seed(0)
    model, (kind, small) = Wide(), NAMES[name]
    optimizer = make_optimizer(model, args, name, learning_rate=0.01, weight_decay=0.1)
    assert type(optimizer).__name__ == kind and {g["lr"] for g in optimizer.param_groups} == {0.01}
    decays = [(p.ndim, group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(decays) == [(1, 0.0), (2, 0.1)]
    x, losses = torch.randn(32, 128), []
    for _ in range(10):
        optimizer.zero_grad()
        loss = (model.linear(x) - x[:, :64]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    dtypes = {value.dtype for value in optimizer.state[model.linear.weight].values() if torch.is_tensor(value)}
    assert (torch.uint8 in dtypes) is small


def test_an_adapters_b_learns_at_its_own_rate_with_any_optimizer(args, make_recipe):
    from ftlib.core.load import load_base

    recipe = make_recipe()
    model = for_training(load_base(recipe)[0], recipe)
    for name in ("adamw_torch", "adamw_8bit", "adafactor"):
        optimizer = make_optimizer(model, args, name, learning_rate=0.01, lora_plus_ratio=8.0)
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert rates[id(parameter)] == (0.08 if "lora_B" in key else 0.01), key


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("adamw_8bits", "try adamw_8bit"),
        ("schedule_free_adamw", "other weights than it trains"),
        ("lomo", "inside the backward"),
        ("galore_adamw", "further settings"),
    ],
)
def test_an_optimizer_that_cannot_be_had_is_named_before_the_training(args, name, says):
    with pytest.raises(UserError, match=rf"train\.optimizer.*(?s:.*){says}"):
        make_optimizer(Wide(), args, name, learning_rate=0.01)


def test_the_plan_names_an_optimizer_and_that_it_does_not_page_here():
    assert optimizer_note("adamw_torch_fused", "cpu") is None
    assert optimizer_note("paged_adamw_8bit", "cuda") == "optimizer: paged_adamw_8bit, set by the recipe"
    assert "main memory" in optimizer_note("paged_adamw_8bit", "cpu")
