"""Duplicates and contradictions: rows that ask the same, and what to do when they answer the same or not.

Rows that ask the same thing in the same context form a cluster. Inside it, equal answers are duplicates (the oldest
row stays), and more than one answer is a contradiction (a policy decides, and a person can look at the list).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ftlib import rows as row_values
from ftlib.data.similar import components, digest, members, normal_form, numbers, pairs, same, signatures
from ftlib.data.table import SAID, Watch, each, fetch, said_before, subject
from ftlib.rows import Row


class Sketches(NamedTuple):
    """What is kept in memory of every row: 40 bytes of hashes, uint64 (n,) each, and a MinHash signature."""

    content: np.ndarray  # of history, question, context and answer
    asked: np.ndarray  # of history, question and context
    question: np.ndarray  # of the question alone
    numbers: np.ndarray  # of the numbers and codes in the question
    before: np.ndarray  # of the history; 0 where there is none
    minhash: np.ndarray  # uint32 (n, 64), of the question


class Removal(NamedTuple):
    """Why a row goes, and the number of the row that stays in its place (-1 if none does)."""

    reason: str
    instead: int


class Resolved(NamedTuple):
    """Outcome of `resolve`."""

    rejected: dict[int, Removal]  # by row number
    clusters: list[list[int]]  # rows with the same question and the same answer, the kept one first
    contradictions: list[list[list[int]]]  # groups of rows that share the answer, the newest answer first


def sketch(rows: Iterable[Row], count: int) -> Sketches:
    """Hashes and signatures of `count` rows (turns, context and references), in one pass."""
    hashes = np.empty((5, count), np.uint64)

    def subjects() -> Iterator[str]:
        for number, row in enumerate(rows):
            asks, context, said = map(normal_form, (subject(row), row.context, said_before(row)))
            content, asked = digest(asks, context, normal_form(row.answer), said), digest(asks, context, said)
            before = digest(said) if said else 0
            hashes[:, number] = (content, asked, digest(asks), numbers(subject(row)), before)
            yield subject(row)

    minhash = signatures(subjects(), count)
    return Sketches(*hashes, minhash)


def sketch_table(table, watch: Watch = iter) -> Sketches:
    """`sketch` of a whole table, whose rows pass through `watch` to show progress."""
    return sketch(watch(entry.row for entry in each(table, SAID)), len(table))


def asking_the_same(table, sketches: Sketches, similarity: float) -> list[np.ndarray]:
    """Clusters (arrays of row numbers) of rows with the same question after the same history in the same context."""
    count = len(table)
    order = np.argsort(sketches.asked, kind="stable")
    repeats = np.flatnonzero(sketches.asked[order][1:] == sketches.asked[order][:-1])
    one, other = order[repeats], order[repeats + 1]
    labels = components(count, one, other)
    for i, j in pairs(sketches.minhash, sketches.numbers ^ sketches.before, similarity):
        apart = labels[i] != labels[j]
        i, j = i[apart], j[apart]
        found = fetch(table, np.concatenate([i, j]), SAID)
        both = ((found[a].row, found[b].row) for a, b in zip(i.tolist(), j.tolist(), strict=True))
        equal = np.array([same_question(*pair, similarity) for pair in both], dtype=bool)
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
    """Finds duplicates and contradictions and decides which rows stay, whatever the order of the rows.

    Args:
        table: the working table.
        sketches: of its rows.
        similarity: least Jaccard similarity of near-duplicate questions, 0..1.
        policy: for contradictions: `newest` answer, answer of the `majority` (the newer of equals), `drop` all,
            or `keep` all.
        created: the column with the rows' dates, or None; without dates the order of ids decides.
    """
    rejected: dict[int, Removal] = {}
    clusters, contradictions = [], []
    groups = asking_the_same(table, sketches, similarity)
    for start in range(0, len(groups), 1000):
        block = groups[start : start + 1000]
        found = fetch(table, np.concatenate(block), ("id", "references", "meta"))
        for cluster in block:
            answers = by_answer({int(at): found[int(at)].row for at in cluster}, similarity, created)
            staying = _staying(answers, policy)
            contradictions += [answers] if len(answers) > 1 else []
            clusters += [same_answer for same_answer in staying if len(same_answer) > 1]
            for kept, *copies in staying:
                for copy in copies:
                    exact = sketches.content[copy] == sketches.content[kept]
                    rejected[copy] = Removal("exact_duplicate" if exact else "near_duplicate", kept)
            going = Removal("contradiction", staying[0][0] if staying else -1)
            rejected |= {member: going for group in answers if group not in staying for member in group}
    return Resolved(rejected, clusters, contradictions)


def summary(found: Resolved, show: Callable[[Sequence[int]], list[dict[str, str]]], policy: str) -> dict[str, Any]:
    """What was found, for audit.json: clusters and their sizes, contradictions, and examples of both by `show`."""
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
            near[:] = sorted(near + equal, key=oldest_first.index)
    return sorted(groups, key=lambda group: max(age[member] for member in group), reverse=True)


def _staying(answers: list[list[int]], policy: str) -> list[list[int]]:
    """The answers that stay. They come newest first, so ties go to the newer."""
    if policy == "keep" or len(answers) == 1:
        return answers
    if policy == "drop":
        return []
    return [answers[0] if policy == "newest" else max(answers, key=len)]
