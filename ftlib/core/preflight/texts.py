"""Checks of what rows become: beginning, end, mask, and the same prompt in training as in inference."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

from ftlib.core.generate import end_tokens
from ftlib.core.preflight.case import PreflightCase, PreflightFinding
from ftlib.data.prompts import IGNORED, Example
from ftlib.errors import UserError
from ftlib.rows import Row, Turn

_MARKER = re.compile(r"<\|\S+?\|>|</?[a-z][a-z_]*>")  # what templates write where a vocabulary has a token of its own
_STAND_INS = "QZ7X"  # one of them differs from an answer's first and last character


def rendered(case: PreflightCase) -> PreflightFinding:
    """The renderer takes every row, whole."""
    if not case.refused:
        return PreflightFinding("rendered", True, f"all {len(case.rows)} rows became tokens", {"rows": len(case.rows)})
    lines = [line.strip() for line in case.refused[0].splitlines()]
    told = f"{len(case.refused)} of {len(case.refused) + len(case.rows)} rows did not; {'; '.join(lines[:-1])}"
    return PreflightFinding(
        "rendered", False, told, {"rows": len(case.refused)}, lines[-1].removeprefix("to do:").strip()
    )


def tokens_trained(case: PreflightCase) -> PreflightFinding:
    """Every row trains at least one token."""
    counts = [len(_trained(each)) for each in case.examples]
    advice = "mask the prompt only; a template's marker of generated text may be missing"
    good = f"{min(counts)} to {max(counts)} a row"
    return _over_rows(case, "tokens_trained", lambda row, each: "" if _trained(each) else "none", good, advice)


def end_trained(case: PreflightCase) -> PreflightFinding:
    """The last trained token of every row is one that ends a text."""
    ends = {*case.tokenizer.all_special_ids, *case.tokenizer.get_added_vocab().values()}

    def fault(row: Row, each: Example) -> str:
        last = _trained(each)[-1:]
        if last and last[0] in ends:
            return ""
        return f"the last trained token is {case.words(last)} (id {last[0]})" if last else "no token is trained"

    found = Counter(last for each in case.examples for last in _trained(each)[-1:])
    good = "each ends with " + " or ".join(case.words([token]) for token in found)
    advice = "without it no answer ever ends: let the template write it, and do not mask it as padding"
    return _over_rows(case, "end_trained", fault, good, advice)


def end_stops(case: PreflightCase) -> PreflightFinding:
    """Generation stops on what was trained as the end."""
    ends = end_tokens(case.model, case.tokenizer)
    return _stops(case, "end_stops", ends, "generation", "set the tokenizer's eos_token to the template's end of turn")


def end_published(case: PreflightCase) -> PreflightFinding:
    """The base's own generation config stops on it too, so that other engines do."""
    ends = getattr(getattr(case.model, "generation_config", None), "eos_token_id", None)
    ends = [ends] if isinstance(ends, int) else ends or []
    advice = "other engines read this list: name the token as a stop token where you serve the adapter"
    return _stops(case, "end_published", ends, "the base's generation config", advice)


def begin_once(case: PreflightCase) -> PreflightFinding:
    """The begin-of-sequence token stands first, and once."""
    begin, end = case.tokenizer.bos_token_id, case.tokenizer.eos_token_id
    if begin is None:
        return PreflightFinding("begin_once", True, "this tokenizer has no begin token", {"rows": 0})

    def fault(row: Row, each: Example) -> str:
        ids = list(each.input_ids)
        messages = len(case.renderer.messages(row)) + 2  # some templates begin each with it, and one of their own first
        if ids[:1] != [begin]:
            return f"it begins with {case.words(ids[:1])}"
        if begin != end and (ids[1:2] == [begin] or ids.count(begin) > messages):
            return f"{case.words([begin])} stands {ids.count(begin)} times, first {case.words(ids[:8])}"
        return ""

    advice = "write bos_token once in the template, and let the tokenizer add none to a text that has it"
    return _over_rows(case, "begin_once", fault, f"each begins with one {case.words([begin])}", advice)


def special_whole(case: PreflightCase) -> PreflightFinding:
    """What stands for a special token in the text is that one token."""
    special = zip(case.tokenizer.all_special_tokens, case.tokenizer.all_special_ids, strict=True)
    vocabulary = dict(sorted(special, key=lambda pair: -len(pair[0])))  # one token may be inside another
    pattern = re.compile("|".join(map(re.escape, vocabulary)))
    seen: Counter[str] = Counter()

    def fault(row: Row, each: Example) -> str:
        written = Counter(pattern.findall(case.renderer.text(row)))
        seen.update(written)
        there = Counter(case.renderer.prompt(row).ids)
        split = next((token for token, times in written.items() if there[vocabulary[token]] < times), "")
        return f"{split!r} became several tokens" if split else ""

    advice = "the tokenizer must be called without split_special_tokens, and its tokens be marked as special"
    finding = _over_rows(case, "special_whole", fault, "", advice)
    return finding._replace(told=f"{seen.total()} special tokens in the prompts, all whole") if finding.ok else finding


def markers_whole(case: PreflightCase) -> PreflightFinding:
    """The template's markers are tokens of this vocabulary."""
    template = case.renderer.text(Row("", (Turn("user", "question"),), "", ("answer",)))
    sizes = {mark: len(_encoded(case, mark)) for mark in dict.fromkeys(_MARKER.findall(template))}
    split = [f"{mark!r} is {size} tokens" for mark, size in sizes.items() if size > 1]
    told = ", ".join(split) or f"markers in the template: {len(sizes)}, each one token"
    advice = "the base was not trained on this template: choose its own, or prompt.template: alpaca or plain"
    return PreflightFinding("markers_whole", not split, told, {"markers": len(sizes), "split": len(split)}, advice)


def prompt_same(case: PreflightCase) -> PreflightFinding:
    """What training shows before the answer is, token by token, what inference shows."""

    def fault(row: Row, each: Example) -> str:
        asked = case.renderer.prompt(row).ids
        shown = list(each.input_ids)[: None if case.renderer.encoder_decoder else _start(each)]
        at = _common(asked, shown)
        if at == len(asked) == len(shown):
            return ""
        return (
            f"token {at} is {case.words(shown[at : at + 1])} in training, {case.words(asked[at : at + 1])} when asked"
        )

    advice = "the template must write the same with add_generation_prompt as before a real answer"
    return _over_rows(case, "prompt_same", fault, "prompts are equal up to the answer", advice)


def mask_differs(case: PreflightCase) -> PreflightFinding:
    """The trained tokens are those that change where the answer does (two renderings), and the end."""

    def fault(row: Row, each: Example) -> str:
        answer = row.answer.strip()
        other = next(text for text in _STAND_INS if text not in {answer[:1], answer[-1:]})
        try:
            changed = case.renderer.example(row._replace(references=(other,)))
        except UserError as error:
            return " ".join(str(error).split())
        return _wrong_mask(case, each, changed)

    advice = "train the answer and its end and nothing else: find the answer's start by rendering without it"
    return _over_rows(case, "mask_differs", fault, "mask and difference of two renderings agree", advice)


def _wrong_mask(case: PreflightCase, each: Example, changed: Example) -> str:
    """What is wrong with the labels, by where the tokens of two renderings with other answers differ; else ""."""
    ids = list(each.labels if case.renderer.encoder_decoder else each.input_ids)
    others = list(changed.labels if case.renderer.encoder_decoder else changed.input_ids)
    first, start = _common(ids, others), _start(each)
    if start > first:
        return f"token {first}, {case.words(ids[first : first + 1])}, belongs to the answer and is not trained"
    if start < first and case.tokenizer.decode(ids[start:first]).strip():
        return f"tokens {start} to {first - 1}, {case.words(ids[start:first])}, stand before the answer and are trained"
    hole = next((at for at in range(start, len(ids)) if each.labels[at] != ids[at]), None)
    if hole is not None:
        return f"token {hole}, {case.words(ids[hole : hole + 1])}, stands after the answer's start and is not trained"
    after = ids[len(ids) - _common(ids[::-1][: len(ids) - first], others[::-1]) :]
    text = case.tokenizer.decode(after, skip_special_tokens=True).strip()
    return f"{text!r} stands after every answer and is trained" if text else ""


def answer_whole(case: PreflightCase) -> PreflightFinding:
    """No answer is cut."""

    def fault(row: Row, each: Example) -> str:
        said, wanted = _said(case, each), _plain(row.answer)
        cut = said != wanted and wanted.startswith(said)
        return f"{len(said)} of the answer's {len(wanted)} characters are trained" if cut else ""

    advice = "raise train.max_length, or reject long rows with data.max_tokens"
    return _over_rows(case, "answer_whole", fault, "every answer is trained to its end", advice)


def answer_spelled(case: PreflightCase) -> PreflightFinding:
    """The trained tokens spell the answer; what the vocabulary lacks the model can't write."""

    def fault(row: Row, each: Example) -> str:
        said, wanted = _said(case, each), _plain(row.answer)
        at = _common(said, wanted)
        return "" if said == wanted else f"{wanted[at : at + 20]!r} became {said[at : at + 20]!r}"

    advice = "these characters are lost in the tokenizer: take a base with another vocabulary, or respell them"
    return _over_rows(case, "answer_spelled", fault, "tokens spell the answers", advice)


def turns_shown(case: PreflightCase) -> PreflightFinding:
    """Everything that was said before the answer stands in the prompt."""

    def fault(row: Row, each: Example) -> str:
        prompt = _plain(case.renderer.text(row))
        said = [(turn.role, turn.content) for turn in row.turns] + [("context", row.context)]
        lost = next((role for role, text in said if _plain(text) not in prompt), "")
        return f"a turn of role {lost!r} is missing or changed in the prompt" if lost else ""

    advice = "the template leaves out what some roles say, or thoughts in earlier turns: see that this is meant"
    return _over_rows(case, "turns_shown", fault, "every turn and context is shown", advice)


def _over_rows(
    case: PreflightCase, name: str, fault: Callable[[Row, Example], str], good: str, advice: str
) -> PreflightFinding:
    """A check of each row: the first at fault is told, with how many there are."""
    pairs = zip(case.rows, case.examples, strict=True)
    faults = [(row.id, told) for row, each in pairs if (told := fault(row, each))]
    numbers = {"rows": len(case.rows), "at_fault": len(faults)}
    if not faults:
        return PreflightFinding(name, True, f"{len(case.rows)} rows: {good}", numbers)
    told = f"row {faults[0][0]}: {faults[0][1]} ({len(faults)} of {len(case.rows)} rows)"
    return PreflightFinding(name, False, told, numbers, advice)


def _stops(case: PreflightCase, name: str, ends: list[int], who: str, advice: str) -> PreflightFinding:
    listed = ", ".join(case.words([end]) for end in ends) or "nothing"

    def fault(row: Row, each: Example) -> str:
        last = _trained(each)[-1:]
        return "" if last and last[0] in ends else f"ends with {case.words(last)}, and {who} stops on {listed}"

    return _over_rows(case, name, fault, f"{who} stops on {listed}", advice)


def _trained(example: Example) -> list[int]:
    return [label for label in example.labels if label != IGNORED]


def _start(example: Example) -> int:
    """Where the first trained token stands; behind all where there is none."""
    return next((at for at, label in enumerate(example.labels) if label != IGNORED), len(example.labels))


def _common(a, b) -> int:
    """How many elements two sequences begin with together."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _encoded(case: PreflightCase, text: str) -> list[int]:
    return case.tokenizer(text, add_special_tokens=False)["input_ids"]


def _said(case: PreflightCase, example: Example) -> str:
    """The trained tokens as text, without what ends it."""
    ids, special = _trained(example), {*case.tokenizer.all_special_ids, *case.tokenizer.get_added_vocab().values()}
    while ids and ids[-1] in special:
        ids.pop()
    return _plain(case.tokenizer.decode(ids, skip_special_tokens=False))


def _plain(text: str) -> str:
    """Without white space and case: what a tokenizer may change and nobody misses."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
