"""How a recipe file becomes a checked recipe: reading, absolute paths, overrides, errors that help."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ftlib.errors import UserError

FILE_SUFFIXES = {".csv", ".gz", ".jinja", ".json", ".jsonl", ".parquet", ".tsv", ".txt", ".zst"}  # no hub name ends so


class PathOrName:
    """Marks a text field that holds either a path or a name (of a model on the hub, of a template)."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The recipe file's content as a dict.

    Args:
        path: the YAML file.

    Raises:
        UserError: it is missing, or no YAML mapping in UTF-8.
    """
    if not path.is_file():
        raise UserError.of(str(path), "a recipe file (YAML)", "no such file", "check the path given as recipe")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise UserError.of(where, "YAML in UTF-8", str(getattr(error, "problem", error)), "mend the file") from None
    if not isinstance(values, dict):
        fix = "start from data/recipes/demo.yaml"
        raise UserError.of(str(path), "sections such as data: and model:", type(values).__name__, fix)
    return values


def _kind(annotation: Any, metadata: list[Any]) -> Any:
    """Path, PathOrName or None: what sort of path a field holds, looking inside unions and lists."""
    if annotation is Path:
        return Path
    if PathOrName in metadata or PathOrName in getattr(annotation, "__metadata__", ()):
        return PathOrName
    kinds = (_kind(part, []) for part in typing.get_args(annotation))
    return next((kind for kind in kinds if kind), None)


def path_values(model: type[BaseModel], values: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Find every path-like field that has a value.

    Args:
        model: the pydantic model that `values` are for.
        values: nested dicts, checked or not.
        prefix: what stands before the fields' names, for sections.

    Returns:
        (dotted field, Path or PathOrName, value) of each.
    """
    found = []
    for name, field in model.model_fields.items():
        value = values.get(name) if isinstance(values, dict) else None
        if _is_section(field.annotation):
            found += path_values(field.annotation, value, f"{prefix}{name}.")
        elif isinstance(value, dict) and (part := _named_section(field.annotation)):
            for key, each in value.items():
                found += path_values(part, each, f"{prefix}{name}.{key}.")
        elif value is not None and (kind := _kind(field.annotation, field.metadata)):
            found.append((prefix + name, kind, value))
    return found


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _named_section(annotation: Any) -> type[BaseModel] | None:
    """The section in a field of sections by name, `dict[str, Section]`."""
    part = (typing.get_args(annotation) or (None,))[-1]
    return part if typing.get_origin(annotation) is dict and _is_section(part) else None


def _absolute(kind: Any, value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_absolute(kind, item, folder) for item in value]
    if not isinstance(value, (str, Path)):
        return value  # left for pydantic to complain about
    path = Path(value).expanduser()
    looks_like_path = str(value).startswith((".", "/", "~")) or path.suffix in FILE_SUFFIXES or (folder / path).exists()
    if kind is Path or looks_like_path:
        return str((folder / path).resolve())
    return value


def _set(values: dict[str, Any], field: str, value: Any) -> None:
    *parents, last = field.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def make_absolute(model: type[BaseModel], values: dict[str, Any], folder: Path) -> None:
    """Make the paths in `values` absolute, in place.

    Args:
        model: the pydantic model that `values` are for.
        values: nested dicts, not checked yet.
        folder: what relative paths are relative to.
    """
    for field, kind, value in path_values(model, values):
        _set(values, field, _absolute(kind, value, folder))


def override(model: type[BaseModel], values: dict[str, Any], field: str, value: Any, root: Path) -> None:
    """Set one dotted field in place; a value that is not allowed is found by the validation afterwards.

    Args:
        model: the pydantic model that `values` are for.
        values: nested dicts, not checked yet.
        field: e.g. "train.epochs".
        value: what to set it to.
        root: what a relative path is relative to.

    Raises:
        UserError: the field lies inside something that is no section.
    """
    alone: dict[str, Any] = {}
    _set(alone, field, value)
    make_absolute(model, alone, root)
    target = values
    *parents, last = field.split(".")
    default = model.model_fields[parents[0]].default if parents and parents[0] in model.model_fields else None
    if isinstance(default, dict):  # sections by name: the others keep their defaults
        values.setdefault(parents[0], {name: part.model_dump(mode="json") for name, part in default.items()})
    for parent in parents:
        if not isinstance(target.get(parent, {}), dict):
            raise UserError.of(
                f"override {field}",
                "a field inside a section",
                f"{parent} is no section",
                "see `data/recipes/demo.yaml`",
            )
        target, alone = target.setdefault(parent, {}), alone[parent]
    target[last] = alone[last]


def _field_name(model: type[BaseModel], location: tuple[Any, ...]) -> tuple[str, list[str]]:
    """The dotted field of a pydantic location (without its notes on unions) and the fields beside it."""
    names: list[str] = []
    inside: Any = model  # a section, sections by name, or a value
    for part in location:
        names.append(str(part))
        if _is_section(inside):
            model = inside
            field = model.model_fields.get(str(part))
            inside = field.annotation if field else None
        else:
            inside = _named_section(inside)
        if not (_is_section(inside) or _named_section(inside)):
            break
    return ".".join(names), list((inside if _is_section(inside) else model).model_fields)


def explain(model: type[BaseModel], error: ValidationError, path: Path, overrides: Mapping[str, Any]) -> UserError:
    """Turn pydantic's complaint into the standard error: the first problem; the rest are counted.

    Args:
        model: the model that refused.
        error: its complaint.
        path: the recipe file.
        overrides: the overrides that were applied, to say where the value came from.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    field, neighbours = _field_name(model, first["loc"])
    others = {_field_name(model, problem["loc"])[0] for problem in problems} - {field}
    overridden = any(name == field or name.startswith(f"{field}.") for name in overrides)
    expected, found = first["msg"].removeprefix("Input should be "), repr(first["input"])
    fix = "correct the value"
    if not first["loc"]:  # a check of the recipe as a whole: its text begins with the field
        field, _, rest = first["msg"].removeprefix("Value error, ").partition(" ")
        expected, _, found = rest.partition(", not ")
        overridden = field in overrides
    if first["type"] == "extra_forbidden":
        name = field.rsplit(".", 1)[-1]
        close = difflib.get_close_matches(name, neighbours, n=1)
        expected, found = "one of " + ", ".join(neighbours), f"{name} = {found}"
        fix = f"did you mean {close[0]}?" if close else "remove it or choose one of these fields"
    elif first["type"] == "missing":
        expected, found, fix = "a value (this field has no default)", "nothing", f"add the field {field}"
    where = f"override {field}" if overridden else f"{path}, field {field}"
    return UserError.of(where, expected, found or "another", fix + (f" ({len(others)} more to mend)" if others else ""))
