"""What a result depends on, in digests: files and folders, a notebook's cells, ftlib's source, what came from a hub."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftlib import __version__, machine
from ftlib.errors import UserError
from ftlib.recipe import Recipe
from ftlib.recipe.file import path_values

SKIPPED_FOLDERS = {"checkpoints", "__pycache__"}  # intermediate work, no input of anything
PACKAGE = Path(__file__).parent
# Modules of the corridor that only run or show what notebooks make; no result depends on them.
AROUND = {"compare_runs", "doctor", "execute", "experiment", "report", "seeds"}
# Which fields, by their last name, may hold a name on the hub, and of what.
HUB = {"base": "model", "adapter": "model", "embedding_model": "model", "path": "dataset"}


def sha256(path: Path) -> str | None:
    """SHA-256 of a file, or of a folder as that of its `files_under` with their digests; None where nothing is."""
    if not os.path.isdir(path):
        return _digest(path) if os.path.exists(path) else None
    digest = hashlib.sha256()
    for file in files_under(path):
        name = os.fsencode(file.relative_to(path).as_posix())
        digest.update(name + f"\0{sha256(file)}\n".encode())
    return digest.hexdigest()


def files_under(folder: Path) -> list[Path]:
    """The files that count as a folder's content, sorted by name: none that is hidden, a checkpoint or a cache."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = (name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("."))
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(found)


def sha256_json(value: Any) -> str:
    """SHA-256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def notebook_sha256(file: Path) -> str | None:
    """Digest of a notebook's code cells, the one tagged `parameters` left out; None where there is no such file."""
    if not file.is_file():
        return None
    cells = [cell for cell in json.loads(file.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    return sha256_json(
        ["".join(cell["source"]) for cell in cells if "parameters" not in cell["metadata"].get("tags", [])]
    )


def source_sha256(room: str = "") -> str:
    """Digest of what a room's modules do; comments, docstrings and layout do not count, lists of words (YAML) do.

    A room is a folder of ftlib, "corridor" stands for the modules that every room uses, "" for all.
    """
    if room == "corridor":
        files = [file for file in PACKAGE.glob("*.py") if file.stem not in AROUND]
        files += [file for part in ("recipe", "stats") for file in (PACKAGE / part).rglob("*.py")]
    else:
        files = [*(PACKAGE / room).rglob("*.py"), *(PACKAGE / room).rglob("*.yaml")]
    digests = ((file.relative_to(PACKAGE).as_posix(), _digest(file, source=file.suffix == ".py")) for file in files)
    return sha256_json(sorted(digests))


def circumstances() -> dict[str, Any]:
    """Under what a stage or run was made: ftlib's version and source, library versions, the machine."""
    code = {"version": __version__, "sha256": source_sha256()}
    return {"code": code, "libraries": machine.libraries(), "hardware": machine.hardware()}


def stage_key(
    recipe: Recipe, reads: Iterable[str], rooms: Iterable[str], notebook: Path, run: Path, made: Iterable[str]
) -> dict[str, Any]:
    """All that a stage depends on, in a form that does not say where anything lies.

    Args:
        recipe, run: the run's and its directory.
        reads: fields and sections of the recipe; `systems.{evaluate.systems}` means those that the field names.
        rooms: as of `source_sha256`.
        notebook: its file.
        made: files of earlier stages, relative to the run.

    Returns:
        `recipe` (field to value), `files` (field or relative path to digest, None where missing), `hub` (field to name
        and commit), `notebook` and `source` (digests).
    """
    fields = recipe_fields(recipe, reads)
    paths = {field: path for field, path in recipe.paths().items() if field.split("[")[0] in fields}
    local = {field.split("[")[0] for field in paths}
    named = [field for field, kind, *_ in path_values(type(recipe), recipe.model_dump()) if kind is not Path]
    hub = {field for field in named if field in fields and field not in local and field.rsplit(".", 1)[-1] in HUB}
    files = paths | {label: run / label for label in made}
    return {
        "recipe": {field: value for field, value in fields.items() if field not in local | hub},
        "files": {label: sha256(path) for label, path in files.items()},
        "hub": {field: _named(recipe, field, fields[field]) for field in sorted(hub)},
        "notebook": notebook_sha256(notebook),
        "source": {room: source_sha256(room) for room in rooms},
    }


def stage_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What changed between two keys, in words; None where nothing that matters did."""
    for part, told in (("recipe", "the recipe's {} changed"), ("files", "{} changed")):
        old, new = before.get(part, {}), now[part]
        if changed := [name for name in {**new, **old} if old.get(name) != new.get(name)]:
            gone = part == "files" and new.get(changed[0]) is None
            return f"{changed[0]} is gone" if gone else told.format(changed[0])
    for field, new in now["hub"].items():
        old = before.get("hub", {}).get(field, {})
        if old.get("name") != new["name"]:
            return f"the recipe's {field} changed"
        if old["commit"] and new["commit"] and old["commit"] != new["commit"]:  # None: not downloaded at that time
            return f"{field}: the hub's {new['name']} has another revision"
    if before.get("notebook") != now["notebook"]:
        return "the notebook's cells changed"
    rooms = [room for room, digest in now["source"].items() if before.get("source", {}).get(room) != digest]
    return f"ftlib's source changed ({', '.join(rooms)})" if rooms else None


def recipe_fields(recipe: Recipe, reads: Iterable[str] = ("",)) -> dict[str, Any]:
    """The recipe's fields by dotted name, those that `reads` covers (see `stage_key`); all by default."""
    wanted = [name for entry in reads for name in _expanded(recipe, entry)]
    return {
        field: value
        for field, value in _flat(recipe.model_dump(mode="json")).items()
        if any(not name or f"{field}.".startswith(f"{name}.") for name in wanted)
    }


def _expanded(recipe: Recipe, entry: str) -> list[str]:
    head, brace, field = entry.rstrip("}").partition("{")
    return [head + name for name in (functools.reduce(getattr, field.split("."), recipe) if brace else [""])]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, dict) and value
        found |= _flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return found


def _named(recipe: Recipe, field: str, name: str) -> dict[str, str | None]:
    """A name on the hub and the commit of it that the hub's cache holds; the network is not asked.

    The commit is None where nothing of this name has been downloaded yet.
    """
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    kind = HUB[field.rsplit(".", 1)[-1]]
    repository = name.partition(":")[0] if kind == "dataset" else name  # `name:split`
    revision = recipe.model.revision if field == "model.base" else None
    folder = Path(HF_HUB_CACHE, repo_folder_name(repo_id=repository, repo_type=kind))
    reference = folder / "refs" / (revision or "main")
    if reference.is_file():
        return {"name": name, "commit": reference.read_text(encoding="utf-8").strip()}
    snapshots = [path for path in folder.glob("snapshots/*") if revision in (None, path.name)]
    commit = max(snapshots, key=lambda path: path.stat().st_mtime).name if snapshots else None
    return {"name": name, "commit": commit}


def _digest(file: Path, source: bool = False) -> str:
    """Of a file's bytes, or of what Python source does; a file is read again when its size or time has changed."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        return "no regular file"  # reading a pipe or a device might never end
    try:
        return _digest_of(file.resolve(), found.st_size, found.st_mtime_ns, source)
    except PermissionError as error:
        raise UserError.of(str(file), "a file that can be read", str(error.strerror), "mend its rights") from None


@functools.lru_cache(maxsize=8192)
def _digest_of(file: Path, size: int, mtime_ns: int, source: bool) -> str:
    if not source:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()  # unlike a dump, the same in every Python
