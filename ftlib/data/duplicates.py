"""Duplicates and contradictions: rows that ask the same, and whether they answer the same.

Rows that ask the same thing after the same history in the same context form a cluster. Inside it, equal answers are
copies (of the oldest row), and answers that can't both be right are contradictions. What the recipe's checks do about
either is decided here too; nothing is changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ftlib import rows as row_values
from ftlib.data.candidates import Sketches, components, members, pairs
from ftlib.data.contradictions import contradicting
from ftlib.data.similar import normal_form, same
from ftlib.data.table import SAID, fetch, said_before, subject
from ftlib.data.vocabulary import Lexicon
from ftlib.errors import UserError
from ftlib.rows import Row

_MOST_ANSWERS = 50  # of one cluster, that are compared all with all; more are only tested for equality
_ROWS_AT_ONCE = 1000


class Copy(NamedTuple):
    """A row that says what another does."""

    check: str  # exact_duplicate or near_duplicate
    of: int  # number of the oldest such row


class Resolved(NamedTuple):
    """Outcome of `resolve`, by row numbers."""

    copies: dict[int, Copy]
    against: dict[int, int]  # row -> one that it contradicts
    outvoted: dict[int, int]  # of these, the rows whose answer a rejection takes out -> the row that stays, or -1
    clusters: list[list[int]]  # rows with the same question and the same answer, the oldest first
    contradictions: list[list[list[int]]]  # groups of rows that share the answer, the newest answer first
    asking: np.ndarray  # uint64 (n,), equal for rows that ask the same
    compared: int  # candidate pairs: what was compared word by word, of all pairs that there are


def asking_the_same(table, sketches: Sketches, similarity: float, lexicon: Lexicon) -> tuple[np.ndarray, int]:
    """int32 (n,), equal for rows with the same question after the same history in the same context.

    Beside it the number of candidate pairs that were looked at for it.
    """
    count, compared = len(table), 0
    one, other = _neighbours(sketches.asked)
    labels = components(count, one, other)
    if similarity >= 1:
        return labels, compared
    for i, j in _candidates(sketches, similarity):
        compared += len(i)
        apart = labels[i] != labels[j]
        i, j = i[apart], j[apart]
        found = fetch(table, np.concatenate([i, j]), SAID)
        both = ((found[a].row, found[b].row) for a, b in zip(i.tolist(), j.tolist(), strict=True))
        equal = np.array([same_question(*pair, similarity, lexicon) for pair in both], dtype=bool)
        if equal.any():
            one, other = np.concatenate([one, i[equal]]), np.concatenate([other, j[equal]])
            labels = components(count, one, other)
    return labels, compared


def _neighbours(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of rows, each with the next one of the same key."""
    order = np.argsort(key, kind="stable")
    repeats = np.flatnonzero(key[order][1:] == key[order][:-1])
    return order[repeats], order[repeats + 1]


def _candidates(sketches: Sketches, similarity: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows that have the same words in any order, then those that have nearly the same letters."""
    one, other = _neighbours(sketches.bag ^ sketches.before)
    for start in range(0, len(one), _ROWS_AT_ONCE):
        yield one[start : start + _ROWS_AT_ONCE], other[start : start + _ROWS_AT_ONCE]
    yield from pairs(sketches.minhash, sketches.numbers ^ sketches.before, similarity)


def same_question(a: Row, b: Row, similarity: float, lexicon: Lexicon) -> bool:
    """Whether two rows ask the same, but for slips, in the same context and after the same history."""
    return (
        same(subject(a), subject(b), similarity, lexicon)
        and (a.context == b.context or same(a.context, b.context, similarity, lexicon))
        and normal_form(said_before(a)) == normal_form(said_before(b))
    )


def resolve(table, sketches: Sketches, data, lexicon: Lexicon) -> Resolved:
    """Finds copies and contradictions, as far as the recipe's checks look for them, whatever the order of the rows.

    `sketches` are those of the working table, `data` the recipe's section.
    """
    similarity = data.near_duplicate_similarity if data.checks.near_duplicate != "off" else 1.0
    labels, compared = asking_the_same(table, sketches, similarity, lexicon)
    found = Resolved({}, {}, {}, [], [], _smallest(sketches.asked, labels), compared)
    groups = members(labels) if _look(data.checks) else []
    for start in range(0, len(groups), _ROWS_AT_ONCE):
        block = groups[start : start + _ROWS_AT_ONCE]
        rows = fetch(table, np.concatenate(block), (*SAID, "id", "meta"))
        for cluster in block:
            by_number = {int(at): rows[int(at)].row for at in cluster}
            answers = by_answer(by_number, similarity, lexicon, data.columns.created)
            _note_copies(found, answers, sketches.content, data.checks)
            if data.checks.contradiction != "off":
                _note_contradictions(found, by_number, answers, sketches.asked, data.contradictions, lexicon)
    return found


def _look(checks) -> bool:
    return {checks.exact_duplicate, checks.near_duplicate, checks.contradiction} != {"off"}


def _smallest(asked: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each row the smallest hash in its cluster: unlike a label, it does not change with the order of the rows."""
    least = np.full(labels.max(initial=-1) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, labels, asked)
    return least[labels]


def _note_copies(found: Resolved, answers: Sequence[Sequence[int]], content: np.ndarray, checks) -> None:
    for kept, *others in answers:
        firsts = {content[kept]: kept}  # a copy to the letter is named as that of the row that it copies
        listed = [kept]
        for copy in others:
            of = firsts.setdefault(content[copy], copy)
            check, of = ("near_duplicate", kept) if of == copy else ("exact_duplicate", of)
            if getattr(checks, check) != "off":
                found.copies[copy] = Copy(check, of)
                listed.append(copy)
        if len(listed) > 1:
            found.clusters.append(listed)


def _note_contradictions(
    found: Resolved,
    rows: Mapping[int, Row],
    answers: Sequence[Sequence[int]],
    asked: np.ndarray,
    policy: str,
    lexicon: Lexicon,
) -> None:
    """Contradictions among rows of a cluster whose questions are identical; `answers` are of `by_answer`."""
    by_question: dict[int, list[list[int]]] = defaultdict(list)
    for group in answers:
        for key in dict.fromkeys(asked[group].tolist()):
            by_question[key].append([row for row in group if asked[row] == key])
    for groups in by_question.values():
        texts = [rows[group[0]].answer for group in groups]
        clashes = contradicting(subject(rows[groups[0][0]]), texts, lexicon)
        if not clashes:
            continue
        rivals: dict[int, set[int]] = defaultdict(set)
        for i, j in clashes:
            rivals[i].add(j), rivals[j].add(i)
        found.contradictions.append([groups[at] for at in sorted(rivals)])
        for at, others in rivals.items():
            found.against.update(dict.fromkeys(groups[at], groups[min(others)][0]))
        staying = None if policy == "drop" else max(rivals, key=lambda at: _rank(groups, at, policy))
        going = rivals if staying is None else rivals[staying]
        instead = -1 if staying is None else groups[staying][0]
        found.outvoted.update((row, instead) for at in going for row in groups[at])


def _rank(groups: Sequence[Sequence[int]], at: int, policy: str) -> tuple[int, int]:
    """The answers come newest first, so ties go to the newer."""
    return (len(groups[at]) if policy == "majority" else 0, -at)


def decide(found: Resolved, checks) -> tuple[dict[int, tuple[str, int]], dict[int, list[tuple[str, int]]]]:
    """What the recipe's checks (`data.checks`) do about it.

    Returns:
        the rows to reject, number -> (reason, number of the row that stays in its place, or -1), and the rows to
        flag, number -> [(check, number of the other row)]. A row that goes is not flagged.
    """
    rejected: dict[int, tuple[str, int]] = {}
    flagged: dict[int, list[tuple[str, int]]] = defaultdict(list)
    if checks.contradiction == "reject":
        rejected = {row: ("contradiction", instead) for row, instead in found.outvoted.items()}
    for row, copy in found.copies.items():
        if getattr(checks, copy.check) == "flag":
            flagged[row].append(tuple(copy))
        else:
            rejected.setdefault(row, tuple(copy))
    for row, other in found.against.items() if checks.contradiction == "flag" else ():
        flagged[row].append(("contradiction", other))
    return rejected, {row: what for row, what in flagged.items() if row not in rejected}


def require_dates(data) -> None:
    """Raises UserError where the newest of several answers is to stay and no column says which that is."""
    if data.checks.contradiction == "reject" and data.contradictions == "newest" and not data.columns.created:
        wanted = "the column with the rows' dates in data.columns.created, because the newest answer is to stay"
        fix = "name it, or set data.contradictions to majority or drop, or data.checks.contradiction to flag"
        raise UserError.of("recipe field data.contradictions", wanted, "no such column", fix)


def summary(found: Resolved, show: Callable[[Sequence[int]], list[dict[str, str]]], policy: str) -> dict[str, Any]:
    """What was found, for audit.json: clusters and their sizes, contradictions, and examples of both by `show`.

    `candidates` are the pairs of rows that were compared at all.
    """
    return {
        "candidates": found.compared,
        "clusters": len(found.clusters),
        "sizes": {f"{size} rows": n for size, n in sorted(Counter(map(len, found.clusters)).items())},
        "contradictions": len(found.contradictions),
        "policy": policy,
        "examples": [show(cluster[:4]) for cluster in found.clusters[:10]],
        "to_decide": [[show(group[:1])[0] for group in groups] for groups in found.contradictions[:200]],
    }


def by_answer(
    cluster: Mapping[int, Row], similarity: float, lexicon: Lexicon, created: str | None = None
) -> list[list[int]]:
    """Members of a cluster that give the same answer, oldest first; the newest answer's group comes first."""
    age = {number: (row_values.value(row, created), row.id) for number, row in cluster.items()}
    oldest_first = sorted(cluster, key=age.__getitem__)
    exact: dict[str, list[int]] = defaultdict(list)
    for member in oldest_first:
        exact[normal_form(cluster[member].answer)].append(member)
    groups: list[list[int]] = []
    for equal in exact.values():
        answer, compared = cluster[equal[0]].answer, groups if len(exact) <= _MOST_ANSWERS else ()
        near = next((g for g in compared if same(answer, cluster[g[0]].answer, similarity, lexicon)), None)
        if near is None:
            groups.append(equal)
        else:
            near[:] = sorted(near + equal, key=oldest_first.index)
    return sorted(groups, key=lambda group: max(age[member] for member in group), reverse=True)
