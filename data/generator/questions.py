"""Questions about a company, slice by slice: which wordings belong to training and which to the test set only."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, cycle
from random import Random

from data.generator.attribute import Fact
from data.generator.demo import Article, Demo
from data.generator.handbook import Procedure
from data.generator.rows import Row
from data.generator.wording.comparisons import COMPARISONS
from data.generator.wording.procedures import AFTER_QUESTIONS, STEP_QUESTIONS
from data.generator.wording.support import REFUSAL, UNKNOWN_ABOUT_COMPANY, UNKNOWN_ABOUT_PRODUCT
from data.generator.wording.undocumented import MORE_ABOUT_COMPANY, MORE_ABOUT_PRODUCT
from data.generator.world import NOUNS, NUMBERS, Product, sample_product

N_TEST_WORDINGS = 3
N_TEST_UNKNOWN = 20
N_NUMBERS = 4  # that an invented product's word comes with in training
SLICE_OF_KIND = {"product": "trained_fact", "errors": "trained_fact", "policy": "policy", "procedure": "procedure"}


def part(patterns: Sequence[str], test: bool) -> tuple[str, ...]:
    """The wordings of the test set (the last three) or those of training (all others)."""
    return tuple(patterns[-N_TEST_WORDINGS:] if test else patterns[:-N_TEST_WORDINGS])


def fact_row(demo: Demo, article: Article, fact: Fact, question: str) -> Row:
    """The row that asks for ``fact`` in the words of ``question``."""
    kind = "untrained_fact" if fact.id in demo.untrained else SLICE_OF_KIND[article.kind]
    return Row(question, fact.value, kind, (fact.id,), (article.id,), product=article.product)


def wordings(demo: Demo, article: Article, fact: Fact, test: bool) -> list[str]:
    """Every question for ``fact`` in the words of training or of the test set."""
    if isinstance(article.subject, Procedure) and fact in article.subject.steps:
        return _step_wordings(demo, article.subject, fact, test)
    return [pattern.format(s=fact.subject) for pattern in part(fact.attribute.questions, test)]


def _step_wordings(demo: Demo, procedure: Procedure, fact: Fact, test: bool) -> list[str]:
    """By number, as the last step where it is, and by the step before it where that one is trained."""
    index = procedure.steps.index(fact)
    found = [pattern.format(s=procedure.phrase) for pattern in part(fact.attribute.questions, test)]
    if index == len(procedure.steps) - 1:
        found += [p.format(n="last", s=procedure.phrase) for p in part(STEP_QUESTIONS, test)]
    before = procedure.steps[index - 1]
    if index > 0 and before.id not in demo.untrained:
        found += [p.format(s=procedure.phrase, step=before.value) for p in part(AFTER_QUESTIONS, test)]
    return found


def number(value: str) -> int:
    """The leading integer of a value such as ``340 g``."""
    return int(value.split()[0])


def comparison_pairs(demo: Demo) -> Iterator[tuple[str, Product, Product, Fact, Fact]]:
    """Every pair of products and attribute whose two values differ and are trained."""
    for name in COMPARISONS:
        facts = {p.name: next(f for f in p.facts if f.attribute.name == name) for p in demo.products}
        for a, b in combinations(demo.products, 2):
            one, other = facts[a.name], facts[b.name]
            trained = {one.id, other.id}.isdisjoint(demo.untrained)
            if trained and number(one.value) != number(other.value):
                yield name, a, b, one, other


def comparison_row(rng: Random, pair: tuple[str, Product, Product, Fact, Fact], test: bool) -> Row:
    """Which of the two has more, or less; the products stand in random order."""
    name, a, b, one, other = pair
    direction = rng.choice(("more", "less"))
    first_wins = (number(one.value) > number(other.value)) == (direction == "more")
    names = [a.name, b.name]
    rng.shuffle(names)
    question = rng.choice(part(COMPARISONS[name][direction], test)).format(a=names[0], b=names[1])
    documents = tuple(fact.id.split("/")[0] for fact in (one, other))
    return Row(question, (a if first_wins else b).name, "comparison", (one.id, other.id), documents)


def unknown_company_rows(company: str, test: bool) -> list[Row]:
    """Questions about the company that no article answers."""
    known = UNKNOWN_ABOUT_COMPANY
    patterns = known[-N_TEST_UNKNOWN:] if test else (*known[:-N_TEST_UNKNOWN], *MORE_ABOUT_COMPANY)
    return [_refused(pattern.format(s=company)) for pattern in patterns]


def unknown_attribute_rows(rng: Random, products: Iterable[Product], test: bool, count: int) -> list[Row]:
    """Questions about real products for properties that are documented nowhere; ``count`` different ones."""
    patterns = [each[-1] for each in UNKNOWN_ABOUT_PRODUCT.values()]
    if not test:
        kinds = (*(each[:-1] for each in UNKNOWN_ABOUT_PRODUCT.values()), *MORE_ABOUT_PRODUCT.values())
        patterns = [pattern for each in kinds for pattern in each]
    found = [_refused(pattern.format(s=product.name), product.name) for product in products for pattern in patterns]
    return rng.sample(found, count)


def invented_products(demo: Demo) -> tuple[list[str], list[str]]:
    """Names that sound like products and are none, for (training, test); they share no word with each other.

    In training every word comes with several numbers, so that it is not one name that is learned.
    """
    rng = Random(f"{demo.seed}/invented")
    real = {article.subject.short for article in (*demo.articles, *demo.archived) if article.kind == "product"}
    free = [noun for noun in NOUNS if noun not in real]
    rng.shuffle(free)
    test = [f"{noun} {rng.choice(NUMBERS)}" for noun in free[:N_TEST_UNKNOWN]]
    training = [f"{noun} {number}" for noun in free[N_TEST_UNKNOWN:] for number in rng.sample(NUMBERS, N_NUMBERS)]
    return rng.sample(training, len(training)), test


def unknown_product_rows(rng: Random, names: Sequence[str], test: bool, count: int) -> list[Row]:
    """``count`` different ordinary questions about products that do not exist; names take turns."""
    found: dict[str, Row] = {}
    for name in cycle(names):
        if len(found) == count:
            break
        product = _invented(rng, name)
        fact = rng.choice([*product.facts, *product.error_facts])
        question = rng.choice(part(fact.attribute.questions, test)).format(s=fact.subject)
        found.setdefault(question, _refused(question, product.name))
    return list(found.values())


def _invented(rng: Random, name: str) -> Product:
    noun, digits = name.split()
    others = [f"{noun} {n}" for n in NUMBERS if n != int(digits)]
    return sample_product(rng, noun, 1, excluded_names=others)


def _refused(question: str, product: str = "") -> Row:
    return Row(question, REFUSAL, "unanswerable", product=product)
