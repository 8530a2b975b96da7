"""Checkpoints that are whole or not there: written aside, onto the disk for sure, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from ftlib.core.distributed import is_main, wait_for_all
from ftlib.core.optimizers import trainable
from ftlib.errors import UserError
from ftlib.progress import without_library_bars

STAGING = ".partial"
# What libraries that hide the system's error number say: torch.save, and safetensors' own code.
_FULL_IN_WORDS = ("No space left", "os error 28", "PytorchStreamWriter failed", "iostream error")


@contextmanager
def written_whole(folder: Path, name: str, needed: int) -> Iterator[Path]:
    """A folder to write into, which becomes `folder / name` if the block ends well.

    A kill, a full disk or a power failure at any moment leaves what was there before. Where several processes train
    together all of them write into the same folder, and the first one renames it when all are done.

    Args:
        folder: of the checkpoints. name: of this one. needed: bytes that it takes, for the message.

    Yields:
        The folder to write into; it may have to be made.

    Raises:
        UserError: the disk is full; what was half written is gone, so that others can go on.
    """
    staged = folder / STAGING / name
    if is_main():
        shutil.rmtree(folder / STAGING, ignore_errors=True)
    wait_for_all()
    with room_for(folder, needed, "checkpoint"):
        try:
            yield staged
            if is_main():
                _to_disk(staged)
        except BaseException:
            if is_main():
                shutil.rmtree(folder / STAGING, ignore_errors=True)
            raise
    wait_for_all()
    if is_main():
        _rename(staged, folder / name)
    wait_for_all()


@contextmanager
def room_for(folder: Path, needed: int, what: str) -> Iterator[None]:
    """Turn a full disk into a message that says how much is needed, and where.

    Args:
        folder: that is written into; it or one above it exists. needed: bytes. what: is written.

    Raises:
        UserError: the disk (or a quota on it) is full.
    """
    at = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        free = shutil.disk_usage(at).free
        if not _is_full(error) and free >= needed:
            raise
        whole = sorted(at.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[1]))
        onwards = f"the same command goes on from {whole[-1].name}" if whole else "the same command begins anew"
        raise UserError.of(
            str(folder),
            f"room for a {what}: about {_mib(needed)}, twice that while an old one is replaced",
            f"{_mib(free)} free, now that what was half written is gone; the disk or its quota was full",
            f"make room, or take another run directory; {onwards}",
        ) from error


def save_weights(model: torch.nn.Module, folder: str | Path, tensors: Mapping[str, torch.Tensor] | None = None) -> None:
    """An adapter as PEFT writes it, or a whole model as transformers does, in safetensors.

    Args:
        model: what was trained. folder: is made. tensors: its weights, where the model itself is split; else None.
    """
    options = {"save_embedding_layers": False} if hasattr(model, "peft_config") else {}
    with without_library_bars():  # else one per checkpoint in a headless log
        model.save_pretrained(folder, state_dict=tensors, **options)


def checkpoint_bytes(model: torch.nn.Module, per_number: int = 8) -> int:
    """About what a checkpoint takes: what is trained, and the optimizer's state of `per_number` bytes a number."""
    return sum(each.nbytes + per_number * each.numel() for each in trainable(model).values())


def _is_full(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in _FULL_IN_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def _to_disk(folder: Path) -> None:
    """Have the system write all that it still holds back: it may find only then that there is no room."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb+") as written:
                os.fsync(written.fileno())


def _rename(staged: Path, final: Path) -> None:
    if final.exists():
        shutil.rmtree(final)
    os.replace(staged, final)


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
