"""Multiple-choice questions in ARC's schema, from a local file or the hub."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from ftlib import jsonl
from ftlib.recipe import UserError

_SCHEMA = '{"id", "question", "choices": {"text": [...], "label": [...]}, "answerKey"}'


class Question(NamedTuple):
    """One multiple-choice question; `answer` is the index of the right choice."""

    id: str
    question: str
    choices: tuple[str, ...]
    answer: int


def load(
    source: str | Path, subset: str = "ARC-Challenge", split: str = "test", limit: int | None = None
) -> list[Question]:
    """Read questions in ARC's schema.

    Args:
        source: a local .jsonl, .json or .parquet file, or the hub name of a data set.
        subset: configuration of the hub data set, e.g. `ARC-Easy`; not used for a file.
        split: split of the hub data set; not used for a file.
        limit: the first so many questions; None for all.

    Returns:
        The questions in their order.

    Raises:
        UserError: the source can't be read, holds no question, or a row does not fit the schema.
    """
    path = Path(source)
    rows = _read_file(path) if path.is_file() else _read_hub(str(source), subset, split)
    questions = [parse(row, f"{source}, row {number}") for number, row in enumerate(rows[:limit], start=1)]
    if not questions:
        raise UserError.of(str(source), "one or more questions", "none", "check evaluate.arc_path")
    return questions


def parse(row: Any, where: str = "row") -> Question:
    """One row in ARC's schema as a Question.

    Args:
        row: `{"id", "question", "choices": {"text", "label"}, "answerKey"}`; labels may be letters or digits.
        where: the row's place, for the error message.

    Returns:
        Question.

    Raises:
        UserError: a field is missing or of another type, or the key is not among the labels.
    """
    try:
        texts, labels = list(row["choices"]["text"]), [str(label) for label in row["choices"]["label"]]
        question, key, identity = row["question"], str(row["answerKey"]), str(row["id"])
    except (KeyError, TypeError) as error:
        fix = f"bring the row into ARC's schema ({type(error).__name__}: {error})"
        raise UserError.of(where, _SCHEMA, _excerpt(row), fix) from None
    if not isinstance(question, str) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError.of(where, "a question and choices that are text", _excerpt(row), "mend the row")
    if len(texts) < 2 or len(texts) != len(labels) or labels.count(key) != 1:
        expected = "two or more choices, as many labels, and answerKey one of them"
        raise UserError.of(where, expected, f"labels {labels}, answerKey {key!r}, {len(texts)} texts", "mend the row")
    return Question(identity, question, tuple(texts), labels.index(key))


def _read_file(path: Path) -> list[Any]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        return parquet.read_table(path).to_pylist()
    if path.suffix != ".json":
        return jsonl.read(path)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError.of(str(path), "a JSON list of questions in UTF-8", str(error), "mend the file") from None
    if not isinstance(rows, list):
        raise UserError.of(str(path), "a JSON list of questions", type(rows).__name__, "one object per question in [ ]")
    return rows


def _read_hub(name: str, subset: str, split: str) -> list[Any]:
    from datasets import load_dataset

    try:
        return load_dataset(name, subset, split=split).to_list()
    except Exception as error:  # datasets raises a dozen kinds: no network, no such name, subset or split
        first = (str(error) or type(error).__name__).splitlines()[0][:200]
        expected = f"a file in ARC's schema, or a data set on the hub with subset {subset} and split {split}"
        fix = "give evaluate.arc_path a local file, or download the data set while there is a network"
        raise UserError.of(f"evaluate.arc_path = {name}", expected, first, fix) from None


def _excerpt(row: Any) -> str:
    text = repr(row)
    return text if len(text) <= 120 else text[:117] + "..."
