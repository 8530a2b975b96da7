"""`ftlib ask` and `ftlib chat`: one answer, or a talk in which all that was said before counts."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ftlib.ask.asker import Asker, aside, note, note_cut, note_shown, row_asking
from ftlib.data.conversations import Malformed
from ftlib.errors import UserError
from ftlib.rag.arms import Ask
from ftlib.rows import Row, Turn
from ftlib.systems import System

if TYPE_CHECKING:
    from ftlib.core.generate import Generation

COMMANDS = "/reset begins anew, /quit leaves"


def ask_once(
    run_dir: str | Path,
    question: str,
    *,
    name: str | None = None,
    rag: bool = False,
    context: str | Path | None = None,
    max_new_tokens: int | None = None,
) -> str:
    """One answer of a run's system, by default of its trained adapter; notes go to stderr.

    Args:
        run_dir, name, rag, max_new_tokens: as of `Asker.of`.
        question: what is asked.
        context: a file in UTF-8 with what the answer is to be found in.

    Raises:
        UserError: as `Asker.of`; nothing is asked, the file is none, or all together is too long.
    """
    try:
        row = row_asking(question, _text_of_file(context) if context else "")
    except Malformed as error:
        raise UserError.of("the question", "a text", str(error).partition("found ")[2], "ask something") from None
    with aside():
        asker = Asker.of(run_dir, name, rag=rag, max_new_tokens=max_new_tokens)
        (system,) = asker.systems.values()
        asked = asker.ask(system, row)
        note_shown(system, asked)
        longest = asker.max_new_tokens
        (told,) = asker.engine.generate(system, [asked.prompt], max_new_tokens=longest, batch_rows=1)
        note_cut(told.tokens, longest)
        told = asker.settled(system, asked, told)
    return told.text


def chat(
    run_dir: str | Path,
    *,
    name: str | None = None,
    rag: bool = False,
    compare: bool = False,
    max_new_tokens: int | None = None,
) -> None:
    """Talk until the input ends, /quit, or Ctrl-C; answers go to stdout as they are written, all else to stderr.

    Arguments and what it raises are those of `Asker.of`.
    """
    out = sys.stdout

    def say(piece: str) -> None:
        out.write(piece)
        out.flush()

    with contextlib.suppress(KeyboardInterrupt):
        with aside():
            asker = Asker.of(run_dir, name, rag=rag, compare=compare, max_new_tokens=max_new_tokens)
        note(f"{' and '.join(system.label for system in asker.systems.values())}; {COMMANDS}")
        talk(asker, read_lines(), say)
        return
    note("")  # after ^C


def read_lines() -> Iterator[str]:
    """What a person types, with a mark to type after, or the lines of a pipe; up to the end of the input."""
    mark = "> " if sys.stdin.isatty() else ""
    if mark:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 (`input` edits lines with it)
    elif hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")  # bytes that are no UTF-8 spoil their line alone
    with contextlib.suppress(EOFError):
        while True:
            yield input(mark)


def talk(asker: Asker, lines: Iterable[str], say: Callable[[str], None]) -> None:
    """Answer line by line (blank ones are passed over); each system goes on from what it has said itself.

    `say` is given what the systems say, piece by piece, with a line break after each answer.
    """
    past: dict[str, tuple[Turn, ...]] = {}
    for line in map(str.strip, lines):
        if line == "/quit":
            return
        if line == "/reset":
            past = {}
            note("from the beginning")
        elif line.startswith("/") and " " not in line:
            note(COMMANDS)
        elif line:
            for system in asker.systems.values():
                try:
                    past[system.name] = _answered(asker, system, past.get(system.name, ()), line, say)
                except (UserError, Malformed) as error:
                    note(f"not asked: {error}")


def _answered(
    asker: Asker, system: System, past: tuple[Turn, ...], question: str, say: Callable[[str], None]
) -> tuple[Turn, ...]:
    """Tells the answer; returns what has been said by then."""
    last = Row("chat", (*past, *row_asking(question).turns), "", ())
    with aside():
        row, asked = _fitting(asker, system, last)
    note_shown(system, asked)
    if len(asker.systems) > 1:
        say(f"{system.label}: ")
    with aside():
        told = _told(asker, system, asked, say)
    say("\n")
    note_cut(told.tokens, asker.max_new_tokens)
    return (*row.turns, Turn("assistant", told.text))


def _told(asker: Asker, system: System, asked: Ask, say: Callable[[str], None]) -> Generation:
    """The answer, told piece by piece, or at once where only the whole of it tells whether the system declines."""
    longest = asker.max_new_tokens
    if system.name not in asker.rules:
        return asker.engine.stream(system, asked.prompt, max_new_tokens=longest, say=say)
    (told,) = asker.engine.generate(system, [asked.prompt], max_new_tokens=longest, batch_rows=1)
    told = asker.settled(system, asked, told)
    say(told.text)
    return told


def _fitting(asker: Asker, system: System, row: Row) -> tuple[Row, Ask]:
    """The row as it is asked, without its oldest questions and answers where all of it is too long."""
    left_out = 0
    while True:
        try:
            asked = asker.ask(system, row)
        except UserError:
            if len(row.turns) < 3:
                raise
            row, left_out = row._replace(turns=row.turns[2:]), left_out + 1
            continue
        if left_out:
            note(f"{system.label}: the oldest {left_out} answers no longer fit and are forgotten")
        return row, asked


def _text_of_file(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        found, fix = getattr(error, "strerror", None) or "another encoding", "check the path and its encoding"
        raise UserError.of(f"--context {path}", "a text file in UTF-8", found, fix) from None
