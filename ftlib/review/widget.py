"""The review widget: two answers, side by side and nameless; one click or one key saves a rating.

It needs nothing but ipywidgets. Keys are read from a text field, because JupyterLab keeps its hands off text fields:
anywhere else in a notebook `1` would turn the cell into a heading. A mouse can't reach into that field: a click on its
label gives it the focus and leaves the caret where it was, so that what is typed is added at the end.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib.errors import UserError
from ftlib.review import cards
from ftlib.review.export import export_ratings
from ftlib.review.keys import NO_KEY, new_keys
from ftlib.review.session import CHOICES, SCOPES, Item, Session
from ftlib.review.store import Store
from ftlib.review.taxonomy import RULES

if TYPE_CHECKING:
    from ipywidgets import Button, Widget

VERDICTS = ("Answer 1 is better", "Answer 2 is better", "Both right", "Both wrong", "Unsure")
BUTTONS = tuple(zip(CHOICES, "12345", VERDICTS, strict=True))
CATEGORY_OPTIONS = (
    ("What is wrong? (optional)", ""),
    ("Nothing: it is acceptable", "acceptable"),
    *((rule.label, rule.name) for rule in RULES),
)


class Draft(NamedTuple):
    """What was chosen and typed for a question and is not saved: categories by system, and the comment."""

    categories: Mapping[str, str] = {}
    comment: str = ""


class ReviewWidget:
    """Shows one item after the other and saves each rating at once; `session` says where the reviewer is."""

    buttons: Sequence[tuple[str, str, str]] = BUTTONS  # choice, key, what stands on it
    sitting: type[Session] = Session
    thing = "question"  # what is rated
    exported = "write everybody's ratings into a table beside the file of ratings"

    def __init__(
        self, items: Sequence[Item], store: Store, *, reviewer: str = "", goal: int = 60, seed: int = 0, note: str = ""
    ) -> None:
        """Build the widget and go to the first question that the reviewer (who can be changed in it) has not rated.

        Each reviewer is asked to rate `goal` questions; without a name nothing is rated. `note` stands above the
        questions all the time. The rest is as of `Session`.
        """
        self._goal, self._note, self._keys_read = goal, note, NO_KEY
        self._drafts: dict[tuple[str, str, str], Draft] = {}
        self._sit = lambda name: self.sitting(items, store, name, seed=seed)
        self.session = self._sit(reviewer)
        self._build(reviewer)
        self._show()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.box._repr_mimebundle_(**options)

    def _build(self, name: str) -> None:
        import ipywidgets as w

        wide = w.Layout(width="100%", margin="0")
        named = {"style": {"description_width": "initial"}, "layout": wide}
        slices = [("every slice", ""), *((each, each) for each in self.session.slices)]
        scopes = [(label, key) for key, (label, _) in SCOPES.items()]
        self._name = w.Text(name, description="Reviewer", placeholder="your name", continuous_update=False, **named)
        self._slice = w.Dropdown(options=slices, description="Slice", **named)
        self._scope = w.Dropdown(options=scopes, description="Show", **named)
        self._progress, self._question, self._status, *self._answers = (w.HTML(layout=wide) for _ in range(5))
        self._said_below = self._below(wide)
        self._comment = w.Textarea(placeholder="Comment (optional)", rows=2, layout=wide)
        self._keys = w.Text(NO_KEY, description="keyboard", layout=w.Layout(width="220px", margin="0"))
        self._verdicts = {
            choice: self._button(label, key, lambda _, choice=choice: self._rate(choice), "verdict", choice)
            for choice, key, label in self.buttons
        }
        self._undo = self._button("Undo", "u", lambda _: self._take_back(), "plain", icon="undo")
        self._back = self._button("Previous", "p", lambda _: self._move(-1), "plain", icon="arrow-left")
        self._next = self._button("Next", "n", lambda _: self._move(1), "plain", icon="arrow-right")
        self._export = self._button("Export", "", lambda _: self._write_out(), "plain", icon="download")
        self._export.tooltip = self.exported
        self.box = self._lay_out()
        self._name.observe(lambda change: self._change_reviewer(change["new"]), names="value")
        for chooser in (self._slice, self._scope):
            chooser.observe(lambda _: self._filter(), names="value")
        self._keys.observe(lambda change: self._typed(change["new"]), names="value")

    def _below(self, wide: Any) -> list[Any]:
        """What is asked below the answers, from the last one back: a category for each."""
        import ipywidgets as w

        return [w.Dropdown(options=CATEGORY_OPTIONS, layout=wide) for _ in self._answers]

    def _button(self, label: str, key: str, act: Any, *kinds: str, icon: str = "") -> Button:
        import ipywidgets as w

        told = f"{label} (key {key})" if key else label
        button = w.Button(description=label, icon=icon, tooltip=told, layout=w.Layout(width="auto"))
        for kind in kinds:
            button.add_class(f"ft-{kind}")
        button.on_click(act)
        return button

    def _lay_out(self) -> Widget:
        import ipywidgets as w

        def grid(parts: Iterable[Any], least: int) -> Any:  # as many columns as have `least` pixels each
            columns = f"repeat(auto-fit, minmax(min({least}px, 100%), 1fr))"
            shape = {"grid_template_columns": columns, "grid_gap": "8px 12px"}
            return w.GridBox([*parts], layout=w.Layout(width="100%", margin="0", **shape))

        for widget, kind in [*((answer, "ft-side") for answer in self._answers), (self._keys, "ft-keys")]:
            widget.add_class(kind)
        hint = cards.key_hint(len(self.buttons))
        row = w.Layout(width="100%", align_items="center", flex_flow="row wrap", grid_gap="8px")
        sides = w.Layout(width="100%", margin="0", grid_gap="8px", justify_content="space-between")
        bare = [() for _ in self._answers[len(self._said_below) :]]
        pairs = zip(self._answers, [*bare, *((each,) for each in self._said_below)], strict=True)
        parts = [
            w.HTML(cards.STYLE, layout=w.Layout(display="none")),
            w.HTML(cards.note_line(self._note), layout=w.Layout(display=None if self._note else "none")),
            grid((self._name, self._slice, self._scope), 240),
            self._progress,
            self._question,
            grid((w.VBox([answer, *below], layout=sides) for answer, below in pairs), 330),
            grid(self._verdicts.values(), 120),
            self._comment,
            w.HBox([self._undo, self._back, self._next, self._export, self._keys, w.HTML(hint)], layout=row),
            self._status,
        ]
        return w.VBox(parts, layout=w.Layout(grid_gap="12px")).add_class("ft-review")

    def _show(self, message: str = "", *, problem: bool = False) -> None:
        """Draw the present item; what the reviewer has chosen and typed for it, saved or not, is filled in again."""
        session, item, rating = self.session, self.session.item, self.session.rating
        total = len(session.items)
        note = f"{self.thing} {session.position + 1} of {total}" if item else ""
        self._progress.value = cards.progress_card(session.done, total, self._goal, note, self.thing)
        self._question.value = self._asked(item) if item else cards.finished_card(total, self.thing)
        for widget, card in zip(self._answers, self._answered(), strict=True):
            widget.value = card if item else ""
        saved = Draft(rating.categories, rating.comment) if rating else Draft()
        draft = self._drafts.get(self._place, saved)
        self._fill(draft.categories)
        self._comment.value = draft.comment
        for widget in (*self._verdicts.values(), *self._said_below, self._comment):
            widget.disabled = not (item and session.reviewer)
        self._back.disabled, self._next.disabled = session.position == 0, item is None
        if not session.reviewer:
            message, problem = "Write your name above to start: ratings are kept per reviewer.", False
        elif rating and not message:
            message = f"You rated this {self.thing} before: {self._said(rating.verdict)}. A new rating replaces it."
        self._status.value = cards.status_line(message, problem=problem)

    def _asked(self, item: Item) -> str:
        return cards.question_card(item.shown, item.slice)

    def _answered(self) -> list[str]:
        return [cards.answer_card(f"Answer {n}", text) for n, text in enumerate(self.session.answers, start=1)]

    def _fill(self, categories: Mapping[str, str]) -> None:
        """Show what was said below the answers before; nothing where there is no item."""
        said = [categories.get(system, "") for system in self.session.order] or ["", ""]
        for widget, value in zip(self._said_below, said, strict=True):
            widget.value = value if value in dict(CATEGORY_OPTIONS).values() else ""

    def _chosen(self) -> dict[str, str]:
        """What is said below the answers now, by system."""
        return dict(zip(self.session.order, (widget.value for widget in self._said_below), strict=True))

    @property
    def _place(self) -> tuple[str, str, str]:
        """Whose question is on the screen: reviewer, item, version."""
        item = self.session.item
        return (self.session.reviewer, *((item.id, item.shown.version) if item else ("", "")))

    def _keep(self) -> None:
        """Remember what is chosen and typed before the question leaves the screen."""
        if self.session.item:
            self._drafts[self._place] = Draft(self._chosen(), self._comment.value)

    def _said(self, verdict: str) -> str:
        choice = dict(zip(self.session.order, ("first", "second"), strict=True)).get(verdict, verdict)
        return next(label for name, _, label in self.buttons if name == choice)

    def _rate(self, choice: str) -> None:
        if self.session.item is None or not self.session.reviewer:
            return
        place = self._place
        try:
            saved = self.session.rate(choice, self._chosen(), self._comment.value.strip())
        except UserError as error:  # the texts stay on the screen: nothing that was typed is lost
            self._status.value = cards.status_line(f"Not saved. {error}", problem=True)
            return
        self._drafts.pop(place, None)
        self._show(f"Saved (rating {saved}).")

    def _take_back(self) -> None:
        """Undo the latest rating; its categories and comment stay filled in, to be changed rather than typed again."""
        self._keep()
        try:
            undone = self.session.undo() if self.session.reviewer else None
        except UserError as error:
            self._status.value = cards.status_line(f"Not taken back. {error}", problem=True)
            return
        if undone:
            self._drafts[self._place] = Draft(undone.categories, undone.comment)
        self._show("Taken back; the history keeps both." if undone else "Nothing to take back here.")

    def _move(self, step: int) -> None:
        self._keep()
        self.session.move(step)
        self._show()

    def _filter(self) -> None:
        self._keep()
        self._choose()

    def _choose(self) -> None:
        self.session.choose(self._slice.value, self._scope.value)
        self._show()

    def _change_reviewer(self, name: str) -> None:
        self._keep()
        self.session = self._sit(name)
        self._choose()

    def _write_out(self) -> None:
        try:
            path, told = self._written()
        except UserError as error:
            self._status.value = cards.status_line(f"Not exported. {error}", problem=True)
        else:
            self._status.value = cards.status_line(f"Exported: {told}, are in {os.path.relpath(path)}.")

    def _written(self) -> tuple[Path, str]:
        path, count = export_ratings(self.session.store)
        return path, f"{count} ratings, everybody's"

    def _typed(self, text: str) -> None:
        """Act on the keys that are new since the last call.

        While it is typed into, the field is not emptied from here: fast typing would race with it, and a key would
        count twice. What stands in it may have been marked and typed over (Tab marks all of it): then it begins anew.
        """
        new, self._keys_read = new_keys(self._keys_read, text), text
        if NO_KEY not in text:
            self._keys_read = self._keys.value = NO_KEY + text
        choices = {key: choice for choice, key, _ in self.buttons}
        for key in new.lower():
            if key in choices:
                self._rate(choices[key])
            elif key == "u":
                self._take_back()
            elif key in "pn":
                self._move(-1 if key == "p" else 1)
