"""Sections `systems`, `evaluate`, `review` and `rag`: what is compared, on what, and by whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from ftlib.recipe.section import PathOrName, Section


class EndpointRecipe(Section):
    """An OpenAI-compatible server that answers in the place of the local model."""

    url: str  # up to and with /v1
    model: str  # the name it knows the model by
    api_key_env: str | None = None  # the environment variable that holds the key; it is never written anywhere


class SystemRecipe(Section):
    """One of the systems under comparison: which model answers, and how it is asked.

    `adapter` is `trained` (this run's), a PEFT adapter's folder or hub name, or nothing (the base alone). `prompt` is
    the question alone, after `few_shot` examples, or with `retrieved` passages. With `endpoint` a server answers.
    `examples` are training rows shown as earlier turns, `rag.few_shot` of them: `fixed` ones by a stated rule, the same
    for every question, or those most `similar` to the question by its words; they go with `retrieved` passages, too.
    A `few_shot` prompt without a word about them shows the fixed ones.
    `adapter_scale` multiplies what the adapter adds to the base: less of it reads a passage more like the base does.
    With `declines`, an answer below a threshold becomes the refusal (`ftlib.evaluate.declining`): of its likelihood or
    of its search's score, whichever the validation rows choose.
    `instruction` says how to answer, after all other system messages: a text (`{refusal}` stands for
    `prompt.refusal`), `null` for none, or `auto`: that of `evaluate.instructions` with which it is right most often
    on validation rows.
    """

    label: str = ""  # what people read; its name where empty
    adapter: Annotated[str, PathOrName] | None = None
    prompt: Literal["question", "few_shot", "retrieved"] = "question"
    examples: Literal["fixed", "similar"] | None = None
    adapter_scale: float = Field(1.0, gt=0, le=1)
    declines: bool = False
    instruction: str | None = "auto"
    endpoint: EndpointRecipe | None = None


class EvaluateRecipe(Section):
    """Room 03: generation and scoring of the frozen test set.

    `systems` are compared with the first of them. `headline_slice` is the one that the headline numbers are over (all
    answerable questions where none is named); `control_slices` were not taught, so that declining is no fault there.
    `tasks` are lm-eval's, by name; `choices_path` is a file of multiple-choice questions in ARC's schema.
    `right` says when an answer is right: where it gives the `value` in whatever form (`ftlib.evaluate.values`), or on
    an `exact` match alone; where the right answer is the refusal, a refusal is. `instructions` are what a system may
    be told of the form of an answer and of declining (`{refusal}`: `prompt.refusal`), beside being told nothing; each
    is tried on `instruction_questions` validation rows (0: nothing is tried and nothing is told).
    """

    systems: list[str] = Field(["base", "finetuned"], min_length=1)
    headline_slice: str | None = None
    control_slices: list[str] = []
    max_new_tokens: PositiveInt = 48
    batch_rows: PositiveInt = 32
    bootstrap_samples: PositiveInt = 2000
    refusal_phrases: list[str] = []  # further sentences that count as the refusal
    choices_path: Path | None = None  # JSON lines or JSON in ARC's schema
    tasks: list[Annotated[str, PathOrName]] = []  # of lm-eval: names, e.g. arc_easy, or files in its YAML
    holdout_path: Path | None = None  # held-out text (JSON lines with `text`), of a kind that may be forgotten
    limit: PositiveInt | None = None  # test rows, taken evenly from the slices; None for all
    right: Literal["value", "exact"] = "value"
    instructions: list[str] = [
        "Answer with the value alone, in as few words as possible, without a sentence around it.",
        "Answer with the value alone, without a sentence. If the answer is not known, answer exactly: {refusal}",
        "Answer from the text alone, with the few words of it that are asked for and no sentence. "
        "If the answer does not stand in the text, answer exactly: {refusal}",
    ]
    instruction_questions: int = Field(40, ge=0)
    decline_questions: int = Field(120, ge=0)  # validation rows on which declining by a threshold is set; 0: it is not


class ReviewRecipe(Section):
    """Room 04: which two systems are reviewed, how errors are sorted, how many questions people are asked to rate.

    A reviewer who knows the sentence with which one system alone declines knows whose answer it is:
    `leave_out_refusals` asks nobody about questions that one of the two declines. `examples_path` names recorded
    example ratings (JSON lines, each with `example: true`) that are shown while nobody has rated; no number of a run
    has them.
    """

    pair: tuple[str, str] = ("base", "finetuned")  # before and after
    dimensions: list[str] = []  # further columns by whose values error rates are cut
    near_miss_similarity: float = Field(0.8, gt=0, le=1)  # share of agreeing characters that makes a slip
    mixup_max_subjects: PositiveInt = 3  # a wrong value that more subjects have points to none of them
    min_slice_rows: PositiveInt = 10  # smaller slices are not ranked
    goal: PositiveInt = 60  # questions each reviewer is asked to rate; the first ones are the same for all
    leave_out_refusals: bool = False
    examples_path: Path | None = None


class RagRecipe(Section):
    """Room 05: the knowledge base, how it is searched, how the arms are built, what a question costs and is worth.

    `mix` weighs the scenarios of the comparison as your users ask; without it each counts with its number of questions.
    """

    documents_path: Path | None = None
    updates_path: Path | None = None
    updated_documents_path: Path | None = None
    passage_words: PositiveInt = 200  # longer articles are cut into passages of at most so many words
    top_k: PositiveInt = 1  # passages shown with a question; an article that is not cut is one
    search_with: Literal["conversation", "question"] = "conversation"  # all that the user said in it, or the last turn
    context_order: Literal["best_last", "best_first"] = "best_last"
    mode: Literal["bm25", "vector", "hybrid"] = "bm25"
    embedding_model: Annotated[str, PathOrName] | None = None  # for vector and hybrid: a folder or a hub name
    query_prefix: str = ""  # what the embedding model wants before a query, e.g. "query: "
    document_prefix: str = ""
    few_shot: int = Field(4, ge=0)  # training rows shown as earlier turns
    latency_questions: PositiveInt = 20  # questions asked one at a time, per arm, to measure latency
    throughput_rounds: int = Field(6, ge=2)  # batches (evaluate.batch_rows) timed per arm, for the price of a question
    bound_questions: int = Field(60, ge=0)  # asked again with the right, a wrong and any other passage; 0: none
    currency: str = "EUR"
    price_machine_hour: float = Field(0.10, ge=0)  # of the machine that trains and answers
    price_million_prompt_tokens: float = Field(0.0, ge=0)  # of a hosted model; 0 on an own machine
    price_million_answer_tokens: float = Field(0.0, ge=0)
    questions_per_month: PositiveInt = 10_000
    changes_per_month: float = Field(1.0, ge=0)  # of the knowledge; each means to index, or to train, again
    mix: dict[str, Annotated[float, Field(ge=0)]] = {}  # scenario (a slice, "after the change") to its weight
    value_right_answer: float = Field(0.10, ge=0)  # what a right answer saves, in the currency
    price_waiting_second: float = Field(0.0, ge=0)  # what a second of a person's waiting costs
    least_accuracy: float = Field(0.5, ge=0, le=1)  # share of right answers below which no system is advised
