"""What is served: the run's export for an engine, made where none that was held to parity lies there yet."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ftlib import atomic, fingerprint, jsonl
from ftlib.ask.asker import choose_system
from ftlib.ask.standing import READ_BY_ADAPTER, open_run, trained_adapter
from ftlib.errors import UserError
from ftlib.export import golden
from ftlib.export.card import REPORT, verdict_word
from ftlib.export.exporting import export_run
from ftlib.export.parity import MARGIN
from ftlib.run import Run
from ftlib.systems import TRAINED, System, systems

FOLDER = "served"  # in the run directory; in it a folder for each target, and in that the export under the run's name


class Served(NamedTuple):
    """What is ready to be served.

    Attributes:
        run: whose model it is.
        folder: the export; its name is the model's. None where it is not to be shipped.
        told: one line, or the checks in markdown where they were made now.
    """

    run: Run
    folder: Path | None
    told: str


def ready_export(
    run_dir: str | Path,
    target: str = "merged",
    *,
    name: str | None = None,
    margin: float = MARGIN,
    force: bool = False,
    say: Callable[[str], object] = print,
) -> Served:
    """The run's export in RUN/served/TARGET/NAME: the one there if it passed and nothing changed since, or a new one.

    What was kept by `force` is taken again only by force. Arguments and what it raises are those of `export_run`.
    """
    run = open_run(run_dir)
    folder = run.path / FOLDER / target / run.recipe.name
    source = folder.with_name(f"{folder.name}.from.json")
    made_of = _made_of(run, choose_system(systems(run.recipe), name, False), margin)
    if source.is_file() and atomic.read_json(source) == made_of and (folder / REPORT).is_file():
        verdict = atomic.read_json(folder / REPORT)["verdict"]
        if force or verdict == "SHIP":
            return Served(run, folder, f"{folder} is taken as it lies there: {verdict}")
    source.unlink(missing_ok=True)
    done = export_run(run.path, target, folder, name=name, margin=margin, force=force, say=say)
    if done.folder is not None:
        atomic.write_json(source, made_of)
    return Served(run, done.folder, f"{done.table}\n\n{verdict_word(done.verdict)}")


def require_served_alone(served: Served) -> None:
    """Raises UserError for a model that transformers' server cannot ask: one with an encoder."""
    from ftlib.data.tokens import is_encoder_decoder

    if is_encoder_decoder(served.run.recipe.model):
        fix = "use `ftlib generate`, or an engine that serves encoder-decoders"
        raise UserError.of("ftlib serve", "a causal language model", "an encoder-decoder", fix)


def dtype_of(run: Run) -> str:
    """What the run computes in on this machine, e.g. "float32"; an export was held to parity in it."""
    from ftlib.core import device
    from ftlib.core.load import compute_dtype

    return str(compute_dtype(run.recipe.model.dtype, device.describe())).removeprefix("torch.")


def example_request(served: Served, url: str, token_env: str | None = None) -> str:
    """A command that asks the server a question of the run's test set, with the very messages of the evaluation.

    `url` goes up to and with /v1; of the token's environment variable the name is shown, never its value.
    """
    lines = jsonl.read(served.run.path / golden.FILE)
    body = {"model": served.folder.name, "messages": lines[-1]["messages"]}
    said = shlex.quote(json.dumps(body, ensure_ascii=False))
    sent = f' -H "Authorization: Bearer ${token_env}"' if token_env else ""
    return f"curl {url}/chat/completions -H 'Content-Type: application/json'{sent} -d {said}"


def _made_of(run: Run, system: System, margin: float) -> dict[str, Any]:
    """All that an export depends on, as digests."""
    adapter = trained_adapter(run) if system.adapter == TRAINED else system.adapter
    folder = Path(str(adapter))
    fields = fingerprint.recipe_fields(run.recipe, [*READ_BY_ADAPTER, "evaluate.max_new_tokens"])
    return {
        "adapter": fingerprint.sha256(folder) or str(adapter),
        "system": [system.name, system.adapter_scale],
        "recipe": fingerprint.sha256_json(fields),
        "margin": margin,
        "code": fingerprint.source_sha256("export"),
    }
