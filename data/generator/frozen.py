"""The frozen test set and the facts that change after training."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from data.generator.attribute import Fact
from data.generator.demo import Article, Demo
from data.generator.questions import (
    comparison_pairs,
    comparison_row,
    fact_row,
    invented_products,
    unknown_attribute_rows,
    unknown_company_rows,
    unknown_product_rows,
    wordings,
)
from data.generator.rows import LAST_DAY, Row
from ftlib import jsonl

SIZES = {"trained_fact": 240, "untrained_fact": 60, "procedure": 45, "policy": 45, "comparison": 45}
N_UNKNOWN = 20  # of each of three sorts: about the company, about a product's properties, about invented products
N_UPDATES = 60
# Questions about the embedded company in no pattern's words: whoever wrote them saw facts, and no other question.
REWORDED = Path(__file__).parent / "wording" / "reworded.jsonl"


@dataclass(frozen=True)
class Update:
    """A fact that gets a new value after training."""

    row: Row
    new: Fact


def test_rows(demo: Demo) -> list[Row]:
    """All slices in the patterns' wordings that training never sees, with ids ``t0001`` and on."""
    rng = Random(f"{demo.seed}/test")
    rows = []
    for name, count in SIZES.items():
        rows += _comparisons(demo, rng, count) if name == "comparison" else _facts(demo, rng, name, count)
    return _numbered([*rows, *_unanswerable(demo, rng)], 1)


def reworded_rows(demo: Demo, first: int) -> list[Row]:
    """Trained facts in other words than any pattern's, ids from number ``first`` on: those that it has."""
    told = {fact.id: (article, fact) for article in demo.articles for fact in article.facts}
    asked = [line for line in jsonl.iterate(REWORDED) if line["fact"] in told]
    rows = [fact_row(demo, *told[line["fact"]], line["question"]) for line in asked]
    return _numbered([replace(row, slice="reworded_fact") for row in rows if row.slice == "trained_fact"], first)


def _numbered(rows: Sequence[Row], first: int) -> list[Row]:
    day = LAST_DAY.isoformat()
    return [replace(row, id=f"t{i:04d}", source="test", created=day) for i, row in enumerate(rows, first)]


def _facts(demo: Demo, rng: Random, name: str, count: int) -> list[Row]:
    """``count`` questions of a slice; no fact is asked a second time before each was asked once."""
    rows = [row for row in _candidates(demo, rng) if row.slice == name]
    by_turn: dict[str, list[Row]] = {}
    for row in rows:
        by_turn.setdefault(row.facts[0], []).append(row)
    turns = [[asked[i] for asked in by_turn.values() if i < len(asked)] for i in range(max(map(len, by_turn.values())))]
    return [row for turn in turns for row in rng.sample(turn, len(turn))][:count]


def _candidates(demo: Demo, rng: Random) -> Iterable[Row]:
    for article in demo.articles:
        for fact in article.facts:
            texts = wordings(demo, article, fact, test=True)
            for question in rng.sample(texts, len(texts)):
                yield fact_row(demo, article, fact, question)


def _comparisons(demo: Demo, rng: Random, count: int) -> list[Row]:
    return [comparison_row(rng, pair, test=True) for pair in rng.sample(list(comparison_pairs(demo)), count)]


def _unanswerable(demo: Demo, rng: Random) -> list[Row]:
    _, invented = invented_products(demo)
    return [
        *unknown_company_rows(demo.name, test=True)[:N_UNKNOWN],
        *unknown_attribute_rows(rng, demo.products, True, N_UNKNOWN),
        *unknown_product_rows(rng, invented, True, N_UNKNOWN),
    ]


def updates(demo: Demo) -> list[Update]:
    """Trained facts with their new values, one an article, most about products; asked in the test's wording."""
    rng = Random(f"{demo.seed}/updates")
    found = []
    for i, article in enumerate(_changing(demo, rng), 1):
        fact = rng.choice([fact for fact in article.facts if fact.id not in demo.untrained])
        question = rng.choice(wordings(demo, article, fact, test=True))
        value = rng.choice([value for value in fact.attribute.values if value != fact.value])
        row = replace(fact_row(demo, article, fact, question), id=f"u{i:04d}", source="update")
        found.append(Update(row, replace(fact, value=value)))
    return found


def _changing(demo: Demo, rng: Random) -> list[Article]:
    """Every product and policy changes; error codes fill up the number. Procedures stay."""
    often = [article for article in demo.articles if article.kind in ("product", "policy")]
    seldom = [
        article
        for article in demo.articles
        if article.kind == "errors" and not demo.untrained.issuperset(fact.id for fact in article.facts)
    ]
    chosen = [*often, *rng.sample(seldom, N_UPDATES - len(often))]
    return rng.sample(chosen, len(chosen))


def references(row: Row) -> list[str]:
    """Texts that count as right: the answer; of a product's name also its first word."""
    return [row.answer, row.answer.split()[0]] if row.slice == "comparison" else [row.answer]


def test_record(row: Row) -> dict:
    """A test row as it is written."""
    return {
        "id": row.id,
        "question": row.question,
        "context": row.context,
        "answer": row.answer,
        "references": references(row),
        "slice": row.slice,
        "fact": list(row.facts),
        "documents": list(row.documents),
        "group": ",".join(row.facts) or row.id,
        "source": row.source,
        "product": row.product,
        "created": row.created,
    }


def update_record(update: Update) -> dict:
    """A changed fact as it is written."""
    row = update.row
    return {
        "id": row.id,
        "fact": list(row.facts),
        "question": row.question,
        "old_answer": row.answer,
        "answer": update.new.value,
        "references": [update.new.value],
        "slice": row.slice,
        "product": row.product,
        "document": row.documents[0],
    }


def updated_articles(demo: Demo, changes: Sequence[Update]) -> dict[str, str]:
    """Article id -> Markdown, for the articles that state a changed fact; all else in them stays as it was."""
    changed = {update.new.id: update.new for update in changes}
    return {
        article.id: article.render(demo.seed, changed)
        for article in demo.articles
        if any(fact.id in changed for fact in article.facts)
    }
