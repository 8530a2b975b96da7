"""Section `data`: which rows come in, what is looked at, what is mended, and what stays."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt

from ftlib.recipe.section import PathOrName, Section

Kind = Literal["email", "phone", "card", "iban", "ip", "secret"]


class PiiRecipe(Section):
    """What to do with personal data and secrets found in questions, contexts and answers.

    `actions` overrides `action` for single kinds, e.g. `{ip: report}`. `allow` lists texts (an address, a domain)
    that are the company's own and stay.
    """

    action: Literal["mask", "drop", "report"] = "mask"
    actions: dict[Kind, Literal["mask", "drop", "report"]] = {}
    kinds: list[Kind] = list(get_args(Kind))
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
    """The audit's word lists: `groups` maps a name to its terms, `personas` describe the asker in paired questions.

    `pairs` questions are asked of both, in turn for each pair of personas and for each of so many `openings`: the
    sentences that stand before most training questions, asked with and without. The lists here are English: of rows in
    another language only those take part that a recipe writes itself.
    """

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
    openings: int = Field(0, ge=0)

    def spoken_in(self, language: str | None) -> BiasRecipe:
        """These lists, without those that nobody wrote for this language (ISO 639-1; None where it is not known)."""
        if language in (None, "en"):
            return self
        english = BiasRecipe()
        lists: dict[str, Any] = {"groups": {}, "positive": [], "negative": [], "personas": []}
        return self.model_copy(update={n: e for n, e in lists.items() if getattr(self, n) == getattr(english, n)})


# YAML 1.1 reads a bare `off` as false.
Answer = Annotated[Literal["off", "flag", "reject"], BeforeValidator(lambda value: "off" if value is False else value)]


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
    evaluation files whose n-grams (of `decontaminate_ngram` words) are not to occur in training. `refusal_share` is the
    largest share (0..1) of training rows whose answer may be `prompt.refusal`; a hash chooses those that are left out
    (null: all stay). `decisions_path` names what people decided about single rows in notebook 04 (a run's
    `decisions.jsonl`), which is followed when the same rows come in again.
    """

    path: Annotated[str, PathOrName, Field(min_length=1)]
    test_path: Path | None = None
    truth_path: Path | None = None
    decisions_path: Path | None = None
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
    refusal_share: float | None = Field(None, ge=0, le=1)
    bias: BiasRecipe = BiasRecipe()
