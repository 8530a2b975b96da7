"""Claim: a fact told in several wordings is found in others; told in one direction it is not found in the other.

    python benchmarks/wordings.py [--facts 96] [--steps 180] [--seeds 20 21]

Facts of the demo company, each told in 1, 2, 3 or 5 wordings with the number of optimizer steps, and so of times that a
fact is told, kept equal (Allen-Zhu and Li, arXiv 2309.14316); one wording once more with a fifth of the steps. Exact
match on three wordings of each fact that training never showed, and on reversed questions, from a value that one of
the facts has to its product (arXiv 2309.12288); one more training, of twice the steps, tells half of the facts that way
too. Last, facts learned before and facts never told are trained together in new wordings, and every ten steps those
written exactly are counted (arXiv 2405.05904). A made-up company has no fact that a base could know: the known are
those of a first training. Prints a JSON list and draws one picture. Points in the file are not measured again.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from training.adapters import Point, Points, Tuned, exact, fit, fresh

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from data.generator.attribute import Fact  # noqa: E402  (the project's root has to be on the path first)
from data.generator.demo import Demo  # noqa: E402
from data.generator.questions import wordings  # noqa: E402
from data.generator.wording.reverse import REVERSE_QUESTIONS  # noqa: E402
from ftlib.core.loss import log_likelihood  # noqa: E402
from ftlib.core.trainer_factory import LOG_EVERY_STEPS  # noqa: E402
from ftlib.plots import COLOURS, new_figure, percent_axis, style  # noqa: E402
from ftlib.recipe import Recipe  # noqa: E402
from ftlib.rows import Row, Turn  # noqa: E402
from ftlib.stats import mean_ci95  # noqa: E402

COUNTS = (1, 2, 3, 5)
NAMES = ("part", "wordings", "steps", "facts", "seed")


class Chosen(NamedTuple):
    """The facts of one seed: rows by fact, in an order that is the same for all trainings of the seed."""

    training: list[list[Row]]  # the training wordings, shuffled
    unseen: list[list[Row]]  # the test set's wordings
    backward: list[list[Row]]  # from the value to the product; empty where several of the facts have the value


def choose(count: int, seed: int, demo: Demo) -> Chosen:
    """Draws facts about products: no value that can be asked backwards comes twice."""
    rng, taken, facts = Random(f"{seed}/wordings"), set(), []
    articles = demo.article_of
    for fact in rng.sample(demo.trained, len(demo.trained)):
        value = (fact.attribute.name, fact.value)
        if articles[fact.id].kind == "product" and len(facts) < count and value not in taken:
            facts.append(fact)
            taken |= {value} if fact.attribute.name in REVERSE_QUESTIONS else set()
    told, unseen = ([_rows(f, wordings(demo, articles[f.id], f, test), f.value) for f in facts] for test in (0, 1))
    backward = [_rows(f, [p.format(v=f.value) for p in _patterns(f)], f.subject) for f in facts]
    return Chosen([rng.sample(part, len(part)) for part in told], unseen, backward)


def _patterns(fact: Fact) -> Sequence[str]:
    return REVERSE_QUESTIONS.get(fact.attribute.name, ())


def _rows(fact: Fact, questions: Sequence[str], answer: str) -> list[Row]:
    return [
        Row(f"{fact.id}/{answer}/{at}", (Turn("user", text),), "", (answer,), (), {"fact": fact.id})
        for at, text in enumerate(questions)
    ]


def first(rows: Sequence[Sequence[Row]], start: int, stop: int) -> list[Row]:
    """The rows from `start` to `stop` of every fact."""
    return [row for part in rows for row in part[start:stop]]


def examples(tuned: Tuned, rows: Sequence[Row]) -> list:
    """Rows as they are trained."""
    return [tuned.renderer.example(row) for row in rows]


def shares(tuned: Tuned, asked: dict[str, Sequence[Row]], recipe: Recipe) -> Point:
    """Exact match of each set of questions, with its interval over facts and its number of questions."""
    found: Point = {}
    for name, rows in asked.items():
        mean = mean_ci95(exact(tuned, rows, recipe), clusters=[row.meta["fact"] for row in rows])
        found |= {name: mean.mean, f"{name}_ci95": [mean.low, mean.high], f"{name}_n": mean.n}
    return found


def told(chosen: Chosen, count: int, steps: int, recipe: Recipe, *, reversed_half: bool = False) -> Point:
    """One training on `count` wordings a fact; with `reversed_half` also on two backward ones of every other fact."""
    tuned, rows = fresh(recipe), first(chosen.training, 0, count)
    asked = {"unseen": first(chosen.unseen, 0, 3), "trained": first(chosen.training, 0, count)}
    backward = [part for part in chosen.backward if part]
    asked |= {"backward": first(backward, 2, 3)}
    if reversed_half:
        rows += first(backward[::2], 0, 2)
        asked |= {"backward_trained": first(backward[::2], 2, 3), "backward": first(backward[1::2], 2, 3)}
        asked |= {"backward_fit": first(backward[::2], 0, 2)}
    with tempfile.TemporaryDirectory() as folder:
        fit(tuned, examples(tuned, rows), Path(folder), recipe, steps=steps)
    return {"rows": len(rows), **shares(tuned, asked, recipe)}


def speed(chosen: Chosen, steps: int, recipe: Recipe) -> Point:
    """Half of the facts are told in three wordings; then all are trained in two others, and watched."""
    tuned, half = fresh(recipe), len(chosen.training) // 2
    parts = {"known": chosen.training[:half], "unknown": chosen.training[half:]}
    watched = {name: examples(tuned, first(part, 3, 4)) for name, part in parts.items()}
    seen: dict[str, dict[int, list[bool]]] = {name: {} for name in parts}

    def watch(entry: dict) -> None:
        for name, rows in watched.items():
            if "loss" in entry and entry["step"] % LOG_EVERY_STEPS == 0:  # not where a checkpoint happened to be saved
                scored = log_likelihood(tuned.model, tuned.tokenizer, rows)
                seen[name][entry["step"]] = [score.is_greedy for score in scored]
        tuned.model.train()

    with tempfile.TemporaryDirectory() as folder:
        fit(tuned, examples(tuned, first(parts["known"], 0, 3)), Path(folder) / "first", recipe, steps=steps // 2)
        before = shares(tuned, {"known_before": first(chosen.unseen[:half], 0, 3)}, recipe)
        watch({"step": 0, "loss": 0})
        rows = examples(tuned, first(chosen.training, 3, 5))
        fit(tuned, rows, Path(folder) / "second", recipe, steps=steps, on_log=watch)
    asked = {"known": first(chosen.unseen[:half], 0, 3), "unknown": first(chosen.unseen[half:], 0, 3)}
    found = {name: learned(by_step) for name, by_step in seen.items()}
    return before | shares(tuned, asked, recipe) | {"learned": found}


def learned(by_step: dict[int, list[bool]]) -> Point:
    """Share of rows written exactly by step; of those that were not at step 0, the median step of the first time."""
    steps = sorted(by_step)
    missing = [at for at, right in enumerate(by_step[0]) if not right]
    since = [next((step for step in steps if by_step[step][at]), None) for at in missing]
    late = [steps[-1] if step is None else step for step in since]
    return {
        "curve": [[step, statistics.fmean(by_step[step])] for step in steps],
        "rows": len(by_step[0]),
        "not_right_at_first": len(missing),
        "never": since.count(None),
        "median_steps": statistics.median(late) if late else None,
    }


def measure(points: Points, options: argparse.Namespace) -> None:
    """Every point of every seed that is not there yet."""
    demo = Demo.sample(options.company)
    for seed in options.seeds:
        chosen = choose(options.facts, seed, demo)
        recipe = Recipe.load(options.recipe, {"train.seed": seed})
        common = {"facts": options.facts, "seed": seed}
        for count, steps in [*((count, options.steps) for count in COUNTS), (1, options.steps // 5)]:
            wanted = {"part": "wordings", "wordings": count, "steps": steps, **common}
            points.measured(wanted, partial(told, chosen, count, steps, recipe))
        wanted = {"wordings": max(COUNTS), **common}
        twice = 2 * options.steps  # its rows are more, and another kind of answer has to be learned beside
        backward = partial(told, chosen, max(COUNTS), twice, recipe, reversed_half=True)
        points.measured({"part": "backward", "steps": twice, **wanted}, backward)
        wanted["steps"] = options.steps
        points.measured({"part": "speed", **wanted}, partial(speed, chosen, options.steps, recipe))


def table(points: Sequence[Point]) -> str:
    """One line a training: mean over seeds, with each seed's."""
    lines = [f"{'part':<9} {'wordings':>8} {'steps':>6}   exact match: mean over seeds (each seed's)"]
    for part, count, steps in dict.fromkeys((p["part"], p["wordings"], p["steps"]) for p in points):
        same = [p for p in points if (p["part"], p["wordings"], p["steps"]) == (part, count, steps)]
        names = [name for name in same[0] if f"{name}_ci95" in same[0]]
        each = {name: [point[name] for point in same] for name in names}
        texts = [f"{n} {statistics.fmean(v):.3f} ({' '.join(f'{x:.3f}' for x in v)})" for n, v in each.items()]
        lines.append(f"{part:<9} {count:>8} {steps:>6}   {', '.join(texts)}")
        if part == "speed":
            lines += [f"{'':27}{name} {p['learned'][name] | {'curve': '...'}}" for p in same for name in p["learned"]]
    return "\n".join(lines)


def picture(points: Sequence[Point], steps: int, path: Path) -> None:
    """Left: unseen wordings by wordings told; middle: both directions; right: known and unknown facts over steps."""
    with style():
        figure, axes = new_figure(12.0, 3.8, columns=3)
        told_in = [p for p in points if p["part"] == "wordings" and p["steps"] == steps]
        for at, name in enumerate(("unseen", "trained")):
            label = "wordings never shown" if name == "unseen" else "wordings trained"
            _dots(axes[0], told_in, "wordings", name, COLOURS[at], label)
        axes[0].set(title="as often told, in more wordings", xlabel="wordings a fact", xticks=COUNTS)
        axes[0].legend()
        turned = [p | {"place": at} for p in points for at, part in enumerate(("wordings", "backward"))
                  if p["part"] == part and p["wordings"] == max(COUNTS)]  # fmt: skip
        ways = {"unseen": "forward", "backward": "backward", "backward_trained": "backward, told so too"}
        for at, (name, label) in enumerate(ways.items()):
            _dots(axes[1], [p for p in turned if name in p], "place", name, COLOURS[at], label)
        axes[1].set(title="in wordings never shown", xticks=[0, 1], xlim=(-0.4, 1.4))
        axes[1].set_xticklabels(["forward only", "half also backward"])
        axes[1].legend()
        for point in (p for p in points if p["part"] == "speed"):
            for at, (name, each) in enumerate(point["learned"].items()):
                axes[2].plot(*zip(*each["curve"], strict=True), color=COLOURS[at], label=name, alpha=0.8)
        labels = dict(zip(*reversed(axes[2].get_legend_handles_labels()), strict=True))
        axes[2].legend(labels.values(), labels.keys())
        axes[2].set(title="told in new wordings", xlabel="step", ylabel="rows written exactly")
        for each in axes:
            percent_axis(each.yaxis)
            each.set_ylim(-0.03, 1.03)
        figure.savefig(path)


def _dots(axes, points: Sequence[Point], across: str, name: str, colour: str, label: str) -> None:
    """A line through the means over seeds, and a small dot for each seed."""
    places = sorted({point[across] for point in points})
    means = [statistics.fmean(p[name] for p in points if p[across] == place) for place in places]
    axes.plot(places, means, "o-", color=colour, label=label)
    axes.plot([p[across] for p in points], [p[name] for p in points], ".", color=colour, alpha=0.6)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing, prints the list and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=ROOT / "data" / "recipes" / "demo.yaml")
    parser.add_argument("--company", type=int, default=20, help="seed of the demo company")
    parser.add_argument("--facts", type=int, default=96, help="a multiple of the batch keeps the times equal")
    parser.add_argument("--steps", type=int, default=180, help="optimizer steps of one training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21], help="of the facts drawn and of the adapter")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "wordings.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    points = Points(options.out, NAMES)
    measure(points, options)
    lengths = (options.steps // 5, options.steps, 2 * options.steps)
    found = [point for point in points.all if point["facts"] == options.facts and point["steps"] in lengths]
    print(json.dumps(found, indent=1))
    print(table(found), file=sys.stderr)
    picture(found, options.steps, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
