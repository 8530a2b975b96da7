"""Conversations: lists of messages, and texts that hold a whole prompt template, taken apart into who said what."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftlib.data.table import Entry
from ftlib.rows import Row, Turn

_ROLES = {
    **dict.fromkeys(("user", "human", "question", "q", "instruction", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "model", "chatgpt", "answer", "a", "response", "output"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "tool_response", "ipython"), "tool"),
    **dict.fromkeys(("input", "context"), "context"),
    **dict.fromkeys(("system", "developer"), "system"),
}
_MARKS = {**_ROLES, "[inst]": "user", "[/inst]": "assistant"}
_NAMES = "instruction|question|human|user|input|context|response|answer|assistant|output|system"
_EMBEDDED = {  # group 1 names the speaker
    "alpaca": re.compile(rf"###\s*({_NAMES})\s*:[ \t]*\n?|^###\s*({_NAMES})[ \t]*$\n?", re.I | re.M),
    "chatml": re.compile(r"<\|im_start\|>(user|assistant|system)\s*\n?", re.I),
    "llama2": re.compile(r"(?:<s>\s*)?(\[/?INST\])", re.I),
    "plain": re.compile(r"(?:^|(?<=\s))(question|human|user|answer|assistant|response|q|a)[ \t]*:(?=\s|$)\s?", re.I),
}
_LONE = re.compile("[\ud800-\udfff]")  # halves of characters
_DEEPEST = 64  # levels of lists and objects in a column
_MOST_MESSAGES = 2000  # of a conversation; each answer's row holds all that was said before it
_LEFT_OVER = re.compile(r"<\|im_end\|>|<\|endoftext\|>|</?s>")
_SYSTEM = re.compile(r"<<SYS>>(.*?)<</SYS>>", re.S)


def unwrap(text: str, start: str = "user") -> tuple[str, list[tuple[str, str]]]:
    """Takes a text apart that holds its own prompt template, such as `### Question: ... ### Answer: ...`.

    Returns:
        (name of the template, [(role, content), ...]), whose first role but for a system message is `start`;
        ("", []) where the text holds none.
    """
    if not any(sign in text for sign in ("#", ":", "<|", "INST]", "inst]")):  # nearly all texts, so ask cheaply
        return "", []
    for name, marker in _EMBEDDED.items():
        found = list(marker.finditer(text))
        if not found or (name == "plain" and text[: found[0].start()].strip()):
            continue
        messages = []
        for match, end in zip(found, [*(match.start() for match in found[1:]), len(text)], strict=True):
            said = _LEFT_OVER.sub("", text[match.end() : end])
            messages += [("system", inside.strip()) for inside in _SYSTEM.findall(said)]  # Llama 2 writes it there
            messages.append((_MARKS[match[match.lastindex].lower()], _SYSTEM.sub("", said).strip()))
        roles = [role for role, _ in messages if role != "system"]
        if roles[:1] == [start] and ("assistant" in roles or name == "chatml"):
            return name, messages
    return "", []


class Malformed(ValueError):
    """A record that is none of the known shapes; the text says what was expected and found."""


def text_of(value: Any, name: str) -> str:
    """A field as text. Numbers are written out, None and NaN are ""; what no file or tokenizer holds is Malformed."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        raise Malformed(f"expected text in {name}, found {value}")
    if not (isinstance(value, (str, int, float, bool)) or hasattr(value, "isoformat")):
        raise Malformed(f"expected text in {name}, found {type(value).__name__}")
    said = str(value)
    if not said.isascii() and _LONE.search(said):  # legal in JSON's escapes, but in no file and no tokenizer
        raise Malformed(f"expected whole characters in {name}, found half of one ({_LONE.search(said).group()!r})")
    return said


def plain(value: Any, level: int = 1) -> Any:
    """A value as JSON holds it: what has no place there is written out; Malformed where it is nested too deeply."""
    if level > _DEEPEST:
        raise Malformed(f"expected at most {_DEEPEST} levels of lists and objects, found more")
    if isinstance(value, Mapping):
        return {text_of(str(name), "a name"): plain(item, level + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, level + 1) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int)) else text_of(str(value), "a column")


def pair(spoken: Sequence[tuple[str, str]], context: str, answer: str) -> Entry:
    """One row of (role, content) up to and with the question, and an answer; embedded templates are taken off."""
    *before, (role, question) = spoken
    name, inside = unwrap(question) if role == "user" else ("", [])
    if name:
        last = dict(inside)  # the last of each role
        question, context = last.get("user", ""), context or last.get("context", "")
        answer = answer or last.get("assistant", "")
        before += [("system", last["system"])] if last.get("system") else []
    _, answered = unwrap(answer, start="assistant")
    answer = answered[0][1] if len(answered) == 1 else answer
    turns = tuple(Turn(*turn) for turn in (*before, (role, question)))
    return Entry(Row("", turns, context, (answer,)), notes=[name] if name else [])


def messages_of(said: Any) -> list[tuple[str, str]]:
    """(role, content) of a list of messages in OpenAI's or ShareGPT's manner; raises Malformed where it is none."""
    if not isinstance(said, (list, tuple)):
        raise Malformed(f"expected a list of messages, found {type(said).__name__}")
    if len(said) > _MOST_MESSAGES:
        raise Malformed(f"expected at most {_MOST_MESSAGES} messages in a conversation, found {len(said)}")
    messages = []
    for message in said:
        if not isinstance(message, Mapping):
            raise Malformed(f"expected messages with role and content, found {type(message).__name__}")
        speaker = str(message.get("role", message.get("from", ""))).lower()
        content = message.get("content", message.get("value"))
        calls = message.get("tool_calls") or message.get("function_call")
        if isinstance(content, (list, tuple)):
            content = "\n".join(map(_part, content))
        if not content and calls:
            content = json.dumps(plain(calls), ensure_ascii=False)
        if content is None:
            raise Malformed(f"expected text in content or value, found none in a message of {speaker!r}")
        if speaker not in _ROLES:
            raise Malformed(f"expected the roles system, user, assistant or tool, found {speaker!r}")
        messages.append((_ROLES[speaker], text_of(content, "content")))
    return messages


def _part(part: Any) -> str:
    """The text of one of OpenAI's content parts."""
    if isinstance(part, Mapping) and "text" in part:
        return text_of(part["text"], "content")
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise Malformed(f"expected text in content, found a part of the kind {kind!r}")


def conversation(messages: Sequence[tuple[str, str]], context: str) -> Iterator[Entry]:
    """One row an answer, with all that was said before it; what one side says in a row is one turn.

    A message of the role `context` gives the context of what follows, before it `context` does.
    """
    turns: list[tuple[str, str]] = []
    answers: list[int] = []  # where they stand among the turns
    for role, content in messages:
        if role == "context":
            context = content
        elif turns and turns[-1][0] == role and role != "tool":
            turns[-1] = (role, f"{turns[-1][1]}\n{content}")
        else:
            answers += [len(turns)] if role == "assistant" and any(r != "system" for r, _ in turns) else []
            turns.append((role, content))
    for at in answers:
        entry = pair(turns[:at], context, turns[at][1])
        turns[at - 1], turns[at] = tuple(entry.row.turns[-1]), ("assistant", entry.row.answer)
        yield entry
