"""The arms of the comparison: the recipe's systems, each with its way to ask the same questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib import jsonl
from ftlib.data.prompts import Prompt, Renderer
from ftlib.errors import UserError
from ftlib.evaluate.answers import read_answers
from ftlib.rag.shots import Shots, SimilarRows, shots_for
from ftlib.rows import Row, values
from ftlib.search.documents import KnowledgeBase, join_context
from ftlib.search.passages import shorten
from ftlib.search.retrieval import Retrieved, is_hit, retrieve

if TYPE_CHECKING:
    from ftlib.core.engine import Engine
    from ftlib.recipe import Recipe
    from ftlib.systems import System


class Ask(NamedTuple):
    """One question as one system is asked it.

    Attributes:
        prompt: what the model reads.
        retrieved: passage ids found for it, best first; empty for systems that do not retrieve.
        shown: ids of the passages (of the rows, few-shot) that stand in the prompt; the last may be cut.
        offered: how many passages (or examples) there were to show.
        is_cut: whether the last of the shown passages is not whole.
        found: whether an article that holds the answer was retrieved; None where none is named or nothing searched.
        hit: whether a passage of it stands in the prompt; None likewise.
        search_seconds: what the search took.
        score: the search's, of the best passage found; None where none was or nothing searched.
        complete: whether every article that the answer takes stands in the prompt whole; None as of `found`.
        examples: ids of the training rows that stand in the prompt, in their order there.
    """

    prompt: Prompt
    retrieved: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    offered: int = 0
    is_cut: bool = False
    found: bool | None = None
    hit: bool | None = None
    search_seconds: float = 0.0
    score: float | None = None
    complete: bool | None = None
    examples: tuple[str, ...] = ()


def retrieves(system: System) -> bool:
    """Whether the system is shown passages that a search finds."""
    return system.prompt == "retrieved"


def ask_all(
    system: System,
    rows: Sequence[Row],
    renderer: Renderer,
    recipe: Recipe,
    *,
    max_tokens: int | None,
    examples: Sequence[Row] = (),
    knowledge: KnowledgeBase | None = None,
    found: Mapping[str, Retrieved] | None = None,
    similar: SimilarRows | None = None,
) -> list[Ask]:
    """The rows as a system is asked them: the question alone, after examples, with passages, or with both.

    A row's own context and history stand in every one of its prompts, and so does the system's instruction.

    Args:
        system: from `ftlib.systems.systems`.
        rows: the questions.
        renderer: the one that training used.
        recipe: whose sections `rag` and `data` count.
        max_tokens: longest prompt; None: any.
        examples: shown where the system's are `fixed`; the last are left out where they do not fit.
        knowledge: searched where it is `retrieved`; the worst passages are cut or left out where they do not fit.
        found: row id to passages of `knowledge` that stand in the place of those that the search finds; None: search.
        similar: searched where the system's examples are `similar`; the most alike stands next to the question, the
            least alike are left out where they do not fit. Examples give way to passages.

    Returns:
        One a row.

    Raises:
        ValueError: the system retrieves and no knowledge is given, or shows similar rows and none are.
        UserError: a question alone is longer than `max_tokens`.
    """
    render = partial(renderer.prompt, instruction=system.told)
    shots = {row.id: shots_for(system, row, examples, similar, recipe.rag.few_shot) for row in rows}
    if not retrieves(system):
        return [_with_examples(row, render, max_tokens, shots[row.id]) for row in rows]
    if knowledge is None:
        raise ValueError(f"{system.name!r} retrieves: expected knowledge to search")
    settings, documents = recipe.rag, recipe.data.columns.documents
    if found is None:
        found = retrieve(knowledge.index, rows, settings.top_k, knowledge.documents, settings.search_with)
    given = knowledge, settings.context_order, documents
    return [_with_passages(row, render, max_tokens, found[row.id], *given, shots[row.id]) for row in rows]


def prompt_room(engine: Engine, system: System, max_new_tokens: int) -> int | None:
    """The longest prompt that leaves room for the answer in what the system's model reads; None where that is unknown.

    Of a server's model nothing is known.
    """
    return engine.window - max_new_tokens if engine.is_local(system) and engine.window else None


def left_out(system: System, asked: Sequence[Ask], max_tokens: int | None) -> str:
    """Says that passages or examples did not fit into the prompts, or that there were none; empty where all is well.

    Returns:
        Sentences with the number of prompts, the means and what to change.
    """
    passages = retrieves(system)
    pieces, fix = ("passages", "rag.top_k or rag.passage_words") if passages else ("examples", "rag.few_shot")
    short = [each for each in asked if len(each.shown) < each.offered or each.is_cut]
    nothing, cut = sum(not each.shown for each in short), sum(each.is_cut for each in short)
    shown, offered = sum(len(each.shown) for each in asked), sum(each.offered for each in asked)
    told = []
    if short:
        told.append(
            f"{system.label}: {len(short)} of {len(asked)} prompts have no room for all {pieces} in {max_tokens} "
            f"tokens, {nothing} for none, {cut} hold one that is cut; on average {shown / len(asked):.1f} of "
            f"{offered / len(asked):.1f} are shown. Lower {fix} or take a model with a longer context window."
        )
    if system.prompt != "question" and (bare := sum(not each.shown for each in asked)):
        told.append(f"{system.label}: {bare} of {len(asked)} questions are asked without any of the {pieces}.")
    return " ".join(told)


def answer_fields(asked: Iterable[Ask], latency: Mapping[str, float] | None = None) -> Callable[[Prompt], dict]:
    """Prompt to what stands beside its answer in arms.jsonl: ids, `found`, `hit`, `complete`, `score`, `latency_s`.

    `latency` are seconds of the questions asked one at a time, by id; None for the others.
    """
    known = {each.prompt.id: each for each in asked}

    def fields(prompt: Prompt) -> dict[str, Any]:
        each = known[prompt.id]
        told = {"retrieved": list(each.retrieved), "shown": list(each.shown), "found": each.found, "hit": each.hit}
        told |= {"complete": each.complete, "examples": list(each.examples)}
        return told | {"score": each.score, "latency_s": (latency or {}).get(prompt.id)}

    return fields


def adopt(
    system: System,
    prompts: Sequence[Prompt],
    answers: Iterable[Mapping[str, Any]],
    path: str | Path,
    extra: Callable[[Prompt], Mapping[str, Any]],
) -> int:
    """Takes over answers that notebook 03 got to the same prompts, so that they are not asked again; returns how many.

    Args:
        system: who answered; one that is shown more than the question takes nothing over.
        prompts: its prompts here.
        answers: lines of generations.jsonl; those with another instruction are left, as their prompts are others.
        path: JSON lines that `ftlib.evaluate.answers.answer` goes on with; lines that are there already stay.
        extra: from `answer_fields`.
    """
    if system.prompt != "question" or system.examples:
        return 0
    done = {line["id"] for line in read_answers(path) if line["system"] == system.name}
    mine = (line for line in answers if line["system"] == system.name)
    given = {line["id"]: line for line in mine if line.get("instruction", "") == system.told}
    taken = [prompt for prompt in prompts if prompt.id in given and prompt.id not in done]
    for prompt in taken:
        jsonl.append(path, {**given[prompt.id], **extra(prompt)})
    return len(taken)


def _with_examples(row: Row, render: Callable[..., Prompt], max_tokens: int | None, shots: Shots) -> Ask:
    for count in range(len(shots.rows), -1, -1):
        shown = shots.first(count)
        prompt, ids = render(row, examples=shown), tuple(each.id for each in shown)
        if _fits(prompt, max_tokens):
            seconds = shots.search_seconds
            return Ask(prompt, shown=ids, offered=len(shots.rows), search_seconds=seconds, examples=ids)
    raise _too_long(prompt, max_tokens)


def _with_passages(
    row: Row,
    render: Callable[..., Prompt],
    max_tokens: int | None,
    found: Retrieved,
    knowledge: KnowledgeBase,
    order: str,
    column: str | None,
    shots: Shots,
) -> Ask:
    texts, kept = [knowledge.texts[key] for key in found.ids], shots.first(len(shots.rows))

    def ask(texts: Sequence[str]) -> Prompt:
        return render(row, passages=join_context(texts, order), examples=kept)

    while kept and not _fits(ask(texts), max_tokens):
        kept = shots.first(len(kept) - 1)
    count = next((n for n in range(len(texts), 0, -1) if _fits(ask(texts[:n]), max_tokens)), 0)
    shown = texts[:count]
    if count < len(texts) and (cut := shorten(texts[count], lambda text: _fits(ask([*shown, text]), max_tokens))):
        shown.append(cut)
    prompt, relevant = ask(shown), values(row, column)
    if not _fits(prompt, max_tokens):
        raise _too_long(prompt, max_tokens)
    ids, is_cut = found.ids[: len(shown)], len(shown) > count
    hits = [is_hit(found.documents, relevant), is_hit(found.documents[: len(shown)], relevant)]
    needed = {key for key, article in knowledge.documents.items() if article in relevant}
    complete = needed <= set(found.ids[:count]) and bool(needed) if relevant else None
    seconds, given = found.seconds + shots.search_seconds, tuple(each.id for each in kept)
    return Ask(prompt, found.ids, ids, len(texts), is_cut, *hits, seconds, found.score, complete, given)


def _fits(prompt: Prompt, max_tokens: int | None) -> bool:
    return max_tokens is None or len(prompt.ids) <= max_tokens


def _too_long(prompt: Prompt, max_tokens: int | None) -> UserError:
    wanted, fix = f"at most {max_tokens} tokens of prompt", "shorten the question or its context"
    return UserError.of(f"question {prompt.id}", wanted, f"{len(prompt.ids)} tokens", fix)
