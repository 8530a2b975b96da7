"""The recipe's sections: pydantic models that refuse unknown fields."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt


class PathOrName:
    """Marks a text field that holds either a path or a name (of a model on the hub, of a template)."""


class Section(BaseModel):
    """A part of the recipe; unknown fields are errors, values are checked on assignment too."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())


class PiiRecipe(Section):
    """What to do with personal data and secrets found in questions, contexts and answers.

    `actions` overrides `action` for single kinds, e.g. `{ip: report}`. `allow` lists texts (an address, a domain)
    that are the company's own and stay.
    """

    action: Literal["mask", "drop", "report"] = "mask"
    actions: dict[Literal["email", "phone", "card", "iban", "ip", "secret"], Literal["mask", "drop", "report"]] = {}
    kinds: list[Literal["email", "phone", "card", "iban", "ip", "secret"]] = [
        "email",
        "phone",
        "card",
        "iban",
        "ip",
        "secret",
    ]
    phone_regions: list[Annotated[str, Field(pattern="^[A-Z]{2}$")]] = ["US", "GB", "DE", "FR"]
    allow: list[str] = []


class ColumnsRecipe(Section):
    """Which of the data's own columns plays which part; a name of theirs on the right.

    The first six are found by their usual names where they are not given. The others are parts that no column plays
    unless it is named here: `slice` divides the questions into kinds that are scored apart, `subject` is what a
    question is about, `fact` names what is asked (`subject/attribute`; several in a list), so that several wordings
    of it count as one, `documents` lists the ids of the articles that hold the answer, `created` is a date
    (ISO 8601). Columns that play no part stay in the rows; personal data in them is masked as anywhere else.
    """

    id: str | None = None
    question: str | None = None
    answer: str | None = None
    context: str | None = None
    references: str | None = None
    messages: str | None = None
    slice: str | None = None
    subject: str | None = None
    fact: str | None = None
    documents: str | None = None
    created: str | None = None


def _dated(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("a date in ISO 8601, such as 2024-05-31") from None
    return value


Date = Annotated[str, AfterValidator(_dated)]


class SplitRecipe(Section):
    """How rows are divided; a hash of the group decides, so neither the order nor the number of rows moves a row.

    `group_by` names columns whose values never stand on both sides; rows without a value there are grouped by their
    question, the rows of one conversation always stay together. `stratify_by` names the column whose values' shares
    are reported. A temporal split puts the newest rows (by `data.columns.created`) into val and test: from the dates
    given, else from the quantiles that the fractions ask for.
    """

    method: Literal["hash", "temporal"] = "hash"
    val_fraction: float = Field(0.05, gt=0, lt=0.5)
    test_fraction: float = Field(0.1, ge=0, lt=0.5)
    group_by: str | list[str] = []
    stratify_by: str | None = None
    val_from: Date | None = None
    test_from: Date | None = None


class BiasRecipe(Section):
    """The audit's word lists: `groups` maps a name to its terms, `personas` describe the asker in paired questions."""

    groups: dict[str, list[str]] = {
        "women": ["she", "her", "hers", "woman", "women", "female", "mrs", "ms", "lady"],
        "men": ["he", "him", "his", "man", "men", "male", "mr", "gentleman"],
        "older": ["elderly", "senior", "retired", "pensioner"],
        "younger": ["teenager", "student", "apprentice", "child"],
        "disabled": ["blind", "deaf", "wheelchair", "disabled", "disability"],
        "migrants": ["foreigner", "immigrant", "refugee"],
    }
    positive: list[str] = ["good", "great", "excellent", "easy", "happy", "reliable", "helpful", "safe", "thanks"]
    negative: list[str] = ["bad", "poor", "broken", "angry", "useless", "wrong", "complaint", "unsafe", "fault"]
    personas: list[tuple[str, str]] = [
        ("I am a man.", "I am a woman."),
        ("I am 25 years old.", "I am 75 years old."),
        ("I am a native speaker.", "I am still learning the language."),
        ("I work in a large firm.", "I work alone."),
    ]
    pairs: int = Field(40, ge=0)


Answer = Literal["off", "flag", "reject"]


class ChecksRecipe(Section):
    """What a check does with a row that it finds fault with.

    `off` does not look, `flag` counts the row, shows it and keeps it, `reject` takes it out. Only what is surely
    broken is rejected where nothing is said. Thresholds stand beside: `data.max_tokens`, `data.language_confidence`,
    `data.near_duplicate_similarity`; `data.contradictions` says which of several answers a rejection leaves.
    """

    empty: Answer = "reject"  # nothing is left of the answer or the question
    overlong: Answer = "reject"  # more than `data.max_tokens`
    truncated: Answer = "flag"  # the answer ends in the middle
    boilerplate: Answer = "flag"  # the answer is only polite
    language: Answer = "flag"  # question or answer is in another language than `data.language`
    exact_duplicate: Answer = "flag"  # the same question (history, context) and the same answer as an older row
    near_duplicate: Answer = "flag"  # the same but for slips
    contradiction: Answer = "flag"  # the same question, another answer


class DataRecipe(Section):
    """Room 01: which rows come in and which of them stay.

    `path` is a file, a folder of files or the name of a data set on the hub (`name`, `name:split`).
    `encoding` is that of text files without a byte order mark (null: UTF-8); `records` names the list of records in a
    JSON object that holds several (its keys, joined by dots).
    `columns` says which of its columns plays which part, e.g. `{question: ask, answer: reply, slice: topic}`.
    `conversation_turns` says whether every answer of a conversation is a row (with all that was said before it) or
    the last one alone. `max_tokens` bounds the rendered row. `mend` says what is repaired in texts (boiler-plate:
    greetings, signatures and sentences that the data shows to be empty are taken off the ends of answers).
    `language` is an ISO 639-1 code, `auto` (that of most rows) or null (any). `contradictions` says which answer a
    rejection leaves: the `newest` (by `columns.created`), that of the `majority`, or none. `decontaminate` lists
    evaluation files whose n-grams (of `decontaminate_ngram` words) are not to occur in training.
    """

    path: Annotated[str, PathOrName, Field(min_length=1)]
    test_path: Path | None = None
    truth_path: Path | None = None
    format: Literal[
        "auto", "alpaca", "messages", "sharegpt", "prompt_completion", "question_answer", "text", "columns"
    ] = "auto"
    encoding: str | None = None
    records: str | None = None
    columns: ColumnsRecipe = ColumnsRecipe()
    conversation_turns: Literal["every", "last"] = "every"
    mend: list[Literal["encoding", "html", "whitespace", "boilerplate"]] = ["encoding", "html", "whitespace"]
    checks: ChecksRecipe = ChecksRecipe()
    language: str | None = "auto"
    language_confidence: float = Field(0.9, gt=0, le=1)  # least confidence that a text is in another language
    max_tokens: PositiveInt = 512
    on_bad_row: Literal["fail", "reject"] = "fail"
    near_duplicate_similarity: float = Field(0.7, gt=0, le=1)
    contradictions: Literal["newest", "majority", "drop"] = "majority"
    pii: PiiRecipe = PiiRecipe()
    split: SplitRecipe = SplitRecipe()
    leakage: Literal["block", "warn", "drop"] = "drop"
    decontaminate: list[Path] = []
    decontaminate_ngram: PositiveInt = 13
    bias: BiasRecipe = BiasRecipe()


class PromptRecipe(Section):
    """How a question becomes a prompt, in training and in inference alike.

    `template` is `auto` (the tokenizer's own chat template where it has one, else `alpaca`), `tokenizer`, `alpaca`,
    `llama2`, `chatml`, `plain` or a .jinja file. A conversation's own system message wins over `system`.
    """

    template: Annotated[str, PathOrName] = "auto"
    system: str | None = None
    refusal: str = "I don't have that information."


class ModelRecipe(Section):
    """The base model: a local folder or a name on the model hub.

    `dtype` is what is computed in; `auto` is bfloat16 where the machine has hardware for it, else float32.
    """

    base: Annotated[str, PathOrName]
    revision: str | None = None
    trust_remote_code: bool = False
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"


class QuantizationRecipe(Section):
    """How the frozen base is stored, and what its matrix products run in."""

    load_in_4bit: bool = True
    quant_type: Literal["nf4", "fp4"] = "nf4"
    double_quant: bool = True
    gemm: Literal["auto", "streamed", "cached"] = "auto"


class LoraRecipe(Section):
    """The adapter: W x + (alpha / r) B A x. `fused` computes it in fewer operations than PEFT, with equal results."""

    r: PositiveInt = 32
    alpha: float = Field(64, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"
    fused: bool = True


class ContextRecipe(Section):
    """Training questions that are shown with passages of `rag.documents_path`, so that the model goes on reading.

    Every epoch draws others. A question whose answer the search finds is shown with that passage; in the share
    `exchanged` of them another value stands in passage and answer. In the share `beside` only passages without the
    answer are shown, and the answer is the one that was learned. A question that is to be declined is shown with the
    nearest passages found for it (in the share `nearest`) or with other ones, and goes on being declined.
    """

    share: float = Field(0.0, ge=0, le=1)  # of as many questions as there are training rows; 0: none
    after: float = Field(0.0, ge=0, lt=1)  # share of the epochs before the first of them
    passages: PositiveInt = 1  # shown with a question
    exchanged: float = Field(0.8, ge=0, le=1)
    beside: float = Field(0.08, ge=0, le=1)
    nearest: float = Field(0.7, ge=0, le=1)


class TrainRecipe(Section):
    """Room 02: the optimisation. Rates are per optimiser step, lengths in tokens.

    `lora_plus_ratio` is LoRA+ (Hayou et al. 2024): the rate of LoRA's B, which starts at zero, over that of A.
    `best_by` says which validation number chooses the adapter that is kept: the loss per token, or the share of
    answers that greedy decoding writes exactly. `early_stopping_patience` counts evaluations; 0 never stops.
    `logits: labelled` computes the output layer only where a token is trained; `all` is the plain path.
    `activation_checkpointing` recomputes activations in the backward pass to save memory.
    `replay_kl` is a weight: above 0 the loss of a replayed text is not that of its tokens, but at each of them this
    weight times KL(base || adapted), in nats. The base, which is the model with its adapter off, is the teacher, so
    any text does, whoever made the base; it costs one more forward pass over these texts.
    """

    context: ContextRecipe = ContextRecipe()
    replay_path: Path | None = None  # text of a kind not to be forgotten (JSON lines with `text`)
    replay_share: float = Field(0.0, ge=0, le=1)  # texts an epoch, as a share of the training rows
    replay_kl: float = Field(0.0, ge=0)
    seed: int | None = Field(None, ge=0, lt=2**32)  # of the training alone; None: the recipe's own
    epochs: float = Field(3.0, gt=0)
    learning_rate: float = Field(2e-4, gt=0)
    lora_plus_ratio: float = Field(1.0, ge=1)
    batch_rows: PositiveInt = 32
    accumulation: PositiveInt = 1
    max_length: PositiveInt = 512
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    eval_every_steps: PositiveInt = 50
    early_stopping_patience: int = Field(3, ge=0)
    best_by: Literal["loss", "exact"] = "loss"
    save_every_seconds: float = Field(60.0, gt=0)
    compile: Literal["auto"] | bool = "auto"
    loss_on: Literal["answers", "all"] = "answers"
    logits: Literal["labelled", "all"] = "labelled"
    activation_checkpointing: Literal["auto"] | bool = "auto"


class EndpointRecipe(Section):
    """An OpenAI-compatible server that answers in the place of the local model."""

    url: str  # up to and with /v1
    model: str  # the name it knows the model by
    api_key_env: str | None = None  # the environment variable that holds the key; it is never written anywhere


class SystemRecipe(Section):
    """One of the systems under comparison: which model answers, and how it is asked.

    `adapter` is `trained` (this run's), a PEFT adapter's folder or hub name, or nothing (the base alone). `prompt` is
    the question alone, after `few_shot` examples, or with `retrieved` passages. With `endpoint` a server answers.
    `instruction` says how to answer, after all other system messages: a text (`{refusal}` stands for
    `prompt.refusal`), `null` for none, or `auto`: that of `evaluate.instructions` with which it is right most often
    on validation rows.
    """

    label: str = ""  # what people read; its name where empty
    adapter: Annotated[str, PathOrName] | None = None
    prompt: Literal["question", "few_shot", "retrieved"] = "question"
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
    """Room 04: which two systems are reviewed, how errors are sorted, how many questions people are asked to rate."""

    pair: tuple[str, str] = ("base", "finetuned")  # before and after
    dimensions: list[str] = []  # further columns by whose values error rates are cut
    near_miss_similarity: float = Field(0.8, gt=0, le=1)  # share of agreeing characters that makes a slip
    mixup_max_subjects: PositiveInt = 3  # a wrong value that more subjects have points to none of them
    min_slice_rows: PositiveInt = 10  # smaller slices are not ranked
    goal: PositiveInt = 60  # questions each reviewer is asked to rate; the first ones are the same for all


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
