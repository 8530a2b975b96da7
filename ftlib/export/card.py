"""The model card and the parity report that lie beside an export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ftlib import atomic, fingerprint
from ftlib.export.folder import base_name
from ftlib.report import headline_title, main_keys, system_labels
from ftlib.stage import read_manifest
from ftlib.stats.intervals import as_json

if TYPE_CHECKING:
    from ftlib.ask.asker import Asker
    from ftlib.export.parity import Verdict
    from ftlib.systems import System

REPORT = "export.json"
LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")


def write_report_files(folder: Path, facts: Mapping[str, Any], verdict: Verdict | None) -> None:
    """export.json and EXPORT.md: what was written, and how it was held to parity.

    Args:
        folder: the export's.
        facts: what was asked for: target, system, base, ...
        verdict: None where nothing could be measured.
    """
    measured = None if verdict is None else as_json(verdict) | {"reasons": verdict.reasons}
    atomic.write_json(folder / REPORT, {**facts, "verdict": verdict_word(verdict), "parity": measured})
    lines = [f"# Export to {facts['target']}: {verdict_word(verdict)}", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items() if value is not None]
    atomic.write_text(folder / "EXPORT.md", "\n".join([*lines, "", parity_table(verdict), ""]))


def verdict_word(verdict: Verdict | None) -> str:
    """SHIP, DON'T, or that nothing was measured."""
    return "NOT MEASURED" if verdict is None else "SHIP" if verdict.ship else "DON'T"


def parity_table(verdict: Verdict | None) -> str:
    """One line a check, in markdown."""
    if verdict is None:
        return "Nothing was measured."
    rows = [f"| {check.name} | {'ok' if check.passed else 'FAILED'} | {check.told} |" for check in verdict.checks]
    asked = f"Computed by {verdict.engine}; {verdict.rows} test rows."
    return "\n".join([asked, "", "| check | | what was found |", "|---|---|---|", *rows])


def write_card(folder: Path, asker: Asker, system: System, facts: Mapping[str, Any], how: str) -> None:
    """README.md: where the model comes from, on which data, how good it is, what it cannot do, whose licences hold.

    Args:
        folder: the export's. asker: the run's. system: whose model it is.
        facts: as of `write_report_files`.
        how: how to use it: markdown.
    """
    run, (base, revision) = asker.run, base_name(asker)
    summary, manifest = atomic.read_json(run.path / "summary.json"), atomic.read_json(run.path / "manifest.json")
    front = {"base_model": Path(base).name if Path(base).is_absolute() else base, "library_name": "transformers"}
    front |= {"pipeline_tag": "text-generation", "tags": ["ftlib", facts["target"]]}
    if licence := licence_of(Path(base)):
        front["license"] = licence
    recipe = yaml.safe_dump(named_only(run.recipe.model_dump(mode="json")), sort_keys=False, allow_unicode=True)
    parts = {
        "": f"# {run.recipe.name}, {system.label}\n\nMade by ftlib from {front['base_model']}"
        f"{f' at {revision}' if revision else ''}, exported as {facts['target']}.",
        "Use": how,
        "Base": _digests({"base": Path(base)} if Path(base).is_dir() else {}) or f"{base}, revision {revision}",
        "Data": _digests({}, {name: each["sha256"] for name, each in manifest.get("inputs", {}).items()}),
        "Scores": scores_table(summary, system_labels(run.path)),
        "Limits": _limits(asker, summary),
        "Licences": licences_text(folder, Path(base), licence),
        "Recipe": f"```yaml\n{recipe}```",
    }
    head = f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n"
    body = "\n\n".join(f"## {title}\n\n{text}" if title else text for title, text in parts.items())
    atomic.write_text(folder / "README.md", f"{head}\n{body}\n")


def scores_table(summary: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """The run's main results with their 95 % intervals, in markdown."""
    rows = []
    for key in main_keys(summary, labels):
        low, high = summary.get(f"{key}_ci95") or (None, None)
        span = "" if low is None else f"{low:.3f} to {high:.3f}"
        value = "" if summary[key] is None else f"{summary[key]:.3f}"
        rows.append(f"| {headline_title(key, labels)} | {value} | {span} | {summary.get(f'{key}_n', '')} |")
    if not rows:
        return "The run was not evaluated."
    return "\n".join(["| | value | 95 % interval | n |", "|---|---|---|---|", *rows])


def named_only(value: Any) -> Any:
    """A recipe's values with absolute paths cut to their last part: where things lay is nobody's business."""
    if isinstance(value, dict):
        return {key: named_only(each) for key, each in value.items()}
    if isinstance(value, list):
        return [named_only(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def licence_of(base: Path) -> str | None:
    """The licence that a base's own model card names; None where there is none to read."""
    try:
        text = (base / "README.md").read_text(encoding="utf-8")
        found = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else None
    except (OSError, yaml.YAMLError, IndexError):
        return None
    named = found.get("license") if isinstance(found, dict) else None
    return str(named) if named else None


def licences_text(folder: Path, base: Path, licence: str | None) -> str:
    """Copies the base's licence files; says which there are and what they do not cover."""
    copied = [name for name in LICENCES if (base / name).is_file()]
    for name in copied:
        atomic.write_text(folder / name, (base / name).read_text(encoding="utf-8"))
    named = f"The base's model card names {licence}." if licence else "The base names no licence that could be read."
    files = f" Its files lie beside this one: {', '.join(copied)}." if copied else ""
    return f"{named}{files} The training data has its owner's licence, which a model trained on it may have to keep to."


def _digests(paths: Mapping[str, Path], known: Mapping[str, str | None] = {}) -> str:
    found = {name: fingerprint.sha256(path) for name, path in paths.items()} | dict(known)
    return "\n".join(f"- {name}: SHA-256 `{digest}`" for name, digest in found.items())


def _limits(asker: Asker, summary: Mapping[str, Any]) -> str:
    recipe, key = asker.run.recipe, read_manifest(asker.run.path / "02_train").get("facts", {})
    lines = [
        f"It was trained on {summary.get('rows_kept', 'the')} rows and evaluated with answers of at most "
        f"{asker.max_new_tokens} tokens, greedily; other settings were not measured.",
        f"It was trained on rows of at most {recipe.train.max_length} tokens"
        + (f"; the base reads {asker.engine.window}." if asker.engine.window else "."),
        f"What it does not know it was taught to answer with: {json.dumps(recipe.prompt.refusal, ensure_ascii=False)}",
        f"Trained in {key.get('dtype', asker.engine.dtype)}. What the data had wrong, the model has wrong.",
    ]
    return "\n".join(f"- {line}" for line in lines)
