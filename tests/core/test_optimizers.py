from __future__ import annotations

import pytest
import torch

from ftlib.core.lora import for_training
from ftlib.core.optimizers import make_optimizer, optimizer_note, schedule, trainable
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
    return arguments(tmp_path, max_steps=1, per_device_train_batch_size=1, logging_steps=1)


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


def test_what_is_trained_is_an_adapter_or_the_whole_model(make_recipe):
    from ftlib.core.load import load_base

    whole = make_recipe(quantization={"load_in_4bit": False}, train__method="full")
    model, _ = load_base(whole)
    assert trainable(model) == {}
    assert set(trainable(for_training(model, whole))) == set(dict(model.named_parameters()))
    adapted = trainable(for_training(load_base(make_recipe())[0], make_recipe()))
    assert adapted and all("lora_" in name and parameter.requires_grad for name, parameter in adapted.items())


def _rates(recipe, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = schedule(optimizer, recipe, steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_schedules_warm_up_and_come_down_as_they_promise(make_recipe):
    cosine, linear, constant = (
        _rates(make_recipe(train__scheduler=name, train__warmup_ratio=0.1), 100)
        for name in ("cosine", "linear", "constant")
    )
    for rates in (cosine, linear, constant):  # no step is wasted at a rate of 0
        assert rates[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert cosine[55] == pytest.approx(0.5) and linear[55] == pytest.approx(0.5) and constant[55] == 1.0
    assert 0 < cosine[99] < 0.001 and linear[99] == pytest.approx(1 / 90) and constant[99] == 1.0
    assert _rates(make_recipe(train__warmup_ratio=0.0), 10)[0] == 1.0
