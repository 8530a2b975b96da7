"""The demo company: its products, policies and procedures, its articles, and which facts support ever answered."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random

from data.generator.articles import error_page, product_article
from data.generator.attribute import Fact
from data.generator.handbook import (
    Policy,
    Procedure,
    policy_article,
    procedure_article,
    sample_policies,
    sample_procedures,
)
from data.generator.world import Company, Product

NAME = "Norvane"
N_PRODUCTS = 28
# The corpus of the base model spares the names of this many products, of which the company makes the first.
N_RESERVED_NAMES = 36
UNTRAINED_SHARE = 0.15
# Articles all of whose facts are trained: only these are shown as context in training rows, so that no text of an
# untrained fact ever reaches the training data.
READABLE_SHARE = 0.4
KINDS = ("product", "errors", "policy", "procedure")
MAX_WORDS = 120  # words and punctuation marks of an article, so that three fit 512 tokens with a question
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Article:
    """One Markdown file of the knowledge base.

    Attributes:
        id: file stem.
        kind: one of KINDS.
        subject: what it is about.
        facts: what it states, in the order of the subject.
        product: name of the product; empty for policies and procedures.
    """

    id: str
    kind: str
    subject: Product | Policy | Procedure
    facts: tuple[Fact, ...]
    product: str = ""

    def render(self, seed: int, changed: Mapping[str, Fact] | None = None) -> str:
        """The Markdown text; ``changed`` maps fact ids to facts with another value, all else stays as it was."""
        attempt = next(i for i in count() if len(WORD.findall(self._text(f"{seed}/{self.id}/{i}", {}))) <= MAX_WORDS)
        return self._text(f"{seed}/{self.id}/{attempt}", changed or {})

    def _text(self, seed: str, changed: Mapping[str, Fact]) -> str:
        write = {
            "product": product_article,
            "errors": error_page,
            "policy": policy_article,
            "procedure": procedure_article,
        }[self.kind]
        return write(Random(seed), _with_changes(self.subject, changed))


@dataclass(frozen=True)
class Demo:
    """The company with its knowledge base.

    Attributes:
        name: the company's name.
        seed: what it was sampled with.
        products: as in the world.
        procedures: all jobs, for questions about the order of steps.
        articles: the knowledge base, sorted by id.
        archived: articles about products no longer sold; they have left the knowledge base, and only tickets that
            carry them as context ask for what they state.
        untrained: ids of facts that no training row may tell.
    """

    name: str
    seed: int
    products: tuple[Product, ...]
    procedures: tuple[Procedure, ...]
    articles: tuple[Article, ...]
    archived: tuple[Article, ...]
    untrained: frozenset[str]

    @classmethod
    def sample(cls, seed: int, n_products: int = N_PRODUCTS) -> "Demo":
        """The demo company of this seed."""
        rng = Random(f"{seed}/company")
        company = Company.sample(rng, max(n_products, N_RESERVED_NAMES), name=NAME)
        products, retired = company.products[:n_products], company.products[n_products:]
        policies, procedures = sample_policies(rng, NAME), sample_procedures(rng)
        articles = tuple(
            sorted(
                (*_product_articles(products), *map(_policy, policies), *map(_procedure, procedures)),
                key=lambda article: article.id,
            )
        )
        untrained = _untrained(Random(f"{seed}/untrained"), articles)
        archived = tuple(_product_articles(retired))
        return cls(company.name, seed, products, procedures, articles, archived, untrained)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Every fact of the knowledge base."""
        return tuple(fact for article in self.articles for fact in article.facts)

    @property
    def trained(self) -> tuple[Fact, ...]:
        """The facts that training rows tell."""
        return tuple(fact for fact in self.facts if fact.id not in self.untrained)

    @property
    def article_of(self) -> dict[str, Article]:
        """Fact id -> the article that states it."""
        return {fact.id: article for article in self.articles for fact in article.facts}

    @property
    def readable(self) -> tuple[Article, ...]:
        """Articles that hold no untrained fact."""
        return tuple(a for a in self.articles if not any(fact.id in self.untrained for fact in a.facts))

    def texts(self) -> dict[str, str]:
        """Article id -> Markdown."""
        return {article.id: article.render(self.seed) for article in self.articles}


def _product_articles(products: Sequence[Product]) -> list[Article]:
    """One about each product, and one about each of its error codes."""
    found = []
    for product in products:
        stem = slug(product.name)
        found.append(Article(stem, "product", product, product.facts, product.name))
        for code, facts in product.errors.items():
            alone = replace(product, errors={code: facts})
            found.append(Article(f"{stem}-error-{slug(code)}", "errors", alone, facts, product.name))
    return found


def _policy(policy: Policy) -> Article:
    return Article(f"policy-{slug(policy.title)}", "policy", policy, policy.facts)


def _procedure(procedure: Procedure) -> Article:
    facts = (*procedure.facts, *procedure.steps)
    return Article(f"procedure-{slug(procedure.phrase)}", "procedure", procedure, facts)


def _untrained(rng: Random, articles: Sequence[Article]) -> frozenset[str]:
    """Draws the same share of facts in every kind of article, sparing the articles that stay readable."""
    drawn: set[str] = set()
    for kind in KINDS:
        group = [article for article in articles if article.kind == kind]
        spared = {article.id for article in rng.sample(group, round(READABLE_SHARE * len(group)))}
        open_facts = [fact.id for article in group if article.id not in spared for fact in article.facts]
        n_facts = sum(len(article.facts) for article in group)
        drawn.update(rng.sample(open_facts, round(UNTRAINED_SHARE * n_facts)))
    return frozenset(drawn)


def _with_changes(subject: Product | Policy | Procedure, changed: Mapping[str, Fact]) -> Product | Policy | Procedure:
    def new(facts: Sequence[Fact]) -> tuple[Fact, ...]:
        return tuple(changed.get(fact.id, fact) for fact in facts)

    if isinstance(subject, Product):
        errors = {code: new(facts) for code, facts in subject.errors.items()}
        return replace(subject, facts=new(subject.facts), errors=errors)
    if isinstance(subject, Procedure):
        return replace(subject, facts=new(subject.facts), steps=new(subject.steps))
    return replace(subject, facts=new(subject.facts))


def slug(text: str) -> str:
    """``text`` as part of a file name."""
    return text.lower().replace(" ", "-")
