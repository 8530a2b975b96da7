"""The review widget: two answers, side by side and nameless; one click or one key saves a rating.

It needs nothing but ipywidgets. Keys are read from a text field, because JupyterLab keeps its hands off text fields:
anywhere else in a notebook `1` would turn the cell into a heading.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ftlib.errors import UserError
from ftlib.review import cards
from ftlib.review.session import CHOICES, SCOPES, Item, Session
from ftlib.review.store import Store
from ftlib.review.taxonomy import RULES

if TYPE_CHECKING:
    from ipywidgets import Button, Widget

VERDICTS = ("Answer 1 is better", "Answer 2 is better", "Both right", "Both wrong", "Unsure")
BUTTONS = tuple(zip(CHOICES, "12345", VERDICTS, strict=True))
KEYS = {key: choice for choice, key, _ in BUTTONS}
CATEGORY_OPTIONS = (
    ("What is wrong? (optional)", ""),
    ("Nothing: it is acceptable", "acceptable"),
    *((rule.label, rule.name) for rule in RULES),
)
HINT = (
    "<div class='ft-hint'><kbd>1</kbd>&ndash;<kbd>5</kbd> rate &nbsp; <kbd>u</kbd> undo &nbsp; "
    "<kbd>p</kbd> previous &nbsp; <kbd>n</kbd> next</div>"
)


def default_reviewer() -> str:
    """A name to start with: the JupyterHub user, else the system's; "" where there is none."""
    try:
        return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in a bare container
        return ""


class ReviewWidget:
    """Shows one item after the other and saves each rating at once; `session` says where the reviewer is."""

    def __init__(
        self, items: Sequence[Item], store: Store, *, reviewer: str | None = None, goal: int = 60, seed: int = 0
    ) -> None:
        """Build the widget and go to the first question that the reviewer (who can be changed in it) has not rated.

        Each reviewer is asked to rate `goal` questions; the rest is as of `Session`.
        """
        name = default_reviewer() if reviewer is None else reviewer
        self._goal, self._keys_read = goal, ""
        self._sitting = lambda name: Session(items, store, name, seed=seed)
        self.session = self._sitting(name)
        self._build(name)
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
        self._categories = [w.Dropdown(options=CATEGORY_OPTIONS, layout=wide) for _ in range(2)]
        self._comment = w.Textarea(placeholder="Comment (optional)", rows=2, layout=wide)
        self._keys = w.Text(placeholder="click here to use the keyboard", layout=w.Layout(width="220px", margin="0"))
        self._verdicts = {
            choice: self._button(label, key, lambda _, choice=choice: self._rate(choice), "verdict", choice)
            for choice, key, label in BUTTONS
        }
        self._undo = self._button("Undo", "u", lambda _: self._take_back(), "plain", icon="undo")
        self._back = self._button("Previous", "p", lambda _: self._move(-1), "plain", icon="arrow-left")
        self._next = self._button("Next", "n", lambda _: self._move(1), "plain", icon="arrow-right")
        self.box = self._lay_out()
        self._name.observe(lambda change: self._change_reviewer(change["new"]), names="value")
        for chooser in (self._slice, self._scope):
            chooser.observe(lambda _: self._filter(), names="value")
        self._keys.observe(lambda change: self._typed(change["new"]), names="value")

    def _button(self, label: str, key: str, act: Any, *kinds: str, icon: str = "") -> Button:
        import ipywidgets as w

        button = w.Button(description=label, icon=icon, tooltip=f"{label} (key {key})", layout=w.Layout(width="auto"))
        for kind in kinds:
            button.add_class(f"ft-{kind}")
        button.on_click(act)
        return button

    def _lay_out(self) -> Widget:
        import ipywidgets as w

        def grid(parts: Iterable[Any], columns: str) -> Any:
            shape = {"grid_template_columns": columns, "grid_gap": "8px 12px"}
            return w.GridBox([*parts], layout=w.Layout(width="100%", margin="0", **shape))

        for widget, kind in [*((answer, "ft-side") for answer in self._answers), (self._keys, "ft-keys")]:
            widget.add_class(kind)
        row = w.Layout(width="100%", align_items="center", flex_flow="row wrap", grid_gap="8px")
        parts = [
            w.HTML(cards.STYLE, layout=w.Layout(display="none")),
            grid((self._name, self._slice, self._scope), "1fr 1fr 1fr"),
            self._progress,
            self._question,
            grid((*self._answers, *self._categories), "1fr 1fr"),
            grid(self._verdicts.values(), "5fr 5fr 4fr 4fr 3fr"),
            self._comment,
            w.HBox([self._undo, self._back, self._next, self._keys, w.HTML(HINT)], layout=row),
            self._status,
        ]
        return w.VBox(parts, layout=w.Layout(grid_gap="12px")).add_class("ft-review")

    def _show(self, message: str = "", *, problem: bool = False) -> None:
        """Draw the present item; what the reviewer said of it before is filled in again."""
        session, item, rating = self.session, self.session.item, self.session.rating
        total = len(session.items)
        note = f"question {session.position + 1} of {total}" if item else ""
        self._progress.value = cards.progress_card(session.done, total, self._goal, note)
        self._question.value = cards.question_card(item.shown, item.slice) if item else cards.finished_card(total)
        for place, (widget, text) in enumerate(zip(self._answers, session.answers, strict=True), start=1):
            widget.value = cards.answer_card(place, text) if item else ""
        said = [rating.categories.get(system, "") for system in session.order] if rating else ["", ""]
        for widget, value in zip(self._categories, said, strict=True):
            widget.value = value if value in dict(CATEGORY_OPTIONS).values() else ""
        self._comment.value = rating.comment if rating else ""
        for widget in (*self._verdicts.values(), *self._categories, self._comment):
            widget.disabled = not (item and session.reviewer)
        self._back.disabled, self._next.disabled = session.position == 0, item is None
        if not session.reviewer:
            message, problem = "Write your name above to start: ratings are kept per reviewer.", False
        elif rating and not message:
            message = f"You rated this question before: {self._said(rating.verdict)}. A new rating replaces it."
        self._status.value = cards.status_line(message, problem=problem)

    def _said(self, verdict: str) -> str:
        choice = dict(zip(self.session.order, ("first", "second"), strict=True)).get(verdict, verdict)
        return next(label for name, _, label in BUTTONS if name == choice)

    def _rate(self, choice: str) -> None:
        if self.session.item is None or not self.session.reviewer:
            return
        first, second = (widget.value for widget in self._categories)
        said = {"category_first": first, "category_second": second, "comment": self._comment.value.strip()}
        try:
            self._show(f"Saved (rating {self.session.rate(choice, **said)}).")
        except UserError as error:  # the texts stay on the screen: nothing that was typed is lost
            self._status.value = cards.status_line(f"Not saved. {error}", problem=True)

    def _take_back(self) -> None:
        try:
            undone = self.session.reviewer and self.session.undo()
            self._show("Taken back; the history keeps both." if undone else "Nothing to take back here.")
        except UserError as error:
            self._status.value = cards.status_line(f"Not taken back. {error}", problem=True)

    def _move(self, step: int) -> None:
        self.session.move(step)
        self._show()

    def _filter(self) -> None:
        self.session.choose(self._slice.value, self._scope.value)
        self._show()

    def _change_reviewer(self, name: str) -> None:
        self.session = self._sitting(name)
        self._filter()

    def _typed(self, text: str) -> None:
        """Act on the keys that are new since the last call.

        The field is never emptied from here: fast typing would race with it, and a key would count twice.
        """
        new = text[len(self._keys_read) :] if text.startswith(self._keys_read) else ""
        self._keys_read = text
        for key in new.lower():
            if key in KEYS:
                self._rate(KEYS[key])
            elif key == "u":
                self._take_back()
            elif key in "pn":
                self._move(-1 if key == "p" else 1)
