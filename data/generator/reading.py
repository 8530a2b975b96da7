"""Reading tasks about companies that exist nowhere else: a context, then questions that it answers.

Four kinds, from easy to hard: ``lookup`` (one fact each about a few products), ``article`` (one article), ``articles``
(two or three of any kind) and ``recall`` (no context: facts told as answered questions, asked again in other words).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random

from data.generator.articles import error_article, product_article
from data.generator.attribute import Fact
from data.generator.handbook import capital, policy_article, procedure_article, sample_policies, sample_procedures
from data.generator.wording.comparisons import COMPARISONS
from data.generator.wording.policies import POLICIES
from data.generator.wording.procedures import PROCEDURES
from data.generator.world import COMPANY_WORDS, Company, Product

Turn = tuple[str, str]


@dataclass(frozen=True)
class Dialogue:
    """A context (may be empty) and the questions and answers that follow it."""

    context: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Reader:
    """Samples dialogues.

    Attributes:
        excluded_products: names that no product may have, e.g. those of the demo company.
        excluded_companies: likewise for companies.
    """

    excluded_products: Collection[str] = ()
    excluded_companies: Collection[str] = ()

    def sample(self, rng: Random, kind: str) -> Dialogue:
        """One dialogue of ``kind``, one of the keys of KINDS."""
        return KINDS[kind](self, rng)

    def company(self, rng: Random, n_products: int) -> Company:
        """A company whose names are none of the excluded ones."""
        name = rng.choice([w for w in COMPANY_WORDS if w not in self.excluded_companies])
        return Company.sample(rng, n_products, name=name, excluded_names=self.excluded_products)


def lookup(reader: Reader, rng: Random) -> Dialogue:
    """Key-value lookup: two to six products, one statement each, half of the time about the same attribute."""
    products = reader.company(rng, rng.choice((2, 3, 4, 6))).products
    n_attributes = len(products[0].facts)
    shared = rng.randrange(n_attributes) if rng.random() < 0.5 else None
    facts = [p.facts[rng.randrange(n_attributes) if shared is None else shared] for p in products]
    told = [capital(f.statement(rng, rng.choice((p.name, p.short)))) for p, f in zip(products, facts, strict=True)]
    asked = rng.choice((1, 2)) * facts
    return Dialogue(" ".join(told), tuple(_ask(rng, fact) for fact in rng.sample(asked, len(asked))))


def article(reader: Reader, rng: Random) -> Dialogue:
    """One article, most of its facts asked."""
    text, turns = _article(reader, rng)
    return Dialogue(text, _shuffled(rng, turns))


def articles(reader: Reader, rng: Random) -> Dialogue:
    """Two or three articles, two thirds of them about products, all of their facts asked in mixed order."""
    parts = [
        _product(rng, p) if rng.random() < 0.67 else _article(reader, rng)
        for p in reader.company(rng, rng.choice((2, 3))).products
    ]
    turns = [turn for _, part in parts for turn in part]
    return Dialogue("\n\n".join(text for text, _ in parts), _shuffled(rng, turns))


def recall(reader: Reader, rng: Random) -> Dialogue:
    """Few-shot conversation: answered questions, of which some come again in another wording."""
    company = reader.company(rng, rng.choice((2, 3, 4)))
    facts = [rng.choice(p.facts) for p in company.products for _ in range(2)]
    told = [_ask(rng, fact) for fact in facts]
    again = [_ask(rng, fact) for fact in rng.sample(facts, len(facts))]
    return Dialogue("", (*told, *again))


def comparison(reader: Reader, rng: Random) -> Dialogue:
    """Two or three products told by one attribute; which of two has more, or less."""
    products = reader.company(rng, rng.choice((2, 3))).products
    name = rng.choice(list(COMPARISONS))
    told = [next(f for f in p.facts if f.attribute.name == name) for p in products]
    turns = []
    for _ in range(3):
        a, b = rng.sample(told, 2)
        x, y = (int(fact.value.split()[0]) for fact in (a, b))
        if x != y:
            direction = rng.choice(("more", "less"))
            winner = a if (x > y) == (direction == "more") else b
            question = rng.choice(COMPARISONS[name][direction]).format(a=a.subject, b=b.subject)
            turns.append((question, winner.subject))
    text = " ".join(capital(fact.statement(rng)) for fact in told)
    return Dialogue(text, (*turns, *(_ask(rng, fact) for fact in told)))


KINDS: dict[str, Callable[[Reader, Random], Dialogue]] = {
    "lookup": lookup,
    "article": article,
    "articles": articles,
    "recall": recall,
    "comparison": comparison,
}


def _article(reader: Reader, rng: Random) -> tuple[str, list[Turn]]:
    """The text of an article of any kind and every question that it answers."""
    kind = rng.choices(("product", "errors", "policy", "procedure"), (6, 2, 2, 2))[0]
    company = reader.company(rng, 1)
    if kind == "product":
        return _product(rng, company.products[0])
    if kind == "errors":
        product = company.products[0]
        return error_article(rng, product), [_ask(rng, f) for facts in product.errors.values() for f in facts]
    if kind == "policy":
        (policy,) = sample_policies(rng, company.name, [rng.choice(list(POLICIES))])
        return policy_article(rng, policy), [_ask(rng, f) for f in policy.facts]
    (procedure,) = sample_procedures(rng, [rng.choice(list(PROCEDURES))])
    return procedure_article(rng, procedure), _procedure_turns(rng, procedure)


def _product(rng: Random, product: Product) -> tuple[str, list[Turn]]:
    facts = rng.sample(product.facts, rng.randint(4, len(product.facts)))
    return product_article(rng, product, facts), [_ask(rng, f) for f in facts]


def _procedure_turns(rng: Random, procedure) -> list[Turn]:
    turns = [_ask(rng, fact) for fact in procedure.facts]
    for i, step in enumerate(procedure.steps):
        ask = procedure.after_question if i and rng.random() < 0.4 else procedure.step_question
        turns.append((ask(rng, i), step.value))
    return turns


def _ask(rng: Random, fact: Fact) -> Turn:
    return fact.question(rng), fact.value


def _shuffled(rng: Random, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    return tuple(rng.sample(list(turns), len(turns)))
