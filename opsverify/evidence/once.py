"""Once per run: a file that the first worker writes, while the others wait for it and read it."""

from __future__ import annotations

import gzip
import os
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write_once(folder: Path, name: str, make: Callable[[TextIO], object]) -> Path:
    """The file `folder/name`, written by `make` if it does not exist yet.

    A name that ends in `.gz` is compressed. A worker that dies while it writes frees the lock and leaves a draft,
    which the next one replaces.
    """
    from filelock import FileLock  # noqa: PLC0415 - every plan loads this module, and locks nothing

    final = folder / name
    draft = draft_of(folder, name)
    lock = FileLock(folder / f".{name}.lock")
    with lock:
        if not final.exists():
            # Level 9 takes twice as long for a hundredth of the size.
            opened = partial(gzip.open, compresslevel=4) if name.endswith(".gz") else open
            with cast("TextIO", opened(draft, "wt", encoding="utf-8")) as keep:
                make(keep)
                keep.flush()
                os.fsync(keep.fileno())
            draft.replace(final)
    return final


def draft_of(folder: Path, name: str) -> Path:
    """Where `folder/name` is while it is written."""
    return folder / f".{name}.draft"


def clear_locks(folder: Path) -> None:
    """Remove locks and drafts of `write_once`, before the evidence is sealed."""
    for leftover in (*folder.glob(".*.lock"), *folder.glob(".*.draft")):
        leftover.unlink()
