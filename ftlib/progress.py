"""Progress that suits where it is read: a live bar for people, a few plain lines in logs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

LINE_MARK = "· "  # `ftlib run` passes lines that start so from a notebook on to the terminal
SECONDS_BETWEEN_LINES = 10.0


class PlainProgress:
    """The part of tqdm's interface that ftlib uses, printed as at most one line every ten seconds."""

    def __init__(self, iterable: Iterable[Any] | None, total: int | None, desc: str):
        self.iterable, self.desc = iterable, desc
        self.total = total if total is not None else _length(iterable)
        self.n = 0
        self._notes = ""
        self._started = self._printed = time.monotonic()

    def __iter__(self) -> Iterator[Any]:
        for item in self.iterable or ():
            yield item
            self.update(1)
        self.close()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def update(self, n: float = 1) -> None:
        """Count n more units of work."""
        self.n += n
        if time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self._print()

    def set_postfix(self, values: dict[str, Any] | None = None, **more: Any) -> None:
        """Notes such as the loss, shown at the end of the next line."""
        self._notes = ", ".join(f"{key} {value}" for key, value in {**(values or {}), **more}.items())

    def set_postfix_str(self, text: str) -> None:
        """A note as text, shown at the end of the next line."""
        self._notes = text

    def set_description(self, desc: str) -> None:
        """Rename what is being done."""
        self.desc = desc

    def close(self) -> None:
        """Print the last line if any line was printed before, so that short work stays silent."""
        if self._printed > self._started:
            self._print()
        self._started = self._printed

    def _print(self) -> None:
        self._printed = time.monotonic()
        done = f"{self.n:,.10g}/{self.total:,.10g}" if self.total else f"{self.n:,.10g}"
        line = f"{LINE_MARK}{self.desc} {done}, {self._printed - self._started:.0f} s"
        print(line + (f", {self._notes}" if self._notes else ""), flush=True)


def progress(iterable: Iterable[Any] | None = None, *, total: int | None = None, desc: str, interactive: bool) -> Any:
    """Wrap an iterable, or count by hand with `update`.

    Args:
        iterable: what to go through; None to count by hand.
        total: units of work, where the iterable does not know.
        desc: what is being done, in a few words.
        interactive: a tqdm bar if True (it draws itself in notebooks), plain lines if False.

    Returns:
        Something with tqdm's `update`, `set_postfix`, `close` and iteration.
    """
    if not interactive:
        return PlainProgress(iterable, total, desc)
    from tqdm.auto import tqdm

    return tqdm(iterable, total=total, desc=desc, leave=False)


def _length(iterable: Iterable[Any] | None) -> int | None:
    try:
        return len(iterable)  # type: ignore[arg-type]
    except TypeError:
        return None
