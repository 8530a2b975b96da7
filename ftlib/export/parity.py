"""Whether an export answers as what was evaluated: measured, against a noise floor that is measured, too.

Two engines, or one engine with rounded weights, never give equal numbers. How far apart they are without any adapter
(the same conversion of the base alone; in 16 bits also the run's base against itself in float32) is what the engine
costs; the tuned model may differ by twice as much and no more. Then the frozen test set is asked again, and the
difference to the adapter's own answers gets a paired interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib.export.contents import ParityCheck, check_ends, check_head, check_ids, check_scale, check_weights
from ftlib.export.frozen import ask_again, held_out, own_player
from ftlib.export.golden import Golden, tested_rows
from ftlib.stats import Interval, mean_ci95, paired_difference, ratio_ci95

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker
    from ftlib.export.players import Player
    from ftlib.rows import Row
    from ftlib.systems import System

TIMES_FLOOR = 2.0
RESOLUTION = 1e-6  # nats: what float32 makes of a log-probability; a floor may be 0 where two engines are one
MARGIN = 0.05  # share of right answers, and of answers that end, that an export may lose; relative, of perplexity
NO_SUCH_ADAPTER = "a-name-that-no-adapter-has"

Opened = Callable[[], AbstractContextManager["Player"]]
Pairs = Sequence[tuple[Sequence[int], Sequence[int]]]


class Verdict(NamedTuple):
    """What is said of an export.

    Attributes:
        ship: whether it may be handed over.
        checks: all that was looked at, in order.
        engine: what computed it.
        rows: test rows asked; 0 where the golden prompts had failed already.
    """

    ship: bool
    checks: list[ParityCheck]
    engine: str
    rows: int

    @property
    def reasons(self) -> list[str]:
        """Why it may not be handed over."""
        return [check.told for check in self.checks if not check.passed]


class Sides(NamedTuple):
    """One model's log-probabilities and greedy answers on the golden prompts."""

    likely: list[list[float]]  # nats, of each token of the run's own answers
    written: list[list[int]]


def hold_to_parity(
    asker: Asker,
    system: System,
    golden: Sequence[Golden],
    base: Opened,
    tuned: Opened,
    *,
    margin: float = MARGIN,
    to_the_end: bool = False,
) -> Verdict:
    """Measure an export against the run's own adapter, or its own model where that was trained as a whole.

    Args:
        asker: the run's engine with `system` and, first, the base without adapter.
        system: whose export it is.
        golden: from `golden_prompts`.
        base: opens the export of the base alone, made in the same way.
        tuned: opens the export.
        margin: what it may lose: share of right answers, share of answers that end, relative growth of perplexity.
        to_the_end: ask the test set even where the golden prompts fail.

    Returns:
        The verdict with every figure.
    """
    bare = next(iter(asker.systems.values()))
    prompts, longest = [each.ids for each in golden], asker.max_new_tokens
    own_bare, pairs_bare = _own(asker, bare, prompts)
    own, pairs = _own(asker, system, prompts)
    with asker.engine.using(bare) as model:
        unadapted = own_player(asker, model, 1).score(pairs)
    exact = _without_rounding(asker, pairs_bare)
    with base() as player:
        floor = Sides(player.score(pairs_bare), player.write(prompts, longest, "golden prompts, base"))
    with tuned() as player:
        checks = _content_checks(player, asker, system, golden)
        there = Sides(player.score(pairs), player.write(prompts, longest, "golden prompts"))
        checks += compare_golden(own, there, own_bare, floor, unadapted, exact)
        rows: list[Row] = []
        if to_the_end or all(check.passed for check in checks):
            rows = tested_rows(asker, None)
            checks += ask_again(player, asker, system, rows, margin)
            checks += held_out(player, asker, system, margin)
        return Verdict(all(check.passed for check in checks), checks, player.engine, len(rows))


def compare_golden(
    own: Sides,
    there: Sides,
    own_bare: Sides,
    there_bare: Sides,
    unadapted: list[list[float]],
    exact: list[list[float]] | None = None,
) -> list[ParityCheck]:
    """What the golden prompts say: the adapter acts, and acts as in the run, up to the engine's own noise.

    Args:
        own, there: the tuned model in the run and in the export, on the run's tuned answers.
        own_bare, there_bare: the base without adapter, on its own answers.
        unadapted: log-probabilities of the run's tuned answers under its base.
        exact: those of the base's own answers in float32, where the run computes in 16 bits: what its own rounding is
            worth counts as noise, too.
    """
    floor, apart = distance(own_bare.likely, there_bare.likely), distance(own.likely, there.likely)
    if exact is not None:
        floor = max(floor, distance(own_bare.likely, exact), key=lambda measured: measured.mean)
    moved, allowed = distance(unadapted, there.likely), TIMES_FLOOR * max(floor.mean, RESOLUTION)
    acts = moved.mean > allowed
    told = f"the training moves the log-probability of a token by {moved.mean:.4f} nats"
    if not acts:
        told = f"what was trained is not applied: the export answers as the base does, {moved.mean:.2g} nats a token"
        told += " apart"
    figures = {"distance": apart, "floor": floor, "allowed": allowed, "from_base": moved}
    shown = f"{apart.mean:.3g} nats a token from the run's, the engine without adapter {floor.mean:.3g}"
    beyond = f"log-probabilities are {shown}: more than {TIMES_FLOOR:g} times that"
    return [
        ParityCheck("adapter_acts", acts, told, {"moved": moved}),
        ParityCheck("log_probabilities", apart.mean <= allowed, shown if apart.mean <= allowed else beyond, figures),
        _agreement(own, there, own_bare, there_bare),
    ]


def _without_rounding(asker: Asker, pairs: Pairs) -> list[list[float]] | None:
    """What the run's base says where its products are not rounded to 16 bits; None where they never were."""
    from ftlib.core.load import load_base

    recipe = asker.run.recipe
    if asker.engine.dtype == "float32":
        return None
    section = recipe.model.model_copy(update={"dtype": "float32"})
    model, _ = load_base(recipe.model_copy(update={"model": section}))
    return own_player(asker, model, 1).score(pairs)


def distance(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> Interval:
    """Mean absolute difference of log-probabilities, in nats a token, with its interval over prompts."""
    apart = [sum(abs(x - y) for x, y in zip(*both, strict=True)) for both in zip(a, b, strict=True)]
    return ratio_ci95(apart, [len(row) for row in a])


def _agreement(own: Sides, there: Sides, own_bare: Sides, there_bare: Sides) -> ParityCheck:
    same = [float(x == y) for x, y in zip(own.written, there.written, strict=True)]
    bare = [float(x == y) for x, y in zip(own_bare.written, there_bare.written, strict=True)]
    share, change = mean_ci95(same), paired_difference(same, bare)
    told = f"{share.mean:.0%} of the golden answers are the run's, token by token; without adapter {sum(bare):.0f} of "
    told += f"{len(bare)}"
    passed = change.high >= 0
    if not passed:
        told = f"greedy answers differ more than the engine's own do: {told}"
    return ParityCheck("greedy", passed, told, {"share": share, "over_base": change})


def _content_checks(player: Player, asker: Asker, system: System, golden: Sequence[Golden]) -> list[ParityCheck]:
    checks: list[ParityCheck | None] = [check_ids(player, golden), check_ends(player, asker.engine)]
    exported = getattr(player, "model", None)
    if exported is not None:
        with asker.engine.using(system) as own:
            checks.append(check_head(exported, own))
            adapted = hasattr(own, "peft_config")
            checks.append(check_scale(exported, asker.engine, system) if adapted else check_weights(exported, own))
        checks.append(_wrong_name(exported))
    return [check for check in checks if check is not None]


def _wrong_name(model: Any) -> ParityCheck | None:
    """Whether asking for an adapter that is not there fails; None where the export has no adapters to name."""
    if not hasattr(model, "peft_config"):
        return None
    try:
        model.set_adapter(NO_SUCH_ADAPTER)
    except ValueError:
        return ParityCheck("wrong_name", True, "an adapter's name that is wrong is an error", {})
    return ParityCheck("wrong_name", False, "a wrong adapter's name is taken in silence", {})


def _own(asker: Asker, system: System, prompts: Sequence[Sequence[int]]) -> tuple[Sides, Pairs]:
    """The run's own side, one prompt at a time; and its answers as what is scored."""
    with asker.engine.using(system) as model:
        player = own_player(asker, model, 1)
        written = player.write(prompts, asker.max_new_tokens, f"golden prompts, {system.label}")
        pairs = [*zip(prompts, written, strict=True)]
        return Sides(player.score(pairs), written), pairs
