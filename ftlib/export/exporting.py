"""`ftlib export`: write what was trained for its target, hold it to parity, hand it over or leave nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib.errors import UserError
from ftlib.export import card
from ftlib.export.folder import base_name, write_adapter, write_beside
from ftlib.export.golden import Golden, golden_prompts, tested_rows
from ftlib.export.matrix import require_taken, subject_of
from ftlib.export.merge import MergeBase, merge
from ftlib.export.opened import adapter_player, merged_player
from ftlib.export.parity import MARGIN, Verdict, hold_to_parity
from ftlib.export.vllm import write_vllm

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker
    from ftlib.export.gguf_file import FileType
    from ftlib.systems import System

_LEAST_WINDOW = 4096  # tokens that Ollama is told to hold, where the base reads as many
_BASE = ".base"  # the base alone, written in the same way for the noise floor; removed before anything is handed over


class Exported(NamedTuple):
    """What came of an export.

    Attributes:
        folder: where it lies; None where nothing is left.
        verdict: None where nothing could be measured.
        table: the checks in markdown.
    """

    folder: Path | None
    verdict: Verdict | None
    table: str


def export_run(
    run_dir: str | Path,
    target: str,
    out: str | Path,
    *,
    name: str | None = None,
    into: MergeBase = "stored",
    file_type: FileType = "q8_0",
    margin: float = MARGIN,
    force: bool = False,
    say: Callable[[str], object] = print,
) -> Exported:
    """Write a run's adapter (or model) for a target, and hand it over if it answers as what was evaluated.

    Args:
        run_dir: a run directory with a trained adapter (or model) and a test set.
        target: one of `ftlib.export.matrix.TARGETS`.
        out: the folder to make; an earlier export there is replaced by one that passes.
        name: of the recipe's systems; None: the trained adapter, asked the question alone.
        into: what the adapter is merged into, see `merge`.
        file_type: of a GGUF.
        margin: what the export may lose, see `hold_to_parity`.
        force: keep it whatever was found, and ask the test set in any case.
        say: is told what is being done.

    Raises:
        UserError: no such run or system, a target that does not take this adapter, or a folder that is in use.
    """
    from ftlib.ask.asker import Asker
    from ftlib.export.players import require_llama_cpp

    out = Path(out).resolve()
    if out.exists() and any(out.iterdir()) and not (out / card.REPORT).is_file():
        fix = "name another folder; only an earlier export is replaced"
        raise UserError.of(f"--out {out}", "a new folder, or an earlier export", "other files", fix)
    asker = Asker.of(run_dir, name, compare=True)
    system = list(asker.systems.values())[-1]
    require_taken(subject_of(asker.run.recipe, Path(str(system.adapter))), target)
    if target in ("gguf", "ollama") and not force:
        require_llama_cpp()
    golden = golden_prompts(asker, system)
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        say(f"writing {target} of {system.label}")
        facts = {"target": target, "run": asker.run.recipe.name, "system": system.name}
        facts |= _write(partial, target, asker, system, golden, into, file_type)
        say("holding it to parity with the run")
        verdict = _measure(partial, target, asker, system, golden, into, file_type, margin, force)
        shutil.rmtree(partial / _BASE, ignore_errors=True)
        card.write_report_files(partial, facts | {"margin": margin}, verdict)
        card.write_card(partial, asker, system, facts, how_to_use(target, facts, out.name))
        ship = verdict is not None and verdict.ship
        if ship or force:
            shutil.rmtree(out, ignore_errors=True)
            partial.rename(out)
        return Exported(out if ship or force else None, verdict, card.parity_table(verdict))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(
    folder: Path, target: str, asker: Asker, system: System, golden: list[Golden], into: MergeBase, file_type: FileType
) -> dict[str, Any]:
    """Everything but the reports; returns what a reader must know of it."""
    from ftlib.core.published import is_whole_model

    base, revision = base_name(asker)
    facts: dict[str, Any] = {"base": base, "revision": revision}
    whole = is_whole_model(str(system.adapter))
    if target in ("adapter", "vllm") and not whole:
        write_adapter(asker, system, folder)
        write_beside(asker, folder)
        return facts | (write_vllm(folder, asker, base) if target == "vllm" else {})
    plain = folder if target in ("merged", "vllm") else folder / _BASE / "merged"
    facts |= _write_plain(plain, folder / _BASE, asker, system, into, whole)
    if target == "vllm":
        return facts | write_vllm(folder, asker, None)
    if target == "merged":
        return facts
    from ftlib.export.gguf_file import write_gguf

    file = f"{asker.run.recipe.name}.{file_type}.gguf"
    write_gguf(plain, folder / file, file_type)
    write_gguf(folder / _BASE / "base", folder / _BASE / f"base.{file_type}.gguf", file_type)
    facts |= {"file": file, "file_type": file_type}
    return facts | (_write_ollama(folder, file, asker, system, golden) if target == "ollama" else {})


def _write_plain(
    plain: Path, scratch: Path, asker: Asker, system: System, into: MergeBase, whole: bool
) -> dict[str, Any]:
    """What was trained as one plain model, and in `scratch` the base alone, written in the same way."""
    recipe, dtype = asker.run.recipe, "bfloat16"
    if whole:  # the model as it was evaluated: in its dtype, and in 4 or 8 bits where the recipe stored it so
        dtype = str(asker.engine.dtype)
        itself = recipe.model.model_copy(update={"base": str(system.adapter), "revision": None})
        merge(recipe.model_copy(update={"model": itself}), None, plain, dtype, into)
    else:
        write_adapter(asker, system, scratch / "adapter")  # at the system's scale
        merge(recipe, scratch / "adapter", plain, dtype, into)
    merge(recipe, None, scratch / "base", dtype, into)
    for each in (plain, scratch / "base"):
        write_beside(asker, each)
    return {"trained": "as a whole", "dtype": dtype} if whole else {"merged_into": into}


def _write_ollama(folder: Path, file: str, asker: Asker, system: System, golden: list[Golden]) -> dict[str, Any]:
    """The Modelfile, if its template gives the golden prompts' text."""
    from transformers import AutoTokenizer

    from ftlib.core.generate import end_tokens
    from ftlib.export.gguf_file import adds_begin
    from ftlib.export.ollama import modelfile, read_pieces

    tokenizer = AutoTokenizer.from_pretrained(folder / _BASE / "merged")

    def render(messages) -> str:
        return tokenizer.apply_chat_template([*messages], tokenize=False, add_generation_prompt=True)

    begin = tokenizer.bos_token if adds_begin(tokenizer) else ""
    pieces = read_pieces(render, begin)
    for each in golden:
        if pieces.render(each.messages) != (whole := render(each.messages).removeprefix(begin)):
            fix = "export --to gguf, whose file carries the template itself"
            raise UserError.of(
                f"Ollama's TEMPLATE, row {each.id}", repr(whole), repr(pieces.render(each.messages)), fix
            )
    systems = {m["content"] for each in golden for m in each.messages[:1] if m["role"] == "system"}
    always = systems.pop() if len(systems) == 1 and all(g.messages[0]["role"] == "system" for g in golden) else ""
    stops = [tokenizer.decode([end]) for end in end_tokens(asker.engine.model, asker.engine.tokenizer)]
    longest, needed = asker.max_new_tokens, max(_window(asker, system), _LEAST_WINDOW)
    window = min(needed, asker.engine.window or needed)
    text = modelfile(file, pieces, stops=stops, system=always, window=window, max_new_tokens=longest)
    (folder / "Modelfile").write_text(text, encoding="utf-8")
    return {"modelfile": "Modelfile"}


def _measure(
    folder: Path,
    target: str,
    asker: Asker,
    system: System,
    golden: list[Golden],
    into: MergeBase,
    file_type: FileType,
    margin: float,
    force: bool,
) -> Verdict | None:
    """Open what was written as its users will, and hold it to parity; None where that engine is missing and forced."""
    told = {"margin": margin, "to_the_end": force}
    if (folder / "adapter_config.json").is_file():
        return hold_to_parity(
            asker,
            system,
            golden,
            lambda: adapter_player(asker, folder, full=target == "vllm", without=True),
            lambda: adapter_player(asker, folder, full=target == "vllm"),
            **told,
        )
    if target in ("merged", "vllm"):
        base = folder / _BASE / "base"
        return hold_to_parity(
            asker, system, golden, lambda: merged_player(asker, base), lambda: merged_player(asker, folder), **told
        )
    from ftlib.export.players import has_llama_cpp, llama_cpp_player

    window = _window(asker, system)
    files = [folder / _BASE / f"base.{file_type}.gguf", next(folder.glob("*.gguf"))]
    if not has_llama_cpp():  # forced, or it would not have been written
        return None
    opened = [lambda file=file: llama_cpp_player(file, window) for file in files]
    return hold_to_parity(asker, system, golden, *opened, **told)


def _window(asker: Asker, system: System) -> int:
    """Tokens of the longest thing that an engine is asked: a test row with its answer, or a held-out window."""
    longest = max(len(asker.ask(system, row).prompt.ids) for row in tested_rows(asker, None))
    wanted = max(longest + asker.max_new_tokens, asker.run.recipe.train.max_length)
    return min(wanted, asker.engine.window or wanted)


def how_to_use(target: str, facts: dict[str, Any], folder: str) -> str:
    """The one command or the few lines that start it, in markdown."""
    model, base = f'"{folder}"', facts["base"]
    load = f"AutoModelForCausalLM.from_pretrained({model})"
    told = {
        "merged": f"```python\nmodel = {load}\ntokenizer = AutoTokenizer.from_pretrained({model})\n```\n"
        f"or `transformers serve --host 127.0.0.1`, or `vllm serve {folder} --host 127.0.0.1`",
        "adapter": "```python\nmodel = AutoPeftModelForCausalLM.from_pretrained("
        f"{model})  # loads {Path(base).name}\n```\nThe base must be stored as in the recipe below (4 bits or not).",
        "gguf": f"`llama-server -m {facts.get('file')} --jinja --host 127.0.0.1`",
        "ollama": f"`ollama create {facts['run']} -f Modelfile && ollama run {facts['run']}`",
        "vllm": f"In this folder: `vllm serve --config vllm.yaml`; it answers as model `{facts['run']}`.",
    }
    return told[target]
