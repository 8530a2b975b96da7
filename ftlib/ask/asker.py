"""Whoever is asked, ready to answer: the run's system, its prompt, its instruction, and what it searches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ftlib import fingerprint, rows
from ftlib.ask.standing import declining_rules, open_knowledge, open_run, trained_adapter
from ftlib.data.conversations import Malformed, conversation, messages_of
from ftlib.errors import UserError
from ftlib.evaluate.declining import SCORES, DecliningRule, decline
from ftlib.evaluate.instructions import read_choices
from ftlib.evaluate.scores import choose_rows
from ftlib.rag.arms import Ask, ask_all, prompt_room, retrieves
from ftlib.rag.shots import SimilarRows, few_shot_examples, learn_examples
from ftlib.systems import AUTO, TRAINED, System, systems

if TYPE_CHECKING:
    from ftlib.core.engine import Engine
    from ftlib.core.generate import Generation
    from ftlib.run import Run
    from ftlib.search.documents import KnowledgeBase


class Asker(NamedTuple):
    """Systems of a run that can be asked anything.

    Attributes:
        run: whose they are.
        engine: answers; all of them on one copy of the base's weights.
        systems: by name, each with the instruction that was chosen for it.
        knowledge: what retrieving ones search; None where none retrieves.
        examples: what few-shot prompts show.
        max_new_tokens: the longest answer.
        rules: by name, when a system that `declines` gives the refusal in the place of its answer.
        similar: what is searched for examples most like the question; None where no system shows such.
    """

    run: Run
    engine: Engine
    systems: dict[str, System]
    knowledge: KnowledgeBase | None
    examples: list[rows.Row]
    max_new_tokens: int
    similar: SimilarRows | None = None
    rules: Mapping[str, DecliningRule] = {}

    @classmethod
    def of(
        cls,
        run_dir: str | Path,
        name: str | None = None,
        *,
        rag: bool = False,
        compare: bool = False,
        max_new_tokens: int | None = None,
    ) -> Asker:
        """Load what answers.

        Args:
            run_dir: a run directory.
            name: of the recipe's systems; None: the trained adapter, asked the question alone.
            rag: whether passages are shown also where the system's own prompt has none.
            compare: whether the base answers, too, asked in the same way without the adapter; it comes first.
            max_new_tokens: the longest answer; None: the recipe's `evaluate.max_new_tokens`.

        Raises:
            UserError: no such run or system, no adapter trained yet, or nothing to search.
        """
        run = open_run(run_dir)
        system = choose_system(systems(run.recipe), name, rag)
        chosen = [without_adapter(systems(run.recipe), system), system] if compare else [system]
        return cls.of_systems(run, chosen, max_new_tokens)

    @classmethod
    def of_systems(cls, run: Run, chosen: Sequence[System], max_new_tokens: int | None = None) -> Asker:
        """Load several systems, from `ftlib.systems.systems` or changed ones of them, that answer side by side.

        Arguments and what it raises are else as of `of`.
        """
        from ftlib.core.engine import Engine

        knowledge = open_knowledge(run) if any(map(retrieves, chosen)) else None
        examples = _examples(run) if any(each.examples == "fixed" for each in chosen) else []
        similar = _similar(run) if any(each.examples == "similar" for each in chosen) else None
        rules = declining_rules(run)
        told = {each.name: _instructed(run, each) for each in chosen}
        for key, each in told.items():
            if each.adapter == TRAINED and each.endpoint is None:
                told[key] = each._replace(adapter=str(trained_adapter(run)))
            if each.declines and key not in rules:
                note(f"{each.label}: no threshold yet, its answers are given as they are; notebook 05 finds one")
        longest = max_new_tokens or run.recipe.evaluate.max_new_tokens
        rules = {key: rule for key, rule in rules.items() if key in told and told[key].declines}
        return cls(run, Engine.load(run, told), told, knowledge, examples, longest, similar, rules)

    def ask(self, system: System, row: rows.Row) -> Ask:
        """A row as that system is asked it.

        Raises:
            UserError: it is longer than the system's model reads.
        """
        shown = {"examples": self.examples, "knowledge": self.knowledge, "similar": self.similar}
        room = prompt_room(self.engine, system, self.max_new_tokens)
        (asked,) = ask_all(system, [row], self.engine.renderer, self.run.recipe, max_tokens=room, **shown)
        return asked

    def settled(self, system: System, asked: Ask, told: Generation) -> Generation:
        """The answer, or the refusal where the system is to decline when it is as unsure as here."""
        if (rule := self.rules.get(system.name)) is None:
            return told
        line = {"prediction": told.text, "log_probability": told.log_probability, "score": asked.score}
        (after,) = decline(rule, [line], self.run.recipe.prompt.refusal)
        if after != line:
            sure = line[rule.score]
            found = "none" if sure is None else f"{sure:.3g}"
            note(f"{system.label} declines: {SCORES[rule.score]} {found}, below {rule.threshold:.3g}")
        return told._replace(text=after["prediction"])


def choose_system(known: Mapping[str, System], name: str | None, rag: bool) -> System:
    """The known system of that name, or the trained one; with passages where they are wanted.

    `rag` prefers the recipe's own retrieving system with the same model.

    Raises:
        UserError: there is none of this name, or none that is trained.
    """
    trained = [system for system in known.values() if system.adapter == TRAINED]
    trained.sort(key=lambda system: (system.prompt != "question", system.declines))  # the plainest first
    if name is not None and name not in known:
        raise UserError.of(f"--system {name}", f"one of {', '.join(known)}", name, "name a system of the run's recipe")
    if name is None and not trained:
        expected = "a system with `adapter: trained` in the run's recipe"
        raise UserError.of("systems", expected, ", ".join(known), "name another one with --system")
    system = known[name] if name is not None else trained[0]
    return _like(known, system._replace(prompt="retrieved")) if rag and not retrieves(system) else system


def without_adapter(known: Mapping[str, System], system: System) -> System:
    """The base alone, asked as `system` is: the recipe's own such system where it has one.

    Raises:
        UserError: it has no adapter that could be left out.
    """
    if system.adapter is None or system.endpoint is not None:
        fix = "name a system with an adapter, or leave --compare out"
        raise UserError.of(f"--compare with {system.name}", "a system with an adapter", "none", fix)
    bare = system._replace(name=f"{system.name}, bare", label=f"{system.label} without adapter", adapter=None)
    return _like(known, bare)


def row_asking(
    asked: str | Iterable[Mapping[str, object]], context: str = "", row_id: str = "question", field: str = "question"
) -> rows.Row:
    """A question, or messages `{role, content}` that end with one, as notebook 01 reads it.

    Args:
        asked, context: what is asked, and what the answer is to be found in.
        row_id, field: the row's id; where it stands, for messages.

    Raises:
        Malformed: nothing is asked, or it is no text; says what was expected and found.
    """
    said = messages_of([{"role": "user", "content": asked}] if isinstance(asked, str) else asked)
    if not said or said[-1][0] not in ("user", "tool"):
        raise Malformed(f"expected a user's message at the end of {field}, found {said[-1][0] if said else 'none'}")
    if not said[-1][1].strip():
        raise Malformed(f"expected a question in {field}, found an empty text")
    entry = list(conversation([*said, ("assistant", "")], context))[-1]
    return entry.row._replace(id=row_id)


def aside() -> contextlib.AbstractContextManager:
    """Sends what is printed inside (progress, notes of libraries) to stderr: stdout is for answers alone."""
    return contextlib.redirect_stdout(sys.stderr)


def note(text: str) -> None:
    """Say something beside the answers, on stderr."""
    print(text, file=sys.stderr, flush=True)


def note_shown(system: System, asked: Ask) -> None:
    """Say which passages stand in a prompt, where some were searched."""
    if retrieves(system):
        note(f"{system.label}, passages shown: {', '.join(asked.shown) or 'none'}")


def note_cut(tokens: int, max_new_tokens: int) -> None:
    """Say so where an answer ends because it may not be longer."""
    if tokens >= max_new_tokens:
        note(f"the answer may be cut: it has {tokens} tokens; --max-new-tokens allows more")


def _like(known: Mapping[str, System], wanted: System) -> System:
    def way(system: System) -> tuple:
        return system.adapter, system.prompt, system.endpoint, system.examples

    return next((system for system in known.values() if way(system) == way(wanted)), wanted)


def _instructed(run: Run, system: System) -> System:
    """With the instruction that notebook 03 or 05 has chosen for it."""
    files = [run.path / stage / "instructions.json" for stage in ("03_evaluate", "05_compare")]
    choices = {name: choice for file in files for name, choice in read_choices(file).items()}
    if system.instruction != AUTO or system.name not in choices:
        return system
    return system._replace(instruction=choices[system.name].instruction)


def _similar(run: Run) -> SimilarRows:
    """The training rows, with an index of their own under a digest of all that it depends on, which is built once."""
    training = run.path / "01_data" / "train.jsonl"
    if not training.is_file():
        raise run.missing("01_data/train.jsonl")
    made_of = [fingerprint.sha256(training), run.recipe.data.language, fingerprint.source_sha256("search")]
    path = run.path / "index" / fingerprint.sha256_json(made_of)[:16]
    path.parent.mkdir(exist_ok=True)
    return learn_examples(path, rows.read(training), run.recipe)


def _examples(run: Run) -> list[rows.Row]:
    """The examples that notebook 05 shows."""
    columns, folder = run.recipe.data.columns, run.path / "01_data"
    for file in ("train.jsonl", "test.jsonl"):
        if not (folder / file).is_file():
            raise run.missing(f"01_data/{file}")
    questions = choose_rows(rows.read(folder / "test.jsonl"), run.recipe.evaluate.limit, columns.slice)
    avoid = {fact for row in questions for fact in rows.values(row, columns.fact)}
    return few_shot_examples(rows.read(folder / "train.jsonl"), run.recipe.rag.few_shot, columns, avoid)
