"""The report: what stands among the main results, and how its pictures are laid out."""

from __future__ import annotations

from ftlib import plots
from ftlib.report import WIDE_PIXELS, _figure, table


def test_forgetting_stands_among_the_main_results():
    """The price of fine-tuning is no share: it has its own format and no bar."""
    summary = {"perplexity_ratio": 23.6213, "perplexity_ratio_ci95": [20.937, 26.302], "perplexity_ratio_n": 80}
    assert "23.62" in table(summary)
    assert "[20.94, 26.3]" in table(summary)
    assert "n=80" in table(summary)


def test_a_picture_opens_its_file_and_a_large_one_takes_the_whole_width(tmp_path):
    (tmp_path / "01_data" / "figures").mkdir(parents=True)
    for name, inches in [("small", 4), ("large", 12)]:
        figure, _ = plots.new_figure(inches, 1)
        figure.savefig(tmp_path / f"01_data/figures/{name}.png", dpi=WIDE_PIXELS / 12)
    small, large = (_figure(tmp_path, f"01_data/figures/{name}.png", "A <b>.") for name in ("small", "large"))
    assert small.startswith('<figure><a href="01_data/figures/small.png"><img alt="A &lt;b&gt;."')
    assert large.startswith("<figure class=wide>")


def test_a_missing_picture_leaves_no_gap(tmp_path):
    assert _figure(tmp_path, "01_data/figures/gone.png", "Gone.") == ""
