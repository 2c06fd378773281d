"""Work that a run does once, whatever its number of workers: the first one does it, the others wait and read."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, TextIO, cast

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def once(folder: Path, name: str, make: Callable[[TextIO], object]) -> Path:
    """The file `folder/name`, written by `make` if it is not there yet.

    A name that ends in `.gz` is compressed on the way. A worker that dies in mid-work frees the lock and leaves
    a draft, which the next one starts anew.
    """
    final = folder / name
    draft = folder / f".{name}.draft"
    lock = FileLock(folder / f".{name}.lock")
    with lock:
        if not final.exists():
            opened = gzip.open if name.endswith(".gz") else open
            with cast("TextIO", opened(draft, "wt", encoding="utf-8")) as keep:
                make(keep)
                keep.flush()
                os.fsync(keep.fileno())
            draft.replace(final)
    return final


def clear_locks(folder: Path) -> None:
    """Remove what `once` needed during the run, before the evidence is sealed."""
    for leftover in (*folder.glob(".*.lock"), *folder.glob(".*.draft")):
        leftover.unlink()
