"""The pictures draw what they are given: each is rendered and its texts are read back."""

import io

import pytest
from matplotlib.text import Text

from ftlib.rag import figures
from ftlib.rag.comparison import Scenario, judge
from ftlib.rag.cost import Cost, Prices
from ftlib.rag.staleness import staleness_of
from ftlib.recipe import ColumnsRecipe
from ftlib.rows import row_of
from ftlib.stats import Interval, mean_ci95


@pytest.fixture(scope="module")
def standings(five):
    scores = {name: [1.0] * (4 * at + 2) + [0.0] * (18 - 4 * at) for at, name in enumerate(five)}
    every = Scenario("all", scores, list(range(20)))
    some = Scenario("some_slice", {name: scores[name][:10] for name in list(five)[2:]}, list(range(10)))
    return judge([every, some], 200)


def texts(figure):
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_the_decision_map_has_a_cell_for_every_measured_system(standings, five):
    figure = figures.decision_map(standings, five, "Use RAG.", {"rag": ["waits 0.1 s"]})
    found = texts(figure)
    means = [f"{mean.mean:.0%}" for standing in standings for mean in standing.means.values()]
    assert len(means) == 8 and all(found.count(text) >= means.count(text) for text in means)
    assert {"Use RAG.", "waits 0.1 s", "all test questions\nn = 20", "some slice\nn = 10", "RAG + fine-tuned"} <= set(
        found
    )
    widths = [patch.get_linewidth() for patch in figure.axes[0].patches]
    best = [sum(m.mean == v.means[v.leader].mean for m in v.means.values()) for v in standings]
    assert widths.count(2.6) == sum(best) and best == [1, 3], "the best of each row, equals alike"


def test_leads_mark_what_is_not_separated(standings, five):
    figure = figures.lead_dots(standings, five)
    texts(figure)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o" and len(line.get_xdata())]
    hollow = [line for line in dots if line.get_markerfacecolor() == "white"]
    assert len(dots) == 6 and len(hollow) == sum(len(standing.level) for standing in standings)


def test_retrieval_latency_stale_and_cost_render(five):
    intervals = [mean_ci95([1] * k + [0] * (9 - k)) for k in (5, 7, 8)]
    assert "Found among the first k (MRR 0.50)" in texts(
        figures.hit_curve(intervals, intervals, 2, Interval(0.5, 0.4, 0.6, 9))
    )
    assert "few-shot prompt" in texts(figures.latency_dots({"few_shot": [0.1, 0.2], "rag": [0.3]}, five))
    updates = [row_of({"id": str(i), "question": "q", "answer": "b", "meta": {"old_answer": "a"}}) for i in range(6)]
    old = {row.id: "a" for row in updates}
    measured = [staleness_of("finetuned", updates, old, old, ColumnsRecipe(), 50)]
    assert "Right answers to 6 changed facts" in texts(figures.stale_slopes(measured, five))
    tokens, free = Interval(50, 40, 60, 9), Interval(0, 0, 0, 9)
    costs = [
        Cost("finetuned", 100, Interval(0.1, 0.1, 0.1, 5), 10, 2, tokens, free),
        Cost("rag", 1, Interval(0.2, 0.1, 0.3, 5), 100, 2, tokens, free),
    ]
    figure = figures.cost_lines(costs, Prices(0.1), five)
    assert "questions a month" in texts(figure)
    assert sum(line.get_marker() == "o" for line in figure.axes[0].lines) == 1, "one break-even"


def test_one_system_alone_is_drawn_too(five):
    alone = judge([Scenario("all", {"base": [1.0, 0.0, 1.0]}, [1, 2, 3])], 50)
    assert "base model" in texts(figures.decision_map(alone, five, "Nothing to choose between."))
    assert "all test questions\nbase model leads" in texts(figures.lead_dots(alone, five))
