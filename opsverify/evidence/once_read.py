"""Sealed file of a run: opened once, read once, so that what was verified is what is parsed.

Every reader of evidence reads through this module (`tests/test_architecture.py`): what others left in a run's folder,
whatever it is, ends in an EvidenceError.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from opsverify.errors import EvidenceError
from opsverify.language.message import say

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 64 << 20
"""Bytes; no verdict, manifest or signature is larger."""


def read_once(path: Path, largest: int = LARGEST) -> bytes:
    """The content of a regular file with one name.

    Never follows a link and never waits for a FIFO's writer. Raises EvidenceError for anything else and for more
    than `largest` bytes, OSError where it cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if path.is_symlink():
            raise EvidenceError(say("{name}: not a regular file but a link", name=path.name)) from None
        raise
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise EvidenceError(say("{name}: not a regular file", name=path.name))
    with os.fdopen(handle, "rb") as file:
        if found.st_nlink != 1:
            raise EvidenceError(
                say("{name}: has {links} names (hard links); expected one", name=path.name, links=found.st_nlink)
            )
        content = file.read(largest + 1)
    if len(content) > largest:
        raise EvidenceError(say("{name}: larger than {largest} bytes", name=path.name, largest=largest))
    return content


def json_in(content: bytes | str, name: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """The JSON that was read from the file `name`. Raises EvidenceError for what is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(say("{name}: not JSON ({error})", name=name, error=error)) from error


def read_json(path: Path) -> Any:  # noqa: ANN401 - as above
    """The JSON in a regular file. Raises EvidenceError for anything else, OSError where it cannot be opened."""
    return json_in(read_once(path), path.name)
