"""torch.compile: where it is taken, where not, and that a compiled training is the same training."""

from __future__ import annotations

import json

import pytest
import torch

from ftlib.core import compiling, device
from ftlib.core.compiling import compile_where_it_pays, missing_for_compile
from ftlib.core.plan import Plan
from ftlib.core.train import train

needs_compiler = pytest.mark.skipif(missing_for_compile() is not None, reason=f"needs {missing_for_compile()}")


def test_what_compiling_needs_is_looked_for_where_it_is_used(monkeypatch, tmp_path):
    assert (missing_for_compile() is None) is device.describe().compiler
    monkeypatch.setattr(compiling.sysconfig, "get_path", lambda name: str(tmp_path))
    assert "Python.h" in missing_for_compile()
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "C++ compiler" in missing_for_compile()
    (tmp_path / "g++").touch(mode=0o755)
    assert missing_for_compile() is None


def test_a_gpu_compiles_with_triton_and_a_c_compiler(monkeypatch, tmp_path):
    """A GPU is played here, because what may be missing is beside it."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(compiling.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (6, 0))
    assert "7.0" in missing_for_compile()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (8, 0))
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda name: None)
    assert missing_for_compile() == "Triton"
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert "C compiler" in missing_for_compile()
    (tmp_path / "gcc").touch(mode=0o755)
    assert missing_for_compile() is None


def test_nothing_is_compiled_where_the_recipe_says_so_or_the_training_is_short():
    never = lambda: pytest.fail("timed")
    model = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
    assert compile_where_it_pays(model, False, never, 1) == (False, "compile: off, set by the recipe")
    assert compile_where_it_pays(model, "auto", never, 1, before=False) == (
        False,
        "compile: off, as when this training began, or in each of several processes",
    )
    short = compile_where_it_pays(model, "auto", lambda: [lambda: 1], 1)
    assert short[0] is False and ("training takes about 0 s" in short[1] or "found none" in short[1])


@needs_compiler
def test_what_the_compiler_cannot_do_runs_without_it(monkeypatch):
    monkeypatch.setattr(compiling, "_WORTH_SECONDS", 0)
    model, calls = torch.nn.ModuleList([torch.nn.Linear(2, 2)]), iter(range(100))

    def step():
        if next(calls) > 6:
            raise RuntimeError("no such kernel\nat all")
        return 1

    done, reason = compile_where_it_pays(model, "auto", lambda: [step, step], 100)
    assert not done and "failed (RuntimeError: no such kernel)" in reason and model[0]._compiled_call_impl is None


def test_a_machine_that_slows_down_favours_neither(monkeypatch):
    """Each step takes a tenth longer than the one before it; eager and compiled layers would take the same."""
    now, cost = 0.0, 0.01
    monkeypatch.setattr(compiling.time, "perf_counter", lambda: now)

    def step():
        nonlocal now, cost
        now, cost = now + cost, 1.1 * cost
        return 1

    eager, compiled = compiling._speeds_in_turn(torch.nn.ModuleList([torch.nn.Linear(2, 2)]), [step, step])
    assert 0.7 < compiled / eager < 1, "one turn apart, not a whole timing"


@needs_compiler
def test_a_compiled_training_is_the_same_training(adapted, rows, make_recipe, monkeypatch, tmp_path, dtype):
    monkeypatch.setattr(compiling, "_WORTH_SECONDS", 0)
    monkeypatch.setattr(compiling, "_WORTH_RATIO", 0)
    lines = {}
    for wanted in ("auto", False):
        recipe = make_recipe(train__compile=wanted, model__dtype=dtype)
        model, tokenizer = adapted(recipe)
        result = train(model, tokenizer, rows[:20], rows[20:], tmp_path / str(wanted), recipe)
        lines[wanted] = [json.loads(line) for line in result.metrics_path.read_text().splitlines()]
        assert Plan.compiled_in(tmp_path / str(wanted)) is (wanted == "auto")
        assert ("tokens/s against" in result.plan.text()) is (wanted == "auto")
        assert not any(layer._compiled_call_impl for layer in compiling.decoder_layers(model))
    losses, norms = (
        [[line[key] for line in each if key in line] for each in lines.values()] for key in ("loss", "grad_norm")
    )
    close = {"float32": 1e-4, "bfloat16": 0.03}[dtype]
    assert losses[0] == pytest.approx(losses[1], rel=close) and norms[0] == pytest.approx(norms[1], rel=close)


@needs_compiler
def test_a_last_batch_of_one_row_compiles_nothing_anew(adapted, rows, make_recipe, tmp_path):
    from torch._dynamo.utils import counters

    torch.compiler.reset()
    counters.clear()
    model, tokenizer = adapted()
    recipe = make_recipe(train__compile=True, train__epochs=1, train__early_stopping_patience=0)
    result = train(model, tokenizer, rows[:21], rows[20:], tmp_path, recipe)  # five batches of four rows, and one row
    assert result.steps == 6 and counters["stats"]["unique_graphs"] == 2  # of the first layer and of the others
