"""Does the training set hold what the evaluation asks? Overlaps of questions, groups, contexts and answers.

A leaked question turns a measurement of understanding into one of memory, so the default answer is not a warning.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ftlib import rows as row_values
from ftlib.data.candidates import Sketches, pairs, sketch
from ftlib.data.embedded import embedded
from ftlib.data.paraphrases import Embed, paraphrased
from ftlib.data.similar import alike, jaccard, normal_form, reordered, same
from ftlib.data.table import SAID, WorkingTable, each, fetch, said_before, shown, subject
from ftlib.data.vocabulary import Lexicon
from ftlib.errors import UserError
from ftlib.rows import Row

GIVEN_AWAY = ("exact", "normalized", "near", "word_order", "embedded", "group")  # what blocks or drops
TOLD = ("context", "paraphrase")  # what is only reported
KINDS = (*GIVEN_AWAY, *TOLD)  # strictest first
UNKNOWN_GROUPS = "not known: no group column"
NO_EMBEDDER = "not looked for: rag.embedding_model names no model"
_EXAMPLES = 10
_LONG_ANSWER = 5  # words; shorter answers ("24 months") are shared by many questions by nature
_LONG_CONTEXT = 30  # words; shorter ones are instructions ("Answer in one sentence.") more often than documents
_PAIRS_AT_ONCE = 20_000  # whose rows are held in memory


class Overlap(NamedTuple):
    """A training row that an evaluation row gives away."""

    kind: str  # one of KINDS
    row: int  # number of the training row
    other: int  # number of the evaluation row
    similarity: float  # of the two questions, 0..1: Jaccard, of paraphrases cosine


def overlaps(
    table, sketches: Sketches, train: np.ndarray, others: Sequence[Row], data, lexicon: Lexicon, embed: Embed | None
) -> list[Overlap]:
    """Every overlap between training rows (their numbers, int64) and evaluation rows, of each pair the strictest kind.

    `sketches` are those of the table, `data` the recipe's section, `embed` gives texts their vectors.
    """
    if not len(train) or not others:
        return []
    found = list(_asking_the_same(table, sketches, train, others, data.near_duplicate_similarity, lexicon))
    known = {(one.row, one.other) for one in found}
    asked = partial(_among, table, train, ("turns", "context"))
    found += (Overlap("embedded", *one) for one in embedded(asked(), others) if one[:2] not in known)
    found += _sharing("group", lambda row: row.group, _among(table, train, ["group"]), others)
    known = {(one.row, one.other) for one in found}
    documents, columns = partial(_documents, column=data.columns.documents), ("context", "meta")
    on_the_same = _sharing("context", documents, _among(table, train, columns), others)
    alike_in_meaning = (Overlap("paraphrase", *one) for one in (paraphrased(asked(), others, embed) if embed else ()))
    return found + [one for one in chain(on_the_same, alike_in_meaning) if (one.row, one.other) not in known]


def _asking_the_same(
    table, sketches: Sketches, train: np.ndarray, others: Sequence[Row], similarity: float, lexicon: Lexicon
) -> Iterator[Overlap]:
    ordered = sorted(_candidates(sketches, train, others, similarity, lexicon))
    for start in range(0, len(ordered), _PAIRS_AT_ONCE):
        block = ordered[start : start + _PAIRS_AT_ONCE]
        rows = fetch(table, [number for number, _ in block], SAID)
        for number, other in block:
            row = rows[number].row
            if kind := compare(row, others[other], similarity, lexicon):
                likeness = round(jaccard(subject(row), subject(others[other]), lexicon), 3)
                yield Overlap(kind, number, other, likeness)


def _candidates(
    sketches: Sketches, train: np.ndarray, others: Sequence[Row], similarity: float, lexicon: Lexicon
) -> set[tuple[int, int]]:
    """(training row, evaluation row) that have the same words, or perhaps nearly the same."""
    asked = sketch(others, len(others), similarity, lexicon)
    by_bag = defaultdict(list)
    for other, key in enumerate(asked.bag.tolist()):
        by_bag[key].append(other)
    equal = train[np.isin(sketches.bag[train], asked.bag)].tolist()
    found = {(number, other) for number in equal for other in by_bag[int(sketches.bag[number])]}
    if similarity < 1 and len(sketches.minhash):
        minhash = np.concatenate([asked.minhash, sketches.minhash[train]])
        codes = np.concatenate([asked.numbers, sketches.numbers[train]])
        for i, j in pairs(minhash, codes, similarity, first=len(others)):
            found.update(zip(train[j - len(others)].tolist(), i.tolist(), strict=True))
    return found


def compare(row: Row, other: Row, similarity: float, lexicon: Lexicon) -> str:
    """How one row's question gives another's away: `exact`, `normalized`, `near`, `word_order` or "".

    The same question about two different contexts ("When was it built?") or after two different histories ("And what
    does it cost?") is no leak.
    """
    a, b = subject(row), subject(other)
    apart = row.context and other.context and not same(row.context, other.context, similarity, lexicon)
    histories = {normal_form(said_before(one)) for one in (row, other) if one.history}
    if apart or len(histories) > 1:
        return ""
    if a == b:
        return "exact"
    if normal_form(a) == normal_form(b):
        return "normalized"
    if alike(a, b, similarity, lexicon):
        return "near"
    return "word_order" if similarity < 1 and reordered(a, b, lexicon) else ""


def _documents(row: Row, column: str | None) -> tuple[str, ...]:
    """What a row is to be answered from: its context, if that is long, and the ids of documents in a column."""
    long = row.context.count(" ") >= _LONG_CONTEXT - 1
    return (*((normal_form(row.context),) if long else ()), *row_values.values(row, column))


def _sharing(kind: str, keys, rows: Iterable[tuple[int, Row]], others: Sequence[Row]) -> Iterator[Overlap]:
    """Training rows that share any of their `keys` (of a row) with evaluation rows; each with the first of these."""
    owner = {key: at for at, other in reversed([*enumerate(others)]) for key in keys(other)}
    for number, row in rows if owner else ():
        shared = next((owner[key] for key in keys(row) if key in owner), None)
        if shared is not None:
            yield Overlap(kind, number, shared, 0.0)


def groups_are_known(table, train: np.ndarray, others: Sequence[Row]) -> bool:
    """Whether training and evaluation rows are grouped by a column that both have; else nothing is known of groups."""
    wanted = {key.partition("=")[0] for row in others for key in row.group}
    trained = (key.partition("=")[0] for _, row in _among(table, train, ["group"]) for key in row.group)
    return any(column in wanted for column in trained)


def _among(table, numbers: np.ndarray, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Some rows with their numbers, in order."""
    inside = np.zeros(len(table), dtype=bool)
    inside[numbers] = True
    return ((number, entry.row) for number, entry in enumerate(each(table, columns)) if inside[number])


def answers_in_train(table, train: np.ndarray, others: Sequence[Row]) -> dict[str, int]:
    """How many evaluation answers stand word for word among the training answers: `seen` of `rows`.

    `long` are those of five words and more, `long_seen` of these. Short answers are shared by many questions by
    nature, so this is reported and blocks nothing.
    """
    asked = [normal_form(other.answer) for other in others]
    trained = set(asked).intersection(normal_form(row.answer) for _, row in _among(table, train, ["references"]))
    long = [answer for answer in asked if len(answer.split()) >= _LONG_ANSWER]
    seen, long_seen = (sum(answer in trained for answer in answers) for answers in (asked, long))
    return {"rows": len(others), "seen": seen, "long": len(long), "long_seen": long_seen}


def between(
    rows: WorkingTable,
    sketches: Sketches,
    inside: Sequence[int],
    others: Sequence[Row],
    where: str,
    data,
    policy: str,
    lexicon: Lexicon,
    embed: Embed | None = None,
) -> dict[str, Any]:
    """Compares the rows `inside` some sides with evaluation rows and does what the policy says.

    Args:
        rows, sketches: under `drop` those that give a question away are taken out, under `warn` all that were found
            are flagged; the sketches are of these rows.
        inside: the sides whose rows count as training rows.
        others: evaluation rows.
        where: what is compared, e.g. `train and test`, for the error of `enforce`.
        data, policy: the recipe's data section; `block`, `warn` or `drop`.
        lexicon: of the language of the rows.
        embed: gives texts their vectors; without it no paraphrases are looked for.

    Returns:
        `report`'s counts and examples, and `answer_in_train`.
    """
    train = np.flatnonzero(np.isin(rows.sides, inside))
    found = overlaps(rows.table, sketches, train, others, data, lexicon, embed)
    entry = report(rows.table, found, others)
    nothing = {"train_rows": None, "other_rows": None, "examples": []}
    if not groups_are_known(rows.table, train, others):
        entry["group"] = nothing | {"note": UNKNOWN_GROUPS}
    if not embed:
        entry["paraphrase"] = nothing | {"note": NO_EMBEDDER}
    entry["answer_in_train"] = answers_in_train(rows.table, train, others)
    enforce(found, policy, where)
    act(rows, ((o.row, o.kind, others[o.other].id) for o in found), policy)
    return entry


def act(rows: WorkingTable, found: Iterable[tuple[int, str, str]], policy: str) -> None:
    """Takes out or flags what was found, (row number, kind, what it gives away), the strictest kind first.

    Under `drop` rows that give a question away go, for their strictest kind; under `warn` every row is flagged.
    """
    by_row: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row, kind, detail in found if policy in ("drop", "warn") else ():
        if policy == "warn" or kind not in TOLD:
            by_row[row].append((f"leak_{kind}", detail))
    if policy == "warn":
        rows.flag(by_row)
    else:
        rows.reject({row: min(flags, key=_strictness) for row, flags in by_row.items()})


def _strictness(flag: tuple[str, str]) -> int:
    kind = flag[0].removeprefix("leak_")
    return KINDS.index(kind) if kind in KINDS else 0


def report(table, found: Sequence[Overlap], others: Sequence[Row]) -> dict[str, Any]:
    """What `overlaps` found, by kind: {train_rows, other_rows, examples: [{train, other, similarity}]}."""
    out = {}
    for kind in KINDS:
        of_kind = [overlap for overlap in found if overlap.kind == kind]
        rows = fetch(table, [overlap.row for overlap in of_kind[:_EXAMPLES]])
        out[kind] = {
            "train_rows": len({overlap.row for overlap in of_kind}),
            "other_rows": len({overlap.other for overlap in of_kind}),
            "examples": [
                {"train": shown(rows[row].row), "other": shown(others[other]), "similarity": similarity}
                for _, row, other, similarity in of_kind[:_EXAMPLES]
            ],
        }
    return out


def enforce(found: Sequence[Overlap], policy: str, where: str) -> None:
    """Raises UserError where the policy is `block` and any question is given away; `where` says what was compared."""
    found = [overlap for overlap in found if overlap.kind in GIVEN_AWAY]
    if found and policy == "block":
        kinds = Counter(overlap.kind for overlap in found)
        counts = ", ".join(f"{kinds[kind]} {kind.replace('_', ' ')}" for kind in GIVEN_AWAY if kind in kinds)
        wanted = "no training row that gives an evaluation row away (data.leakage: block)"
        told = f"{len({o.row for o in found})} training rows: {counts}"
        fix = "mend the data, or set data.leakage: drop leaves these training rows out, warn shows them in leakage.json"
        raise UserError.of(f"leakage between {where}", wanted, told, fix)
