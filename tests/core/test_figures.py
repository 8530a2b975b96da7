from __future__ import annotations

import json

import torch

from ftlib.core.figures import (
    LiveLoss,
    exact_figure,
    lora_figure,
    loss_figure,
    nf4_figure,
    one_block_figure,
)
from ftlib.core.quantize import nf4_levels


def _weight():
    return torch.randn(32, 64, generator=torch.Generator().manual_seed(0))


def test_the_nf4_picture_shows_the_levels_and_both_types():
    left, right = nf4_figure(_weight()).axes
    drawn = sorted(line.get_xdata()[0] for line in left.lines)
    assert len(drawn) == 16 and abs(drawn[0] - nf4_levels()[0].item()) < 1e-6
    labels = {text.get_text() for text in right.get_legend().get_texts()}
    assert {"NF4", "FP4"} <= labels


def test_one_block_shows_each_weight_twice():
    (axes,) = one_block_figure(_weight(), shown=20).axes
    assert [len(line.get_xdata()) for line in axes.lines[-2:]] == [20, 20]


def test_course_pictures_read_the_log(tmp_path):
    lines = [
        {"step": 0, "eval_loss": 5.0},
        {"step": 10, "loss": 4.0, "tokens_per_second": 100.0},
        {"step": 20, "loss": 3.0, "tokens_per_second": 200.0},
        {"step": 20, "eval_loss": 3.5, "eval_exact": 0.25},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    training, validation, *_ = loss_figure(path, best_step=20).axes[0].lines
    assert list(training.get_ydata()) == [4.0, 3.0] and list(validation.get_xdata()) == [0, 20]
    assert list(exact_figure(path, best_step=20).axes[0].lines[0].get_ydata()) == [0.25]
    live = LiveLoss(path, interactive=False)
    live({"step": 50})
    assert live._handle is None


def test_the_lora_picture_is_drawn_to_scale():
    (axes,) = lora_figure(inputs=800, outputs=200, r=40, scaling=2.0).axes
    w, b, a = axes.patches
    assert (w.get_width(), w.get_height()) == (800, 200)
    assert (b.get_width(), b.get_height()) == (40, 200) and (a.get_width(), a.get_height()) == (800, 40)
    texts = {text.get_text() for text in axes.texts}
    assert {"W\n200 x 800\nfrozen", "B\n200 x 40", "A\n40 x 800"} <= texts
