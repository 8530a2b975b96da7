"""Ask a model the frozen test set, closed book, and write its answers so that a killed run goes on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftlib import jsonl
from ftlib.data.prompts import Renderer

_CHUNK_BATCHES = 4  # what a kill can cost: so many batches of answers


def read_answers(path: Path) -> list[dict[str, Any]]:
    """The answers written so far; a last line that a kill cut short is left out.

    Args:
        path: generations.jsonl, which may not exist yet.

    Returns:
        Rows `{"id", "arm", "prediction", "tokens", "seconds"}`.
    """
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        path.write_bytes(whole)
    return jsonl.read(path)


def answer_questions(
    model: Any,
    tokenizer: Any,
    renderer: Renderer,
    rows: Sequence[dict],
    path: Path,
    arm: str,
    *,
    max_new_tokens: int,
    batch_rows: int,
    interactive: bool = False,
) -> int:
    """Generate an answer to every row that this arm has not answered yet; greedy, so a rerun says the same.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        renderer: makes the prompts, as in training; a row's `context` is not shown.
        rows: test rows with `id` and `question`.
        path: generations.jsonl; answers are appended in chunks.
        arm: name of the system, e.g. "base".
        max_new_tokens: the longest answer.
        batch_rows: questions per batch.
        interactive: a progress bar instead of lines.

    Returns:
        How many rows were answered now.
    """
    from ftlib.core.generate import generate

    done = {row["id"] for row in read_answers(path) if row["arm"] == arm}
    waiting = [row for row in rows if row["id"] not in done]
    step = _CHUNK_BATCHES * batch_rows
    for start in range(0, len(waiting), step):
        part = waiting[start : start + step]
        answers = generate(
            model,
            tokenizer,
            [renderer.prompt_ids(row["question"]) for row in part],
            max_new_tokens=max_new_tokens,
            batch_rows=batch_rows,
            progress_desc=f"{arm}: answers {start} of {len(waiting)}",
            interactive=interactive,
        )
        for row, answer in zip(part, answers, strict=True):
            line = {"id": row["id"], "arm": arm, "prediction": answer.text}
            jsonl.append(path, {**line, "tokens": answer.tokens, "seconds": round(answer.seconds, 4)})
    return len(waiting)
