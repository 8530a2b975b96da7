"""What a record means: recognises the usual shapes of fine-tuning data and turns them into rows.

A row has ``id, question, context, answer`` and the metadata that the record brings along. A conversation gives one
row for each answer; later rows carry the earlier turns as ``history``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TEXT_FIELDS = ("slice", "source", "product", "created", "conversation")
GROUP_SEPARATOR = "\x1f"  # between the keys of a row that belongs to several groups
LIST_FIELDS = ("fact", "references", "documents")

# Column names seen in the wild, most telling first.
_QUESTION = ("question", "query", "prompt", "instruction", "user", "input", "ask", "problem")
_ANSWER = ("answer", "response", "output", "completion", "reply", "assistant", "target", "solution")
_CONTEXT = ("context", "passage", "document", "background")
_ROLES = {
    **dict.fromkeys(("user", "human", "question", "q", "instruction", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "model", "chatgpt", "answer", "a", "response", "output"), "assistant"),
    **dict.fromkeys(("input", "context"), "context"),
    "system": "system",
}
_NAMES = "instruction|question|human|user|input|context|response|answer|assistant|output|system"
_EMBEDDED = {  # prompt templates that exports leave inside their fields; group 1 names the speaker
    "alpaca": re.compile(rf"###\s*({_NAMES})\s*:[ \t]*\n?|^###\s*({_NAMES})[ \t]*$\n?", re.I | re.M),
    "chatml": re.compile(r"<\|im_start\|>(user|assistant|system)\s*\n?", re.I),
    "llama2": re.compile(r"(?:<s>\s*)?(\[/?INST\])", re.I),
    "plain": re.compile(r"(?:^|(?<=\s))(question|human|user|answer|assistant|response|q|a)[ \t]*:(?=\s|$)\s?", re.I),
}
_LEFT_OVER = re.compile(r"<\|im_end\|>|<\|endoftext\|>|</?s>|<<SYS>>.*?<</SYS>>", re.S)


class Malformed(ValueError):
    """A record that is none of the known shapes; the text says what was expected and found."""


def detect(record: Mapping[str, Any]) -> str:
    """The shape of a record.

    Args:
        record: one JSON object or table row.

    Returns:
        ``messages``, ``sharegpt``, ``alpaca``, ``prompt_completion``, ``question_answer``, ``text``, ``columns``
        (question and answer columns under other usual names), or "" where nothing fits.
    """
    names = {str(name).lower() for name in record}
    for name, needed in (
        ("messages", {"messages"}),
        ("sharegpt", {"conversations"}),
        ("alpaca", {"instruction", "output"}),
        ("prompt_completion", {"prompt", "completion"}),
        ("question_answer", {"question", "answer"}),
        ("question_answer", {"question", "answers"}),
    ):
        if needed <= names:
            return name
    if any(name in names for name in _QUESTION) and any(name in names for name in _ANSWER):
        return "columns"
    return "text" if "text" in names else ""


def rows(
    record: Mapping[str, Any], shape: str, columns: Mapping[str, str], group_by: Sequence[str], fallback_id: str
) -> Iterator[dict[str, Any]]:
    """The rows of one record.

    Args:
        record: one JSON object or table row.
        shape: a name from :func:`detect`, or "auto".
        columns: this project's column names to the record's; they win over the shape.
        group_by: metadata columns that keep rows on one side of a split.
        fallback_id: id where the record has none.

    Yields:
        Dicts with text under ``id, question, context, answer, group, format`` and TEXT_FIELDS, lists under LIST_FIELDS,
        ``history`` (question, answer, question, ...) and ``notes`` (names of embedded templates that were unwrapped).

    Raises:
        Malformed: the record does not have the shape.
    """
    if missing := [name for name in columns.values() if name not in record]:
        raise Malformed(f"expected the columns {missing} that data.columns names, found {sorted(record)}")
    renamed = {**record, **{ours: record[theirs] for ours, theirs in columns.items()}}
    lower = {str(name).lower(): value for name, value in renamed.items()}
    mapped = {"question", "answer"} <= set(columns)
    shape = "question_answer" if mapped else detect(renamed) if shape == "auto" else shape
    if not shape:
        raise Malformed(f"expected question and answer columns, found {sorted(record)}; name them in data.columns")
    meta = _metadata(lower, group_by, fallback_id) | {"format": shape}
    turns = list(_turns(lower, shape))
    if not turns:
        raise Malformed("expected at least one answer, found a conversation without any")
    for number, turn in enumerate(turns, start=1):
        yield meta | turn | {"id": meta["id"] if number == 1 else f"{meta['id']}#{number}"}


def _metadata(record: Mapping[str, Any], group_by: Sequence[str], fallback_id: str) -> dict[str, Any]:
    row: dict[str, Any] = {name: scalar(record.get(name), name) for name in TEXT_FIELDS}
    row |= {name: _list(record.get(name), name) for name in LIST_FIELDS}
    row["id"] = scalar(record.get("id"), "id").strip() or fallback_id
    keys = [(name, value) for name in group_by for value in _list(record.get(name.lower()), name) if value]
    own = scalar(record.get("group"), "group")
    row["group"] = GROUP_SEPARATOR.join(f"{name}={value}" for name, value in keys) or own
    return row


def scalar(value: Any, name: str) -> str:
    """A field as text. Numbers are written out, None is "".

    Raises:
        Malformed: a list or an object.
    """
    if value is None:
        return ""
    if isinstance(value, (str, int, float, bool)) or hasattr(value, "isoformat"):
        # Lone surrogates are legal in JSON escapes but in no file or tokenizer.
        return str(value).encode("utf-8", "replace").decode("utf-8")
    raise Malformed(f"expected text in {name}, found {type(value).__name__}")


def _list(value: Any, name: str) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [scalar(item, name) for item in value]
    return [text] if (text := scalar(value, name)) else []


def _turns(record: Mapping[str, Any], shape: str) -> Iterator[dict[str, Any]]:
    if shape in ("messages", "sharegpt"):
        yield from _conversation(_messages(record, shape), scalar(record.get("context"), "context"))
        return
    if shape == "prompt_completion" and isinstance(record["prompt"], list):
        both = {"messages": [*record["prompt"], *(record["completion"] or [])]}
        yield from _conversation(_messages(both, "messages"), "")
        return
    if shape == "text":
        text = scalar(record.get("text"), "text")
        name, messages = unwrap(text)
        spoken = any(role == "assistant" and said for role, said in messages)
        fallback = [{"question": "", "context": "", "answer": text, "history": [], "notes": []}]
        yield from (t | {"notes": [name]} for t in _conversation(messages, "")) if spoken else fallback
        return
    yield _pair(*_fields(record, shape))


def _fields(record: Mapping[str, Any], shape: str) -> tuple[str, str, str]:
    """(question, context, answer) of the flat shapes."""
    if shape == "alpaca":
        question, context, answer = (record.get(name) for name in ("instruction", "input", "output"))
    else:
        answer = next((record[name] for name in _ANSWER if name in record), None)
        question = next((record[name] for name in _QUESTION if name in record), None)
        context = next((record[name] for name in _CONTEXT if name in record), None)
        if answer is None and isinstance(record.get("answers"), Mapping):  # SQuAD
            answer = next(iter(record["answers"].get("text", ())), "")
    names = ("question", "context", "answer")
    question, context, answer = (scalar(v, n) for v, n in zip((question, context, answer), names, strict=True))
    return question, context, answer


def _pair(question: str, context: str, answer: str) -> dict[str, Any]:
    """One row of a question and an answer, an embedded template taken off."""
    name, messages = unwrap(question)
    notes = []
    if name:
        said = dict(messages)  # the last of each role
        question, context = said.get("user", ""), context or said.get("context", "")
        answer = answer or said.get("assistant", "")
        notes = [name]
    _, answered = unwrap(answer, start="assistant")
    if answered and len(answered) == 1:
        answer = answered[0][1]
    return {"question": question, "context": context, "answer": answer, "history": [], "notes": notes}


def _messages(record: Mapping[str, Any], shape: str) -> list[tuple[str, str]]:
    said = record["messages" if shape == "messages" else "conversations"]
    if not isinstance(said, (list, tuple)):
        raise Malformed(f"expected a list of messages, found {type(said).__name__}")
    messages = []
    for message in said:
        if not isinstance(message, Mapping):
            raise Malformed(f"expected messages with role and content, found {type(message).__name__}")
        speaker = str(message.get("role", message.get("from", ""))).lower()
        content = message.get("content", message.get("value"))
        if isinstance(content, (list, tuple)):  # OpenAI's content parts
            content = "\n".join(scalar(p.get("text"), "content") for p in content if isinstance(p, Mapping))
        if speaker not in _ROLES:
            raise Malformed(f"expected the roles system, user or assistant, found {speaker!r}")
        messages.append((_ROLES[speaker], scalar(content, "content")))
    return messages


def _conversation(messages: Sequence[tuple[str, str]], context: str) -> Iterator[dict[str, Any]]:
    """One row an answer. System messages are left out: the recipe's ``prompt.system`` speaks in their place."""
    history: list[str] = []
    asked: list[str] = []
    for role, content in messages:
        if role == "user":
            asked.append(content)
        elif role == "context":
            context = content
        elif role == "assistant" and asked:
            pair = _pair("\n".join(asked), context, content)
            yield pair | {"history": list(history)}
            history += [pair["question"], pair["answer"]]
            asked = []


def unwrap(text: str, start: str = "user") -> tuple[str, list[tuple[str, str]]]:
    """Takes a text apart that holds its own prompt template, such as ``### Question: ... ### Answer: ...``.

    Args:
        text: a field of a record.
        start: the role that must speak first.

    Returns:
        (name of the template, [(role, content), ...]); ("", []) where the text holds none.
    """
    if not any(sign in text for sign in ("#", ":", "<|", "INST]", "inst]")):  # nearly all texts, so ask cheaply
        return "", []
    for name, marker in _EMBEDDED.items():
        found = list(marker.finditer(text))
        if not found or (name == "plain" and text[: found[0].start()].strip()):
            continue
        ends = [match.start() for match in found[1:]] + [len(text)]
        messages = [
            (_role(match), _LEFT_OVER.sub("", text[match.end() : end]).strip())
            for match, end in zip(found, ends, strict=True)
        ]
        roles = [role for role, _ in messages if role != "system"]
        if roles[:1] == [start] and ("assistant" in roles or name == "chatml"):
            return name, messages
    return "", []


def _role(match: re.Match) -> str:
    name = next(group for group in match.groups() if group).lower()
    return {"[inst]": "user", "[/inst]": "assistant"}.get(name) or _ROLES[name]
