"""The report: what stands among the main results, how its keys are read, and how its pictures are laid out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ftlib import plots
from ftlib.report import WIDE_PIXELS, headline_title, main_keys, table, write_report

LABELS = {"base": "base model", "mine": "my model", "mine_2": "my second", "rag": "RAG"}


def make_page(folder: Path, summary: dict, figures: dict[str, str] | None = None) -> str:
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "01_data").mkdir(exist_ok=True)
    stage = {"finished": "now", "wall_seconds": 1.0, "peak_memory_bytes": 2**20, "figures": figures or {}}
    (folder / "01_data" / "manifest.json").write_text(json.dumps(stage))
    return write_report(folder).read_text(encoding="utf-8")


def test_forgetting_stands_among_the_main_results():
    """The price of fine-tuning is no share: it has its own format and no bar."""
    summary = {"perplexity_ratio": 23.6213, "perplexity_ratio_ci95": [20.937, 26.302], "perplexity_ratio_n": 80}
    assert "23.62" in table(summary, {})
    assert "[20.94, 26.3]" in table(summary, {})
    assert "n=80" in table(summary, {})


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("em_mine", "My model: exact match"),
        ("em_mine_2", "My second: exact match"),
        ("em_rag__some_slice", "RAG: exact match, some slice"),
        ("em_gain", "Gain, exact match (paired)"),
        ("em_gain_mine_2", "Gain of my second, exact match (paired)"),
        ("refusal_accuracy_base", "Base model: says so when it cannot know"),
        ("some_task_accuracy_mine", "My model: some task accuracy"),
        ("some_task_acc_norm_mine", "My model: some task acc norm"),
        ("perplexity_ratio", "Perplexity of held-out text, over the untrained model's"),
    ],
)
def test_a_title_is_made_of_the_system_and_the_measure(key, title):
    assert headline_title(key, LABELS) == title


def test_the_main_results_hold_every_system_in_the_recipes_order():
    keys = [
        "hit_rate_at_k",
        "other_acc_mine",
        "task_accuracy_base",
        "refusal_accuracy_mine",
        "em_rag",
        "em_gain",
        "em_mine_2",
    ]
    summary = dict.fromkeys([*keys, "em_base", "em_base_n", "em_mine", "f1_base", "em_base__slice"], 0.5)
    assert main_keys(summary, LABELS) == [
        "em_base",
        "em_mine",
        "em_mine_2",
        "em_rag",
        "em_gain",
        "refusal_accuracy_mine",
        "other_acc_mine",
        "task_accuracy_base",
        "hit_rate_at_k",
    ]


def test_labels_come_from_the_runs_own_recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"systems": {"mine": {"label": "a <b>"}, "plain": {}}}))
    page = make_page(tmp_path, {"em_plain": 0.25, "em_plain_ci95": [0.125, 0.5], "em_plain_n": 8, "em_mine": None})
    assert page.index("A &lt;b&gt;: exact match") < page.index("Plain: exact match")
    assert "25.0 %" in page and "12.5 % to 50.0 %" in page
    assert '<rect width="40.0"' in page and "M20.0 9H80.0" in page


def test_a_picture_opens_its_file_and_a_large_one_takes_the_whole_width(tmp_path):
    (tmp_path / "01_data" / "figures").mkdir(parents=True)
    for name, inches in [("small", 4), ("large", 12)]:
        figure, _ = plots.new_figure(inches, 1)
        figure.savefig(tmp_path / f"01_data/figures/{name}.png", dpi=WIDE_PIXELS / 12)
    page = make_page(tmp_path, {"rows_in": 1}, {"small": "A <b>.", "large": "B.", "gone": "Gone."})
    assert '<figure><a href="01_data/figures/small.png"><img alt="A &lt;b&gt;."' in page
    assert '<figure class=wide><a href="01_data/figures/large.png">' in page
    assert page.count("<figure") == 2, "a missing picture leaves no gap"
