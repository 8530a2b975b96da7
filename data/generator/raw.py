"""The raw export of the demo company's support: clean rows, then mess on top of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from data.generator import mess
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
from data.generator.rows import FIRST_DAY, Registry, Row
from data.generator.wording.mess import FOREIGN_PATTERNS
from data.generator.wording.support import OTHER_LANGUAGES, REFUSAL_VARIANTS

WORDINGS_PER_FACT = (4, 4, 5)
WORDINGS_PER_POLICY = (6,)  # what customers ask most
N_COMPARISONS, N_CONVERSATIONS = 160, 60
# Rows that carry an article: about what is sold (told without it as well), about what is no longer sold (told nowhere
# else, so that only the article answers), and without an answer in it.
N_UNKNOWN_ATTRIBUTE, N_UNKNOWN_PRODUCT = 240, 800
N_EXACT, N_NEAR, N_CONTRADICTIONS, N_LEAKS, N_BOILERPLATE, N_SIGNED, N_FOREIGN = 120, 120, 60, 30, 40, 80, 45
N_DECOYS = 80


class Wordings:
    """The training questions of every trained fact of some articles, each handed out once."""

    def __init__(self, demo: Demo, rng: Random, articles: Sequence[Article]) -> None:
        self._rng = rng
        self._left: dict[str, list[Row]] = {}
        for article in articles:
            for fact in article.facts:
                if fact.id not in demo.untrained:
                    rows = [fact_row(demo, article, fact, text) for text in wordings(demo, article, fact, test=False)]
                    self._left[fact.id] = rng.sample(rows, len(rows))

    def take(self, fact: Fact, count: int) -> list[Row]:
        """Up to ``count`` rows that ask for ``fact`` in words not used yet."""
        left = self._left[fact.id]
        taken, self._left[fact.id] = left[:count], left[count:]
        return taken

    def any(self, count: int, facts: Sequence[Fact] | None = None) -> list[Row]:
        """``count`` rows of facts drawn at random (from ``facts``), in words not used yet."""
        ids = sorted({fact.id for fact in facts} if facts else self._left)
        ids = [key for key in ids if self._left.get(key)]
        return [self._left[key].pop() for key in self._rng.sample(ids, count)]


def raw_rows(demo: Demo, test: Sequence[Row]) -> tuple[list[Row], list[list[Row]]]:
    """Everything that the support tools export, in random order.

    Args:
        demo: the company.
        test: the frozen test set; its questions appear only where a leak is planted.

    Returns:
        (rows, conversations of several turns), all with ids, metadata and the record of planted defects.
    """
    rng = Random(f"{demo.seed}/raw")
    registry, pool = Registry(rng), Wordings(demo, rng, demo.articles)
    told = _told(demo, rng, pool)
    clean = [registry.enter(row) for row in [*told, *_comparisons(demo, rng, test), *_refusals(demo, rng)]]
    conversations = _conversations(demo, rng, pool, registry)
    clean = _copies(demo, rng, registry, clean)
    clean = _mended(demo, rng, clean)
    rows = [
        *clean,
        *_spoiled(demo, rng, pool, registry),
        *_foreign(demo, rng, registry),
        *_leaks(rng, registry, test),
    ]
    rng.shuffle(rows)
    return rows, conversations


def _told(demo: Demo, rng: Random, pool: Wordings) -> list[Row]:
    """Every trained fact in several wordings."""
    kind = {fact: article.kind for fact, article in demo.article_of.items()}
    counts = {fact: WORDINGS_PER_POLICY if kind[fact.id] == "policy" else WORDINGS_PER_FACT for fact in demo.trained}
    return [row for fact, choices in counts.items() for row in pool.take(fact, rng.choice(choices))]


def _comparisons(demo: Demo, rng: Random, test: Sequence[Row]) -> list[Row]:
    taken = {row.facts for row in test if row.slice == "comparison"}
    free = [pair for pair in comparison_pairs(demo) if (pair[3].id, pair[4].id) not in taken]
    return [comparison_row(rng, pair, test=False) for pair in rng.sample(free, N_COMPARISONS)]


def _refusals(demo: Demo, rng: Random) -> list[Row]:
    invented, _ = invented_products(demo)
    return [
        *unknown_company_rows(demo.name, test=False),
        *unknown_attribute_rows(rng, demo.products, False, N_UNKNOWN_ATTRIBUTE),
        *unknown_product_rows(rng, invented, False, N_UNKNOWN_PRODUCT),
    ]


def _conversations(demo: Demo, rng: Random, pool: Wordings, registry: Registry) -> list[list[Row]]:
    """Chats of two or three questions about one product."""
    found = []
    for _ in range(N_CONVERSATIONS):
        product = rng.choice(demo.products)
        facts = [fact for fact in product.facts if fact.id not in demo.untrained]
        turns = [registry.enter(row) for row in pool.any(rng.choice((2, 2, 3)), facts)]
        first = turns[0]
        found.append(
            [
                replace(
                    row,
                    conversation=first.conversation,
                    source="chat",
                    created=first.created,
                    id=first.id if i == 1 else f"{first.id}#{i}",
                )
                for i, row in enumerate(turns, 1)
            ]
        )
    return found


def _copies(demo: Demo, rng: Random, registry: Registry, clean: Sequence[Row]) -> list[Row]:
    """The clean rows with duplicates and contradicting answers of some of them; each row is used once at most."""
    facts = {fact.id: fact for fact in demo.facts}
    factual = [row for row in clean if len(row.facts) == 1]
    chosen = rng.sample(factual, N_EXACT + N_NEAR + N_CONTRADICTIONS)
    added = []
    for i, row in enumerate(chosen):
        older = i >= N_EXACT + N_NEAR
        copy = registry.copy(row, older=older)
        if older:
            change = mess.contradiction(copy, rng, _wrong_value(rng, facts[row.facts[0]]))
        else:
            change = (mess.exact_duplicate if i < N_EXACT else mess.near_duplicate)(copy, rng)
        copy = copy.with_defect(change)
        copy.defects[-1]["of"] = row.id
        added.append(copy)
    return [*clean, *added]


def _wrong_value(rng: Random, fact: Fact) -> str:
    if rng.random() < 0.25:
        return rng.choice(REFUSAL_VARIANTS)
    return rng.choice([value for value in fact.attribute.values if value != fact.value])


def _mended(demo: Demo, rng: Random, rows: Sequence[Row]) -> list[Row]:
    """Plants mendable defects and decoys in rows that nothing else was planted in or copied from."""
    originals = {defect.get("of") for row in rows for defect in row.defects}
    free = [row for row in rows if row.facts and not row.defects and row.id not in originals]
    plan = [plant for plant, count in mess.MENDABLE.items() for _ in range(count)]
    signed = [lambda row, rng: mess.boilerplate_around(row, rng, demo.name)] * N_SIGNED
    drawn = rng.sample(free, len(plan) + N_SIGNED + N_DECOYS)
    planted = {row.id: row.with_defect(plant(row, rng)) for plant, row in zip([*plan, *signed], drawn, strict=False)}
    planted |= {row.id: mess.decoy(row, rng) for row in drawn[-N_DECOYS:]}
    return [planted.get(row.id, row) for row in rows]


def _spoiled(demo: Demo, rng: Random, pool: Wordings, registry: Registry) -> list[Row]:
    """Additional rows that cleaning has to reject, each in a wording of its own."""
    plan = [plant for plant, count in mess.SPOILING.items() for _ in range(count)]
    plan += [lambda row, rng: mess.boilerplate_only(row, rng, demo.name)] * N_BOILERPLATE
    rows = [registry.enter(row, FIRST_DAY) for row in pool.any(len(plan))]
    return [row.with_defect(plant(row, rng)) for plant, row in zip(plan, rows, strict=True)]


def _foreign(demo: Demo, rng: Random, registry: Registry) -> list[Row]:
    found = []
    for language, pairs in OTHER_LANGUAGES.items():
        patterns = FOREIGN_PATTERNS[language]
        products = rng.sample(demo.products, N_FOREIGN // 3)
        asked = [
            (q.format(s=p.name), a.format(s=p.name, n=rng.randrange(11, 60)), p.name)
            for p, (q, a) in zip(products, patterns * (len(products) // len(patterns)), strict=True)
        ]
        for question, answer, product in [*((q, a, "") for q, a in pairs), *asked]:
            row = registry.enter(Row("", "", "foreign", product=product), FIRST_DAY)
            found.append(row.with_defect(mess.wrong_language(row, rng, language, question, answer)))
    return found


def _leaks(rng: Random, registry: Registry, test: Sequence[Row]) -> list[Row]:
    """Rows that give test questions away: word for word, and with a slip."""
    candidates = [row for row in test if row.slice in ("trained_fact", "procedure", "policy")]
    found = []
    for i, asked in enumerate(rng.sample(candidates, 2 * N_LEAKS)):
        row = registry.enter(replace(asked, id=""))
        plant = mess.leak_exact if i < N_LEAKS else mess.leak_near
        found.append(row.with_defect(plant(row, rng, asked.id)))
    return found


def count_defects(rows: Sequence[Row]) -> Counter[str]:
    """How many defects of each kind were planted."""
    return Counter(defect["kind"] for row in rows for defect in row.defects)
