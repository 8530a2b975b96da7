"""Claim: a little general text among the rows keeps an adapter from forgetting; more of it costs accuracy.

    python benchmarks/replay.py [--subjects 8] [--shares 0 .01 .05 .10 .25] [--kl 0 1] [-p train.epochs=6]

Trains the recipe at several shares of replayed text (texts an epoch, as a share of the training rows), with the text's
own loss (--kl 0) or KL to the base (`train.replay_kl`). Measures exact match on the test's headline slice, closed book,
and by which factor perplexity on the held-out text grew. Prints a JSON list and draws one picture. Points that stand in
the file are not measured again. The same rows in all points; a seed moves the adapter's start and all that is drawn.
"""

import argparse
import contextlib
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

import torch
import yaml
from training.adapters import Point, Points, exact, fit, fresh

from ftlib import rows
from ftlib.core import reading
from ftlib.data.preparation import STEPS, Preparation
from ftlib.evaluate import forgetting
from ftlib.plots import COLOURS, INK, new_figure, percent_axis, style
from ftlib.recipe import Recipe
from ftlib.rows import Row
from ftlib.stats import mean_ci95

ROOT = Path(__file__).parents[1]
NAMES = ("seed", "share", "kl", "subjects", "overrides")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=ROOT / "data" / "recipes" / "demo.yaml")
    parser.add_argument("--subjects", type=int, default=8, help="rows about the first so many subjects; 0: all rows")
    parser.add_argument("--shares", type=float, nargs="+", default=[0, 0.01, 0.05, 0.10, 0.25])
    parser.add_argument("--kl", type=float, nargs="+", default=[0.0], help="weights; 0: the text's own loss")
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21])
    parser.add_argument("-p", dest="overrides", action="append", default=[], help="a recipe field: name=value")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "replay.json")
    return parser.parse_args(arguments)


def prepared(recipe: Recipe, folder: Path) -> tuple[list[Row], list[Row]]:
    """Training and test rows as notebook 01 makes them; kept in `folder` for the next time."""
    if not (folder / "audit.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with Preparation(recipe, folder) as preparation, contextlib.redirect_stdout(sys.stderr):
            for step in STEPS:
                getattr(preparation, step)()
    return rows.read(folder / "train.jsonl"), rows.read(folder / "test.jsonl")


def about(found: Sequence[Row], column: str | None, most: int, among: Sequence[Row]) -> list[Row]:
    """Rows about the first `most` subjects in alphabetical order of those that `among` asks about; 0: all rows."""
    chosen = set(sorted({name for row in among for name in rows.values(row, column)})[:most])
    return [row for row in found if not most or chosen.intersection(rows.values(row, column))]


def measure(recipe: Recipe, train_rows: Sequence[Row], asked: Sequence[Row]) -> Point:
    """One training: exact match, tokens and seconds, and the factor of perplexity with its interval over texts."""
    tuned, started = fresh(recipe), time.process_time()
    drawn = reading.draw(train_rows, math.ceil(recipe.train.epochs), recipe, tuned.renderer).examples
    examples = [tuned.renderer.example(row) for row in train_rows]
    with tempfile.TemporaryDirectory() as folder:
        fit(tuned, examples, Path(folder), recipe, drawn=drawn)
        lines = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    seconds = time.process_time() - started
    right = exact(tuned, asked, recipe)
    texts = forgetting.load_texts(recipe.evaluate.holdout_path)
    sizes = {"max_length": recipe.train.max_length, "batch_rows": recipe.evaluate.batch_rows}
    after = forgetting.score_texts(tuned.model, tuned.tokenizer, texts, **sizes)
    with tuned.model.disable_adapter():
        before = forgetting.score_texts(tuned.model, tuned.tokenizer, texts, **sizes)
    ratio = forgetting.perplexity_ratio(before, after, "tokens", recipe.evaluate.bootstrap_samples, recipe.seed)
    return {
        "exact": sum(right) / len(right),
        "right": {row.id: value for row, value in zip(asked, right, strict=True)},
        "perplexity_ratio": ratio.mean,
        "perplexity_ratio_ci95": [ratio.low, ratio.high],
        "texts": ratio.n,
        "tokens": json.loads(lines[-1])["tokens"],
        "cpu_seconds": round(seconds, 1),
    }


def groups(points: Sequence[Point]) -> dict[tuple[float, float], list[Point]]:
    """(share, kl) -> its points, one a seed."""
    found: dict[tuple[float, float], list[Point]] = {}
    for point in sorted(points, key=lambda point: (point["kl"], point["share"])):
        found.setdefault((point["share"], point["kl"]), []).append(point)
    return found


def accuracy(points: Sequence[Point]):
    """Mean exact match of several seeds with its interval over questions: a question's answers are one cluster."""
    said = [(value, name) for point in points for name, value in point["right"].items()]
    return mean_ci95([value for value, _ in said], clusters=[name for _, name in said])


def factor(points: Sequence[Point]) -> float:
    """The geometric mean over seeds by which perplexity grew."""
    return math.exp(sum(math.log(point["perplexity_ratio"]) for point in points) / len(points))


def table(points: Sequence[Point]) -> str:
    """One line a share and weight."""
    lines = [f"{'share':>6} {'KL':>5} {'seeds':>5} {'exact':>7} {'95 %':>16} {'by seed':>16} {'perplexity x':>13}"]
    for (share, kl), part in groups(points).items():
        each, mean = " ".join(f"{point['exact']:.3f}" for point in part), accuracy(part)
        limits = f"[{mean.low:.3f}, {mean.high:.3f}]"
        lines.append(
            f"{share:>6.1%} {kl:>5g} {len(part):>5} {mean.mean:>7.3f} {limits:>16} {each:>16} {factor(part):>13.2f}"
        )
    return "\n".join(lines)


def picture(points: Sequence[Point], path: Path) -> None:
    """Accuracy against perplexity: a large dot a share with its interval over questions, a small one a seed."""
    with style():
        figure, axes = new_figure(7.6, 4.4)
        for at, ((share, kl), part) in enumerate(groups(points).items()):
            colour, mark = COLOURS[at % len(COLOURS)], "s" if kl else "o"
            mean, x = accuracy(part), factor(part)
            axes.plot([x, x], [mean.low, mean.high], color=colour, linewidth=2, alpha=0.5)
            label = f"{share:.0%}" + (f", KL x {kl:g}" if kl else "")
            axes.plot(x, mean.mean, mark, color=colour, markersize=9, label=label)
            axes.plot([p["perplexity_ratio"] for p in part], [p["exact"] for p in part], mark, color=colour,
                      markersize=4, alpha=0.7)  # fmt: skip
        axes.axvline(1, color=INK, linewidth=1, linestyle="--")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        percent_axis(axes.yaxis)
        axes.set(title="what replayed text costs and saves", ylabel="exact match, closed book")
        axes.set_xlabel("perplexity on held-out text, times the base's (log)")
        figure.legend(title="replayed texts", loc="outside right upper")
        figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing, prints the list and draws the picture."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    overrides = {name: yaml.safe_load(value) for name, value in (each.split("=", 1) for each in options.overrides)}
    recipe = Recipe.load(options.recipe, overrides)
    told, tested = prepared(recipe, options.out.with_suffix("") / "01_data")
    columns, wanted = recipe.data.columns, recipe.evaluate.headline_slice
    headline = [row for row in tested if wanted in (None, rows.slice_of(row, columns.slice))]
    train_rows = about(told, columns.subject, options.subjects, headline)
    asked = about(headline, columns.subject, options.subjects, headline)
    print(f"{len(train_rows):,} training rows, {len(asked)} questions, process {os.getpid()}", file=sys.stderr)
    points, same = Points(options.out, NAMES), {"subjects": options.subjects, "overrides": sorted(options.overrides)}
    for seed, (kl, share) in product(options.seeds, product(options.kl, options.shares)):
        if share or not kl:
            changed = {"train.seed": seed, "train.replay_share": share, "train.replay_kl": kl}
            one = Recipe.load(options.recipe, overrides | changed)
            wanted = {"seed": seed, "share": share, "kl": kl, **same}
            points.measured(wanted, partial(measure, one, train_rows, asked))
    chosen = [point for point in points.all if all(point[name] == value for name, value in same.items())]
    print(json.dumps(chosen, indent=1))
    print(table(chosen), file=sys.stderr)
    picture(chosen, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
