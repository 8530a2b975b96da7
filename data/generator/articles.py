"""Markdown articles of a knowledge base: about a product, and about its error codes."""

from collections.abc import Sequence
from random import Random

from data.generator.attribute import Fact
from data.generator.wording.errors import ERROR_ADVICE
from data.generator.world import Product


def product_article(rng: Random, product: Product, facts: Sequence[Fact] | None = None) -> str:
    """Title, a sentence about the kind, then every fact as a sentence or a line of a list, in random order."""
    facts = list(product.facts if facts is None else facts)
    rng.shuffle(facts)
    n_list = rng.choice((0, 0, len(facts) // 3, len(facts)))
    listed, told = facts[:n_list], facts[n_list:]
    lines = [f"# {product.name}", rng.choice(_INTROS).format(s=product.name, kind=product.kind)]
    if told:
        lines.append(" ".join(_sentence(rng, product, fact) for fact in told))
    if listed:
        lines.append("\n".join(f"- {fact.attribute.label}: {fact.value}" for fact in listed))
    return "\n\n".join(lines)


def error_article(rng: Random, product: Product) -> str:
    """Title, then cause and remedy of each of the product's codes."""
    codes = "error codes" if len(product.errors) > 1 else f"error {next(iter(product.errors))}"
    sentences = [_capital(fact.statement(rng, code)) for code, facts in product.errors.items() for fact in facts]
    return "\n\n".join([f"# {product.name} {codes}", " ".join(sentences)])


def error_page(rng: Random, product: Product) -> str:
    """An error article with the advice that closes every such page of the demo company."""
    told = error_article(rng, product)
    return "\n\n".join([told, " ".join(rng.choice(variants) for variants in ERROR_ADVICE)])


_INTROS = (
    "The {s} is a {kind}.",
    "Our {kind} {s} in brief.",
    "Data of the {kind} {s}.",
    "What to know about the {s}, a {kind}.",
)


def _sentence(rng: Random, product: Product, fact: Fact) -> str:
    return _capital(fact.statement(rng, rng.choice((product.name, product.short))))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
