"""Rows that each epoch draws anew: questions shown with passages, so that a model goes on reading, and other text.

A model that is trained on facts alone answers from memory, whatever stands before it; one that sees passages which
agree with its memory learns that they can be ignored (Goyal et al. 2024, arXiv 2410.10796). So some questions are
shown with a passage in which another value stands, and that value is the answer (KAFT, arXiv 2211.05110; RAFT, arXiv
2403.10131). The value is another one in every epoch: what is repeated would be learned by heart.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ftlib import jsonl
from ftlib.core.batches import TowardsBase
from ftlib.core.unknown import unknown_questions
from ftlib.data.prompts import Example, Renderer
from ftlib.errors import UserError
from ftlib.rows import Row
from ftlib.search.documents import join_context, learn, load_documents
from ftlib.search.retrieval import retrieve

if TYPE_CHECKING:
    from ftlib.recipe import Recipe

_FOUND = 5  # passages that a search gives to choose from
_SHORT = 6  # words; longer answers are not exchanged
_COMPARED = 200  # answers whose questions are looked at for another value
_NUMBER = re.compile(r"\d+")


class Drawn(NamedTuple):
    """What the epochs draw.

    Attributes:
        examples: one list an epoch; texts that keep to the base (`train.replay_kl`) say so.
        rows: the same as rows, replayed text left out.
        counts: rows of all epochs by kind: `unknown subject`, `value kept`, `value exchanged`, `declined`,
            `beside the point`, `text`.
    """

    examples: list[list[Example | TowardsBase]]
    rows: list[list[Row]]
    counts: Counter[str]


def draw(rows: Sequence[Row], epochs: int, recipe: Recipe, renderer: Renderer) -> Drawn:
    """Draws what `train.context`, `train.unknown_share` and `train.replay_share` ask for; nothing where all are 0.

    Args:
        rows: the training rows.
        epochs: how many draws.
        recipe: its sections train, rag, prompt and data, and its seed.
        renderer: makes the examples; those longer than `train.max_length` are left out, text is cut.

    Raises:
        UserError: passages are asked for and `rag.documents_path` names none, unknown subjects and no question names
            its own, or the file of text is not usable.
    """
    context, longest = recipe.train.context, recipe.train.max_length
    unknown = unknown_questions(rows, epochs, recipe)
    asked = [[("unknown subject", row) for row in part] for part in unknown]
    if context.share:
        begin = round(context.after * epochs)
        shower = _Shower(rows, recipe, {epoch: unknown[epoch] for epoch in range(begin, epochs)})
        for epoch in range(begin, epochs):
            asked[epoch] += shower.epoch(epoch)
    made = [[(kind, row, renderer.example(row)) for kind, row in part] for part in asked]
    parts = [[each for each in part if len(each[2].input_ids) <= longest] for part in made]
    counts = Counter(kind for part in parts for kind, _, _ in part)
    examples = [[example for _, _, example in part] for part in parts]
    kind = TowardsBase if recipe.train.replay_kl else Example
    for epoch, texts in enumerate(_texts(recipe, round(recipe.train.replay_share * len(rows)), epochs)):
        cut = [renderer.example(Row(f"text-{number}", (), "", (text,))) for number, text in enumerate(texts)]
        examples[epoch] += [kind(each.input_ids[:longest], each.labels[:longest]) for each in cut]
        counts["text"] += len(cut)
    return Drawn(examples if any(examples) else [], [[row for _, row, _ in part] for part in parts], counts)


class _Shower:
    """Shows questions with passages of the knowledge base: in each epoch some of the rows and of its unknown ones."""

    def __init__(self, rows: Sequence[Row], recipe: Recipe, unknown: Mapping[int, Sequence[Row]]):
        if recipe.rag.documents_path is None:
            wanted, fix = "a folder of articles to show passages of", "name it, or set train.context.share: 0"
            raise UserError.of("rag.documents_path", wanted, "nothing", fix)
        self._recipe, self._settings, self._refusal = recipe, recipe.train.context, recipe.prompt.refusal
        self._rows = [row for row in rows if row.turns and not row.history and not row.context]
        self._chosen = {epoch: self._choose(epoch, part, len(rows)) for epoch, part in unknown.items()}
        searched = {row.id: row for part in [self._rows, *self._chosen.values()] for row in part}
        by_words = recipe.model_copy(update={"rag": recipe.rag.model_copy(update={"mode": "bm25"})})
        with tempfile.TemporaryDirectory() as folder:
            knowledge = learn(Path(folder) / "index", load_documents(recipe.rag.documents_path), by_words)
            found = retrieve(knowledge.index, list(searched.values()), _FOUND, knowledge.documents)
        self._passages = {key: [knowledge.texts[name] for name in each.ids] for key, each in found.items()}
        self._shapes: dict[str, list[Row]] = defaultdict(list)
        self._around: dict[str, str] = {}  # the sentence that an answer stands in, without it
        for row in self._rows:
            holding = next((text for text in self._passages[row.id] if _holds(text, row.answer)), "")
            if row.answer != self._refusal and holding:
                self._around[row.id] = _sentence(holding, row.answer)
                self._shapes[_shape(row.answer)].append(row)

    def _choose(self, epoch: int, unknown: Sequence[Row], training_rows: int) -> list[Row]:
        asked, count = [*self._rows, *unknown], round(self._settings.share * (training_rows + len(unknown)))
        return self._rng("questions", epoch).sample(asked, min(count, len(asked)))

    def _rng(self, what: str, epoch: int) -> random.Random:
        return random.Random(f"{self._recipe.training_seed} {what} {epoch}")

    def epoch(self, epoch: int) -> list[tuple[str, Row]]:
        """The questions as this epoch shows them, each with its kind."""
        rng = self._rng("reading", epoch)
        return [shown for row in self._chosen[epoch] if (shown := self._shown(row, rng))]

    def _shown(self, row: Row, rng: random.Random) -> tuple[str, Row] | None:
        passages, many = self._passages[row.id], self._settings.passages
        holding = [text for text in passages if _holds(text, row.answer)]
        others = [text for text in passages if text not in holding]
        if row.answer == self._refusal:
            best = (
                others[:many] if rng.random() < self._settings.nearest else rng.sample(others, min(many, len(others)))
            )
            return ("declined", self._with(row, best)) if best else None
        if not holding:
            return None
        if others and rng.random() < self._settings.beside:
            return "beside the point", self._with(row, others[:many])
        right, kind, answer = holding[0], "value kept", row.answer
        value = self._other_value(row, rng) if rng.random() < self._settings.exchanged else ""
        if value and (exchanged := _exchange(right, row.answer, value)) != right:
            right, kind, answer = exchanged, "value exchanged", value
        shown = [right, *others[: many - 1]]
        rng.shuffle(shown)
        return kind, self._with(row._replace(references=(answer,)), shown)

    def _with(self, row: Row, passages: Sequence[str]) -> Row:
        return row._replace(context=join_context(passages, self._recipe.rag.context_order))

    def _other_value(self, row: Row, rng: random.Random) -> str:
        """An answer of the same shape to a like question about something else; "" where there is none.

        What both questions ask for is alike where they are worded alike, and where their answers stand in sentences
        worded alike; that they are about different things, where their best passages differ.
        """
        from rapidfuzz import fuzz

        if len(row.answer.split()) > _SHORT:
            return ""
        best = self._passages[row.id][0]
        shaped = self._shapes[_shape(row.answer)]
        alike = [each for each in shaped if each.answer != row.answer and self._passages[each.id][0] != best]
        alike = rng.sample(alike, min(_COMPARED, len(alike)))

        def likeness(other: Row) -> float:
            asked = fuzz.token_set_ratio(row.question, other.question)
            return asked + fuzz.token_sort_ratio(self._around[row.id], self._around[other.id])

        nearest = sorted(alike, key=likeness, reverse=True)[:_FOUND]
        return rng.choice(nearest).answer if nearest else ""


def _shape(answer: str) -> str:
    """What values of a kind have in common: the words around a number, or how many words there are."""
    return _NUMBER.sub("0", answer.lower()) if _NUMBER.search(answer) else f"{len(answer.split())} words"


def _holds(passage: str, answer: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", passage, re.IGNORECASE) is not None


def _sentence(passage: str, answer: str) -> str:
    """The line or sentence of a passage that holds the answer, the answer left out."""
    sentences = re.split(r"\n|(?<=[.!?])\s", passage)
    found = next((each for each in sentences if _holds(each, answer)), "")
    return re.sub(re.escape(answer), " ", found, flags=re.IGNORECASE)


def _exchange(passage: str, answer: str, value: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(answer)}(?!\w)", lambda _: value, passage)


def _texts(recipe: Recipe, count: int, epochs: int) -> list[list[str]]:
    """General text of each epoch, other texts in each as far as there are enough."""
    path = recipe.train.replay_path
    if not count or path is None:
        if recipe.train.replay_kl:
            wanted, fix = "texts to keep to the base on", "name train.replay_path, and raise train.replay_share"
            raise UserError.of(f"train.replay_kl = {recipe.train.replay_kl:g}", wanted, "none", fix)
        return []
    texts = [line["text"] for line in jsonl.iterate(path) if isinstance(line.get("text"), str) and line["text"].strip()]
    if not texts:
        raise UserError.of(f"train.replay_path = {path}", 'JSON lines with a field "text"', "none", "check the file")
    rng = random.Random(f"{recipe.training_seed} replay")
    rng.shuffle(texts)
    endless = texts * (-(-count * epochs // len(texts)))
    return [endless[count * epoch : count * (epoch + 1)] for epoch in range(epochs)]
