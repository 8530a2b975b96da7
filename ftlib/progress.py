"""Progress that suits where it is read: a live bar for people, a few plain lines in logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm.std import tqdm

LINE_MARK = "· "  # `ftlib run` passes lines that start so from a notebook on to the terminal
SECONDS_BETWEEN_LINES = 10.0


class PlainProgress(tqdm):
    """tqdm that prints whole lines: at most one every ten seconds, none where the work took less."""

    monitor_interval = 0  # no thread beside

    def __init__(self, iterable: Iterable[Any] | None, total: int | None, desc: str):
        self._notes = ""
        self._told: tuple[float, str] | None = None
        seconds = SECONDS_BETWEEN_LINES
        super().__init__(iterable, desc, total, mininterval=seconds, miniters=0, delay=seconds)

    def display(self, *ignored: Any, **ignored_too: Any) -> None:
        """Print a line; tqdm calls this when it is time to."""
        done = f"{self.n:,.10g}/{self.total:,.10g}" if self.total else f"{self.n:,.10g}"
        line = f"{LINE_MARK}{self.desc} {done}, {self._time() - self.start_t:.0f} s"
        print(line + (f", {self._notes}" if self._notes else ""), flush=True)
        self._told = self.n, self._notes

    def set_postfix(self, values: dict[str, Any] | None = None, **more: Any) -> None:
        """Notes such as the loss, shown at the end of the next line."""
        self._notes = ", ".join(f"{key} {value}" for key, value in {**(values or {}), **more}.items())

    def close(self) -> None:
        """Print the last line if any was printed before, so that short work stays silent, and none says the same."""
        if not self.disable and self.last_print_t > self.start_t and self._told != (self.n, self._notes):
            self.display()
        self.disable = True


def progress(
    iterable: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    desc: str,
    interactive: bool,
    stays: bool = False,
) -> Any:
    """Wrap an iterable, or count units of work by hand with `update`.

    Args:
        iterable, total, desc: as of tqdm.
        interactive: a tqdm bar if True (it draws itself in notebooks), plain lines if False.
        stays: whether the finished bar is left standing, with the time that the work took.
    """
    if not interactive:
        return PlainProgress(iterable, total, desc)
    from tqdm.auto import tqdm as live_bar

    return live_bar(iterable, total=total, desc=desc, leave=stays)


@contextmanager
def without_library_bars() -> Iterator[None]:
    """Inside, transformers draws no progress bar for each weight or file."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
