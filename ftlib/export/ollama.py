"""Ollama's Modelfile: the run's chat template in Go's template language, its stops, and greedy decoding as evaluated.

A Jinja template is a program and cannot be translated in general; what it writes for a conversation can be read off.
It is rendered around marks, and what stands between them becomes the Go template. That the pieces give the same text
as the Jinja template is checked on the golden prompts; a template that they cannot express is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ftlib.errors import UserError

_SYSTEM, _FIRST, _ANSWER, _SECOND = "\ue000", "\ue001", "\ue002", "\ue003"  # no template writes these by itself
Messages = Sequence[Mapping[str, str]]


class Pieces(NamedTuple):
    """What a template writes around the turns of a conversation.

    Attributes:
        begin: before a question that comes first.
        begin_system: before a system message, which comes first.
        after_system: between it and the question.
        after_question: up to where an answer is generated.
        before_answer: what stands there before an earlier answer, beyond that.
        after_answer: between an earlier answer and the next question.
    """

    begin: str
    begin_system: str
    after_system: str
    after_question: str
    before_answer: str
    after_answer: str

    def render(self, messages: Messages) -> str:
        """The conversation as text, up to where the answer is generated."""
        text = ""
        for number, message in enumerate(messages):
            content = message["content"]
            if message["role"] == "system":
                text += self.begin_system + content + self.after_system
            elif message["role"] == "assistant":
                text += self.before_answer + content + self.after_answer
            else:
                text += ("" if number else self.begin) + content + self.after_question
        return text

    def go(self) -> str:
        """The same as a Go template over `.Messages`, as Ollama's TEMPLATE takes it."""
        begin, begin_system, after_system, after_question, before_answer, after_answer = map(_literal, self)
        return (
            "{{ range $i, $m := .Messages }}"
            '{{ if eq $m.Role "system" }}' + begin_system + "{{ $m.Content }}" + after_system
            + '{{ else if eq $m.Role "assistant" }}' + before_answer + "{{ $m.Content }}" + after_answer
            + "{{ else }}{{ if eq $i 0 }}" + begin + "{{ end }}{{ $m.Content }}" + after_question
            + "{{ end }}{{ end }}"
        )  # fmt: skip


def read_pieces(render: Callable[[Messages], str], begin_token: str = "") -> Pieces:
    """Read off what a template writes around each turn.

    Args:
        render: messages to text up to where the answer is generated.
        begin_token: what the tokenizer sets before a text by itself, and the template must not set again.

    Raises:
        UserError: a turn's text does not stand in the conversation once.
    """

    def said(*turns: tuple[str, str]) -> str:
        text = render([{"role": role, "content": content} for role, content in turns])
        return text.removeprefix(begin_token)

    talk = said(("user", _FIRST), ("assistant", _ANSWER), ("user", _SECOND))
    begin, between, after_answer, after_question = _between(talk, _FIRST, _ANSWER, _SECOND)
    begin_system, after_system, _ = _between(said(("system", _SYSTEM), ("user", _FIRST)), _SYSTEM, _FIRST)
    before_answer = between.removeprefix(after_question)
    if before_answer == between and after_question:
        raise _cannot("an answer after the same words, whether it is generated or shown", between)
    return Pieces(begin, begin_system, after_system, after_question, before_answer, after_answer)


def modelfile(file: str, pieces: Pieces, *, stops: Sequence[str], system: str, window: int, max_new_tokens: int) -> str:
    """The Modelfile.

    Args:
        file: the GGUF, relative to the Modelfile.
        pieces: from `read_pieces`.
        stops: texts of the tokens that end an answer.
        system: the system message with which it was evaluated; "" for none.
        window: tokens of the longest conversation.
        max_new_tokens: the longest answer that was evaluated.
    """
    lines = [f"FROM ./{file}", f'TEMPLATE """{pieces.go()}"""']
    lines += [f'SYSTEM """{system}"""'] if system else []
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    # Greedy, as evaluated; Ollama would sample, and make repeated words less likely.
    lines += ["PARAMETER temperature 0", "PARAMETER top_k 1", "PARAMETER repeat_penalty 1.0"]
    lines += [f"PARAMETER num_ctx {window}", f"PARAMETER num_predict {max_new_tokens}"]
    return "\n".join(lines) + "\n"


def _between(text: str, *marks: str) -> list[str]:
    parts = []
    for mark in marks:
        if text.count(mark) != 1:
            raise _cannot("a template that writes every turn once, in its order", text)
        before, _, text = text.partition(mark)
        parts.append(before)
    return [*parts, text]


def _cannot(expected: str, found: str) -> UserError:
    fix = "export --to gguf, whose file carries the template itself"
    return UserError.of("Ollama's TEMPLATE", expected, repr(found), fix)


def _literal(text: str) -> str:
    """Text that Go's templates write as it is."""
    return text.replace("{{", '{{ "{{" }}') if "{{" in text else text
