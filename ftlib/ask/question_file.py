"""`ftlib generate`: a file of questions in, a file of answers out, in the same order; a kill costs one batch.

The answers are bound to what they were made from by a file beside them, `<out>.from.json`. Batches are answered and
written in the order of the questions, so that what is there is always the beginning of the whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib import atomic, fingerprint, jsonl
from ftlib.ask.asker import Asker, aside, note, row_asking
from ftlib.ask.standing import READ_BY_INDEX
from ftlib.data.conversations import Malformed, text_of
from ftlib.data.files import records
from ftlib.errors import UserError
from ftlib.progress import progress
from ftlib.rag.arms import retrieves
from ftlib.rows import Row
from ftlib.systems import System

if TYPE_CHECKING:
    from ftlib.recipe import ColumnsRecipe

READ_BY_ANSWERS = ("model", "prompt", "quantization")
READ_BY_SEARCH = (*READ_BY_INDEX, "rag.query_prefix", "rag.top_k", "rag.search_with", "rag.context_order")


class Question(NamedTuple):
    """A line of the questions' file."""

    id: str  # its own, else its number
    row: Row | None  # None where nothing can be asked
    error: str = ""  # file, line and field, and what was expected and found


class Answered(NamedTuple):
    """What `answer_file` did."""

    rows: int  # lines of the file of answers
    kept: int  # that were there already
    bad: int  # lines with an error in the place of an answer
    seconds: float  # of asking and answering
    tokens: int  # written in that time

    def __str__(self) -> str:
        done, seconds = self.rows - self.kept, max(self.seconds, 1e-9)
        now = f"{done} now in {seconds:.1f} s ({done / seconds:.2f} rows/s, {self.tokens / seconds:.1f} tokens/s)"
        return f"{self.rows} rows: {now}, {self.kept} were there already; {self.bad} bad"


def answer_file(
    run_dir: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    rag: bool = False,
    max_new_tokens: int | None = None,
    batch_rows: int | None = None,
) -> Answered:
    """Answer every question of a file, or go on where a killed attempt at the same stopped.

    Args:
        run_dir, name, rag, max_new_tokens: as of `Asker.of`.
        source: JSON lines, JSON, CSV or Parquet; see `read_questions`.
        out: JSON lines `{id, question, answer, tokens}` (`passages` where some were searched), or `{id, error}`.
        batch_rows: questions a batch; None: the recipe's `evaluate.batch_rows`.

    Raises:
        UserError: as `Asker.of`; there is no such source, or `out` was made from something else.
    """
    source, out = Path(source), Path(out)
    _check_files(source, out)
    with aside():
        asker = Asker.of(run_dir, name, rag=rag, max_new_tokens=max_new_tokens)
        (system,) = asker.systems.values()
        batch_rows = batch_rows or asker.run.recipe.evaluate.batch_rows
        with _claimed(out, made_from(asker, system, source)):
            kept = _whole_batches(out, batch_rows)
            questions = islice(read_questions(source, asker.run.recipe.data.columns), kept, None)
            began, tokens = time.perf_counter(), 0
            with progress(total=None, desc=f"{system.label}: answers", interactive=False) as bar:
                while batch := list(islice(questions, batch_rows)):
                    for line in _answers(asker, system, batch, batch_rows):
                        jsonl.append(out, line)
                        tokens += line.get("tokens", 0)
                    bar.update(len(batch))
            bad = ["error" in line for line in jsonl.iterate(out)]
    return Answered(len(bad), kept, sum(bad), time.perf_counter() - began, tokens)


def read_questions(source: Path, columns: ColumnsRecipe) -> Iterator[Question]:
    """The questions of a file, in its order; what can't be asked comes with its place, field and reason.

    Args:
        source: records with `question`, or with `messages` that end with one; `id` and `context` where there are any.
        columns: `data.columns`, for files that call these as the training data does.
    """
    for number, record in enumerate(records(source, field="--in")):
        row_id, field = f"row-{number:07d}", ""
        try:
            if record.value is None:
                raise Malformed(record.problem)
            field = _field(record.value, "id", columns.id)
            row_id = text_of(record.value.get(field), field).strip() or row_id
            field = _field(record.value, "context", columns.context)
            context = text_of(record.value.get(field), field)
            field = _field(record.value, "messages", columns.messages, "turns")
            asked = record.value.get(field)
            if not asked:
                field = _field(record.value, "question", columns.question)
                if field not in record.value:
                    raise Malformed(f"expected question or messages, found {', '.join(map(str, record.value))}")
                asked = text_of(record.value[field], field)
            yield Question(row_id, row_asking(asked, context, row_id, field))
        except Malformed as error:
            yield Question(row_id, None, f"{record.place}{field and f', field {field}'}: {error}")


def made_from(asker: Asker, system: System, source: Path) -> dict[str, Any]:
    """All that a system's answers to a file of questions depend on; files and folders by their content."""
    reads = [*READ_BY_ANSWERS, *(READ_BY_SEARCH if retrieves(system) else ())]
    fields, paths = fingerprint.recipe_fields(asker.run.recipe, reads), asker.run.recipe.paths()
    fields |= {field: fingerprint.sha256(paths[field]) for field in fields.keys() & paths.keys()}
    adapter = system.adapter and (fingerprint.sha256(Path(system.adapter)) or system.adapter)
    asked = {name: value for name, value in system._asdict().items() if name not in ("name", "label", "colour")}
    asked |= {"adapter": adapter, "instruction": system.told, "examples": [row.id for row in asker.examples]}
    asked["endpoint"] = system.endpoint and system.endpoint.model_dump(mode="json")
    rule = asker.rules.get(system.name)
    asked |= {"max_new_tokens": asker.max_new_tokens, "rule": rule and [rule.score, str(rule.threshold)]}
    return {"questions": fingerprint.sha256(source), "system": system.name, **asked, **fields}


def _field(record: Mapping[str, Any], usual: str, *others: str | None) -> str:
    """The name under which a record has a part: the recipe's, the usual one, or another."""
    own, *more = others
    return next((name for name in (own, usual, *more) if name and name in record), usual)


def _answers(asker: Asker, system: System, questions: Sequence[Question], batch_rows: int) -> Iterator[dict[str, Any]]:
    """One line a question, in their order; the bad ones are named on stderr."""
    asked, errors = {}, {at: each.error for at, each in enumerate(questions) if each.row is None}
    for at, each in enumerate(questions):
        try:
            if each.row is not None:
                asked[at] = asker.ask(system, each.row)
        except UserError as error:
            errors[at] = "; ".join(line.strip() for line in str(error).splitlines())
    prompts = [each.prompt for each in asked.values()]
    told = asker.engine.generate(system, prompts, max_new_tokens=asker.max_new_tokens, batch_rows=batch_rows)
    said = dict(zip(asked, told, strict=True))
    for at, each in enumerate(questions):
        if at in errors:
            note(f"bad row {each.id}: {errors[at]}")
            yield {"id": each.id, "error": errors[at]}
            continue
        answer = asker.settled(system, asked[at], said[at]).text
        line = {"id": each.id, "question": each.row.question, "answer": answer, "tokens": said[at].tokens}
        yield line | ({"passages": list(asked[at].shown)} if retrieves(system) else {})


def _check_files(source: Path, out: Path) -> None:
    if not source.is_file():
        raise UserError.of(f"--in {source}", "a file of questions", "no such file", "check the path")
    if not out.resolve().parent.is_dir():
        raise UserError.of(f"--out {out}", "a file in an existing folder", "no such folder", "make the folder")
    if out.is_dir() or (out.exists() and out.samefile(source)):
        found = "a folder" if out.is_dir() else "the questions themselves"
        raise UserError.of(f"--out {out}", "a file of its own", found, "name another")


@contextlib.contextmanager
def _claimed(out: Path, key: Mapping[str, Any]) -> Iterator[None]:
    """Binds a file of answers to what it is made from, and keeps other writers away until the block ends."""
    beside = out.with_name(f"{out.name}.from.json")
    found = atomic.read_json(beside)
    if out.exists() and os.path.getsize(out) and (changed := _differences(found, key)):
        expected = "answers to the same questions, by the same system"
        fix = "name another file with --out, or remove this one"
        raise UserError.of(f"--out {out}", expected, changed, fix)
    if found != key:
        atomic.write_json(beside, dict(key))
    with out.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError.of(f"--out {out}", "no other writer", "another process writes it", "wait for it") from None
        yield


def _differences(found: Mapping[str, Any], key: Mapping[str, Any]) -> str:
    """In what two files of answers differ, in words; "" where in nothing."""
    if not found:
        return "a file of which nothing says what it was made from"
    changed = [name for name in {**found, **key} if found.get(name) != key.get(name)]
    return f"other {', '.join(changed)} (it was made by {found.get('system')})" if changed else ""


def _whole_batches(out: Path, batch_rows: int) -> int:
    """How many lines stand; a batch of which a kill left a part is removed.

    So its questions are answered together again, and the file is the same as without the kill.
    """
    jsonl.cut_torn_line(out)
    with out.open("rb+") as file:
        kept = sum(1 for _ in file) // batch_rows * batch_rows
        file.seek(0)
        for _ in range(kept):
            file.readline()
        file.truncate(file.tell())
    return kept
