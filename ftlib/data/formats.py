"""What a record means: recognises the usual shapes of fine-tuning data and turns them into rows.

A conversation gives one row for each answer, with all that was said before it. Columns that play no part stay in the
row's `meta` as they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ftlib.data.conversations import Malformed, conversation, messages_of, pair, plain, text_of, unwrap
from ftlib.data.table import Entry
from ftlib.rows import Row, Turn, row_of

# Column names seen in the wild, most telling first; `format: columns` means question and answer under one of these.
_USUAL = {
    "id": ("id", "_id", "uid", "uuid"),
    "question": ("question", "query", "prompt", "instruction", "user", "input", "ask", "problem"),
    "answer": ("answer", "response", "output", "completion", "reply", "assistant", "target", "solution"),
    "context": ("context", "passage", "document", "background"),
    "references": ("references",),
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog"),
    "system": ("system_prompt",),
    "text": ("text",),
}
_SYSTEM = ("system", "system_prompt")
_OF_SHAPE = {
    "alpaca": {"question": ("instruction",), "context": ("input",), "answer": ("output",), "system": _SYSTEM},
    "prompt_completion": {"question": ("prompt",), "answer": ("completion",)},
    "messages": {"messages": ("messages", *_USUAL["messages"]), "system": _SYSTEM},
    "sharegpt": {"messages": ("conversations", *_USUAL["messages"]), "system": _SYSTEM},
}
_FLAT = ("question", "context", "answer", "references", "system")
_PARTS = {
    "messages": ("id", "messages", "context", "references", "system"),
    "sharegpt": ("id", "messages", "context", "references", "system"),
    "text": ("id", "text"),
}
_NEEDED = {"messages": ("messages",), "sharegpt": ("messages",), "text": ("text",)}
_SIGNS = (
    ("messages", {"messages"}),
    ("sharegpt", {"conversations"}),
    ("alpaca", {"instruction", "output"}),
    ("prompt_completion", {"prompt", "completion"}),
    *(("question_answer", {"question", answers}) for answers in ("answer", "answers", "references")),
)


_LISTED = 12  # columns that a message names


class Reading(NamedTuple):
    """How records are read."""

    shape: str = "auto"  # or a name from `detect`
    columns: Mapping[str, str] = {}  # the part that a column plays -> its name; they win over the shape
    group_by: Sequence[str] = ()  # columns whose values keep rows on one side of a split
    every: bool = True  # whether every answer of a conversation is a row, or the last one alone
    frozen: bool = False  # whether columns may also have ftlib's own names, and another shape is fine

    @classmethod
    def of(cls, data, *, frozen: bool = False) -> Reading:
        """As the recipe's data section says."""
        keys = data.split.group_by
        every = data.conversation_turns == "every"
        named = data.columns.model_dump(exclude_none=True)
        return cls(data.format, named, [keys] if isinstance(keys, str) else keys, every, frozen)


def is_row(record: Mapping[str, Any]) -> bool:
    """Whether a record is a row as `ftlib.rows.write` writes it."""
    return isinstance(record.get("turns"), list) and isinstance(record.get("references"), list)


def detect(record: Mapping[str, Any]) -> str:
    """The shape of a record (one JSON object or table row).

    Returns:
        `messages`, `sharegpt`, `alpaca`, `prompt_completion`, `question_answer`, `text`, `columns` (question and
        answer columns under other usual names), or "" where nothing fits.
    """
    names = {str(name).lower() for name in record}
    for name, needed in _SIGNS:
        if needed <= names:
            return name
    if all(not names.isdisjoint(_USUAL[part]) for part in ("question", "answer")):
        return "columns"
    spoken = (value for name, value in record.items() if str(name).lower() in _USUAL["messages"])
    if any(isinstance(value, list) and value and isinstance(value[0], Mapping) for value in spoken):
        return "messages"
    return "text" if "text" in names else ""


def entries(record: Mapping[str, Any], reading: Reading, fallback_id: str) -> Iterator[Entry]:
    """The rows of one record (JSON object or table row), with their format and the embedded templates as notes.

    Raises:
        Malformed: the record does not have the shape that `reading` wants.
    """
    if is_row(record):
        yield Entry(_whole_row(record, reading, fallback_id), "row")
        return
    named = dict(reading.columns)
    if reading.frozen:  # a test file may have ftlib's name for a part, or lack it
        named = {part: name if name in record else part for part, name in named.items()}
        named = {part: name for part, name in named.items() if name in record}
    shape = _shape(record, reading, named)
    parts = _parts(record, shape, named, reading)
    beside = {name: reading.columns[part] for part, name in named.items() if part not in _USUAL}
    meta = {
        beside.get(name) or text_of(str(name), "a name"): plain(value)
        for name, value in record.items()
        if name in beside or name not in parts.values()
    }
    said = {part: record[name] for part, name in parts.items()}
    row_id = text_of(said.get("id"), "id").strip() or fallback_id
    made = _rows(said, shape)
    if not made:
        raise Malformed("expected at least one answer, found a conversation without any")
    group = _group(record, reading.group_by)
    if len(made) > 1 and reading.every:
        # Records without an id are numbered, in a test file from 0 again: equal numbers are no equal records.
        group += (f"{'test ' * reading.frozen}record={row_id}",)
    for number, entry in enumerate(made, start=1):
        if reading.every or number == len(made):
            row = entry.row._replace(id=row_id if number == 1 else f"{row_id}#{number}", group=group, meta=meta)
            yield entry._replace(row=row, format=shape)


def _whole_row(record: Mapping[str, Any], reading: Reading, fallback_id: str) -> Row:
    try:
        row = row_of({"id": fallback_id, **record})
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"expected turns with role and content, found {type(error).__name__} at {error}") from None
    turns = tuple(Turn(*turn) for turn in messages_of([turn._asdict() for turn in row.turns]))
    references, keys = (tuple(text_of(text, name) for text in getattr(row, name)) for name in ("references", "group"))
    meta = plain(row.meta)
    group = keys or _group(meta, reading.group_by)
    return Row(text_of(row.id, "id"), turns, text_of(row.context, "context"), references, group, meta)


def _shape(record: Mapping[str, Any], reading: Reading, named: Mapping[str, str]) -> str:
    if "messages" in named:
        return "messages"
    if {"question", "answer"} <= named.keys():
        return "question_answer"
    found = detect({**record, **{part: record[name] for part, name in named.items() if name in record}})
    shape = found if reading.shape == "auto" or (reading.frozen and found) else reading.shape
    if not shape:
        raise Malformed(f"expected question and answer columns, found {_names(record)}; name them in data.columns")
    return shape


def _parts(record: Mapping[str, Any], shape: str, named: Mapping[str, str], reading: Reading) -> dict[str, Any]:
    """The part that each column plays -> its key in the record."""
    keys = {str(name).lower(): name for name in reversed(record)}
    parts: dict[str, Any] = {}
    for part in _PARTS.get(shape, ("id", *_FLAT)):
        usual = _OF_SHAPE.get(shape, {}).get(part, _USUAL[part])
        if part == "references" and "answer" not in parts:
            usual = (*usual, "answers")  # beside an answer, it is more often their number
        free = [keys[name] for name in usual if name in keys and keys[name] not in parts.values()]
        if part == "id":
            free = [name for name in free if not isinstance(record[name], (Mapping, list))]
        key = named.get(part) or next(iter(free), None)
        if key in record:
            parts[part] = key
    idle = [part for part in named if part in _USUAL and part not in _PARTS.get(shape, ("id", *_FLAT))]
    if idle and not reading.frozen:
        raise Malformed(f"expected no data.columns.{idle[0]} beside the format {shape}, found {named[idle[0]]}")
    needed = ["question", *["answer"] * ("references" not in parts)]
    missing = [named.get(part, part) for part in _NEEDED.get(shape, needed) if part not in parts]
    if missing:
        expected = f"the columns {', '.join(missing)} ({shape})"
        raise Malformed(f"expected {expected}, found {_names(record)}; name them in data.columns")
    return parts


def _names(record: Mapping[str, Any]) -> str:
    names = sorted(map(str, record))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(name if len(name) <= 30 else f"{name[:27]}..." for name in names[:_LISTED]) or "none") + more


def _group(record: Mapping[str, Any], group_by: Sequence[str]) -> tuple[str, ...]:
    """`column=value` of the columns that group."""
    lower = {str(name).lower(): value for name, value in reversed(record.items())}
    return tuple(f"{name}={value}" for name in group_by for value in _list(lower.get(name.lower()), name) if value)


def _list(value: Any, name: str) -> list[str]:
    if isinstance(value, Mapping):  # SQuAD's {"text": [...], "answer_start": [...]}
        value = value.get("text")
    if isinstance(value, (list, tuple)):
        return [text_of(item, name) for item in value]
    return [text] if (text := text_of(value, name)) else []


def _rows(said: Mapping[str, Any], shape: str) -> list[Entry]:
    """One entry an answer, without id, group and meta."""
    if shape == "text":
        text = text_of(said["text"], "text")
        name, spoken = unwrap(text)
        if any(role == "assistant" and content for role, content in spoken):
            return [entry._replace(notes=[name]) for entry in conversation(spoken, "")]
        return [Entry(Row("", (), "", (text,)))]
    references = _list(said.get("references"), "references")
    system, context = (text_of(said.get(name), name) for name in ("system", "context"))
    opening = [("system", system)] if system.strip() else []
    if isinstance(said.get("question"), list) and shape == "prompt_completion":
        answer = said["answer"] or []
        answered = answer if isinstance(answer, list) else [{"role": "assistant", "content": answer}]
        said = {"messages": [*said["question"], *answered]}
    if "messages" in said:
        made = list(conversation([*opening, *messages_of(said["messages"])], context))
    else:
        question, answer = (text_of(said.get(name), name) for name in ("question", "answer"))
        made = [pair([*opening, ("user", question)], context, answer or next(iter(references), ""))]
    return [*made[:-1], *(_accepting(last, references) for last in made[-1:])]


def _accepting(entry: Entry, references: Sequence[str]) -> Entry:
    accepted = dict.fromkeys((entry.row.answer, *(text for text in references if text.strip())))
    return entry._replace(row=entry.row._replace(references=tuple(accepted)))
