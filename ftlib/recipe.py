"""The recipe: one YAML file that says everything a run depends on.

Every section is a pydantic model that refuses unknown fields, so that a misspelt setting is an error and not a silent
default. Relative paths inside a recipe are relative to the recipe file, those in overrides to the project's root.
"""

from __future__ import annotations

import difflib
import os
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ftlib import recipe_sections as sections
from ftlib.errors import UserError
from ftlib.recipe_sections import PathOrName

# Compared where the recipe names no systems: what prompting, retrieval, training and both together are worth.
SYSTEMS = {
    "base": sections.SystemRecipe(label="base model"),
    "few_shot": sections.SystemRecipe(label="few-shot prompt", prompt="few_shot"),
    "rag": sections.SystemRecipe(label="RAG", prompt="retrieved"),
    "finetuned": sections.SystemRecipe(label="fine-tuned", adapter="trained"),
    "rag_ft": sections.SystemRecipe(label="RAG + fine-tuned", adapter="trained", prompt="retrieved"),
}


class Recipe(BaseModel):
    """A whole run: name, seed and one section per room or part."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: int = Field(0, ge=0, lt=2**32)
    data: sections.DataRecipe
    prompt: sections.PromptRecipe = sections.PromptRecipe()
    model: sections.ModelRecipe
    quantization: sections.QuantizationRecipe = sections.QuantizationRecipe()
    lora: sections.LoraRecipe = sections.LoraRecipe()
    train: sections.TrainRecipe = sections.TrainRecipe()
    evaluate: sections.EvaluateRecipe = sections.EvaluateRecipe()
    review: sections.ReviewRecipe = sections.ReviewRecipe()
    rag: sections.RagRecipe = sections.RagRecipe()
    systems: dict[str, sections.SystemRecipe] = SYSTEMS

    @model_validator(mode="after")
    def _systems_are_known(self) -> Recipe:
        for field, names in (("evaluate.systems", self.evaluate.systems), ("review.pair", self.review.pair)):
            for name in names:
                if name not in self.systems:
                    raise ValueError(f"{field} to name systems among {', '.join(self.systems)}, not {name!r}")
        for name in self.evaluate.systems:
            if self.systems[name].prompt != "question":
                raise ValueError(f"evaluate.systems to be asked the question alone; {name!r} belongs to notebook 05")
        return self

    @classmethod
    def load(cls, path: str | Path, overrides: Mapping[str, Any] | None = None, *, root: Path | None = None) -> Recipe:
        """Read a recipe file and apply overrides; all paths become absolute.

        Args:
            path: the YAML file.
            overrides: dotted field names to values, e.g. `{"train.epochs": 1}`.
            root: what relative paths in overrides are relative to; the working directory if None.

        Raises:
            UserError: the file is missing or no YAML mapping, or a field or value is not allowed.
        """
        path = Path(path)
        values = read_yaml(path)
        make_absolute(cls, values, path.resolve().parent)
        for field, value in (overrides or {}).items():
            override(cls, values, field, value, root or Path.cwd())
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise explain(cls, error, path, overrides or {}) from None

    @property
    def training_seed(self) -> int:
        """The seed of the adapter's first values, of the order of its rows and of what its epochs draw."""
        return self.seed if self.train.seed is None else self.train.seed

    def paths(self) -> dict[str, Path]:
        """All local paths the recipe names, by dotted field; a model's hub name is not a path."""
        found: dict[str, Path] = {}
        for field, kind, holder, key in path_values(type(self), self.model_dump()):
            items = holder[key] if isinstance(holder[key], list) else [holder[key]]
            for number, item in enumerate(items):
                if kind is Path or Path(item).is_absolute():
                    found[field if len(items) == 1 else f"{field}[{number}]"] = Path(item)
        return found

    def dump(self) -> str:
        """The recipe as YAML, every field written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


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


def _absolute(kind: Any, value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_absolute(kind, item, folder) for item in value]
    if not isinstance(value, (str, Path)) or not str(value):
        return value  # left for pydantic to complain about
    path = Path(os.path.expanduser(value))  # unlike Path's, it leaves a user that it does not know as he is
    looks_like_path = (
        str(value).startswith((".", "/", "~")) or path.suffix in FILE_SUFFIXES or os.path.exists(folder / path)
    )
    return os.path.abspath(folder / path) if kind is Path or looks_like_path else value


def make_absolute(model: type[BaseModel], values: dict[str, Any], folder: Path) -> None:
    """Make relative paths in `values` (nested dicts for this model, not checked yet) those of a folder, in place."""
    for _, kind, holder, key in path_values(model, values):
        holder[key] = _absolute(kind, holder[key], folder)


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
    first = problems[0]
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
