"""Duplicates and contradictions: rows that ask the same, and what to do when they answer the same or not.

Rows that ask the same thing in the same context form a cluster. Inside it, equal answers are duplicates (the oldest
row stays), and more than one answer is a contradiction (a policy decides, and a person can look at the list).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ftlib import rows as row_values
from ftlib.data.neighbours import components, members, pairs, signatures
from ftlib.data.similar import digest, normal_form, numbers, same
from ftlib.data.table import SAID, Watch, each, fetch, said_before
from ftlib.rows import Row


class Sketches(NamedTuple):
    """What is kept in memory of every row: 40 bytes of hashes and a MinHash signature.

    Attributes:
        content: uint64 (n,), hash of history, question, context and answer.
        asked: uint64 (n,), hash of history, question and context.
        question: uint64 (n,), hash of the question alone.
        numbers: uint64 (n,), hash of the numbers and codes in the question.
        before: uint64 (n,), hash of the history; 0 where there is none.
        minhash: uint32 (n, 64) of the question.
    """

    content: np.ndarray
    asked: np.ndarray
    question: np.ndarray
    numbers: np.ndarray
    before: np.ndarray
    minhash: np.ndarray


class Removal(NamedTuple):
    """Why a row goes: `reason` and the number of the row that stays in its place (-1 if none does)."""

    reason: str
    instead: int


class Resolved(NamedTuple):
    """Outcome of `resolve`.

    Attributes:
        rejected: row number -> Removal.
        clusters: lists of row numbers with the same question and the same answer, the kept one first.
        contradictions: lists of groups of row numbers; rows of a group share the answer, newest answer first.
    """

    rejected: dict[int, Removal]
    clusters: list[list[int]]
    contradictions: list[list[list[int]]]


def subject(row: Row) -> str:
    """What a row is compared by: its question, or its text where it has none."""
    return row.question or row.answer


def sketch(rows: Iterable[Row], count: int) -> Sketches:
    """Hashes and signatures of rows, in one pass.

    Args:
        rows: with turns, context and references.
        count: how many they are.

    Returns:
        Sketches.
    """
    content, asked, question, codes, before = (np.empty(count, np.uint64) for _ in range(5))

    def subjects():
        for number, row in enumerate(rows):
            history = said_before(row)
            asks, context, said = (normal_form(text) for text in (subject(row), row.context, history))
            content[number] = digest(asks, context, normal_form(row.answer), said)
            asked[number] = digest(asks, context, said)
            question[number] = digest(asks)
            codes[number] = numbers(subject(row))
            before[number] = digest(said) if said else 0
            yield subject(row)

    return Sketches(content, asked, question, codes, before, signatures(subjects(), count))


def sketch_table(table, watch: Watch = iter) -> Sketches:
    """`sketch` of a whole table, whose rows pass through `watch` to show progress."""
    return sketch(watch(entry.row for entry in each(table, SAID)), len(table))


def asking_the_same(table, sketches: Sketches, similarity: float) -> list[np.ndarray]:
    """Clusters of rows with the same question after the same history and in the same context.

    Args:
        table: `datasets.Dataset`, see `ftlib.data.table`.
        sketches: of its rows.
        similarity: least Jaccard similarity of near-duplicate questions, 0..1.

    Returns:
        Arrays of row numbers, two or more each.
    """
    count = len(table)
    order = np.argsort(sketches.asked, kind="stable")
    repeats = np.flatnonzero(sketches.asked[order][1:] == sketches.asked[order][:-1])
    one, other = order[repeats], order[repeats + 1]
    labels = components(count, one, other)
    for i, j in pairs(sketches.minhash, sketches.numbers ^ sketches.before, similarity):
        apart = labels[i] != labels[j]
        i, j = i[apart], j[apart]
        found = fetch(table, np.concatenate([i, j]), SAID)
        equal = np.fromiter(
            (
                same_question(found[a].row, found[b].row, similarity)
                for a, b in zip(i.tolist(), j.tolist(), strict=True)
            ),
            dtype=bool,
            count=len(i),
        )
        if equal.any():
            one, other = np.concatenate([one, i[equal]]), np.concatenate([other, j[equal]])
            labels = components(count, one, other)
    return members(labels)


def same_question(a: Row, b: Row, similarity: float) -> bool:
    """Whether two rows ask the same, but for slips, in the same context and after the same history."""
    return (
        same(subject(a), subject(b), similarity)
        and (a.context == b.context or same(a.context, b.context, similarity))
        and normal_form(said_before(a)) == normal_form(said_before(b))
    )


def resolve(table, sketches: Sketches, similarity: float, policy: str, created: str | None = None) -> Resolved:
    """Finds duplicates and contradictions and decides which rows stay.

    Args:
        table: `datasets.Dataset`, see `ftlib.data.table`.
        sketches: of its rows.
        similarity: least Jaccard similarity of near-duplicate questions, 0..1.
        policy: for contradictions: `newest` answer, answer of the `majority` (the newer of equals), `drop` all,
            or `keep` all.
        created: the column with the rows' dates, or None; without dates the order of ids decides.

    Returns:
        Resolved; it does not depend on the order of the rows.
    """
    rejected: dict[int, Removal] = {}
    clusters, contradictions = [], []
    groups = asking_the_same(table, sketches, similarity)
    for start in range(0, len(groups), 1000):
        block = groups[start : start + 1000]
        found = fetch(table, np.concatenate(block), ("id", "references", "meta"))
        for cluster in block:
            answers = by_answer({int(at): found[int(at)].row for at in cluster}, similarity, created)
            winner = _winner(answers, policy) if len(answers) > 1 else 0
            if len(answers) > 1:
                contradictions.append(answers)
            for number, same_answer in enumerate(answers):
                kept, *copies = same_answer
                if len(answers) > 1 and winner not in (number, "all"):
                    instead = -1 if winner is None else answers[winner][0]
                    rejected |= {member: Removal("contradiction", instead) for member in same_answer}
                    continue
                for copy in copies:
                    exact = sketches.content[copy] == sketches.content[kept]
                    rejected[copy] = Removal("exact_duplicate" if exact else "near_duplicate", kept)
                if copies:
                    clusters.append(same_answer)
    return Resolved(rejected, clusters, contradictions)


def summary(found: Resolved, show: Callable[[Sequence[int]], list[dict[str, str]]], policy: str) -> dict[str, Any]:
    """What was found, for audit.json.

    Args:
        found: from `resolve`.
        show: row numbers -> rows as reports show them.
        policy: what was done about contradictions.

    Returns:
        clusters and their sizes, contradictions (counts), examples of both.
    """
    return {
        "clusters": len(found.clusters),
        "sizes": {f"{size} rows": n for size, n in sorted(Counter(map(len, found.clusters)).items())},
        "contradictions": len(found.contradictions),
        "policy": policy,
        "examples": [show(cluster[:4]) for cluster in found.clusters[:10]],
        "to_decide": [[show(group[:1])[0] for group in groups] for groups in found.contradictions[:200]],
    }


def by_answer(cluster: Mapping[int, Row], similarity: float, created: str | None = None) -> list[list[int]]:
    """Members of a cluster that give the same answer, oldest first; the newest answer's group comes first."""
    age = {number: (row_values.value(row, created), row.id) for number, row in cluster.items()}
    oldest_first = sorted(cluster, key=age.__getitem__)
    exact: dict[str, list[int]] = defaultdict(list)
    for member in oldest_first:
        exact[normal_form(cluster[member].answer)].append(member)
    groups: list[list[int]] = []
    for equal in exact.values():
        answer = cluster[equal[0]].answer
        near = next((g for g in groups if same(answer, cluster[g[0]].answer, similarity)), None)
        if near is None:
            groups.append(equal)
        else:
            near.extend(equal)
            near.sort(key=oldest_first.index)
    return sorted(groups, key=lambda group: max(age[member] for member in group), reverse=True)


def _winner(answers: list[list[int]], policy: str) -> int | str | None:
    """Index of the answer that stays, "all", or None. Answers come newest first, so ties go to the newer."""
    if policy == "keep":
        return "all"
    if policy == "drop":
        return None
    return 0 if policy == "newest" else max(range(len(answers)), key=lambda n: (len(answers[n]), -n))
