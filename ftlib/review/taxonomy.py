"""Every error gets exactly one category: the first rule, in the order of ``RULES``, that gives evidence.

The order runs from what makes an answer unusable, over declining, to what a wrong answer can be traced to in the
training rows, and ends with likeness and ``other``. A rule returns its evidence as a sentence, or None.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ftlib.evaluate.metrics import is_scorable
from ftlib.evaluate.stats import Interval, mean_ci95
from ftlib.review.case import Case, contains, quantities, skeleton
from ftlib.review.knowledge import Knowledge

MARKERS = re.compile(r"#{2,}\s*(?:Instruction|Input|Response)|\[/?INST\]|<</?SYS>>|<\|\w+\|>|</?s>|<pad>|<unk>")
LONGEST_LOOP = 8  # words


class Rule(NamedTuple):
    """A category: its key, what people read, what it means, and the test that gives evidence or None."""

    name: str
    label: str
    meaning: str
    test: Callable[[Case], str | None]


class Verdict(NamedTuple):
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
    return f"not answerable, but the model said {case.prediction!r}" if case.unanswerable else None


def _untaught_refusal(case: Case) -> str | None:
    untaught = case.refused and case.knowledge.training_wordings(case.row) == 0
    return "declined a fact that no training row states" if untaught else None


def _over_refusal(case: Case) -> str | None:
    return f"declined although the answer is {case.references[0]!r}" if case.refused else None


def _repetition(case: Case) -> str | None:
    words = case.said.split()
    for size in range(1, LONGEST_LOOP + 1):
        run = size  # words up to here that repeat with this period
        for at in range(size, len(words)):
            run = run + 1 if words[at] == words[at - size] else size
            if run >= 3 * size and 2 * run > len(words):
                return f"{' '.join(words[at - size + 1:at + 1])!r} comes three or more times in a row"
    return None


def _question_copy(case: Case) -> str | None:
    if len(case.said.split()) >= 4 and (contains(case.question, case.said) or contains(case.said, case.question)):
        return "repeats the question's words in the question's order"
    return None


def _wrong_option(case: Case) -> str | None:
    offered = [text for text in case.accepted if contains(case.question, text)]
    if offered and contains(case.question, case.said) and case.said not in offered:
        return f"the question offers {offered[0]!r} and {case.said!r}; the model took the other one"
    return None


def _extra_text(case: Case) -> str | None:
    held = next((text for text in case.accepted if contains(case.said, text) and not _renamed(case, text)), None)
    return f"holds the right answer {held!r} and more words" if held else None


def _renamed(case: Case, text: str) -> bool:
    """Whether a number makes another name of ``text``: "Peony 90" does not hold the "Peony" of "Peony 40"."""
    whole = [each for each in case.accepted if each != text and contains(each, text)]
    numbered = re.search(rf"(?<!\S){re.escape(text)} \d", case.said)
    return bool(whole and numbered) and not any(contains(case.said, each) for each in whole)


def _wrong_unit(case: Case) -> str | None:
    said = quantities(case.prediction)
    for reference in case.references:
        expected = quantities(reference)
        numbers_agree = said and [n for n, _ in said] == [n for n, _ in expected]
        if numbers_agree and all(unit for _, unit in said) and [u for _, u in said] != [u for _, u in expected]:
            return f"the number of {reference!r} with another unit"
    return None


def _training_conflict(case: Case) -> str | None:
    if case.said in case.knowledge.taught(case.keys):
        return "a training row gives this very answer to this fact: training and test data contradict each other"
    return None


def _entity_mixup(case: Case) -> str | None:
    if 0 < len(case.holders) <= case.mixup_max_subjects:
        return f"the same attribute of {', '.join(case.holders)}"
    return None


def _attribute_mixup(case: Case) -> str | None:
    others = case.knowledge.other_attributes(case.keys, case.said)
    return f"the right subject's {', '.join(others)}, not its {case.keys[0][1]}" if others else None


def _common_value(case: Case) -> str | None:
    found = len(case.holders)
    return f"a value that {found} other subjects have: the right kind, no single culprit" if found else None


def _wrong_number(case: Case) -> str | None:
    said = quantities(case.prediction)
    for reference in case.references:
        same_form = bool(said) and bool(quantities(reference)) and skeleton(case.prediction) == skeleton(reference)
        if same_form:
            return f"the form of {reference!r} with another number"
    return None


def _incomplete(case: Case) -> str | None:
    whole = next((text for text in case.accepted if contains(text, case.said)), None)
    return f"only a part of {whole!r}" if whole else None


def _near_miss(case: Case) -> str | None:
    def likeness(text: str) -> float:
        return difflib.SequenceMatcher(None, case.said, text, autojunk=False).ratio()

    best = max(case.accepted, key=likeness, default="")
    if best and likeness(best) >= case.near_miss_similarity:
        return f"{likeness(best):.0%} of the characters of {best!r} agree"
    return None


def _other_answer(case: Case) -> str | None:
    question = case.knowledge.by_answer.get(case.said)
    return f"the training answer to another question: {question!r}" if question else None


RULES = (
    Rule("empty", "Empty", "no visible character", _empty),
    Rule("malformed", "Malformed", "prompt markers, broken bytes, or no letter and no digit", _malformed),
    Rule("missed_refusal", "Missed refusal", "answered what cannot be known", _missed_refusal),
    Rule("untaught_refusal", "Declined, never taught", "declined a fact that training left out", _untaught_refusal),
    Rule("over_refusal", "Over-refusal", "declined what it was taught", _over_refusal),
    Rule("repetition", "Repetition", "loops: one phrase three or more times in a row", _repetition),
    Rule("question_copy", "Copy of the question", "gives the question's own words back", _question_copy),
    Rule("wrong_option", "Wrong option", "took the other one of the options in the question", _wrong_option),
    Rule("extra_text", "Right, with extra text", "the right answer and more words", _extra_text),
    Rule("wrong_unit", "Wrong unit", "the right number with another unit", _wrong_unit),
    Rule("training_conflict", "Learned from a conflict", "training gives this answer to this fact", _training_conflict),
    Rule("entity_mixup", "Entity mix-up", "the same attribute of another, identifiable subject", _entity_mixup),
    Rule("attribute_mixup", "Attribute mix-up", "another attribute of the right subject", _attribute_mixup),
    Rule("common_value", "Common value", "the right kind of value, shared by many subjects: a guess", _common_value),
    Rule("wrong_number", "Wrong number", "the right form and unit, an invented number", _wrong_number),
    Rule("incomplete", "Incomplete", "only a part of the right answer", _incomplete),
    Rule("near_miss", "Near miss", "almost the right characters: a slip of spelling", _near_miss),
    Rule("other_answer", "Answer to another question", "a training answer of something else", _other_answer),
    Rule("other", "Other", "none of the above", lambda case: "no rule before this one gave evidence"),
)
CATEGORIES = tuple(rule.name for rule in RULES)
LABELS = {rule.name: rule.label for rule in RULES}


def categorize(row: Mapping[str, object], prediction: str | None, *, refusal: str, knowledge: Knowledge,
               also: Sequence[str] = (), near_miss_similarity: float = 0.8, mixup_max_subjects: int = 3) -> Verdict:
    """The category of one wrong answer: the first rule of ``RULES`` that gives evidence.

    Args:
        row: the test row.
        prediction: what the model said; None where generation gave nothing.
        refusal: the sentence that declines.
        knowledge: the index of the training rows.
        also: further sentences that decline.
        near_miss_similarity: character similarity (0..1) from which an answer counts as a slip.
        mixup_max_subjects: a value with more holders is a common value, not a mix-up.

    Returns:
        Verdict(category, evidence); the last rule always gives evidence.
    """
    case = Case(row, prediction or "", refusal, knowledge, tuple(also), near_miss_similarity, mixup_max_subjects)
    return next(Verdict(rule.name, evidence) for rule in RULES if (evidence := rule.test(case)) is not None)


def is_right(item: Mapping[str, object]) -> bool:
    """Whether a scored item (``scores.score_generations``) is right: declined where it should, else exact match."""
    return bool(item["refused"]) if item["refusal_expected"] else item["em"] == 1.0


def errors_of(rows: Iterable[Mapping[str, object]], items: Iterable[Mapping[str, object]], *, refusal: str,
              knowledge: Knowledge, also: Sequence[str] = (), **thresholds: float) -> list[dict]:
    """One record for every wrong answer of every arm.

    Args:
        rows: the test rows.
        items: scored answers to them, from ``scores.score_generations``.
        refusal: the sentence that declines.
        knowledge: the index of the training rows.
        also: further sentences that decline.
        **thresholds: passed on to ``categorize``.

    Returns:
        Records ``{"id", "arm", "category", "evidence", "question", "prediction", "answer", "slice", "cluster"}``, in
        the order of the items.
    """
    by_id = {row["id"]: row for row in rows}
    errors = []
    for item in items:
        if is_right(item):
            continue
        row = by_id[item["id"]]
        verdict = categorize(row, item["prediction"], refusal=refusal, knowledge=knowledge, also=also, **thresholds)
        errors.append({"id": row["id"], "arm": item["arm"], **verdict._asdict(), "question": row["question"],
                       "prediction": item["prediction"], "answer": row["answer"], "slice": item["slice"],
                       "cluster": item["cluster"]})
    return errors


def shares(errors: Sequence[Mapping[str, object]]) -> dict[str, Interval]:
    """Each category's share of the errors, in the order of the rules, with clustered 95 % limits.

    Args:
        errors: records of ``errors_of``, usually of one arm; at least one.

    Returns:
        Category -> Interval over the errors; categories that do not occur are left out.
    """
    found = {error["category"] for error in errors}
    clusters = [error["cluster"] for error in errors]
    return {name: mean_ci95([float(error["category"] == name) for error in errors], clusters)
            for name in CATEGORIES if name in found}
