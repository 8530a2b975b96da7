"""Whether an export answers as what was evaluated: measured, against a noise floor that is measured, too.

Two engines, or one engine with rounded weights, never give equal numbers. How far apart they are without any adapter
(the same conversion of the base alone) is what the engine costs; the tuned model may differ by twice as much and no
more. Then the frozen test set is asked again, and the difference to the adapter's own answers gets a paired interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib.evaluate.answers import read_answers
from ftlib.evaluate.forgetting import TextLikelihood, load_texts, perplexity_ratio, windows
from ftlib.evaluate.scores import gain, score_generations
from ftlib.export.contents import ParityCheck, check_ends, check_head, check_ids, check_scale
from ftlib.export.golden import Golden, test_rows
from ftlib.rows import cluster
from ftlib.stats import Interval, Paired, mean_ci95, paired_difference, ratio_ci95

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker
    from ftlib.data.prompts import Prompt
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
    """Measure an export against the run's own adapter.

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
        unadapted = _player(asker, model, 1).score(pairs)
    with base() as player:
        floor = Sides(player.score(pairs_bare), player.write(prompts, longest, "golden prompts, base"))
    with tuned() as player:
        checks = _content_checks(player, asker, system, golden)
        there = Sides(player.score(pairs), player.write(prompts, longest, "golden prompts"))
        checks += compare_golden(own, there, own_bare, floor, unadapted)
        rows: list[Row] = []
        if to_the_end or all(check.passed for check in checks):
            rows = test_rows(asker, None)
            checks += _test_again(player, asker, system, rows, margin)
            checks += _forgetting(player, asker, system, margin)
        return Verdict(all(check.passed for check in checks), checks, player.engine, len(rows))


def compare_golden(
    own: Sides, there: Sides, own_bare: Sides, there_bare: Sides, unadapted: list[list[float]]
) -> list[ParityCheck]:
    """What the golden prompts say: the adapter acts, and acts as in the run, up to the engine's own noise.

    Args:
        own, there: the tuned model in the run and in the export, on the run's tuned answers.
        own_bare, there_bare: the base without adapter, on its own answers.
        unadapted: log-probabilities of the run's tuned answers under its base.
    """
    floor, apart = distance(own_bare.likely, there_bare.likely), distance(own.likely, there.likely)
    moved, allowed = distance(unadapted, there.likely), TIMES_FLOOR * max(floor.mean, RESOLUTION)
    acts = moved.mean > allowed
    told = f"the adapter moves the log-probability of a token by {moved.mean:.4f} nats"
    if not acts:
        told = f"the adapter is not applied: the export answers as the base does, {moved.mean:.2g} nats a token apart"
    figures = {"distance": apart, "floor": floor, "allowed": allowed, "from_base": moved}
    shown = f"{apart.mean:.3g} nats a token from the run's, the engine without adapter {floor.mean:.3g}"
    beyond = f"log-probabilities are {shown}: more than {TIMES_FLOOR:g} times that"
    return [
        ParityCheck("adapter_acts", acts, told, {"moved": moved}),
        ParityCheck("log_probabilities", apart.mean <= allowed, shown if apart.mean <= allowed else beyond, figures),
        _agreement(own, there, own_bare, there_bare),
    ]


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
        checks += [check_head(exported, asker.engine), check_scale(exported, asker.engine, system)]
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
        player = _player(asker, model, 1)
        written = player.write(prompts, asker.max_new_tokens, f"golden prompts, {system.label}")
        pairs = [*zip(prompts, written, strict=True)]
        return Sides(player.score(pairs), written), pairs


def _player(asker: Asker, model: Any, batch_rows: int):
    from ftlib.core.generate import end_tokens
    from ftlib.export.players import TorchPlayer

    tokenizer = asker.engine.tokenizer
    return TorchPlayer(model, tokenizer, end_tokens(asker.engine.model, tokenizer), batch_rows, "the run's own")


def _test_again(player: Player, asker: Asker, system: System, rows: Sequence[Row], margin: float) -> list[ParityCheck]:
    """The frozen test set, asked as a chat server is."""
    recipe, longest = asker.run.recipe, asker.max_new_tokens
    prompts = [asker.ask(system, row).prompt for row in rows]
    said = player.write([player.encode(prompt.messages) for prompt in prompts], longest, "test set")
    before = _answers_of_run(asker, system, prompts)
    lines = [
        {"id": row.id, "system": "export", "prediction": player.text(ids)} for row, ids in zip(rows, said, strict=True)
    ]
    items = score_generations(
        rows,
        [*({**line, "system": "run"} for line in before), *lines],
        columns=recipe.data.columns,
        refusal=recipe.prompt.refusal,
        also=recipe.evaluate.refusal_phrases,
        right=recipe.evaluate.right,
    )
    own, mine = items[: len(rows)], items[len(rows) :]
    right = gain(mine, own, "right", recipe.evaluate.bootstrap_samples, recipe.seed)
    keys = [cluster(row, recipe.data.columns.fact) for row in rows]
    ended = [float(len(ids) < longest or ids[-1] in player.ends) for ids in said]
    stopped = [float(line["tokens"] < longest) for line in before]
    stops = paired_difference(ended, stopped, keys, recipe.evaluate.bootstrap_samples, recipe.seed)
    shares = {
        "run": sum(item["right"] for item in own) / len(own),
        "export": sum(item["right"] for item in mine) / len(mine),
    }
    return [
        _kept("right_answers", "right answers", shares, right, margin),
        _kept(
            "stop_rate",
            "answers that end",
            {"run": sum(stopped) / len(rows), "export": sum(ended) / len(rows)},
            stops,
            margin,
        ),
    ]


def _kept(name: str, what: str, shares: dict[str, float], change: Paired, margin: float) -> ParityCheck:
    """Whether the interval rules out a loss of more than the margin."""
    passed = change.low >= -margin
    told = f"{what}: {shares['export']:.1%}, the run {shares['run']:.1%}; difference {change.difference:+.3f} "
    told += f"[{change.low:+.3f}, {change.high:+.3f}], n={change.n}"
    if not passed:
        why = "lost" if change.high < 0 else "too few rows, or too many differing answers, to rule out the loss of"
        told = f"{why} more than {margin:g} of {told}" if change.high >= 0 else f"{why}: {told}"
    return ParityCheck(name, passed, told, shares | {"difference": change})


def _answers_of_run(asker: Asker, system: System, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """The adapter's answers of notebook 03 where they were asked in the same way, else made now."""
    wanted = {prompt.id for prompt in prompts}
    lines = read_answers(asker.run.path / "03_evaluate" / "generations.jsonl")
    mine = {line["id"]: line for line in lines if line["system"] == system.name and line["instruction"] == system.told}
    if wanted <= mine.keys():
        return [mine[prompt.id] for prompt in prompts]
    rows = asker.run.recipe.evaluate.batch_rows
    told = asker.engine.generate(system, prompts, max_new_tokens=asker.max_new_tokens, batch_rows=rows)
    return [
        {"id": prompt.id, "prediction": said.text, "tokens": said.tokens}
        for prompt, said in zip(prompts, told, strict=True)
    ]


def _forgetting(player: Player, asker: Asker, system: System, margin: float) -> list[ParityCheck]:
    """Perplexity of the held-out text, the export's over the run's; nothing where the recipe names no text."""
    recipe = asker.run.recipe
    if recipe.evaluate.holdout_path is None:
        return []
    texts = load_texts(recipe.evaluate.holdout_path)
    with asker.engine.using(system) as model:
        before = _likelihoods(_player(asker, model, recipe.evaluate.batch_rows), asker, texts)
    after = _likelihoods(player, asker, texts)
    ratio = perplexity_ratio(before, after, "tokens", recipe.evaluate.bootstrap_samples, recipe.seed)
    told = (
        f"perplexity of held-out text {ratio.mean:.4f} [{ratio.low:.4f}, {ratio.high:.4f}] times the run's, n={ratio.n}"
    )
    passed = ratio.high <= 1 + margin
    told = told if passed else f"held-out text may have become harder by more than {margin:.0%}: {told}"
    return [ParityCheck("forgetting", passed, told, {"ratio": ratio})]


def _likelihoods(player: Player, asker: Asker, texts: Sequence[str]) -> list[TextLikelihood]:
    """As `ftlib.evaluate.forgetting.score_texts`, by any player."""
    tokenizer, kind = asker.engine.tokenizer, asker.engine.renderer.encoder_decoder
    longest = asker.run.recipe.train.max_length
    cut = [windows(tokenizer, text, longest, encoder_decoder=kind) for text in texts]
    pairs = [(w.input_ids, w.labels) if kind else _scored(w.input_ids, w.labels) for part in cut for w in part]
    told, found = iter(player.score(pairs)), []
    for number, (text, part) in enumerate(zip(texts, cut, strict=True)):
        if likely := [each for _ in part for each in next(told)]:
            found.append(TextLikelihood(str(number), sum(likely), len(likely), len(text.encode("utf-8"))))
    return found


def _scored(ids: list[int], labels: list[int]) -> tuple[list[int], list[int]]:
    """What stands before, and what is scored."""
    from ftlib.data.prompts import IGNORED

    start = sum(label == IGNORED for label in labels)
    return ids[:start], ids[start:]
