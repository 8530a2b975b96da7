"""The knowledge base: size, every fact stated in its article, changes that change nothing else."""

from collections import Counter

import pytest

from data.generator.demo import KINDS, MAX_WORDS, UNTRAINED_SHARE, WORD, Demo
from data.generator.frozen import updated_articles, updates


def test_size_of_the_knowledge_base(demo: Demo) -> None:
    kinds = Counter(article.kind for article in demo.articles)
    assert set(kinds) == set(KINDS)
    assert len(demo.articles) >= 60
    assert 700 <= len(demo.facts) <= 1000
    assert all(len(product.facts) >= 8 for product in demo.products)
    assert all(len(facts) == 2 for product in demo.products for facts in product.errors.values())


def test_ids_are_unique(demo: Demo) -> None:
    assert len({fact.id for fact in demo.facts}) == len(demo.facts)
    assert len({article.id for article in demo.articles}) == len(demo.articles)
    assert len({product.short for product in demo.products}) == len(demo.products)


def test_every_value_stands_verbatim_in_its_article(demo: Demo) -> None:
    texts = demo.texts()
    for article in demo.articles:
        missing = [fact.id for fact in article.facts if fact.value not in texts[article.id]]
        assert not missing, (article.id, missing)


def test_articles_have_a_title_and_are_short(demo: Demo) -> None:
    for text in demo.texts().values():
        assert text.startswith("# ")
        assert len(WORD.findall(text)) <= MAX_WORDS


def test_an_error_page_is_about_one_code(demo: Demo) -> None:
    texts = demo.texts()
    for article in demo.articles:
        if article.kind == "errors":
            (code,) = article.subject.errors
            assert texts[article.id].startswith(f"# {article.product} error {code}\n")
            assert [fact.subject for fact in article.facts] == [f"error {code} on the {article.product}"] * 2


def test_untrained_facts_are_a_fixed_share_and_in_no_readable_article(demo: Demo) -> None:
    assert len(demo.untrained) / len(demo.facts) == pytest.approx(UNTRAINED_SHARE, abs=0.01)
    assert not {fact.id for article in demo.readable for fact in article.facts} & demo.untrained
    assert {article.kind for article in demo.readable} == set(KINDS)


def test_same_seed_same_company_other_seed_other_company(demo: Demo) -> None:
    again, other = Demo.sample(demo.seed), Demo.sample(demo.seed + 1)
    assert again.texts() == demo.texts()
    assert again.untrained == demo.untrained
    assert not {p.name for p in other.products} >= {p.name for p in demo.products}


def test_an_update_changes_its_fact_and_nothing_else(demo: Demo) -> None:
    texts, changes = demo.texts(), updates(demo)
    newer = updated_articles(demo, changes)
    assert len(changes) == 60
    assert set(newer) == {update.row.documents[0] for update in changes}
    for update in changes:
        key, old, new = update.row.documents[0], update.row.answer, update.new.value
        changed = [(a, b) for a, b in zip(texts[key].split(), newer[key].split(), strict=False) if a != b]
        assert old != new
        assert new in newer[key]
        assert changed, key
        # Put back, the old value gives the old article: the sentences around it are the same.
        assert newer[key].replace(new, old) == texts[key].replace(new, old)
