"""report.html: one page, self-contained, that shows a run's numbers, pictures and notebooks."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ftlib import atomic
from ftlib.errors import UserError
from ftlib.stage import NOTEBOOKS, read_manifest

# What the front of a headline's key means; what follows it is a system's name. Others are shown as they are written.
MEASURES = {
    "em": "exact match",
    "value": "right value, in whatever form",
    "em_stale": "exact match on facts that changed",
    "refusal_accuracy": "says so when it cannot know",
    "perplexity_ratio": "perplexity of held-out text, over the untrained model's",
    "hit_rate_at_k": "search finds the right article",
    "rows_in": "rows read",
    "flags": "flags raised (01_data/flagged.jsonl; a row may have several)",
    "train_tokens_per_second": "training speed, tokens per second",
}
# The main results, in this order: of each measure every system, in the recipe's order, then the gain.
MAIN = ("em", "value", "em_stale", "refusal_accuracy", "perplexity_ratio", "accuracy", "hit_rate_at_k")
IN_TERMINAL = ("rows_in", "rows_kept", "train_tokens_per_second")
SHARE = re.compile(
    r"^(em|value|f1|rouge_l|refusal|over_refusal|hit_rate|repeats_old|preferred|counterfactual_same)_|accuracy|_acc_|share"
)
WIDE_PIXELS = 940  # a picture of as many takes the whole width, or its labels would be too small to read
CHAPTERS = ("1 · Data", "2 · Training", "3 · Evaluation", "4 · Errors", "5 · RAG or fine-tuning")


def write_report(run_path: Path) -> Path:
    """Write report.html from summary.json, the stages' figures and the executed notebooks; returns its path.

    Raises:
        UserError: it is no run directory.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    summary, manifest = (atomic.read_json(run_path / name) for name in ("summary.json", "manifest.json"))
    if not summary:
        found, fix = "no such file, or no JSON", "name a directory made by ftlib run"
        raise UserError.of(str(run_path / "summary.json"), "a run directory with this file", found, fix)
    environment = Environment(
        loader=PackageLoader("ftlib", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    labels = system_labels(run_path)
    page = environment.get_template("report.html.jinja").render(
        name=summary.get("name", run_path.name),
        machine=_machine(manifest),
        results=[_line(key, summary, headline_title(key, labels)) for key in main_keys(summary, labels)],
        recommendation=recommendation(run_path),
        chapters=[_chapter(run_path, *stage) for stage in zip(NOTEBOOKS, CHAPTERS, strict=True)],
        all_numbers=[_line(key, summary, key) for key in summary if not _belongs(key, summary)],
        facts=_facts(manifest),
    )
    atomic.write_text(run_path / "report.html", page)
    return run_path / "report.html"


def table(summary: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """The main results of summary.json as plain text, one line a number; `labels` as of `system_labels`."""
    lines = []
    for key in [*main_keys(summary, labels), *(key for key in IN_TERMINAL if key in summary)]:
        line = _line(key, summary, headline_title(key, labels))
        span, n = f"[{line['low']}, {line['high']}]" if line["low"] else "", f"n={line['n']}" if line["n"] else ""
        lines.append(f"  {line['title']:<58} {line['value']:>9}  {span:<18} {n}".rstrip())
    walls = {key.removeprefix("wall_seconds_"): value for key, value in summary.items() if key.startswith("wall_")}
    return "\n".join([*lines, "  Wall time: " + ", ".join(f"{name} {value:.0f} s" for name, value in walls.items())])


def recommendation(run_path: Path) -> dict[str, Any]:
    """Notebook 05's recommendation with its `headline` and `conditions` (sentences); {} before it has run."""
    entry = atomic.read_json(run_path / "05_compare" / "comparison.json").get("recommendation")
    return {"conditions": [], **entry} if isinstance(entry, dict) and "headline" in entry else {}


def system_labels(run_path: Path) -> dict[str, str]:
    """What people read for each system of a run, in its recipe's order; {} where it holds no recipe."""
    try:
        recipe = yaml.safe_load((run_path / "recipe.yaml").read_text(encoding="utf-8"))
    except OSError:
        return {}
    return {name: system.get("label") or name for name, system in recipe.get("systems", {}).items()}


def main_keys(summary: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """The keys of the main results that a summary holds, in the order in which they are shown."""
    places, order = {}, [*labels, ""]
    for key in summary:
        measure, system, is_gain, part = _parts(key, labels)
        is_task = measure not in MAIN and re.search(r"_acc(uracy)?(_norm)?$", measure)
        kind = "accuracy" if is_task else measure
        if kind in MAIN and not part and not _belongs(key, summary):
            places[key] = (MAIN.index(kind), measure, is_gain, order.index(system))
    return sorted(places, key=places.get)


def headline_title(key: str, labels: Mapping[str, str]) -> str:
    """What a headline's key means: the system by its label, the measure in words."""
    measure, system, is_gain, part = _parts(key, labels)
    words, whose = MEASURES.get(measure, measure.replace("_", " ")), labels.get(system, "")
    gain, plain = f"gain{whose and f' of {whose}'}, {words} (paired)", f"{whose}: {words}" if whose else words
    text = (gain if is_gain else plain) + (f", {part.replace('_', ' ')}" if part else "")
    return text[:1].upper() + text[1:]


def _parts(key: str, labels: Mapping[str, str]) -> tuple[str, str, bool, str]:
    """`em_gain_<system>__<slice>` as measure, system, whether it is a gain, slice."""
    front, _, part = key.partition("__")
    system = max((name for name in labels if front.endswith(f"_{name}")), key=len, default="")
    measure = front.removesuffix(f"_{system}") if system else front
    return measure.removesuffix("_gain"), system, measure.endswith("_gain"), part


def _belongs(key: str, summary: Mapping[str, Any]) -> bool:
    """Whether a key is another one's interval or n."""
    return any(key.endswith(end) and key.removesuffix(end) in summary for end in ("_ci95", "_n"))


def _line(key: str, summary: Mapping[str, Any], title: str) -> dict[str, Any]:
    """One number as the page and the terminal show it; `bar` holds three shares in 0..1 where it is one."""
    value, interval = summary[key], summary.get(f"{key}_ci95") or (None, None)
    low, high = ("" if end is None else _number(key, end) for end in interval)
    line = {"title": title, "value": _number(key, value), "low": low, "high": high, "n": summary.get(f"{key}_n", "")}
    is_share = SHARE.search(key) and isinstance(value, (int, float)) and 0 <= value <= 1
    ends = (value if end is None else min(max(end, 0.0), 1.0) for end in interval)
    return line | {"bar": [value, *ends] if is_share else []}


def _number(key: str, value: Any) -> str:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "-" if value is None else str(value)
    if "bytes" in key:
        return f"{value / 2**20:,.0f} MiB"
    if SHARE.search(key):
        return f"{100 * value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _machine(manifest: Mapping[str, Any]) -> str:
    hardware = manifest.get("hardware", {})
    memory = hardware.get("memory_bytes", 0) / 2**30
    device = ", ".join(hardware.get("gpus") or []) or f"{hardware.get('cpu', '')}, {hardware.get('cores', '?')} cores"
    version = manifest.get("code", {}).get("version", "?")
    return f"seed {manifest.get('seed', '?')} · {device}, {memory:.0f} GiB · ftlib {version}"


def _chapter(run_path: Path, stage: str, title: str) -> dict[str, Any]:
    manifest, notebook = read_manifest(run_path / stage), NOTEBOOKS[stage]
    chapter = {"title": title, "notebook": notebook, "took": "", "figures": [], "html": ""}
    if not manifest.get("finished"):
        return chapter
    page, memory = f"notebooks/{notebook}.html", _number("bytes", manifest["peak_memory_bytes"])
    files = {f"{stage}/figures/{name}.png": caption for name, caption in manifest["figures"].items()}
    return chapter | {
        "html": page if (run_path / page).is_file() else "",
        "took": f"{manifest['wall_seconds']:.0f} s, peak memory {memory}",
        "figures": [_figure(run_path, name, text) for name, text in files.items() if (run_path / name).is_file()],
    }


def _figure(run_path: Path, name: str, caption: str) -> dict[str, Any]:
    """A picture within the page; a click opens its file, a large one takes the whole width."""
    content = (run_path / name).read_bytes()
    wide = int.from_bytes(content[16:20], "big") >= WIDE_PIXELS  # where a PNG says how wide it is
    return {"file": name, "caption": caption, "wide": wide, "png": base64.b64encode(content).decode()}


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    inputs = manifest.get("inputs", {})
    return {
        "recipe": manifest.get("recipe_file"),
        "recipe, SHA-256": manifest.get("recipe_sha256"),
        "overrides": manifest.get("overrides") or "none",
        "opened": manifest.get("opened"),
        "ftlib, SHA-256 of its sources": manifest.get("code", {}).get("sha256"),
        **{f"{field}, SHA-256": f"{found['sha256']}  {found['path']}" for field, found in inputs.items()},
        **manifest.get("libraries", {}),
    }
