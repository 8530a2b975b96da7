"""Five ways to ask the same questions: the arms and the prompts of each."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ftlib.rag.documents import join_context
from ftlib.rag.index import Index
from ftlib.rag.passages import cut_all
from ftlib.rag.retrieval import Found, is_hit, retrieve
from ftlib.recipe import UserError

ARMS = ("base", "few_shot", "rag", "finetuned", "rag_finetuned")
ADAPTED = ("finetuned", "rag_finetuned")  # need the adapter
RETRIEVING = ("rag", "rag_finetuned")  # need the index
KEYS = {"rag_finetuned": "rag_ft"}  # arm's name inside headline keys, where it differs
LABELS = {
    "base": "base model",
    "few_shot": "few-shot prompt",
    "rag": "RAG",
    "finetuned": "fine-tuned",
    "rag_finetuned": "RAG + fine-tuned",
}


class Prompt(NamedTuple):
    """One question as one arm asks it.

    Attributes:
        id: the question's.
        ids: token ids, up to where the answer starts.
        retrieved: passage ids found for it, best first; empty for arms that do not retrieve.
        shown: how many of the passages (or few-shot examples) fit into the prompt.
        hit: whether a passage of an article that holds the answer was found; None where there is none or nothing was
            searched.
        search_seconds: what the search took.
        offered: how many passages (or examples) there were to show.
    """

    id: str
    ids: list[int]
    retrieved: tuple[str, ...] = ()
    shown: int = 0
    hit: bool | None = None
    search_seconds: float = 0.0
    offered: int = 0


def few_shot_examples(rows: Sequence[Mapping], count: int, avoid: Collection[str] = ()) -> list[tuple[str, str]]:
    """The fixed examples of the few-shot arm: closed-book training rows, one slice after the other.

    Rule: rows without context and without a fact in ``avoid``, in the order of the SHA-256 of their ids; the slices,
    in alphabetical order, give one row each in turn until there are ``count``.

    Args:
        rows: training rows ``{id, question, context, answer, slice?, fact?}``.
        count: how many.
        avoid: fact ids that no example may hold: those of the test questions.

    Returns:
        ``count`` (question, answer) pairs, or as many as there are.
    """
    slices: dict[str, list[Mapping]] = {}
    for row in sorted(rows, key=lambda row: sha256(str(row["id"]).encode()).hexdigest()):
        if not row.get("context") and not set(facts_of(row)) & set(avoid):
            slices.setdefault(row.get("slice") or "", []).append(row)
    queues = [slices[name] for name in sorted(slices)]
    longest = max(map(len, queues), default=0)
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    return [(row["question"], row["answer"]) for row in turns[:count]]


def closed_book_prompts(
    rows: Iterable[Mapping], renderer: Any, max_tokens: int, examples: Sequence[tuple[str, str]] = ()
) -> list[Prompt]:
    """Prompts with the question alone (``base``, ``finetuned``) or after worked examples (``few_shot``).

    Args:
        rows: ``{id, question}``; the prompt is the one that notebook 03 asks.
        renderer: `ftlib.data.prompts.Renderer`.
        max_tokens: longest prompt; examples are left out from the last on where it would be longer.
        examples: (question, answer) pairs shown as earlier turns.

    Returns:
        One prompt a row.

    Raises:
        UserError: a question alone is longer than ``max_tokens``.
    """

    def ask(row: Mapping, history: Sequence[tuple[str, str]]) -> list[int]:
        return renderer.prompt_ids(row["question"], history=history)

    prompts = []
    for row in rows:
        ids, shown = _fit(ask, row, examples, max_tokens)
        prompts.append(Prompt(row["id"], ids, shown=shown, offered=len(examples)))
    return prompts


def rag_prompts(
    rows: Iterable[Mapping],
    renderer: Any,
    max_tokens: int,
    found: Mapping[str, Found],
    texts: Mapping[str, str],
    order: str = "best_last",
) -> list[Prompt]:
    """Prompts with the passages found, then the question.

    Args:
        rows: ``{id, question, documents?}``.
        renderer: `ftlib.data.prompts.Renderer`.
        max_tokens: longest prompt; the worst passages are left out where it would be longer, see `left_out`.
        found: what `ftlib.rag.retrieval.retrieve` gave.
        texts: passage id to text.
        order: as in `ftlib.rag.documents.join_context`.

    Returns:
        One prompt a row; a question for which nothing was found is asked closed-book.

    Raises:
        UserError: a question alone is longer than ``max_tokens``.
    """

    def ask(row: Mapping, passages: Sequence[str]) -> list[int]:
        return renderer.prompt_ids(row["question"], join_context(passages, texts, order))

    prompts = []
    for row in rows:
        passages, seconds, documents = found[row["id"]]
        ids, shown = _fit(ask, row, passages, max_tokens)
        hit = is_hit(documents, row.get("documents") or ())
        prompts.append(Prompt(row["id"], ids, passages, shown, hit, seconds, len(passages)))
    return prompts


def left_out(arm: str, prompts: Sequence[Prompt], max_tokens: int) -> str:
    """Says in one sentence that passages or examples did not fit into the prompts; empty where all did.

    Args:
        arm: whose prompts.
        prompts: from `build_prompts`.
        max_tokens: longest prompt.

    Returns:
        A sentence with the number of prompts, the means and what to change.
    """
    short = [prompt for prompt in prompts if prompt.shown < prompt.offered]
    if not short:
        return ""
    pieces, fix = ("passages", "rag.top_k or rag.passage_words") if arm in RETRIEVING else ("examples", "rag.few_shot")
    shown, offered = (
        sum(counts) / len(prompts) for counts in zip(*((p.shown, p.offered) for p in prompts), strict=True)
    )
    nothing = sum(not prompt.shown for prompt in short)
    return (
        f"{LABELS[arm]}: {len(short)} of {len(prompts)} prompts have no room for all {pieces} in {max_tokens} tokens, "
        f"{nothing} for none; on average {shown:.1f} of {offered:.1f} are shown. Lower {fix} or take a model with a "
        "longer context window."
    )


class Knowledge(NamedTuple):
    """The passages of the articles as they stand at one time, and the index over them."""

    texts: dict[str, str]  # by passage id
    index: Index
    documents: dict[str, str]  # passage id to the id of its article


def learn(path: str | Path, documents: Sequence[Mapping], recipe: Any, embed: Any = None) -> Knowledge:
    """Cuts the articles and builds the index that ``recipe.rag`` describes, or opens it where it stands.

    Args:
        path: folder of the index; one that stands there was built from the same documents (the stage sees to that).
        documents: the articles.
        recipe: whose sections ``rag`` and ``data`` count.
        embed: from `ftlib.rag.embed.Embedder.of`.

    Returns:
        Knowledge.
    """
    named = {"embed": embed, "embed_name": getattr(embed, "name", "")}
    passages = cut_all(documents, recipe.rag.passage_words)
    if Path(path).is_dir():
        index = Index.open(path, **named)
    else:
        language = recipe.data.language or "en"
        index = Index.build(path, passages, language=language, mode=recipe.rag.mode, **named)
    texts = {passage["id"]: passage["text"] for passage in passages}
    return Knowledge(texts, index, {passage["id"]: passage["document"] for passage in passages})


def build_prompts(
    arm: str,
    rows: Sequence[Mapping],
    renderer: Any,
    recipe: Any,
    *,
    max_tokens: int,
    examples: Sequence[tuple[str, str]] = (),
    knowledge: Knowledge | None = None,
) -> list[Prompt]:
    """The prompts of any arm, as ``recipe.rag`` describes it.

    Args:
        arm: one of `ARMS`.
        rows: the questions.
        renderer: `ftlib.data.prompts.Renderer`.
        recipe: whose section ``rag`` counts.
        max_tokens: longest prompt.
        examples: shown by ``few_shot`` alone.
        knowledge: searched by the arms in `RETRIEVING`.

    Returns:
        One prompt a row.

    Raises:
        ValueError: the arm is unknown, or retrieves and no knowledge is given.
    """
    if arm not in ARMS or (arm in RETRIEVING and knowledge is None):
        raise ValueError(f"{arm!r}: expected one of {', '.join(ARMS)}, with knowledge where it retrieves")
    if arm in RETRIEVING:
        found = retrieve(knowledge.index, rows, recipe.rag.top_k, knowledge.documents)
        return rag_prompts(rows, renderer, max_tokens, found, knowledge.texts, recipe.rag.context_order)
    return closed_book_prompts(rows, renderer, max_tokens, examples if arm == "few_shot" else ())


def facts_of(row: Mapping) -> tuple[str, ...]:
    """The fact ids of a row, however many it holds."""
    fact = row.get("fact") or ()
    return (fact,) if isinstance(fact, str) else tuple(fact)


def _fit(ask: Callable, row: Mapping, pieces: Sequence, max_tokens: int) -> tuple[list[int], int]:
    """The prompt with as many of the first pieces as fit, and how many these are."""
    for count in range(len(pieces), -1, -1):
        ids = ask(row, pieces[:count])
        if len(ids) <= max_tokens:
            return ids, count
    fix = "shorten the question or its context"
    raise UserError.of(f"question {row['id']}", f"at most {max_tokens} tokens of prompt", f"{len(ids)} tokens", fix)
