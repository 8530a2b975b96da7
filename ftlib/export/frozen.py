"""The frozen test set and the held-out text, asked again of an export and held against the run's own adapter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftlib.evaluate.answers import read_answers
from ftlib.evaluate.forgetting import TextLikelihood, load_texts, perplexity_ratio, windows
from ftlib.evaluate.scores import gain, score_generations
from ftlib.export.contents import ParityCheck
from ftlib.rows import cluster
from ftlib.stats import Paired, known_limits, paired_difference

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker
    from ftlib.data.prompts import Prompt
    from ftlib.export.players import Player, TorchPlayer
    from ftlib.rows import Row
    from ftlib.systems import System


def own_player(asker: Asker, model: Any, batch_rows: int) -> TorchPlayer:
    """The run's own model, `batch_rows` rows at a time."""
    from ftlib.core.generate import end_tokens
    from ftlib.export.players import TorchPlayer

    tokenizer = asker.engine.tokenizer
    return TorchPlayer(model, tokenizer, end_tokens(asker.engine.model, tokenizer), batch_rows, "the run's own")


def ask_again(player: Player, asker: Asker, system: System, rows: Sequence[Row], margin: float) -> list[ParityCheck]:
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
    if not passed and change.high < 0:
        told = f"lost: {told}"
    elif not passed:
        told = f"too few rows, or too many differing answers, to rule out the loss of more than {margin:g} of {told}"
        told += f"; --margin {math.ceil(-100 * change.low) / 100:g} is what these questions can show"
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


def held_out(player: Player, asker: Asker, system: System, margin: float) -> list[ParityCheck]:
    """Perplexity of the held-out text, the export's over the run's; nothing where the recipe names no text."""
    recipe = asker.run.recipe
    if recipe.evaluate.holdout_path is None:
        return []
    texts = load_texts(recipe.evaluate.holdout_path)
    with asker.engine.using(system) as model:
        before = _likelihoods(own_player(asker, model, recipe.evaluate.batch_rows), asker, texts)
    after = _likelihoods(player, asker, texts)
    ratio = perplexity_ratio(before, after, "tokens", recipe.evaluate.bootstrap_samples, recipe.seed)
    limits = known_limits(ratio)  # None where every text changed alike, e.g. not at all
    span = f"[{limits[0]:.4f}, {limits[1]:.4f}] " if limits else ""
    told = f"perplexity of held-out text {ratio.mean:.4f} {span}times the run's, n={ratio.n}"
    passed = (limits[1] if limits else ratio.mean) <= 1 + margin
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
