"""report.html: one page, self-contained, that shows a run's numbers, pictures and notebooks."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftlib.recipe import UserError
from ftlib.stage import NOTEBOOKS, read_manifest

# What each headline key means; keys that are not listed are shown under their own name.
TITLES = {
    "em_base": "Base model, closed book: exact match",
    "em_few_shot": "Few-shot prompt: exact match",
    "em_rag": "RAG: exact match",
    "em_finetuned": "Fine-tuned: exact match",
    "em_rag_ft": "RAG + fine-tuned: exact match",
    "em_stale_finetuned": "Facts that changed, fine-tuned: exact match",
    "em_stale_rag": "Facts that changed, RAG: exact match",
    "em_stale_rag_ft": "Facts that changed, RAG + fine-tuned: exact match",
    "em_gain": "Gain by fine-tuning, exact match (paired)",
    "refusal_accuracy_base": "Base model: says so when it cannot know",
    "refusal_accuracy_finetuned": "Fine-tuned: says so when it cannot know",
    "perplexity_ratio": "General text: perplexity, fine-tuned over base",
    "arc_accuracy_base": "Base model: multiple-choice science (ARC format)",
    "arc_accuracy_finetuned": "Fine-tuned: multiple-choice science (ARC format)",
    "hit_rate_at_k": "Retrieval: the right article is found",
    "rows_in": "Rows read",
    "rows_kept": "Rows kept",
    "train_tokens_per_second": "Training speed, tokens per second",
    "train_peak_memory_bytes": "Training, peak memory",
}
SHARES = ("em_", "f1_", "rouge_l_", "refusal_", "over_refusal", "arc_", "hit_rate", "error_share")
MAIN = [key for key in TITLES if key.startswith((*SHARES, "perplexity"))]
WIDE_PIXELS = 1200
CHAPTERS = {
    "01_data": "1 · Data",
    "02_train": "2 · Training",
    "03_evaluate": "3 · Evaluation",
    "04_review": "4 · Errors",
    "05_compare": "5 · RAG or fine-tuning",
}


def write_report(run_path: Path) -> Path:
    """Write report.html from summary.json, the stages' figures and the executed notebooks.

    Args:
        run_path: the run directory.

    Returns:
        The page.

    Raises:
        UserError: it is no run directory.
    """
    summary = _load(run_path / "summary.json")
    manifest = _load(run_path / "manifest.json")
    name = str(summary.get("name", run_path.name))
    parts = [
        _header(name, manifest),
        _results(summary) + _recommendation(run_path),
        *[_chapter(run_path, stage) for stage in NOTEBOOKS],
        _all_numbers(summary),
        _facts(manifest),
    ]
    page = (
        _PAGE.replace("{title}", _text(f"{name}: report")).replace("{style}", _CSS).replace("{body}", "\n".join(parts))
    )
    partial = run_path / ".report.html"
    partial.write_text(page, encoding="utf-8")
    partial.replace(run_path / "report.html")
    return run_path / "report.html"


def table(summary: Mapping[str, Any]) -> str:
    """The main results as plain text, one line a number, for the terminal."""
    lines = []
    for key in [key for key in (*MAIN, "rows_in", "rows_kept", "train_tokens_per_second") if key in summary]:
        interval = summary.get(f"{key}_ci95")
        span = f"[{_number(key, interval[0])}, {_number(key, interval[1])}]" if interval else ""
        n = f"n={summary[f'{key}_n']}" if f"{key}_n" in summary else ""
        lines.append(f"  {TITLES[key]:<58} {_number(key, summary[key]):>9}  {span:<18} {n}".rstrip())
    walls = [
        f"{key.removeprefix('wall_seconds_')} {value:.0f} s"
        for key, value in summary.items()
        if key.startswith("wall_seconds_")
    ]
    return "\n".join([*lines, "  Wall time: " + ", ".join(walls)])


def recommendation(run_path: Path) -> dict[str, Any]:
    """The recommendation in 05_compare/comparison.json, {} before notebook 05 has run.

    Args:
        run_path: the run directory.

    Returns:
        At least `headline`, and `conditions` (a list of sentences).
    """
    try:
        found = json.loads((run_path / "05_compare" / "comparison.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    entry = found.get("recommendation") if isinstance(found, dict) else None
    return entry if isinstance(entry, dict) and "headline" in entry else {}


def _load(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError.of(
            str(path), "a run directory with this file", str(error), "name a directory made by ftlib run"
        ) from None


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def _number(key: str, value: Any) -> str:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "-" if value is None else str(value)
    if "bytes" in key:
        return f"{value / 2**20:,.0f} MiB"
    if key.startswith(SHARES):
        return f"{100 * value:.1f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _header(name: str, manifest: Mapping[str, Any]) -> str:
    machine = manifest.get("hardware", {})
    memory = machine.get("memory_bytes", 0) / 2**30
    device = ", ".join(machine.get("gpus") or []) or f"{machine.get('cpu', '')}, {machine.get('cores', '?')} cores"
    version = manifest.get("code", {}).get("version", "?")
    line = f"seed {manifest.get('seed', '?')} · {device}, {memory:.0f} GiB · ftlib {version}"
    return f"<header><h1>{_text(name)}</h1><p>{_text(line)}</p></header>"


def _bar(key: str, value: Any, interval: Any) -> str:
    """A small bar in 0..1 with its interval as a darker line; empty for what is no share."""
    if not key.startswith(SHARES) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return ""
    bar = f'<rect width="{160 * value:.1f}" height="12" y="3" rx="2"/>'
    if interval and None not in interval:
        low, high = (160 * min(max(end, 0), 1) for end in interval)
        bar += f'<path d="M{low:.1f} 9H{high:.1f}M{low:.1f} 5V13M{high:.1f} 5V13"/>'
    return f'<svg width="162" height="18" aria-hidden="true">{bar}</svg>'


def _row(key: str, summary: Mapping[str, Any], title: str) -> str:
    interval = summary.get(f"{key}_ci95")
    span = f"{_number(key, interval[0])} to {_number(key, interval[1])}" if interval else ""
    cells = [_number(key, summary[key]), span, summary.get(f"{key}_n", "")]
    numbers = "".join(f"<td class=num>{_text(cell)}</td>" for cell in cells)
    return f"<tr><th scope=row>{_text(title)}</th>{numbers}<td>{_bar(key, summary[key], interval)}</td></tr>"


def _results(summary: Mapping[str, Any]) -> str:
    rows = [_row(key, summary, TITLES[key]) for key in MAIN if key in summary]
    if not rows:
        return "<section><h2>Results</h2><p>No result yet: no stage with a headline number is complete.</p></section>"
    head = "<tr><th>What</th><th class=num>Value</th><th class=num>95 % interval</th><th class=num>n</th><th></th></tr>"
    return f"<section><h2>Results</h2><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></section>"


def _recommendation(run_path: Path) -> str:
    """Notebook 05's recommendation with its conditions, where it was written."""
    found = recommendation(run_path)
    if not found:
        return ""
    conditions = "".join(f"<li>{_text(line)}</li>" for line in found.get("conditions", []))
    return f"<section><h2>Recommendation</h2><p><b>{_text(found['headline'])}</b></p><ul>{conditions}</ul></section>"


def _chapter(run_path: Path, stage: str) -> str:
    manifest = read_manifest(run_path / stage)
    notebook = NOTEBOOKS[stage]
    title = f"<h2>{_text(CHAPTERS[stage])}</h2>"
    if not manifest.get("finished"):
        return f"<section>{title}<p class=quiet>Not made yet: run notebooks/{notebook}.ipynb.</p></section>"
    has_html = (run_path / "notebooks" / f"{notebook}.html").is_file()
    link = (
        f'<a href="notebooks/{notebook}.html">The executed notebook</a>'
        if has_html
        else "No executed copy (run by hand)"
    )
    took = f"{manifest['wall_seconds']:.0f} s, peak memory {manifest['peak_memory_bytes'] / 2**20:,.0f} MiB"
    captions = manifest["figures"].items()
    figures = "".join(_figure(run_path, f"{stage}/figures/{name}.png", text) for name, text in captions)
    return f"<section>{title}<p class=quiet>{link} · {took}</p><div class=figures>{figures}</div></section>"


def _figure(run_path: Path, name: str, caption: str) -> str:
    """A picture within the page; a click opens its file, a large one takes the whole width."""
    file = run_path / name
    if not file.is_file():
        return ""
    content = file.read_bytes()
    wide = int.from_bytes(content[16:20], "big") >= WIDE_PIXELS  # where a PNG says how wide it is
    image = f'<img alt="{_text(caption)}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
    kind = " class=wide" if wide else ""
    return f'<figure{kind}><a href="{_text(name)}">{image}</a><figcaption>{_text(caption)}</figcaption></figure>'


def _all_numbers(summary: Mapping[str, Any]) -> str:
    keys = [key for key in summary if not key.endswith(("_ci95", "_n")) or key.removesuffix("_n") not in summary]
    keys = [key for key in keys if not key.endswith("_ci95")]
    rows = "".join(_row(key, summary, key) for key in keys)
    return _folded(f"All {len(keys)} numbers of summary.json", rows)


def _facts(manifest: Mapping[str, Any]) -> str:
    inputs = manifest.get("inputs", {})
    facts = {
        "recipe": manifest.get("recipe_file"),
        "recipe, SHA-256": manifest.get("recipe_sha256"),
        "opened": manifest.get("opened"),
    }
    facts |= {"ftlib, SHA-256 of its sources": manifest.get("code", {}).get("sha256")}
    facts |= {f"{field}, SHA-256": f"{found['sha256']}  {found['path']}" for field, found in inputs.items()}
    facts |= manifest.get("libraries", {})
    rows = "".join(
        f"<tr><th scope=row>{_text(key)}</th><td class=mono>{_text(value)}</td></tr>" for key, value in facts.items()
    )
    return _folded("What this run depends on", rows)


def _folded(title: str, rows: str) -> str:
    """A table that is opened by a click."""
    table_html = f"<table><tbody>{rows}</tbody></table>"
    return f"<section><details><summary>{_text(title)}</summary>{table_html}</details></section>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>
{body}
</main></body></html>
"""

_CSS = """
:root{--ink:#22272e;--quiet:#667085;--line:#e4e7eb;--blue:#0072b2;--ground:#f7f8fa;--card:#fff}
@media(prefers-color-scheme:dark){
:root{--ink:#e6e8eb;--quiet:#98a2b3;--line:#343a43;--blue:#56b4e9;--ground:#15181c;--card:#1d2126}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:1020px;margin:0 auto;padding:2.5rem 1.25rem 4rem}
header h1{margin:0;font-size:2rem;letter-spacing:-.02em}header p,.quiet{color:var(--quiet);margin:.2rem 0 1rem}
section{background:var(--card);border:1px solid var(--line);border-radius:12px}
section{padding:1.1rem 1.4rem;margin:1.1rem 0;overflow-x:auto}
h2{font-size:1.15rem;margin:.1rem 0 .6rem}a{color:var(--blue)}
table{border-collapse:collapse;width:100%;font-size:.94rem}th{text-align:left;font-weight:500}
thead th{color:var(--quiet);font-size:.82rem}td,th{padding:.42rem .6rem .42rem 0;border-bottom:1px solid var(--line)}
tbody tr:last-child>*{border-bottom:0}.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.mono{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
svg rect{fill:var(--blue);opacity:.75}svg path{stroke:var(--ink);stroke-width:1.4;fill:none}
.figures{columns:2 400px;column-gap:1rem}figure{margin:0 0 1.1rem;break-inside:avoid}
.wide{column-span:all;padding-top:1.1rem}
figure img{display:block;width:100%;background:#fff;border-radius:8px;border:1px solid var(--line)}
figcaption{color:var(--quiet);font-size:.9rem;margin-top:.35rem}summary{cursor:pointer;font-weight:500}
"""
