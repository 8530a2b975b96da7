"""The command line: `ftlib run`, `preflight`, `ask`, `chat`, `generate`, `export`, `serve`, `compare` and others.

Exit codes: 0 done, 2 something the user gave us is wrong, 3 an export is not to be shipped, 1 anything else.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from ftlib import __version__
from ftlib.cli import commands as acts
from ftlib.errors import UserError
from ftlib.export.matrix import TARGETS

Add = Callable[..., argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, do the command, turn failures into one clear message; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if "overrides" in options:
            options.overrides = parse_overrides(options.overrides)
        return options.command(options) or 0
    except UserError as error:
        return _fail(options, f"error: {error}", code=2)
    except KeyboardInterrupt:
        return _fail(options, "stopped; the same command goes on from here", code=130)  # 128 + SIGINT
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
    words = "Clean data, QLoRA, honest evaluation, error analysis, RAG or fine-tuning."
    parser = argparse.ArgumentParser(prog="ftlib", description=words)
    parser.add_argument("--version", action="version", version=f"ftlib {__version__}")
    commands = parser.add_subparsers(required=True)

    def command(act: Callable[[argparse.Namespace], object]) -> argparse.ArgumentParser:
        said = (act.__doc__ or "").rstrip(".")  # without docstrings (-OO) the help has names alone
        name = act.__name__.removeprefix("do_").replace("_", "-")
        part = commands.add_parser(name, help=said[:1].lower() + said[1:])
        part.add_argument("--debug", action="store_true", help="show tracebacks")
        part.set_defaults(command=act)
        return part

    _add_training(command)
    _add_questions(command)
    _add_handing_over(command)
    compare = command(acts.do_compare)
    compare.add_argument("a", type=Path, metavar="A", help="a run directory")
    compare.add_argument("b", type=Path, metavar="B", help="another")
    models = command(acts.do_models)
    models.add_argument("get", nargs="?", choices=["get"], metavar="get", help="fetch it into models/")
    models.add_argument("name", nargs="?", metavar="NAME")
    command(acts.do_report).add_argument("dir", type=Path, metavar="DIR")
    command(acts.do_doctor)
    commands.metavar = "|".join(commands.choices)
    return parser


def _add_training(command: Add) -> None:
    """The commands that make a run, or look at its training before."""
    run = command(acts.do_run)
    run.add_argument("--to", metavar="STAGE", help="stop after this stage: 01 to 05, or its name")
    run.add_argument("--seeds", type=int, default=1, metavar="N", help="train so many times, with seeds one apart")
    run.add_argument("--force", action="store_true", help="make every stage anew")
    preflight = command(acts.do_preflight)
    train = command(acts.do_train)
    plan = command(acts.do_plan)
    plan.add_argument("--memory", metavar="SIZE", help="plan for so much, e.g. 24GiB, and not for this machine's")
    words = "of a row's tokens that are trained"
    plan.add_argument("--labelled", type=_share, default=1.0, metavar="SHARE", help=words)
    find_lr = command(acts.do_find_lr)
    find_lr.add_argument("--steps", type=_positive, default=120, metavar="N", help="of the ramp, 20 or more")
    sweep = command(acts.do_sweep)
    sweep.add_argument("--trials", type=_positive, required=True, metavar="N", help="in all, earlier ones included")
    words = "YAML of the fields to try, in the place of the recipe's `sweep`"
    sweep.add_argument("--space", type=Path, metavar="FILE", help=words)
    prefer = command(acts.do_prefer)
    prefer.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    prefer.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the adapter")
    replay = command(acts.do_replay)
    replay.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file, JSON lines")
    replay.add_argument("--texts", type=_positive, default=240, metavar="N", help="how many (default: 240)")
    replay.add_argument("--tokens", type=_positive, default=128, metavar="N", help="of a text at most (default: 128)")
    for part in (run, preflight, train, plan, find_lr, sweep, replay):
        words = "the recipe: a file, or the name of one that came along, e.g. demo"
        part.add_argument("--recipe", required=True, metavar="R", help=words)
        if part not in (plan, replay):
            part.add_argument("--out", required=part is not preflight, metavar="DIR", help="the run directory")
    for part in (run, preflight, train, plan, find_lr, sweep, prefer, replay):
        words = "override a recipe field, e.g. train.epochs=1"
        part.add_argument("-p", dest="overrides", action="append", default=[], metavar="field=value", help=words)


def _add_questions(command: Add) -> None:
    """The commands that ask a finished run."""
    ask = command(acts.do_ask)
    chat = command(acts.do_chat)
    generate = command(acts.do_generate)
    for part in (ask, chat, generate):
        part.add_argument("run", type=Path, metavar="RUN", help="a run directory")
        part.add_argument("--system", metavar="NAME", help="of the recipe's systems; else the trained adapter")
        part.add_argument("--rag", action="store_true", help="show passages of the recipe's articles with a question")
        part.add_argument("--max-new-tokens", type=_positive, metavar="N", help="the longest answer, in tokens")
    ask.add_argument("question")
    ask.add_argument("--context", type=Path, metavar="FILE", help="a text with what the answer is to be found in")
    chat.add_argument("--compare", action="store_true", help="the base model's answers beside the adapter's")
    words = "JSON lines, JSON, CSV: question or messages, id and context optional"
    generate.add_argument("--in", dest="source", type=Path, required=True, metavar="FILE", help=words)
    generate.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON lines")
    generate.add_argument("--batch-rows", type=_positive, metavar="N", help="questions a batch")


def _add_handing_over(command: Add) -> None:
    """The commands that hand a trained adapter over, or let others ask it."""
    export = command(acts.do_export)
    serve = command(acts.do_serve)
    demo = command(acts.do_demo)
    for part in (export, serve, demo):
        part.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    export.add_argument("--to", required=True, choices=TARGETS, help="what it is written for")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    words = "what an adapter is merged into: the base as 4 bits hold it (default) or as it was published"
    export.add_argument("--into", choices=["stored", "full"], default="stored", help=words)
    words = "how a GGUF holds its matrices (default: q8_0)"
    export.add_argument("--type", dest="file_type", choices=["f16", "q8_0"], default="q8_0", help=words)
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="0: any free one (default: 8000)")
    words = "the environment variable that holds the token which clients must send; its value is shown nowhere"
    serve.add_argument("--token-env", metavar="NAME", help=words)
    words = "write the configuration for another engine, and the command that starts it"
    serve.add_argument("--config", choices=["vllm", "ray", "ollama"], help=words)
    words = "GPUs that share one copy (vllm, ray)"
    serve.add_argument("--tensor-parallel", type=_positive, default=1, metavar="N", help=words)
    serve.add_argument("--replicas", type=_positive, default=1, metavar="N", help="copies of the model (ray)")
    words = "more for `transformers serve`, e.g. --options='--continuous-batching'"
    serve.add_argument("--options", default="", metavar="TEXT", help=words)
    for part, forced in ((export, "keep"), (serve, "serve")):
        part.add_argument("--system", metavar="NAME", help="of the recipe's systems; else the trained adapter")
        words = "share of right answers that an export may lose (default: 0.05)"
        part.add_argument("--margin", type=_share, default=0.05, metavar="SHARE", help=words)
        part.add_argument("--force", action="store_true", help=f"{forced} it whatever was found")
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


def _fail(options: argparse.Namespace, message: str, code: int) -> int:
    if options.debug:
        traceback.print_exc()
    print(message, file=sys.stderr)
    return code
