"""Every error gets exactly one category: the first rule, in the order of `RULES`, that gives evidence.

The order runs from what makes an answer unusable, over declining, to what a wrong answer can be traced to in the
training rows, and ends with likeness and `other`. A rule returns its evidence as a sentence, or None.
"""

from __future__ import annotations

import difflib
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.evaluate.metrics import is_scorable
from ftlib.evaluate.scores import expects_refusal, is_right
from ftlib.review.case import Case, quantities, skeleton
from ftlib.review.training_index import contains, plain_words
from ftlib.rows import Row
from ftlib.stats import Interval, mean_ci95

MARKERS = re.compile(r"#{2,}\s*(?:Instruction|Input|Response)|\[/?INST\]|<</?SYS>>|<\|\w+\|>|</?s>|<pad>|<unk>")
LONGEST_LOOP = 8  # words


class Rule(NamedTuple):
    """A category: its key, what people read, what it means, and the test that gives evidence or None."""

    name: str
    label: str
    meaning: str
    test: Callable[[Case], str | None]


class Finding(NamedTuple):
    """The category of one wrong answer and the sentence that justifies it."""

    category: str
    evidence: str


def _empty(case: Case) -> str | None:
    return None if is_scorable(case.prediction) else "the answer holds no visible character"


def _malformed(case: Case) -> str | None:
    if found := MARKERS.search(case.prediction):
        return f"the answer holds the prompt marker {found.group()!r}"
    if "\ufffd" in case.prediction:
        return "the answer holds bytes that are no text (U+FFFD)"
    if not any(unicodedata.category(c)[0] in "LN" for c in case.prediction):
        return "the answer holds neither a letter nor a digit"
    return None


def _missed_refusal(case: Case) -> str | None:
    unanswerable = expects_refusal(case.row, case.refusal, case.also)
    return f"not answerable, but the answer was {case.prediction!r}" if unanswerable else None


def _untaught_refusal(case: Case) -> str | None:
    untaught = case.refused and case.index.training_wordings(case.row) == 0
    return "declined a fact that no training row states" if untaught else None


def _over_refusal(case: Case) -> str | None:
    return f"declined although the answer is {case.row.references[0]!r}" if case.refused else None


def _repetition(case: Case) -> str | None:
    words = case.said.split()
    for size in range(1, LONGEST_LOOP + 1):
        run = size  # words up to here that repeat with this period
        for at in range(size, len(words)):
            run = run + 1 if words[at] == words[at - size] else size
            if run >= 3 * size and 2 * run > len(words):
                return f"{' '.join(words[at - size + 1 : at + 1])!r} comes three or more times in a row"
    return None


def _question_copy(case: Case) -> str | None:
    copied = contains(case.question, case.said) or contains(case.said, case.question)
    return "repeats the question's words in the question's order" if copied and len(case.said.split()) >= 4 else None


def _wrong_option(case: Case) -> str | None:
    offered = [text for text in case.accepted if contains(case.question, text)]
    if offered and contains(case.question, case.said) and case.said not in offered:
        return f"the question offers {offered[0]!r} and {case.said!r}; the other one was taken"
    return None


def _extra_text(case: Case) -> str | None:
    if _wrong_number(case):  # the form of one accepted answer may hold a short form of it, with another number
        return None
    held = next((text for text in case.accepted if contains(case.said, text) and not _is_anothers(case, text)), None)
    return f"holds the right answer {held!r} and more words" if held else None


def _is_anothers(case: Case, text: str) -> bool:
    """Whether `text` occurs in the answer only as a part of other subjects' longer names."""
    said, short, *own = map(plain_words, (case.prediction, text, *case.row.references))
    others = case.index.others_named(said, short, own)
    rest = f" {said} "
    for name in others:
        rest = rest.replace(f" {name} ", " | ")
    return bool(others) and not contains(rest, short)


def _wrong_unit(case: Case) -> str | None:
    said = quantities(case.prediction)
    for reference in case.row.references:
        expected = quantities(reference)
        numbers_agree = said and [n for n, _ in said] == [n for n, _ in expected]
        if numbers_agree and all(unit for _, unit in said) and [u for _, u in said] != [u for _, u in expected]:
            return f"the number of {reference!r} with another unit"
    return None


def _training_conflict(case: Case) -> str | None:
    told = "a training row gives this very answer to this fact: training and test data contradict each other"
    return told if case.said in case.index.taught(case.keys) else None


def _entity_mixup(case: Case) -> str | None:
    few = 0 < len(case.holders) <= case.mixup_max_subjects
    return f"the same attribute of {', '.join(case.holders)}" if few else None


def _attribute_mixup(case: Case) -> str | None:
    others = case.index.other_attributes(case.keys, case.said)
    return f"the right subject's {_short(', '.join(others))}, not its {_short(case.keys[0][1])}" if others else None


def _common_value(case: Case) -> str | None:
    found = len(case.holders)
    return f"a value that {found} other subjects have: the right kind, no single culprit" if found else None


def _wrong_number(case: Case) -> str | None:
    said = quantities(case.prediction)
    for reference in case.row.references:
        if said and quantities(reference) and skeleton(case.prediction) == skeleton(reference):
            return f"the form of {reference!r} with another number"
    return None


def _incomplete(case: Case) -> str | None:
    whole = next((text for text in case.accepted if contains(text, case.said)), None)
    return f"only a part of {whole!r}" if whole else None


def _near_miss(case: Case) -> str | None:
    alike = ((difflib.SequenceMatcher(None, case.said, each, autojunk=False).ratio(), each) for each in case.accepted)
    share, best = max(alike, key=lambda each: each[0], default=(0.0, ""))
    return f"{share:.0%} of the characters of {best!r} agree" if share >= case.near_miss_similarity else None


def _other_answer(case: Case) -> str | None:
    question = case.index.question_of.get(case.said)
    return f"the training answer to another question: {_short(question)!r}" if question else None


def _short(text: str) -> str:
    return textwrap.shorten(text, 160, placeholder=" ...")


RULES = (
    Rule("empty", "Empty", "no visible character", _empty),
    Rule("malformed", "Malformed", "prompt markers, broken bytes, or no letter and no digit", _malformed),
    Rule("missed_refusal", "Missed refusal", "answered what cannot be known", _missed_refusal),
    Rule("untaught_refusal", "Declined, never taught", "declined a fact that training left out", _untaught_refusal),
    Rule("over_refusal", "Over-refusal", "declined a question that has an answer", _over_refusal),
    Rule("repetition", "Repetition", "loops: one phrase three or more times in a row", _repetition),
    Rule("question_copy", "Copy of the question", "gives the question's own words back", _question_copy),
    Rule("wrong_option", "Wrong option", "took the other one of the options in the question", _wrong_option),
    Rule("extra_text", "Right, with extra text", "the right answer and more words", _extra_text),
    Rule("wrong_unit", "Wrong unit", "the right number with another unit", _wrong_unit),
    Rule("training_conflict", "Learned from a conflict", "training gives this answer to this fact", _training_conflict),
    Rule("entity_mixup", "Entity mix-up", "the same attribute of another, identifiable subject", _entity_mixup),
    Rule("attribute_mixup", "Attribute mix-up", "another attribute of the right subject", _attribute_mixup),
    Rule("common_value", "Common value", "the right kind of value, shared by many subjects: a guess", _common_value),
    Rule("wrong_number", "Wrong number", "the right form and unit, another number", _wrong_number),
    Rule("incomplete", "Incomplete", "only a part of the right answer", _incomplete),
    Rule("near_miss", "Near miss", "almost the right characters: a slip of spelling", _near_miss),
    Rule("other_answer", "Answer to another question", "a training answer of something else", _other_answer),
    Rule("other", "Other", "none of the above", lambda case: "no rule before this one gave evidence"),
)
CATEGORIES = tuple(rule.name for rule in RULES)
LABELS = {rule.name: rule.label for rule in RULES}
_SAY_IT_MORE = "more wordings of a fact, more epochs, or the passage that holds it"
MENDS = {  # what to try first against each
    "empty": "look at the prompt and at the stop tokens",
    "malformed": "check the chat template and the end-of-sequence token in training",
    "missed_refusal": "more training rows that decline, or an instruction or a threshold that does (notebook 05)",
    "untaught_refusal": "none, it says that it does not know: teach the fact, or show the passage",
    "over_refusal": "fewer training rows that decline, or a milder instruction",
    "repetition": "check that answers end with a trained stop token; fewer epochs",
    "question_copy": "it has not learned what a question is: train longer, check the template",
    "wrong_option": "training rows that compare, shown with the passages of both",
    "extra_text": "look at the metric as much as at the model: a person may call it right",
    "wrong_unit": "write units in one way in the training rows (notebook 01)",
    "training_conflict": "notebook 01: training and test data contradict each other",
    "entity_mixup": _SAY_IT_MORE,
    "attribute_mixup": "more wordings of the attribute; with passages, a reader that is trained to read them",
    "common_value": _SAY_IT_MORE,
    "wrong_number": "rows that decline what is not known, or the passage that holds it",
    "incomplete": "a higher evaluate.max_new_tokens, or whole answers in training",
    "near_miss": "more epochs or a higher rank; ask a person whether it is wrong at all",
    "other_answer": _SAY_IT_MORE,
    "other": "read them, and write a rule for what you find",
}


def categorize(row: Row, prediction: str | None, rules: Sequence[Rule] = RULES, **options: Any) -> Finding:
    """The category of one wrong answer (None: there was none): the first rule that gives evidence, as the last does.

    `options` are the other fields of `Case`.
    """
    case = Case(row, prediction or "", **options)
    return next(Finding(rule.name, evidence) for rule in rules if (evidence := rule.test(case)) is not None)


def firing(row: Row, prediction: str | None, rules: Sequence[Rule] = RULES, **options: Any) -> dict[str, str]:
    """Every rule but the last that gives evidence, whatever stands before it: name to evidence, in their order.

    `options` are the other fields of `Case`. The first of them is the category.
    """
    case = Case(row, prediction or "", **options)
    return {rule.name: evidence for rule in rules[:-1] if (evidence := rule.test(case)) is not None}


def errors_of(rows: Iterable[Row], items: Iterable[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    """One record for every wrong answer of every system.

    Args:
        rows, items: the test rows and `scores.score_generations` of them.
        **options: the other fields of `Case`.

    Returns:
        Records `{"id", "system", "category", "evidence", "question", "prediction", "answer", "slice", "cluster"}`, in
        the order of the items.
    """
    by_id = {row.id: row for row in rows}
    errors = []
    for item in items:
        if not is_right(item):
            row, kept = by_id[item["id"]], {name: item[name] for name in ("id", "system", "slice", "cluster")}
            texts = {"question": row.question, "prediction": item["prediction"], "answer": row.answer}
            errors.append(kept | categorize(row, item["prediction"], **options)._asdict() | texts)
    return errors


def category_shares(errors: Sequence[Mapping[str, Any]]) -> dict[str, Interval]:
    """Each category's share of the errors (of `errors_of`), in the order of the rules, with clustered 95 % limits."""
    found, clusters = [error["category"] for error in errors], [error["cluster"] for error in errors]
    return {name: mean_ci95([float(one == name) for one in found], clusters) for name in CATEGORIES if name in found}
