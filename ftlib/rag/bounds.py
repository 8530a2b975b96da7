"""Systems that retrieve, with passages that no search chose: the right article's, another's, any.

The first two bound what a better search can give and what a worse one can take: how well a question is answered with
the right article in front of the model, and how well with the best found one that is not right. The third asks
whether a question without an answer is still declined when a passage that has nothing to do with it is shown.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib.evaluate.scores import UNANSWERABLE, choose_rows, gain, headline_slice, mean_score, select
from ftlib.rows import Row, values
from ftlib.search.documents import KnowledgeBase
from ftlib.search.retrieval import Retrieved, retrieve
from ftlib.stats import Headline, Interval, Paired

if TYPE_CHECKING:
    from ftlib.recipe import RagRecipe, Recipe

RIGHT, WRONG, IRRELEVANT = "right_article", "wrong_article", "irrelevant"  # ends of headline keys


class Given(NamedTuple):
    """Questions with the passages that each is shown."""

    rows: list[Row]
    found: dict[str, Retrieved]  # by row id


class Bound(NamedTuple):
    """What a system does with them: the share right, or declined, beside that with the passages it found itself.

    Attributes:
        system: its name.
        kind: `RIGHT`, `WRONG` or `IRRELEVANT`.
        measure: of an item: `em`, `value` or `refused`.
        given: its mean with the passages given.
        searched: the same on the same questions with those that the search found.
        change: given - searched.
    """

    system: str
    kind: str
    measure: str
    given: Interval
    searched: Interval
    change: Paired


def choose_given(
    rows: Sequence[Row], items: Sequence[dict[str, Any]], knowledge: KnowledgeBase, recipe: Recipe, seed: int
) -> dict[str, Given]:
    """The questions that are asked once more, and what is shown with them.

    Args:
        rows: the test questions.
        items: of the systems on these rows, from `ftlib.evaluate.scores.score_generations`: they say which questions
            are in the headline slice, and which have no answer.
        knowledge, seed: where the passages are from; of those that are drawn.
        recipe: `rag.bound_questions` of either kind at most, evenly from the slices; `rag.top_k` passages a question.

    Returns:
        `RIGHT` and `WRONG`: the headline slice's questions whose articles the knowledge base holds, with passages of
        these articles (best found first, at least one of each) and with the best found ones of others. `IRRELEVANT`:
        the questions without an answer, with passages drawn from those that were not found. Kinds without a question
        are left out.
    """
    rag, columns, limit = recipe.rag, recipe.data.columns, recipe.rag.bound_questions
    main, first = headline_slice(items, recipe.evaluate.headline_slice), items[0]["system"]
    taught, open_ = ({item["id"] for item in select(items, first, which)} for which in (main, UNANSWERABLE))
    articles = set(knowledge.documents.values())
    named = {row.id: set(values(row, columns.documents)) for row in rows}
    held = [row for row in rows if row.id in taught - open_ and named[row.id] and named[row.id] < articles]
    chosen = choose_rows(held, limit, columns.slice)
    drawable = len(knowledge.texts) > rag.top_k  # else there is no other passage
    unknown = choose_rows([row for row in rows if drawable and row.id in open_], limit, columns.slice)
    both = {row.id: _of_articles(row, named[row.id], knowledge, rag, seed) for row in chosen}
    made = {RIGHT: Given(chosen, {key: pair[0] for key, pair in both.items()})}
    made[WRONG] = Given(chosen, {key: pair[1] for key, pair in both.items()})
    made[IRRELEVANT] = Given(unknown, {row.id: _irrelevant(row, knowledge, rag, seed) for row in unknown})
    return {kind: each for kind, each in made.items() if each.rows}


def measure_bounds(
    system: str,
    kind: str,
    given: Sequence[dict[str, Any]],
    searched: Sequence[dict[str, Any]],
    samples: int = 10_000,
    seed: int = 0,
) -> list[Bound]:
    """A system with passages that were given to it, beside itself with those that it found.

    Args:
        system, kind: its name; `RIGHT`, `WRONG` or `IRRELEVANT`.
        given: scored answers to the questions of that kind.
        searched: its items on all test questions.
        samples, seed: of the bootstrap.

    Returns:
        Exact matches and right values, of `IRRELEVANT` refusals.
    """
    wanted = {item["id"] for item in given}
    same = [item for item in searched if item["id"] in wanted]
    found = []
    for measure in ("refused",) if kind == IRRELEVANT else ("em", "value"):
        means = [mean_score(items, measure, samples, seed) for items in (given, same)]
        found.append(Bound(system, kind, measure, *means, gain(given, same, measure, samples, seed)))
    return found


def bound_headlines(measured: Iterable[Bound]) -> list[Headline]:
    """`em_<system>_right_article`, `em_<system>_wrong_article`, the same of `value`, and
    `refusal_accuracy_<system>_irrelevant`, each with interval and n.
    """
    starts = {"refused": "refusal_accuracy"}
    keys = [f"{starts.get(each.measure, each.measure)}_{each.system}_{each.kind}" for each in measured]
    return [Headline.of(key, each.given) for key, each in zip(keys, measured, strict=True)]


def _of_articles(
    row: Row, relevant: Iterable[str], knowledge: KnowledgeBase, rag: RagRecipe, seed: int
) -> tuple[Retrieved, Retrieved]:
    """Passages of the relevant articles, and the best found ones of the others."""
    own = [key for key, article in knowledge.documents.items() if article in relevant]
    hits = _found(row, knowledge, rag, rag.top_k + len(own))
    ranked = [key for key in hits if key in own] + [key for key in own if key not in hits]
    seen: Counter[str] = Counter()
    place = {}
    for key in ranked:
        place[key] = seen[knowledge.documents[key]]
        seen[knowledge.documents[key]] += 1
    ranked.sort(key=place.__getitem__)  # the best of every article comes before the second of any
    others = [key for key in hits if key not in own][: rag.top_k]
    others += _drawn(row, knowledge, rag.top_k - len(others), {*own, *others}, seed)
    return _shown(ranked[: max(rag.top_k, len(seen))], knowledge), _shown(others, knowledge)


def _irrelevant(row: Row, knowledge: KnowledgeBase, rag: RagRecipe, seed: int) -> Retrieved:
    """Passages that have nothing to do with the question, as far as a draw can tell."""
    found = set(_found(row, knowledge, rag, rag.top_k))
    return _shown(_drawn(row, knowledge, rag.top_k, found, seed), knowledge)


def _found(row: Row, knowledge: KnowledgeBase, rag: RagRecipe, k: int) -> tuple[str, ...]:
    return retrieve(knowledge.index, [row], k, knowledge.documents, rag.search_with)[row.id].ids


def _drawn(row: Row, knowledge: KnowledgeBase, count: int, without: Iterable[str], seed: int) -> list[str]:
    """`count` other passages, the same ones for a row whichever rows are asked beside it."""
    keys, avoid = list(knowledge.texts), set(without)
    drawn = random.Random(f"{seed} {row.id}").sample(keys, min(len(keys), count + len(avoid)))
    return [key for key in drawn if key not in avoid][:count]


def _shown(keys: Sequence[str], knowledge: KnowledgeBase) -> Retrieved:
    return Retrieved(tuple(keys), 0.0, tuple(knowledge.documents[key] for key in keys))
