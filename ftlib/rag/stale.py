"""What happens when facts change after training: who follows, and who repeats the old answer?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ftlib import jsonl
from ftlib.evaluate.metrics import exact_match
from ftlib.evaluate.scores import Headline, cluster
from ftlib.evaluate.stats import Interval, Paired, mean_ci95, paired_difference
from ftlib.rag.arms import KEYS
from ftlib.rag.compare import Scenario
from ftlib.recipe import UserError

AFTER = "after the change"
FIELDS = ("id", "question", "old_answer", "answer")


class Staleness(NamedTuple):
    """One arm on the facts that changed.

    Attributes:
        arm: its name.
        before: exact match with the old answer, with the old articles.
        after: exact match with the new answer, with the new articles.
        repeats_old: share of the questions answered with the old value after the change.
        change: after - before on the same questions.
        hits: after-change score of each question, (n,).
    """

    arm: str
    before: Interval
    after: Interval
    repeats_old: Interval
    change: Paired
    hits: list[float]


def load_updates(path: str | Path) -> list[dict]:
    """Reads the facts that changed.

    Args:
        path: JSON lines ``{id, question, old_answer, answer, references?, fact?, document?}``.

    Returns:
        Rows with ``references`` (the answer alone where none are given) and ``documents``.

    Raises:
        UserError: no such file, a broken line, a field that is missing, or an answer that did not change.
    """
    rows = []
    for number, row in enumerate(jsonl.iterate(path), start=1):
        missing = [name for name in FIELDS if not isinstance(row.get(name), str) or not row[name].strip()]
        if missing:
            fix = "add the field"
            raise UserError.of(f"{path}, row {number}", f"text in {', '.join(FIELDS)}", f"no {', '.join(missing)}", fix)
        document = row.get("document")
        row = {"references": [row["answer"]], "documents": [document] if document else [], **row}
        if exact_match(row["old_answer"], row["references"]):
            fix = "remove the row or correct its answer"
            raise UserError.of(f"{path}, row {number}", "a new answer that differs from the old", row["answer"], fix)
        rows.append(row)
    return rows


def measure(
    arm: str,
    updates: Sequence[Mapping],
    before: Mapping[str, str],
    after: Mapping[str, str],
    samples: int = 10_000,
    seed: int = 0,
) -> Staleness:
    """Scores an arm's answers before and after the change.

    Args:
        arm: its name.
        updates: from `load_updates`.
        before: question id to the answer given with the old articles.
        after: question id to the answer given with the new ones; for an arm without articles the same answers.
        samples: bootstrap samples.
        seed: of the bootstrap.

    Returns:
        The measured arm.
    """
    clusters = [cluster(dict(row)) for row in updates]
    old = [exact_match(before[row["id"]] or "", [row["old_answer"]]) for row in updates]
    new = [exact_match(after[row["id"]] or "", row["references"]) for row in updates]
    repeats = [exact_match(after[row["id"]] or "", [row["old_answer"]]) for row in updates]
    return Staleness(
        arm,
        mean_ci95(old, clusters, samples, seed),
        mean_ci95(new, clusters, samples, seed),
        mean_ci95(repeats, clusters, samples, seed),
        paired_difference(new, old, clusters, samples, seed),
        new,
    )


def headlines(measured: Sequence[Staleness]) -> list[Headline]:
    """``em_stale_<arm>`` (after the change), ``em_before_change_<arm>`` and ``repeats_old_<arm>``.

    Args:
        measured: from `measure`.

    Returns:
        Headlines with interval and n.
    """
    found = []
    for arm in measured:
        end = KEYS.get(arm.arm, arm.arm)
        values = {"em_stale": arm.after, "em_before_change": arm.before, "repeats_old": arm.repeats_old}
        found += [Headline(f"{key}_{end}", v.mean, (v.low, v.high), v.n) for key, v in values.items()]
    return found


def scenario(updates: Sequence[Mapping], measured: Sequence[Staleness]) -> Scenario:
    """The changed facts as a scenario that `ftlib.rag.compare.judge` can judge.

    Args:
        updates: from `load_updates`.
        measured: from `measure`, on these updates.

    Returns:
        The arms' scores after the change.
    """
    return Scenario(AFTER, {arm.arm: arm.hits for arm in measured}, [cluster(dict(row)) for row in updates])
