"""What a company writes besides data sheets: its policies and its procedures, sampled and rendered as Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from data.generator.attribute import Attribute, Fact
from data.generator.wording.policies import POLICIES
from data.generator.wording.procedures import (
    AFTER_QUESTIONS,
    ORDINALS,
    PERSON,
    PROCEDURES,
    RHYTHM,
    STEP_QUESTIONS,
    STEP_STATEMENTS,
    TIME,
    tool,
)


@dataclass(frozen=True)
class Policy:
    """One article of company rules, e.g. "Returns"; the facts' subject is the company's name."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Procedure:
    """One job, e.g. "replace the battery": what it needs (``facts``) and how it goes (``steps``, in order)."""

    phrase: str
    facts: tuple[Fact, ...]
    steps: tuple[Fact, ...]

    @property
    def title(self) -> str:
        """Heading of the article."""
        return f"How to {self.phrase}"

    def step_question(self, rng: Random, index: int, patterns: Sequence[str] = STEP_QUESTIONS) -> str:
        """Asks for step ``index`` (from 0) by its number, or as "the last step" now and then where it is."""
        last = index == len(self.steps) - 1 and rng.random() < 0.5
        return rng.choice(patterns).format(n="last" if last else ORDINALS[index], s=self.phrase)

    def after_question(self, rng: Random, index: int, patterns: Sequence[str] = AFTER_QUESTIONS) -> str:
        """Asks for step ``index`` (from 1) as the one that follows the step before it."""
        return rng.choice(patterns).format(s=self.phrase, step=self.steps[index - 1].value)


def sample_policies(rng: Random, company: str, titles: Sequence[str] | None = None) -> tuple[Policy, ...]:
    """Draws the values of all policies (or those in ``titles``) of a company called ``company``."""
    return tuple(
        Policy(title, tuple(Fact(company, a, a.sample(rng)) for a in POLICIES[title])) for title in (titles or POLICIES)
    )


def sample_procedures(rng: Random, phrases: Sequence[str] | None = None) -> tuple[Procedure, ...]:
    """Draws needs and steps of all procedures (or those in ``phrases``)."""
    return tuple(_sample_procedure(rng, phrase) for phrase in (phrases or PROCEDURES))


def _sample_procedure(rng: Random, phrase: str) -> Procedure:
    tools, slots = PROCEDURES[phrase]
    facts = tuple(Fact(phrase, a, a.sample(rng)) for a in (tool(tools), TIME, RHYTHM, PERSON))
    steps = tuple(Fact(phrase, a, a.sample(rng)) for a in map(step_attribute, range(len(slots)), slots))
    return Procedure(phrase, facts, steps)


def step_attribute(index: int, variants: tuple[str, ...]) -> Attribute:
    """Step ``index`` (from 0) of a procedure as an attribute with the ordinal filled into every wording."""

    def numbered(patterns: Sequence[str]) -> tuple[str, ...]:
        return tuple(p.replace("{n}", ORDINALS[index]) for p in patterns)

    return Attribute(
        f"step_{index + 1}", f"Step {index + 1}", variants, numbered(STEP_QUESTIONS), numbered(STEP_STATEMENTS)
    )


def policy_article(rng: Random, policy: Policy) -> str:
    """Title, then every fact as a sentence or as a line of a list, in random order."""
    facts = rng.sample(policy.facts, len(policy.facts))
    if rng.random() < 0.25:
        body = "\n".join(f"- {fact.attribute.label}: {fact.value}" for fact in facts)
    else:
        body = " ".join(capital(fact.statement(rng)) for fact in facts)
    return f"# {policy.title}\n\n{body}"


def procedure_article(rng: Random, procedure: Procedure) -> str:
    """Title, what the job needs (before or after the steps), and the steps in one of four styles."""
    facts = rng.sample(procedure.facts, len(procedure.facts))
    needs = " ".join(capital(fact.statement(rng)) for fact in facts)
    steps = rng.choice(STEP_STYLES)(rng, procedure.steps)
    parts = [needs, steps] if rng.random() < 0.5 else [steps, needs]
    return "\n\n".join([f"# {procedure.title}", *parts])


def _as_list(rng: Random, steps: Sequence[Fact]) -> str:
    return "\n".join(f"{i}. {step.value}" for i, step in enumerate(steps, 1))


def _as_lines(rng: Random, steps: Sequence[Fact]) -> str:
    return "\n".join(f"Step {i}: {step.value}" for i, step in enumerate(steps, 1))


def _as_prose(rng: Random, steps: Sequence[Fact]) -> str:
    named = [capital(ORDINALS[i]) for i in range(len(steps) - 1)] + ["Last"]
    return " ".join(f"{name}, {step.value}." for name, step in zip(named, steps, strict=True))


def _as_sentences(rng: Random, steps: Sequence[Fact]) -> str:
    return " ".join(step.statement(rng) for step in steps)


STEP_STYLES: tuple[Callable[[Random, Sequence[Fact]], str], ...] = (_as_list, _as_lines, _as_prose, _as_sentences)


def capital(text: str) -> str:
    """``text`` with its first letter in upper case and the rest untouched."""
    return text[0].upper() + text[1:]
