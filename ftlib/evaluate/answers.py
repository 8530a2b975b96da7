"""Ask a system questions and keep its answers so that a killed run goes on; notebooks 03 and 05 both ask here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlib import jsonl
from ftlib.progress import progress

if TYPE_CHECKING:
    from ftlib.core.engine import Engine
    from ftlib.data.prompts import Prompt
    from ftlib.systems import System


def read_answers(path: str | Path) -> list[dict[str, Any]]:
    """The answers written so far, none where there is no file yet; a last line that a kill cut short is left out.

    Returns:
        Lines `{"id", "system", "instruction", "prediction", "tokens", "prompt_tokens", "seconds",
        "log_probability", ...}`; the last is the mean of the answer's tokens in nats, None where a server does not
        tell it.
    """
    path = Path(path)
    if not path.exists():
        return []
    jsonl.cut_torn_line(path)
    return jsonl.read(path)


def answer(
    engine: Engine,
    system: System,
    prompts: Sequence[Prompt],
    path: str | Path,
    *,
    max_new_tokens: int,
    batch_rows: int,
    name: str | None = None,
    extra: Callable[[Prompt], Mapping[str, Any]] | None = None,
    interactive: bool = False,
) -> list[dict[str, Any]]:
    """Every prompt's answer: those of the file, and the others generated now; greedy, so a rerun says the same.

    Args:
        engine, system: who generates, who answers.
        prompts: the questions as they are asked, every id once.
        path: the JSON lines file; a batch's answers are appended as soon as it is done.
        max_new_tokens, interactive: as of `Engine.generate` and `progress`.
        batch_rows: prompts a batch; the longest prompts first, so that what needs most memory fails at once.
        name: what the lines call the system where one system is asked twice; None: its own name.
        extra: further fields of a prompt's line.

    Returns:
        This system's lines, in the order of the prompts.
    """
    name = name or system.name
    done = {line["id"]: line for line in read_answers(path) if line["system"] == name}
    waiting = sorted((prompt for prompt in prompts if prompt.id not in done), key=lambda prompt: -len(prompt.ids))
    with progress(total=len(waiting), desc=f"{name}: answers", interactive=interactive) as bar:
        for start in range(0, len(waiting), batch_rows):
            batch = waiting[start : start + batch_rows]
            told = engine.generate(system, batch, max_new_tokens=max_new_tokens, batch_rows=batch_rows)
            for prompt, said in zip(batch, told, strict=True):
                line = {"id": prompt.id, "system": name, "instruction": system.told}
                line |= {"prediction": said.text, "tokens": said.tokens}
                line |= {"prompt_tokens": len(prompt.ids), "seconds": round(said.seconds, 4)}
                line["log_probability"] = None if said.log_probability is None else round(said.log_probability, 6)
                done[prompt.id] = line | dict(extra(prompt) if extra else {})
                jsonl.append(path, done[prompt.id])
            bar.update(len(batch))
    return [done[prompt.id] for prompt in prompts]
