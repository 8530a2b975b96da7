"""The command line: `ftlib run`, `ftlib compare`, `ftlib report`, `ftlib doctor`.

Exit codes: 0 done, 2 something the user gave us is wrong, 1 anything else.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ftlib import __version__
from ftlib.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, do the command, turn failures into one clear message.

    Returns:
        The exit code.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.command(options)
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
            raise UserError.of(
                f"-p {pair}", "field=value, e.g. train.epochs=1", "no '='", "write the field, '=' and the value"
            )
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
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(required=True, metavar="run|compare|report|doctor")

    run = commands.add_parser("run", parents=[common], help="run the five notebooks; the same command resumes")
    run.add_argument("--recipe", required=True, metavar="R", help="the recipe file, e.g. data/recipes/demo.yaml")
    run.add_argument("--out", required=True, metavar="DIR", help="the run directory")
    run.add_argument(
        "-p", dest="overrides", action="append", default=[], metavar="field=value", help="override a recipe field"
    )
    run.add_argument("--to", metavar="STAGE", help="stop after this stage: 01 to 05, or its name")
    run.add_argument("--force", action="store_true", help="make every stage anew")
    run.set_defaults(command=_run)

    compare = commands.add_parser("compare", parents=[common], help="two runs on the same test set, side by side")
    compare.add_argument("a", type=Path, metavar="A", help="a run directory")
    compare.add_argument("b", type=Path, metavar="B", help="another")
    compare.set_defaults(command=_compare)

    doctor = commands.add_parser("doctor", parents=[common], help="what this machine can do, and why")
    doctor.set_defaults(command=_doctor)

    report = commands.add_parser("report", parents=[common], help="write report.html of a run again")
    report.add_argument("dir", type=Path, metavar="DIR")
    report.set_defaults(command=_report)
    return parser


def _run(options: argparse.Namespace) -> int:
    from ftlib.execute import run_all
    from ftlib.report import recommendation, system_labels, table, write_report

    overrides = parse_overrides(options.overrides)
    run = run_all(options.recipe, options.out, overrides, force=options.force, to=options.to, say=_say)
    page = write_report(run.path)
    print(f"\n{run.recipe.name}\n{table(run.refresh_summary(), system_labels(run.path))}\n")
    if found := recommendation(run.path):
        print(f"  {found['headline']}\n")
    print(f"  Report:    {page}\n  Numbers:   {run.path / 'summary.json'}\n  Notebooks: {run.path / 'notebooks'}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    from ftlib.compare_runs import compare_runs

    print(compare_runs(options.a.resolve(), options.b.resolve()))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from ftlib.doctor import examine

    print(examine())
    return 0


def _report(options: argparse.Namespace) -> int:
    from ftlib.report import write_report

    print(write_report(options.dir.resolve()))
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _fail(options: argparse.Namespace, message: str, code: int) -> int:
    if options.debug:
        traceback.print_exc()
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
