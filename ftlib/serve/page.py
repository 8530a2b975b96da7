"""The page of `ftlib demo`: ask once, read what several systems of a run answer, with the passages they were shown.

A widget like notebook 04's: it stands in JupyterLab as well, `AskPage.of("runs/mine")` in a cell.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ftlib import rows
from ftlib.ask.asker import Asker, choose_system, row_asking, without_adapter
from ftlib.ask.standing import open_run
from ftlib.data.conversations import Malformed
from ftlib.errors import UserError
from ftlib.evaluate.scores import choose_rows
from ftlib.rag.arms import retrieves
from ftlib.run import Run
from ftlib.serve import sheets
from ftlib.systems import System, systems

EXAMPLES = 4  # questions of the test set that are offered


class Told(NamedTuple):
    """What one system did with a question.

    Attributes:
        system: who.
        answer: its text; with an error "".
        seconds: search and answer.
        passages: (id, text) of what it was shown, best first; None where it does not search.
        is_cut: whether the last of them had no room as a whole.
        declined: what it would have said, had it not been unsure; None where it was not.
        error: why it could not be asked; "" where it was.
    """

    system: System
    answer: str = ""
    seconds: float = 0.0
    passages: tuple[tuple[str, str], ...] | None = None
    is_cut: bool = False
    declined: str | None = None
    error: str = ""


class AskPage:
    """A question field, questions to begin with, and a card for each system."""

    def __init__(self, asker: Asker, examples: Sequence[rows.Row] = ()) -> None:
        """Build the widget over systems that are loaded; `examples` are offered as first questions."""
        self.asker, self._examples = asker, {row.question: row for row in examples}
        self._asked = ""
        self._build()

    @classmethod
    def of(cls, run_dir: str | Path, names: Sequence[str] = ()) -> AskPage:
        """The page of a run; `names` of the recipe's systems, none: `usual_systems`.

        Raises:
            UserError: no such run or system, or no adapter is trained yet.
        """
        run = open_run(run_dir)
        chosen = list(systems(run.recipe, names).values()) if names else usual_systems(run)
        with contextlib.redirect_stdout(io.StringIO()):  # a page has no place for notes on the way
            return cls(Asker.of_systems(run, chosen), example_rows(run))

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.box._repr_mimebundle_(**options)

    def ask(self, question: str) -> None:
        """Ask every system, and show each answer as soon as it is there."""
        question = question.strip()
        if not question or question == self._asked:
            return
        self._asked, self.button.disabled = question, True
        row = self._examples.get(question)
        self.expected.value = sheets.expected_card(row.references) if row else ""
        for card, system in zip(self.cards, self.asker.systems.values(), strict=True):
            card.value = sheets.waiting_card(system)
        try:
            for card, system in zip(self.cards, self.asker.systems.values(), strict=True):
                told = answer_of(self.asker, system, question)
                card.value = sheets.told_card(told.system, told._asdict())
        finally:
            self.button.disabled = False

    def _build(self) -> None:
        import ipywidgets as w

        wide = w.Layout(width="100%", margin="0")
        recipe, asked = self.asker.run.recipe, self.asker.systems.values()
        self.question = w.Text(placeholder="Ask a question", continuous_update=False, layout=wide)
        self.question.add_class("ft-field")
        self.button = w.Button(description="Ask", layout=w.Layout(width="90px", margin="0")).add_class("ft-go")
        self.expected = w.HTML(layout=wide)
        self.cards = [w.HTML(sheets.empty_card(system), layout=wide).add_class("ft-side") for system in asked]
        self.offered = [w.Button(description=text, tooltip=text) for text in self._examples]
        for button in self.offered:
            button.add_class("ft-offered").layout = w.Layout(width="auto", margin="0")
            button.on_click(lambda pressed: self._choose(pressed.description))
        # Enter and leaving the field both send the text: a click on the button need not ask a second time.
        self.question.observe(lambda change: self.ask(change["new"]), names="value")
        self.button.on_click(lambda _: self.ask(self.question.value))
        row = w.Layout(width="100%", align_items="center", flex_flow="row wrap", grid_gap="8px")
        line = w.Layout(width="100%", align_items="center", grid_gap="10px")
        columns = f"repeat(auto-fit, minmax(min({sheets.CARD_PIXELS}px, 100%), 1fr))"
        grid = w.Layout(width="100%", margin="0", grid_template_columns=columns, grid_gap="14px")
        parts = [
            w.HTML(sheets.STYLE, layout=w.Layout(display="none")),
            w.HTML(sheets.title_card(recipe.name, Path(recipe.model.base).name), layout=wide),
            w.HBox([self.question, self.button], layout=line),
            w.HBox(self.offered, layout=row).add_class("ft-offers"),
            self.expected,
            w.GridBox(self.cards, layout=grid),
            w.HTML(sheets.foot_card(self.asker.max_new_tokens), layout=wide),
        ]
        self.box = w.VBox(parts, layout=w.Layout(grid_gap="14px")).add_class("ft-demo")

    def _choose(self, question: str) -> None:
        self.question.value = question  # its observer asks, unless it stood there already
        self.ask(question)


def usual_systems(run: Run) -> list[System]:
    """The base, the trained adapter and the base with passages, as far as the recipe has them.

    Raises:
        UserError: the recipe has no system with a trained adapter.
    """
    known = systems(run.recipe)
    tuned = choose_system(known, None, False)
    chosen = [without_adapter(known, tuned), tuned]
    searching = [each for each in known.values() if retrieves(each) and each.endpoint is None]
    searching.sort(key=lambda each: each.adapter is not None)  # the one without an adapter first, else in their order
    return [*chosen, *searching[:1]]


def example_rows(run: Run, count: int = EXAMPLES) -> list[rows.Row]:
    """Questions of the run's test set that stand alone, evenly from its slices; none where it has no test set."""
    file = run.path / "01_data" / "test.jsonl"
    if not file.is_file():
        return []
    alone = [row for row in rows.read(file) if len(row.turns) == 1 and not row.context]
    return choose_rows(alone, count, run.recipe.data.columns.slice)


def answer_of(asker: Asker, system: System, question: str) -> Told:
    """One system's answer to a question, whatever is asked."""
    try:
        asked = asker.ask(system, row_asking(question))
    except (UserError, Malformed) as error:
        return Told(system, error=str(error))
    longest = asker.max_new_tokens
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        (told,) = asker.engine.generate(system, [asked.prompt], max_new_tokens=longest, batch_rows=1)
        settled = asker.settled(system, asked, told)
    declined = told.text if settled.text != told.text else None
    passages = tuple((key, asker.knowledge.texts[key]) for key in asked.shown) if retrieves(system) else None
    return Told(system, settled.text, asked.search_seconds + told.seconds, passages, asked.is_cut, declined)
