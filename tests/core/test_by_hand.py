"""What notebook 02 builds in view gives what the libraries give, on more than the cases that it shows."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from ftlib.core import quantize
from ftlib.core.optimizers import schedule

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_train_qlora.ipynb"


def definitions(text: str) -> str:
    """The one code cell that holds `text`, without what it does with its functions: that needs a run."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (found,) = [source for cell in cells if cell["cell_type"] == "code" and text in (source := "".join(cell["source"]))]
    body = ast.parse(found).body
    kept = [node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return ast.unparse(ast.Module(kept or body, []))


@pytest.fixture(scope="module")
def by_hand() -> dict[str, Any]:
    names: dict[str, Any] = {"torch": torch, "F": F, "math": math, "quantize": quantize}
    for text in ("outermost = ", "def encode(", "class LoraByHand(", "def stops_at(", "def share_of_rate("):
        exec(definitions(text), names)
    return names


def test_the_levels_are_those_of_bitsandbytes(by_hand):
    assert torch.allclose(by_hand["levels"], quantize.nf4_levels(), atol=1e-6, rtol=0)
    assert len(by_hand["levels"]) == 16 and 0 in by_hand["levels"]


def test_the_levels_are_densest_around_zero(by_hand):
    """So small weights land close and the few large ones can move furthest, as the prose says."""
    levels = by_hand["levels"]
    gaps, zero = levels.diff(), int((levels == 0).nonzero())
    below, above = gaps[:zero], gaps[zero:]
    assert (below.diff() < 0).all() and (above.diff() > 0).all()
    assert gaps.max() > 3 * gaps.min() and gaps.argmax() in (0, len(gaps) - 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("shape", "block"), [((64, 64), 64), ((128, 96), 64), ((7, 33), 64), ((40, 96), 256)])
def test_encode_and_decode_are_nf4_for_any_shape_and_block(by_hand, shape, block, dtype):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    mine = by_hand["decode"](*by_hand["encode"](weight, block), weight.shape)
    theirs, _ = quantize.quantize(weight, block_size=block, double_quant=False)
    assert ((mine - theirs).abs() > 1e-5 * theirs.abs().max()).float().mean() < 1e-3
    relative = (mine - weight.float()).norm() / weight.float().norm()
    assert 0.05 < relative < 0.15, "about a tenth of the typical weight"


def test_a_block_of_zeros_stays_zero(by_hand):
    assert not by_hand["decode"](*by_hand["encode"](torch.zeros(3, 64)), torch.Size([3, 64])).any()


def test_larger_blocks_move_normal_weights_further():
    """Notebook 02 computes the sentence; for normal weights it has to come out this way."""
    weight = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    errors = [quantize.quantization_error(weight, "nf4", size, False).relative for size in (32, 64, 256, 1024)]
    assert errors == sorted(errors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lora_by_hand_begins_as_the_base_and_merges(by_hand, dtype):
    torch.manual_seed(0)
    layer = torch.nn.Linear(24, 40, dtype=dtype)
    lora = by_hand["LoraByHand"](layer, 24, 40, r=4, scaling=2.0).to(dtype)
    x = torch.randn(5, 24, dtype=dtype)
    assert torch.equal(lora(x), layer(x))
    assert sum(p.numel() for p in (lora.A, lora.B)) == 4 * (24 + 40)
    torch.nn.init.normal_(lora.B)
    assert torch.allclose(lora(x), F.linear(x, lora.merged(layer.weight), layer.bias), rtol=1e-4, atol=1e-4)
    assert torch.linalg.matrix_rank(lora.merged(layer.weight) - layer.weight, tol=1e-4) == 4


@pytest.mark.parametrize(("steps", "ratio"), [(100, 0.1), (25, 0.1), (7, 0.0), (3, 0.5)])
def test_the_schedule_by_hand_is_the_trainers(by_hand, make_recipe, steps, ratio):
    recipe = make_recipe(train__warmup_ratio=ratio, train__scheduler="cosine")
    (share,) = schedule(torch.optim.SGD([torch.zeros(1)], lr=1.0), recipe, steps).lr_lambdas
    mine = [by_hand["share_of_rate"](step, steps, round(ratio * steps)) for step in range(steps)]
    assert mine == pytest.approx([share(step) for step in range(steps)], abs=1e-12)
    assert all(0 < each <= 1 for each in mine)


def test_early_stopping_waits_for_its_patience(by_hand):
    stops_at = by_hand["stops_at"]
    assert stops_at({1: 3.0, 2: 2.0, 3: 2.5, 4: 2.4, 5: 1.0}) == 4
    assert stops_at({1: 3.0, 2: 2.0, 3: 2.5, 4: 1.9, 5: 2.0}) == 5, "a new best begins to count again"
    assert stops_at({1: 3.0, 2: 2.0, 3: 2.0, 4: 2.0}) == 4, "as low is no new best"
