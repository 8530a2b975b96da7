"""The pictures draw what they are given: each is rendered and its texts are read back."""

import io

import pytest
from matplotlib.text import Text

from ftlib.evaluate.stats import Interval, mean_ci95
from ftlib.rag import figures, stale
from ftlib.rag.arms import ARMS
from ftlib.rag.compare import Scenario, judge
from ftlib.rag.cost import Cost, Prices


@pytest.fixture(scope="module")
def verdicts():
    scores = {arm: [1.0] * (4 * at + 2) + [0.0] * (18 - 4 * at) for at, arm in enumerate(ARMS)}
    every = Scenario("all", scores, list(range(20)))
    some = Scenario("trained_fact", {arm: scores[arm][:10] for arm in ARMS[2:]}, list(range(10)))
    return [judge(every, 200), judge(some, 200)]


def texts(figure):
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_the_decision_map_has_a_cell_for_every_measured_arm(verdicts):
    figure = figures.decision_map(verdicts, "Use RAG.", {"rag": ["waits 0.1 s"]})
    found = texts(figure)
    means = [f"{mean.mean:.0%}" for verdict in verdicts for mean in verdict.means.values()]
    assert len(means) == 8 and all(found.count(text) >= means.count(text) for text in means)
    assert {"Use RAG.", "waits 0.1 s", "all questions\nn = 20", "trained fact\nn = 10"} <= set(found)
    widths = [patch.get_linewidth() for patch in figure.axes[0].patches]
    best = [sum(m.mean == v.means[v.leader].mean for m in v.means.values()) for v in verdicts]
    assert widths.count(2.6) == sum(best) and best == [1, 3], "the best of each row, equals alike"


def test_leads_mark_what_is_not_separated(verdicts):
    figure = figures.leads(verdicts)
    texts(figure)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o" and len(line.get_xdata())]
    hollow = [line for line in dots if line.get_markerfacecolor() == "white"]
    assert len(dots) == 6 and len(hollow) == sum(len(verdict.level) for verdict in verdicts)


def test_retrieval_latency_stale_and_cost_render():
    intervals = [mean_ci95([1] * k + [0] * (9 - k)) for k in (5, 7, 8)]
    assert "Found among the first k (MRR 0.50)" in texts(
        figures.hit_curve(intervals, intervals, 2, Interval(0.5, 0.4, 0.6, 9))
    )
    assert "few-shot prompt" in texts(figures.latencies({"few_shot": [0.1, 0.2], "rag": [0.3]}))
    updates = [{"id": str(i), "old_answer": "a", "answer": "b", "references": ["b"]} for i in range(6)]
    old = {row["id"]: "a" for row in updates}
    measured = [stale.measure("finetuned", updates, old, old, 50)]
    assert "Right answers to 6 changed facts" in texts(figures.stale_slopes(measured))
    costs = [Cost("finetuned", 100, 0.1, 10, 2), Cost("rag", 1, 0.2, 100, 2)]
    figure = figures.cost_lines(costs, Prices(0.1))
    assert "questions a month" in texts(figure)
    assert sum(line.get_marker() == "o" for line in figure.axes[0].lines) == 1, "one break-even"
