"""The widget for flagged training rows: why one is here, its answer and another one; keep, mend or drop it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftlib.review import cards
from ftlib.review.decisions import RowSession, export_decisions
from ftlib.review.schema import DECISIONS
from ftlib.review.session import Item
from ftlib.review.widget import ReviewWidget

LABELS = ("Keep the row", "Mend: take the answer typed here", "Drop the row", "Undecided")


class RowWidget(ReviewWidget):
    """Shows one flagged row after the other and saves each decision at once; arguments as of `ReviewWidget`."""

    buttons = tuple(zip((*DECISIONS, "unsure"), "1234", LABELS, strict=True))
    sitting = RowSession
    exported = "write everybody's decisions into a table that notebook 01 reads (data.decisions_path)"
    thing = "row"

    def _below(self, wide: Any) -> list[Any]:
        import ipywidgets as w

        self._scope.layout = w.Layout(display="none")  # one of its own: `wide` is that of everything
        return [w.Textarea(placeholder="The mended answer", rows=2, layout=wide)]

    def _asked(self, item: Item) -> str:
        return cards.question_card(item.shown, item.slice, "Why it is shown")

    def _answered(self) -> list[str]:
        own, other, *_ = self.session.answers
        there = cards.answer_card("Another answer", other) if other else cards.note_line("No other answer is known.")
        return [cards.answer_card("Its answer in the data", own), there]

    def _fill(self, categories: Mapping[str, str]) -> None:
        item = self.session.item
        self._said_below[0].value = categories.get("mend", item.shown.answers["mend"]) if item else ""

    def _chosen(self) -> dict[str, str]:
        return {"mend": self._said_below[0].value.strip()}

    def _said(self, verdict: str) -> str:
        return next(label for name, _, label in self.buttons if name == verdict)

    def _rate(self, choice: str) -> None:
        if choice == "mend" and self.session.item and not self._chosen()["mend"]:
            self._status.value = cards.status_line("Type the mended answer first, or drop the row.", problem=True)
            return
        super()._rate(choice)

    def _written(self) -> tuple[Path, str]:
        path, count = export_decisions(self.session.store)
        return path, f"{count} decisions that most of their reviewers agree on"
