"""Duplicates and contradictions: rows that ask the same, and what to do when they answer the same or not.

Rows that ask the same thing in the same context form a cluster. Inside it, equal answers are duplicates (the oldest
row stays), and more than one answer is a contradiction (a policy decides, and a person can look at the list).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ftlib.data.load import Watch, each
from ftlib.data.neighbours import Clusters, pairs, signatures
from ftlib.data.similar import digest, normalize, numbers, same

_NUMBERS = ("question", "context", "answer")


class Sketches(NamedTuple):
    """What is kept in memory of every row: 32 bytes of hashes and a MinHash signature.

    Attributes:
        content: uint64 (n,), hash of question, context and answer.
        asked: uint64 (n,), hash of question and context.
        question: uint64 (n,), hash of the question alone.
        numbers: uint64 (n,), hash of the numbers and codes in the question.
        minhash: uint32 (n, 64) of the question.
    """

    content: np.ndarray
    asked: np.ndarray
    question: np.ndarray
    numbers: np.ndarray
    minhash: np.ndarray


class Verdict(NamedTuple):
    """Why a row goes: ``reason`` and the number of the row that stays in its place (-1 if none does)."""

    reason: str
    instead: int


class Resolved(NamedTuple):
    """Outcome of :func:`resolve`.

    Attributes:
        rejected: row number -> Verdict.
        clusters: lists of row numbers with the same question and the same answer, the kept one first.
        contradictions: lists of groups of row numbers; rows of a group share the answer, newest answer first.
    """

    rejected: dict[int, Verdict]
    clusters: list[list[int]]
    contradictions: list[list[list[int]]]


def subject(row: dict[str, Any]) -> str:
    """What a row is compared by: its question, or its text where it has none."""
    return row["question"] or row["answer"]


def sketch(rows: Iterable[dict[str, Any]], count: int) -> Sketches:
    """Hashes and signatures of rows, in one pass.

    Args:
        rows: dicts with question, context and answer.
        count: how many they are.

    Returns:
        Sketches.
    """
    content, asked, question, codes = (np.empty(count, np.uint64) for _ in range(4))

    def subjects():
        for number, row in enumerate(rows):
            texts = [normalize(row[name]) for name in _NUMBERS]
            subjected = texts[0] if row["question"] else texts[2]
            content[number] = digest(*texts)
            asked[number] = digest(subjected, texts[1])
            question[number] = digest(subjected)
            codes[number] = numbers(subject(row))
            yield subject(row)

    return Sketches(content, asked, question, codes, signatures(subjects(), count))


def sketch_table(table, watch: Watch = iter) -> Sketches:
    """:func:`sketch` of a whole table, whose rows pass through ``watch`` to show progress."""
    return sketch(watch(each(table, _NUMBERS)), len(table))


def asking_the_same(table, sketches: Sketches, similarity: float) -> list[np.ndarray]:
    """Clusters of rows with the same question and context.

    Args:
        table: ``datasets.Dataset`` with question, context and answer.
        sketches: of its rows.
        similarity: least Jaccard similarity of near-duplicate questions, 0..1.

    Returns:
        Arrays of row numbers, two or more each.
    """
    clusters = Clusters(len(table))
    order = np.argsort(sketches.asked, kind="stable")
    repeats = np.flatnonzero(sketches.asked[order][1:] == sketches.asked[order][:-1])
    for at in repeats:
        clusters.join(order[at], order[at + 1])
    for i, j in pairs(sketches.minhash, sketches.numbers, similarity):
        rows = fetch(table, np.concatenate([i, j]))
        for a, b in zip(i.tolist(), j.tolist(), strict=True):
            if clusters.find(a) != clusters.find(b) and same_question(rows[a], rows[b], similarity):
                clusters.join(a, b)
    return clusters.groups()


def same_question(a: dict[str, Any], b: dict[str, Any], similarity: float) -> bool:
    """Whether two rows ask the same in the same context, but for slips."""
    return same(subject(a), subject(b), similarity) and (
        a["context"] == b["context"] or same(a["context"], b["context"], similarity)
    )


def fetch(table, numbers: Sequence[int], columns: Sequence[str] = _NUMBERS) -> dict[int, dict[str, Any]]:
    """Rows by number, read in one go."""
    wanted = np.unique(np.asarray(numbers, dtype=np.int64))
    if not len(wanted):
        return {}
    rows = table.select_columns(list(columns)).select(wanted).with_format("arrow")[:].to_pylist()
    return dict(zip(wanted.tolist(), rows, strict=True))


def resolve(table, sketches: Sketches, similarity: float, policy: str) -> Resolved:
    """Finds duplicates and contradictions and decides which rows stay.

    Args:
        table: ``datasets.Dataset`` with question, context, answer, created and id.
        sketches: of its rows.
        similarity: least Jaccard similarity of near-duplicate questions, 0..1.
        policy: for contradictions: ``newest`` answer, answer of the ``majority`` (the newer of equals), ``drop`` all,
            or ``keep`` all.

    Returns:
        Resolved; it does not depend on the order of the rows.
    """
    rejected: dict[int, Verdict] = {}
    clusters, contradictions = [], []
    groups = asking_the_same(table, sketches, similarity)
    for start in range(0, len(groups), 1000):
        block = groups[start : start + 1000]
        rows = fetch(table, np.concatenate(block), (*_NUMBERS, "created", "id"))
        for members in block:
            answers = by_answer([int(member) for member in members], rows, similarity)
            winner = _winner(answers, rows, policy) if len(answers) > 1 else 0
            if len(answers) > 1:
                contradictions.append(answers)
            for number, same_answer in enumerate(answers):
                kept, *copies = same_answer
                if len(answers) > 1 and winner not in (number, "all"):
                    instead = -1 if winner is None else answers[winner][0]
                    rejected |= {member: Verdict("contradiction", instead) for member in same_answer}
                    continue
                for copy in copies:
                    exact = sketches.content[copy] == sketches.content[kept]
                    rejected[copy] = Verdict("exact_duplicate" if exact else "near_duplicate", kept)
                if copies:
                    clusters.append(same_answer)
    return Resolved(rejected, clusters, contradictions)


def by_answer(members: list[int], rows: dict[int, dict[str, Any]], similarity: float) -> list[list[int]]:
    """Members of a cluster that give the same answer, oldest first; the newest answer's group comes first."""
    members = sorted(members, key=lambda m: (rows[m]["created"], rows[m]["id"]))
    exact: dict[str, list[int]] = defaultdict(list)
    for member in members:
        exact[normalize(rows[member]["answer"])].append(member)
    groups: list[list[int]] = []
    for equal in exact.values():
        answer = rows[equal[0]]["answer"]
        near = next((g for g in groups if same(answer, rows[g[0]]["answer"], similarity)), None)
        if near is None:
            groups.append(equal)
        else:
            near.extend(equal)
            near.sort(key=members.index)
    return sorted(groups, key=lambda g: max((rows[m]["created"], rows[m]["id"]) for m in g), reverse=True)


def _winner(answers: list[list[int]], rows: dict[int, dict[str, Any]], policy: str) -> int | str | None:
    """Index of the answer that stays, "all", or None. Answers come newest first, so ties go to the newer."""
    if policy == "keep":
        return "all"
    if policy == "drop":
        return None
    return 0 if policy == "newest" else max(range(len(answers)), key=lambda n: (len(answers[n]), -n))
