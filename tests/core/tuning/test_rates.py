from __future__ import annotations

import math

import pytest
import torch
from scipy.special import expit

from ftlib.core.tuning import rates as module
from ftlib.core.tuning.figures import rate_figure
from ftlib.core.tuning.rates import RateFinding, find_rate, suggest
from ftlib.errors import UserError
from ftlib.recipe import Recipe


def _ramp(steps: int = 60) -> list[float]:
    return [1e-6 * 10 ** (6 * step / (steps - 1)) for step in range(steps)]


def test_the_suggestion_is_where_a_known_curve_falls_fastest():
    rates = _ramp()
    losses = [4 - 2 * expit(3 * (math.log10(rate) + 3.5)) + 50 * max(0.0, rate - 0.05) for rate in rates]
    found, reason = suggest(rates, losses, losses)
    assert math.log10(found) == pytest.approx(-3.5, abs=0.11)  # a step of the ramp is a tenth of a factor of ten
    assert "rises" in reason
    _, still_falling = suggest(rates[:35], losses[:35], losses[:35])
    assert "raise the end of the ramp" in still_falling


def test_noise_is_no_suggestion():
    generator = torch.Generator().manual_seed(0)
    losses = (4 + 0.3 * torch.randn(60, generator=generator)).tolist()
    found, reason = suggest(_ramp(), losses, [4.0] * 30 + [3.9] * 30)
    assert found is None and "noise" in reason


def test_the_finder_moves_nothing_and_stops_where_the_loss_has_grown(adapted, make_recipe, rows, monkeypatch):
    monkeypatch.setattr(module, "_DIVERGED", 1.01)  # a model as small as this one has no loss of three times the lowest
    model, tokenizer = adapted()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, modes = torch.random.get_rng_state(), [module.training for module in model.modules()]
    finding = find_rate(model, tokenizer, rows, make_recipe(), low=1e-4, high=1e4, steps=40)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert 10 < len(finding.rates) == len(finding.losses) == len(finding.smoothed) < 40
    assert finding.rates[0] == pytest.approx(1e-4)
    assert finding.rates[1] / finding.rates[0] == pytest.approx(1e8 ** (1 / 39))
    means = [sum(finding.losses[end - 10 : end]) / 10 for end in range(11, len(finding.losses) + 1)]
    stops = [mean > 1.01 * min(means[: at + 1]) for at, mean in enumerate(means)]
    assert stops[-1] and not any(stops[:-1])
    figure = rate_figure(finding, used=0.01)
    assert figure.axes[0].get_xscale() == "log"
    low, high = figure.axes[0].get_ylim()
    assert low < min(finding.smoothed) and high == 1.5 * finding.smoothed[0], "the fall fills the picture"
    assert any("in the recipe: 0.01" in text.get_text() for text in figure.axes[0].get_legend().get_texts())


def test_a_ramp_that_is_none_is_the_users_to_mend(adapted, make_recipe, rows):
    model, tokenizer = adapted()
    for wrong in ({"low": 1.0, "high": 0.1}, {"steps": 5}, {"low": 0.0}):
        with pytest.raises(UserError, match="learning-rate finder"):
            find_rate(model, tokenizer, rows, make_recipe(), **wrong)


def test_a_finding_without_a_suggestion_can_be_drawn():
    figure = rate_figure(RateFinding([1e-3, 1e-2], [4.0, 4.1], [4.0, 4.1], None, "no suggestion"))
    assert len(figure.axes[0].lines) == 2


def test_the_ramp_keeps_the_ratio_of_lora_plus(adapted, make_recipe, rows):
    """A's first gradient is 0, for B starts at 0: the second batch's loss depends on B's first rate alone."""

    def second_loss(low: float, ratio: float) -> float:
        recipe: Recipe = make_recipe(train__lora_plus_ratio=ratio)
        return find_rate(*adapted(recipe), rows, recipe, low=low, high=1.0, steps=20).losses[1]

    plain = second_loss(8e-3, 1.0)
    assert second_loss(1e-3, 8.0) == pytest.approx(plain, rel=1e-6)
    assert abs(second_loss(1e-3, 1.0) - plain) > 1e-3
