"""What was typed into a field that JupyterLab keeps its hands off: found by what the field held before."""

from __future__ import annotations

NO_KEY = "\u2060"  # stands in the field of keys: once it is gone, all that stood there was typed over


def new_keys(before: str, now: str) -> str:
    """What was typed into a text, wherever the caret stood: `now` without the beginning and the end of `before`.

    A text that has lost its `NO_KEY` was typed over as a whole; one that only became shorter holds nothing new.
    """
    if NO_KEY not in now:
        same = before.removeprefix(NO_KEY)
        return now.removeprefix(same) if same and len(now) > len(same) else now
    start = _same_start(before, now)
    end = min(_same_start(before[::-1], now[::-1]), len(before) - start, len(now) - start)
    return now[start : len(now) - end]


def _same_start(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
