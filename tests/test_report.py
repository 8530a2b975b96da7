"""The report: what stands among the main results, how its keys are read, and how its pictures are laid out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from matplotlib.text import Text

from ftlib import plots
from ftlib.rag.comparison import Scenario, judge
from ftlib.rag.figures import decision_map, lead_dots
from ftlib.report import WIDE_PIXELS, headline_title, main_keys, table, write_report
from ftlib.review.slices import transition_bars, transitions
from ftlib.systems import System

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


THUMBNAIL, WIDE, DPI = 524, 1065, 120  # pixels of a picture in the page on a screen of 1150, and `Stage.figure`'s


def texts_of(figure):
    """The visible texts of a picture and their boxes, in pixels of its file."""
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    found = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    return [(text, text.get_window_extent()) for text in found]


def pictures():
    measured = {"a name of some length": (0.5, (0.4, 0.6)), "another_name": (0.25, None)}
    systems = {f"system {n}": (0.1 * n, (0.1 * n - 0.05, 0.1 * n + 0.05)) for n in range(1, 8)}
    standings = judge([Scenario("some_slice", {"base": [1.0, 0.0] * 9, "rag": [1.0] * 18}, list(range(18)))] * 3, 50)
    named = {name: System(name, name, None, "question", None) for name in ("base", "rag")}
    return {
        "bars": plots.bars_with_intervals(measured, n=dict.fromkeys(measured, 240), title="t", xlabel="share"),
        "dots": plots.dots_by_group({f"a slice: right value (n={n})": systems for n in range(5)}, title="t"),
        "differences": plots.dots_by_group(
            {f"slice {n}\n1 up, 2 down of 9": measured for n in range(6)}, zero_line=True
        ),
        "histogram": plots.histogram({"a": [1, 2, 2], "b": [3]}, title="t", xlabel="tokens"),
        "curve": plots.curve({"loss": ([1, 2, 3], [3.0, 2.0, 1.0])}, title="t", xlabel="step", ylabel="nats"),
        "leads": lead_dots(standings, named),
        "decision": decision_map(standings, named, "Use RAG.", {"rag": ["waits 0.1 s"]}),
        "transitions": transition_bars({"all": transitions({"a": True}, {"a": True})}, title="t"),
    }


@pytest.mark.parametrize("name", list(pictures()))
def test_every_label_can_be_read_in_the_thumbnail_and_none_lies_on_another(name):
    figure = pictures()[name]
    texts, width = texts_of(figure), figure.get_figwidth() * DPI
    shown = WIDE if width >= WIDE_PIXELS else THUMBNAIL
    sizes = [text.get_fontsize() / 72 * DPI * min(shown / width, 1) for text, _ in texts]
    assert min(sizes) >= 10, "pixels on the screen"
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            boxes = [box for text, box in texts if text in labels and axes.get_visible()]
            assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])
