"""One stage of a run: a `.partial` folder that becomes the final one when it is whole."""

from __future__ import annotations

import datetime
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlib import atomic, fingerprint, machine
from ftlib.errors import UserError

if TYPE_CHECKING:
    from filelock import BaseFileLock

NOTEBOOKS = {
    "01_data": "01_data_prep",
    "02_train": "02_train_qlora",
    "03_evaluate": "03_evaluate",
    "04_review": "04_error_analysis",
    "05_compare": "05_rag_vs_ft",
}
# The rooms whose source a stage's result depends on; the corridor always counts.
ROOMS = {
    "01_data": ["data"],
    "02_train": ["data", "search", "core"],
    "03_evaluate": ["data", "search", "core", "evaluate"],
    "04_review": ["data", "search", "core", "evaluate", "review"],
    "05_compare": ["data", "search", "core", "evaluate", "rag"],
}
# The recipe's fields (or whole sections) that a stage reads; the seed always counts. A test watches the notebooks.
READS = {
    "01_data": "data prompt.template prompt.system prompt.refusal model.base model.revision model.trust_remote_code "
    "train.max_length evaluate.choices_path rag.embedding_model",
    "02_train": "lesson_seconds model quantization prompt lora train data.columns.fact data.columns.subject "
    "data.language data.truth_path rag.documents_path rag.passage_words rag.context_order evaluate.holdout_path",
    "03_evaluate": "model quantization prompt lora.fused train.max_length train.replay_path train.replay_share "
    "train.replay_kl evaluate data.columns systems.{evaluate.systems}",
    "04_review": "review prompt.refusal data.columns data.truth_path evaluate.systems evaluate.refusal_phrases "
    "evaluate.limit evaluate.right systems.{review.pair}",
    "05_compare": "model quantization prompt lora.fused train.max_length rag data.columns data.language systems "
    "evaluate.systems evaluate.headline_slice evaluate.max_new_tokens evaluate.batch_rows evaluate.bootstrap_samples "
    "evaluate.refusal_phrases evaluate.limit evaluate.control_slices evaluate.decline_questions "
    "evaluate.right evaluate.instructions evaluate.instruction_questions",
}
SECONDS_TO_WAIT_FOR_LOCK = 20.0


class Stage:
    """Where a notebook writes, and what it found.

    Attributes:
        path: the folder to write into; after `finish` the final folder.
        resumed: True where an earlier, killed attempt with the same inputs left its work.
    """

    def __init__(
        self, run_path: Path, name: str, make_key: Callable[[], dict[str, Any]], on_finish: Callable[[str], None]
    ):
        self.name, self._make_key, self._on_finish = name, make_key, on_finish
        self._final = run_path / name
        self.path = run_path / f"{name}.partial"
        key = make_key()
        self._lock = lock(run_path, name)
        old = read_manifest(self.path)
        self.resumed = "key" in old and fingerprint.stage_difference(old["key"], key) is None
        if not self.resumed:
            shutil.rmtree(self.path, ignore_errors=True)
            old = {}
        self.path.mkdir(parents=True, exist_ok=True)
        self._manifest: dict[str, Any] = {
            "stage": name,
            "notebook": NOTEBOOKS[name],
            "key": key,
            "begun_unix": time.time(),
            "earlier_seconds": _seconds_spent(old, self.path),
            "headlines": old.get("headlines", {}),
            "facts": old.get("facts", {}),
            "figures": old.get("figures", {}),
        }
        self._save()

    def headline(self, key: str, value: float, ci95: tuple[float, float] | None = None, n: int | None = None) -> None:
        """Note a number for summary.json; its 95 % interval and n stand there beside it as `key_ci95` and `key_n`.

        NaN and infinity (nothing to measure) become null.
        """
        entry: dict[str, Any] = {"value": _plain(value)}
        if ci95 is not None:
            entry["ci95"] = [_plain(end) for end in ci95]
        if n is not None:
            entry["n"] = int(n)
        self._manifest["headlines"][key] = entry
        self._save()

    def fact(self, name: str, text: str) -> None:
        """Note what the numbers were made under, e.g. `dtype`; in summary.json as `<name>_<notebook>`, plain text."""
        self._manifest["facts"][name] = str(text)
        self._save()

    def figure(self, fig: Any, name: str, caption: str) -> None:
        """Save a matplotlib figure as figures/<name>.png, show it in the notebook, close it.

        The name (letters, digits, _ and -) orders the report's pictures; the caption says what one shows in a sentence.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ValueError(f"figure name {name!r} may hold only letters, digits, _ and -")
        file = self.path / "figures" / f"{name}.png"
        file.parent.mkdir(exist_ok=True)
        fig.savefig(file, dpi=120, bbox_inches="tight")
        self._manifest["figures"][name] = caption
        self._save()
        if "matplotlib.pyplot" in sys.modules:  # else it would be shown a second time
            sys.modules["matplotlib.pyplot"].close(fig)
        if getattr(sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None, "kernel", None):
            from IPython.display import Image, display

            display(Image(data=file.read_bytes(), format="png", alt=caption))

    def finish(self) -> Path:
        """Seal the stage: write its manifest with all digests, rename it to its final name, which is returned.

        Finishing again is finishing once: what was written in the meantime (to `path`, now the final folder) counts.

        Raises:
            UserError: the sealed stage was removed or made anew by someone else in the meantime.
        """
        if self.path == self._final:
            self._claim_again()
        else:
            self._manifest["key"]["hub"] = self._make_key()["hub"]  # by now it has been downloaded
            self._manifest |= fingerprint.circumstances() | {
                "wall_seconds": round(
                    self._manifest["earlier_seconds"] + time.time() - self._manifest["begun_unix"], 2
                ),
                "cpu_seconds": round(time.process_time(), 2),  # of this process, all threads, since it started
                "peak_memory_bytes": machine.peak_memory_bytes(),
                "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            }
        files = (file for file in fingerprint.files_under(self.path) if file != self.path / "manifest.json")
        self._manifest["outputs"] = {file.relative_to(self.path).as_posix(): fingerprint.sha256(file) for file in files}
        self._save()
        if self.path != self._final:
            replace_folder(self.path, self._final)
            self.path = self._final
        self._lock.release(force=True)
        self._on_finish(self.name)
        return self._final

    def _claim_again(self) -> None:
        """Make sure that the sealed stage is still the one that this kernel made, and that no one else writes it."""
        self._lock = lock(self._final.parent, self.name)
        if read_manifest(self._final).get("finished") != self._manifest["finished"]:
            self._lock.release(force=True)
            found, fix = "it was removed or made anew in the meantime", "run this notebook from its first cell"
            raise UserError.of(str(self._final), "the stage that this kernel made", found, fix)

    def _save(self) -> None:
        atomic.write_json(self.path / "manifest.json", self._manifest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """A stage folder's manifest, {} where there is none or it is broken."""
    return atomic.read_json(folder / "manifest.json")


def replace_folder(partial: Path, final: Path) -> None:
    """Put a whole folder in the place of an old one; `recover` mends a kill in between."""
    old = final.with_name(final.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.rename(final, old)
    os.rename(partial, final)
    shutil.rmtree(old, ignore_errors=True)


def recover(run_path: Path) -> None:
    """Finish or take back a rename that a kill cut in two."""
    for name in NOTEBOOKS:
        final, partial, old = (run_path / f"{name}{suffix}" for suffix in ("", ".partial", ".old"))
        whole = [folder for folder in (final, partial, old) if read_manifest(folder).get("finished")]
        if whole and not final.exists():
            os.rename(whole[0], final)
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)


def lock(run_path: Path, name: str) -> BaseFileLock:
    """Claim a stage until `release` or the end of the process; a notebook run again in its kernel keeps its claim.

    Raises:
        UserError: another live process is still writing this stage after some seconds of waiting.
    """
    from filelock import FileLock, Timeout

    claim = FileLock((run_path / f".{name}.lock").resolve(), is_singleton=True, thread_local=False)
    claim.release(force=True)
    try:
        claim.acquire(timeout=SECONDS_TO_WAIT_FOR_LOCK)  # a killed run's kernel needs a moment to notice and leave
    except Timeout:
        fix = "wait for it, or shut down the notebook kernel that holds it"
        raise UserError.of(str(run_path / name), "no other writer", "another process writes this stage", fix) from None
    return claim


def _seconds_spent(manifest: dict[str, Any], folder: Path) -> float:
    """Seconds of work in a killed attempt: from its begin to its last written file."""
    last = max((file.stat().st_mtime for file in folder.rglob("*") if file.is_file()), default=0.0)
    return manifest.get("earlier_seconds", 0.0) + max(0.0, last - manifest.get("begun_unix", last))


def _plain(value: Any) -> float | int | None:
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"a headline is a number, not {type(value).__name__}")
    return number if math.isfinite(number) else None
