"""Writer of the log of attestations: one entry at its end, by one process at a time."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from filelock import FileLock

from opsverify.people.log import SignedEntry, hash_of, read

if TYPE_CHECKING:
    from pathlib import Path


def append(path: Path, entry: SignedEntry) -> SignedEntry:
    """Add an entry at the end, on disk before this returns; the entry with its place in the chain.

    Raises EvidenceError where the log is broken: nothing is added to a record that cannot be trusted.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path.with_suffix(".lock")):
        head = read(path).head
        placed = replace(entry, seq=head.seq + 1, previous=head.sha256, sha256="")
        placed = replace(placed, sha256=hash_of(placed))
        line = json.dumps(asdict(placed), ensure_ascii=False) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return placed
