"""A recipe as a file: YAML in, relative paths made absolute, overrides put in, errors that name the field."""

from __future__ import annotations

import difflib
import os
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ftlib.errors import UserError
from ftlib.recipe.section import PathOrName

FILE_SUFFIXES = {".csv", ".gz", ".jinja", ".json", ".jsonl", ".parquet", ".tsv", ".txt", ".zst"}  # no hub name ends so


def read_yaml(path: Path) -> dict[str, Any]:
    """The recipe file's content.

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


def path_values(model: Any, values: Any, prefix: str = "") -> Iterator[tuple[str, Any, dict[str, Any], str]]:
    """Find every path-like field that has a value in nested dicts, checked or not.

    The model may be sections by name, `dict[str, Section]`; `prefix` stands before the names of a section's fields.

    Yields:
        (dotted field, Path or PathOrName, the dict that holds the value, its key there) of each.
    """
    for name, value in values.items() if isinstance(values, dict) else ():
        field = _inside(model, name)
        if _has_fields(field):
            yield from path_values(field, value, f"{prefix}{name}.")
        elif value is not None and (kind := _kind(field)):
            yield prefix + name, kind, values, name


def _inside(model: Any, name: str) -> Any:
    """The annotation of a section's field, or of a name in `dict[str, Section]`; None where there is no such field."""
    if typing.get_origin(model) is dict:
        return typing.get_args(model)[1]
    field = model.model_fields.get(name)
    return field and (typing.Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)


def _has_fields(annotation: Any) -> bool:
    if typing.get_origin(annotation) is dict:
        annotation = typing.get_args(annotation)[1]
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _kind(annotation: Any) -> Any:
    """Path, PathOrName or None: what sort of path a field holds, looking inside unions and lists."""
    if annotation is Path:
        return Path
    if PathOrName in getattr(annotation, "__metadata__", ()):
        return PathOrName
    return next(filter(None, map(_kind, typing.get_args(annotation))), None)


def _absolute(kind: Any, value: Any, folders: Sequence[Path]) -> Any:
    if isinstance(value, list):
        return [_absolute(kind, item, folders) for item in value]
    if not isinstance(value, (str, Path)) or not str(value):
        return value  # left for pydantic to complain about
    path = Path(os.path.expanduser(value))  # unlike Path's, it leaves a user that it does not know as he is
    places = [os.path.abspath(folder / path) for folder in folders]
    there = [place for place in places if os.path.exists(place)]
    looks_like_path = str(value).startswith((".", "/", "~")) or path.suffix in FILE_SUFFIXES or there
    return (there or places[-1:])[0] if kind is Path or looks_like_path else value


def make_absolute(model: type[BaseModel], values: dict[str, Any], *folders: Path) -> None:
    """Make relative paths in `values` (nested dicts for this model, not checked yet) absolute ones, in place.

    A path is that of the first folder in which it exists; of the last one where it does in none.
    """
    for _, kind, holder, key in path_values(model, values):
        holder[key] = _absolute(kind, holder[key], folders)


def override(model: type[BaseModel], values: dict[str, Any], field: str, value: Any, root: Path) -> None:
    """Set one dotted field (`train.epochs`) in place, a relative path as one of `root`.

    A value that is not allowed is found by the validation afterwards.

    Raises:
        UserError: the field lies inside something that is no section.
    """
    *parents, last = field.split(".")
    alone = {last: value}
    for parent in reversed(parents):
        alone = {parent: alone}
    make_absolute(model, alone, root)
    default = model.model_fields[parents[0]].default if parents and parents[0] in model.model_fields else None
    if isinstance(default, dict):  # sections by name: the others keep their defaults
        values.setdefault(parents[0], {name: part.model_dump(mode="json") for name, part in default.items()})
    for parent in parents:
        if not isinstance(values.get(parent, {}), dict):
            found, fix = f"{parent} is no section", "see `data/recipes/demo.yaml`"
            raise UserError.of(f"override {field}", "a field inside a section", found, fix)
        values, alone = values.setdefault(parent, {}), alone[parent]
    values[last] = alone[last]


def _field_name(model: type[BaseModel], location: tuple[Any, ...]) -> tuple[str, list[str]]:
    """The dotted field of a pydantic location (without its notes on unions) and the fields beside it."""
    names: list[str] = []
    inside, beside = model, model
    for part in map(str, location):
        if not _has_fields(inside):
            break
        names.append(part)
        beside = inside if isinstance(inside, type) else beside
        inside = _inside(inside, part)
    return ".".join(names), list(beside.model_fields)


def explain(model: type[BaseModel], error: ValidationError, path: Path, overrides: Mapping[str, Any]) -> UserError:
    """Turn a model's complaint into the standard error: the first problem, found in the file or an override.

    The other problems are counted.
    """
    problems = error.errors(include_url=False)
    # a field that is missing may be one that is misspelt: that is the complaint to read
    first = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    first = first if problems[0]["type"] == "missing" else problems[0]
    field, neighbours = _field_name(model, first["loc"])
    others = {_field_name(model, problem["loc"])[0] for problem in problems} - {field}
    expected, found = first["msg"].removeprefix("Input should be ").removeprefix("Value error, "), repr(first["input"])
    fix = "correct the value"
    if not first["loc"]:  # a check of the recipe as a whole: its text begins with the field
        field, _, rest = first["msg"].removeprefix("Value error, ").partition(" ")
        expected, _, found = rest.partition(", not ")
    elif first["type"] == "extra_forbidden":
        name = field.rsplit(".", 1)[-1]
        close = difflib.get_close_matches(name, neighbours, n=1)
        expected, found = "one of " + ", ".join(neighbours), f"{name} = {found}"
        fix = f"did you mean {close[0]}?" if close else "remove it or choose one of these fields"
    elif first["type"] == "missing":
        expected, found, fix = "a value (this field has no default)", "nothing", f"add the field {field}"
    overridden = any(f"{name}.".startswith(f"{field}.") for name in overrides)
    where = f"override {field}" if overridden else f"{path}, field {field}"
    return UserError.of(where, expected, found or "another", fix + (f" ({len(others)} more to mend)" if others else ""))
