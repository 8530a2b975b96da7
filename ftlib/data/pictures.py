"""What notebook 01 shows: tables and figures of the steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ftlib import plots
from ftlib.data.load import each


def before_after(raw, checked, rows: int = 10):
    """Rows that were mended, as they came and as they are now, one row a kind of change in turn.

    Args:
        raw: ``datasets.Dataset`` as loaded.
        checked: the same rows after the checks (those that stayed).
        rows: how many to show.

    Returns:
        ``pandas.DataFrame`` with id, changes, before and after.
    """
    import pandas as pd

    by_kind: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in each(checked, ("id", "question", "answer", "changes", "pii")):
        if kind := (*row["changes"], *row["pii"]):
            shown = by_kind.setdefault(kind, [])
            if len(shown) < rows:
                shown.append(row)
    turns = [shown[turn] for turn in range(rows) for shown in by_kind.values() if turn < len(shown)][:rows]
    wanted = {row["id"]: row for row in turns}
    lines = [
        {
            "id": row["id"],
            "changes": ", ".join([*wanted[row["id"]]["changes"], *wanted[row["id"]]["pii"]]),
            "before": f"{row['question']}\n→ {row['answer']}",
            "after": f"{wanted[row['id']]['question']}\n→ {wanted[row['id']]['answer']}",
        }
        for row in each(raw, ("id", "question", "answer"))
        if row["id"] in wanted
    ]
    return pd.DataFrame(lines).sort_values("changes").reset_index(drop=True) if lines else pd.DataFrame()


def counts_figure(counts: Mapping[str, int], title: str, xlabel: str = "rows"):
    """One bar a name (a reason, a slice, a size), the largest count on top.

    Args:
        counts: name to count.
        title: of the figure.
        xlabel: what is counted.
    """
    ordered = dict(sorted(counts.items(), key=lambda item: -item[1]))
    return plots.bars_with_intervals(
        {name: (count, None) for name, count in ordered.items()}, title=title, xlabel=xlabel, percent=False
    )


def lengths_figure(whole: Sequence[int], trained: Sequence[int], max_length: int):
    """Tokens of rows and of their answers, with the length at which training would cut."""
    return plots.histogram(
        {"whole row": np.asarray(whole), "trained (answer)": np.asarray(trained)},
        title="Most of a row is read, little of it is trained",
        xlabel="tokens",
        mark=max_length,
        mark_label="max_length",
    )


def detectors_table(detectors: Mapping[str, Mapping[str, Any]]):
    """Precision and recall with their counts and 95 % intervals (Wilson).

    Args:
        detectors: from :func:`ftlib.data.truth.score`.

    Returns:
        ``pandas.DataFrame``, one row a detector.
    """
    import pandas as pd

    lines = []
    for name, figure in detectors.items():
        line: dict[str, Any] = {"detector": name, "planted": figure["n"], "found": figure["found"]}
        for measure, n in (("precision", figure["found"]), ("recall", figure["n"])):
            line[measure] = figure[measure]
            line[f"{measure} 95 %"] = "{:.3f} to {:.3f}".format(*wilson(figure[measure], n)) if n else ""
        lines.append(line)
    return pd.DataFrame(lines)


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n."""
    from scipy.stats import binomtest

    interval = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return interval.low, interval.high


def recall_figure(detectors: Mapping[str, Mapping[str, Any]]):
    """Recall of every detector with its interval."""
    return plots.bars_with_intervals(
        {name: (f["recall"], wilson(f["recall"], f["n"])) for name, f in detectors.items()},
        n={name: f["n"] for name, f in detectors.items()},
        title="Recall of planted defects",
        xlabel="share of planted defects that were found",
    )
