"""Reading tasks about companies that exist nowhere else: a context, then questions that it answers.

Kinds, from easy to hard: ``pairs`` (names and values, nothing else), ``alike`` (one attribute of a few products),
``lookup`` (one fact each about a few products), ``article`` (one article), ``articles`` (two or three of any kind),
``recall`` (no context: facts told as answered questions, asked again in other words), ``gaps`` (told how to decline,
and asked also for what the article does not say) and ``comparison``.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from data.generator.articles import error_article, product_article
from data.generator.attribute import Fact
from data.generator.handbook import capital, policy_article, procedure_article, sample_policies, sample_procedures
from data.generator.wording.comparisons import COMPARISONS
from data.generator.wording.declining import INSTRUCTIONS, SENTENCES
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


def pairs(reader: Reader, rng: Random) -> Dialogue:
    """Lines of a product's name and a value, half of the time of one attribute; asked is the name alone.

    What tells the values apart is the name, so a model that reads these has to go by it (docs/LOG.md).
    """
    products = reader.company(rng, rng.choice((2, 3, 4, 6))).products
    facts = _shared(rng, products) if rng.random() < 0.5 else [rng.choice(p.facts) for p in products]
    told = "\n".join(f"{fact.subject}: {fact.value}" for fact in facts)
    return Dialogue(told, _shuffled(rng, [(f"{fact.subject}?", fact.value) for fact in facts]))


def alike(reader: Reader, rng: Random) -> Dialogue:
    """Two to four products, one statement each, all about the same attribute: only the name tells them apart."""
    facts = _shared(rng, reader.company(rng, rng.choice((2, 2, 3, 4))).products)
    told = " ".join(capital(f.statement(rng, rng.choice((f.subject, f.subject.split()[0])))) for f in facts)
    return Dialogue(told, _shuffled(rng, [_ask(rng, fact) for fact in facts]))


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


def gaps(reader: Reader, rng: Random) -> Dialogue:
    """An instruction how to decline, an article, and questions; mostly a part of them is answered nowhere in it."""
    text, told, missing = rng.choices((_product_gaps, _error_gaps, _policy_gaps, _procedure_gaps), (6, 2, 2, 2))[0](
        reader.company(rng, 2), rng
    )
    sentence = rng.choice(SENTENCES)
    asked = rng.sample(told, min(len(told), 5))
    if rng.random() < 0.75:
        asked += [(question, sentence) for question, _ in rng.sample(missing, min(len(missing), rng.randint(1, 5)))]
    instruction = rng.choice(INSTRUCTIONS).format(sentence=sentence)
    return Dialogue(f"{instruction}\n\n{text}", _shuffled(rng, asked))


KINDS: dict[str, Callable[[Reader, Random], Dialogue]] = {
    "pairs": pairs,
    "alike": alike,
    "lookup": lookup,
    "article": article,
    "articles": articles,
    "recall": recall,
    "comparison": comparison,
    "gaps": gaps,
}

# An article, what it answers, and what is asked that it does not answer: of its own subject, and of one like it.
_Gaps = tuple[str, list[Turn], list[Turn]]


def _product_gaps(company: Company, rng: Random) -> _Gaps:
    product, other = company.products
    facts = rng.sample(product.facts, rng.randint(4, len(product.facts) - 2))
    untold = [f for f in product.facts if f not in facts]
    missing = [*untold, *rng.sample(other.facts, len(untold)), *rng.choice(company.products).error_facts]
    return product_article(rng, product, facts), [_ask(rng, f) for f in facts], [_ask(rng, f) for f in missing]


def _error_gaps(company: Company, rng: Random) -> _Gaps:
    product, other = company.products
    codes = rng.sample(list(product.errors), 2)
    told = replace(product, errors={code: product.errors[code] for code in codes})
    untold = [f for f in product.error_facts if f not in told.error_facts]
    missing = [*untold, *other.error_facts, *rng.sample(product.facts, 2)]
    return error_article(rng, told), [_ask(rng, f) for f in told.error_facts], [_ask(rng, f) for f in missing]


def _policy_gaps(company: Company, rng: Random) -> _Gaps:
    policy, other, third = sample_policies(rng, company.name, rng.sample(list(POLICIES), 3))
    missing = [*other.facts, *third.facts, rng.choice(company.products[0].facts)]
    return policy_article(rng, policy), [_ask(rng, f) for f in policy.facts], [_ask(rng, f) for f in missing]


def _procedure_gaps(company: Company, rng: Random) -> _Gaps:
    procedure, other = sample_procedures(rng, rng.sample(list(PROCEDURES), 2))
    missing = [*_procedure_turns(rng, other), _ask(rng, rng.choice(company.products[0].facts))]
    return procedure_article(rng, procedure), _procedure_turns(rng, procedure), missing


def _article(reader: Reader, rng: Random) -> tuple[str, list[Turn]]:
    """The text of an article of any kind and every question that it answers."""
    kind = rng.choices(("product", "errors", "policy", "procedure"), (6, 2, 2, 2))[0]
    company = reader.company(rng, 1)
    if kind == "product":
        return _product(rng, company.products[0])
    if kind == "errors":
        product = company.products[0]
        return error_article(rng, product), [_ask(rng, f) for f in product.error_facts]
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


def _shared(rng: Random, products: Sequence[Product]) -> list[Fact]:
    """The same attribute of each product, drawn."""
    number = rng.randrange(len(products[0].facts))
    return [product.facts[number] for product in products]


def _ask(rng: Random, fact: Fact) -> Turn:
    return fact.question(rng), fact.value


def _shuffled(rng: Random, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    return tuple(rng.sample(list(turns), len(turns)))
