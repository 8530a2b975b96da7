"""Passages that no search chose: the right ones are right, the wrong ones are wrong, and draws are the seed's."""

import pytest

from ftlib.evaluate.scores import score_generations
from ftlib.rag.arms import ask_all
from ftlib.rag.bounds import IRRELEVANT, RIGHT, WRONG, bound_headlines, choose_given, measure_bounds
from ftlib.recipe import Recipe
from ftlib.rows import row_of
from ftlib.search.documents import KnowledgeBase, learn, load_documents

REFUSAL = "I don't have that information."
PRODUCTS = ["heron-20", "basalt-35", "drift-50", "tarn-15", "comet-40", "marble-60"]
PARTS = {f"{name}#{part}": f"{name} part {part}" for name in "abc" for part in (1, 2)}


def asked(key, articles, answer="red", kind="trained_fact"):
    meta = {"slice": kind, "documents": articles}
    return row_of({"id": key, "question": f"Which colour has the {key}?", "answer": answer, "meta": meta})


ROWS = [
    *(asked(name, [name]) for name in PRODUCTS),
    asked("both", ["heron-20", "drift-50"]),
    asked("elsewhere", ["no-such-article"]),
    asked("tarn-15 elsewhere", ["tarn-15"], kind="other"),
    asked("heron-20 owner", [], REFUSAL, "open"),
    asked("drift-50 owner", [], REFUSAL, "open"),
]


def scored(rows, recipe, said="red", system="rag"):
    lines = [{"id": row.id, "system": system, "prediction": said} for row in rows]
    return score_generations(rows, lines, columns=recipe.data.columns, refusal=REFUSAL)


class Ranked:
    """A search with a ranking of its own."""

    def __init__(self, *ids):
        self.ids = ids

    def search(self, query, k):
        return [(key, 1.0) for key in self.ids[:k]]


@pytest.fixture
def knowledge(recipe, tmp_path):
    return learn(tmp_path / "index", load_documents(recipe.rag.documents_path), recipe)


@pytest.fixture
def parts(recipe):
    """Three articles of two passages each, found in this order: b's second, a's second, c's first, a's first."""
    recipe.rag.top_k = 2
    return KnowledgeBase(dict(PARTS), Ranked("b#2", "a#2", "c#1", "a#1"), {key: key[0] for key in PARTS})


def test_the_right_and_the_wrong_article_are_what_their_names_say(recipe, knowledge):
    given = choose_given(ROWS, scored(ROWS, recipe), knowledge, recipe, seed=0)
    assert list(given) == [RIGHT, WRONG, IRRELEVANT]
    right, wrong, irrelevant = given.values()
    assert [row.id for row in right.rows] == [*PRODUCTS, "both"], "the headline slice's whose articles are there"
    assert wrong.rows == right.rows and [row.id for row in irrelevant.rows] == ["heron-20 owner", "drift-50 owner"]
    assert all(right.found[name].documents == (name,) for name in PRODUCTS)
    assert set(right.found["both"].documents) == {"heron-20", "drift-50"}, (
        "every article that is needed, whatever top_k"
    )
    assert all(len(each.ids) == 1 and each.score is None for each in wrong.found.values())
    assert all(wrong.found[name].ids[0] != name for name in PRODUCTS)
    assert not {"heron-20", "drift-50"} & set(wrong.found["both"].ids)
    best = {row.id: knowledge.index.search(row.question, 1)[0][0] for row in irrelevant.rows}
    assert all(irrelevant.found[key].ids != (found,) and irrelevant.found[key].ids for key, found in best.items())


def test_passages_of_cut_articles_come_in_the_order_of_the_search(recipe, parts):
    row = asked("q", ["a", "b"])
    given = choose_given([row], scored([row], recipe), parts, recipe, seed=0)
    assert given[RIGHT].found["q"].ids == ("b#2", "a#2"), "the best passage of each article first"
    assert given[WRONG].found["q"].ids[0] == "c#1" and given[WRONG].found["q"].ids[1] == "c#2", (
        "drawn where none is found"
    )
    recipe.rag.top_k = 3
    given = choose_given([row], scored([row], recipe), parts, recipe, seed=0)
    assert given[RIGHT].found["q"].ids == ("b#2", "a#2", "a#1") and "b#1" not in given[WRONG].found["q"].ids


def test_a_draw_is_the_seeds_and_does_not_depend_on_the_other_questions(recipe, parts):
    rows = [asked(f"q{i}", [], REFUSAL) for i in range(12)]
    some = choose_given(rows, scored(rows, recipe), parts, recipe, seed=1)[IRRELEVANT].found
    assert choose_given(rows[5:], scored(rows[5:], recipe), parts, recipe, seed=1)[IRRELEVANT].found["q7"] == some["q7"]
    assert choose_given(rows, scored(rows, recipe), parts, recipe, seed=2)[IRRELEVANT].found != some
    assert all(len(set(each.ids)) == 2 and not {"b#2", "a#2"} & set(each.ids) for each in some.values())
    assert len({each.ids for each in some.values()}) > 3


def test_the_recipe_says_how_many_are_asked_and_where_nothing_can_be_given_nothing_is(recipe, knowledge):
    items = scored(ROWS, recipe)
    recipe.rag.bound_questions = 1
    assert [len(each.rows) for each in choose_given(ROWS, items, knowledge, recipe, 0).values()] == [1, 1, 1]
    recipe.rag.bound_questions = 0
    assert choose_given(ROWS, items, knowledge, recipe, 0) == {}
    recipe.rag.bound_questions = 60
    only = KnowledgeBase({"tarn-15": "grey"}, Ranked("tarn-15"), {"tarn-15": "tarn-15"})
    assert choose_given(ROWS, items, only, recipe, 0) == {}, "there is no other article"


def test_what_is_given_stands_in_the_prompt(engine, five, recipe, knowledge):
    given = choose_given(ROWS, scored(ROWS, recipe), knowledge, recipe, seed=0)
    for kind, hit in ((RIGHT, True), (WRONG, False), (IRRELEVANT, None)):
        rows, found = given[kind]
        more = {"max_tokens": None, "knowledge": knowledge, "found": found}
        asks = ask_all(five["rag"], rows, engine.renderer, recipe, **more)
        assert {each.hit for each in asks} == {hit}
        shown = [engine.tokenizer.decode(each.prompt.ids) for each in asks]
        assert all(knowledge.texts[key] in text for each, text in zip(asks, shown, strict=True) for key in each.shown)


def test_a_bound_is_paired_with_the_search_on_the_same_questions(recipe):
    searched = scored(ROWS, recipe)
    right, loose = measure_bounds("rag", RIGHT, scored(ROWS[:4], recipe, "It is red."), searched, 200)
    assert (right.given.mean, right.searched.mean, right.change.difference, right.change.n) == (0, 1, -1, 4)
    assert (loose.given.mean, loose.searched.mean, loose.change.difference) == (1, 1, 0), "right in another form"
    (irrelevant,) = measure_bounds("rag", IRRELEVANT, scored(ROWS[-2:], recipe, REFUSAL), searched, 200)
    assert (irrelevant.given.mean, irrelevant.searched.mean, irrelevant.change.wins) == (1, 0, 2)
    found = bound_headlines([right, loose, right._replace(kind=WRONG), irrelevant])
    assert [each.key for each in found] == [
        "em_rag_right_article",
        "value_rag_right_article",
        "em_rag_wrong_article",
        "refusal_accuracy_rag_irrelevant",
    ]
    assert [(each.value, each.n) for each in found] == [(0, 4), (1, 4), (0, 4), (1, 2)]


def test_without_a_headline_slice_all_that_have_an_answer_are_asked(tiny_recipe, knowledge):
    fields = {"slice": "slice", "documents": "documents"}
    plain = Recipe.load(tiny_recipe, {"evaluate.headline_slice": None, "data.columns": fields})
    rows = choose_given(ROWS, scored(ROWS, plain), knowledge, plain, seed=0)[RIGHT].rows
    assert [row.id for row in rows] == [*PRODUCTS, "both", "tarn-15 elsewhere"]
