"""Chain: an append-only file of JSON lines, each with the SHA-256 sum of the line before it and one of itself.

A line is on the disk before `append` returns. A last line that was half written (a process killed, a full disk) was
acknowledged to nobody: it is set aside, and never damages the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from opsverify.errors import EvidenceError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

GENESIS: Final = "0" * 64
OWN: Final = "sha256"


@dataclass(frozen=True)
class ChainLine:
    """One line: its number in the file, its bytes, its content, and what is wrong with it (None: nothing)."""

    number: int
    raw: bytes
    content: dict[str, Any]
    fault: str | None = None

    @property
    def digest(self) -> str:
        """The sum that the next line names."""
        return hashlib.sha256(self.raw).hexdigest()


@dataclass(frozen=True)
class Chain:
    """All lines of a file; `torn` is a last line that was never finished."""

    lines: tuple[ChainLine, ...]
    torn: bytes = b""

    @property
    def fault(self) -> str | None:
        """What is wrong first; None where the chain is whole. A torn last line is no fault."""
        return next(
            (say("line {number}: {fault}", number=line.number, fault=line.fault) for line in self.lines if line.fault),
            None,
        )

    @property
    def head(self) -> str:
        """The sum of the last line."""
        return self.lines[-1].digest if self.lines else GENESIS


def parse(data: bytes) -> Chain:
    """The lines of a file's content."""
    raw = data.split(b"\n")
    torn = raw.pop()
    if torn and _read(torn)[1] is None:
        raw.append(torn)  # only its line break is missing
        torn = b""
    lines: list[ChainLine] = []
    previous = GENESIS
    for number, line in enumerate(raw, 1):
        content, fault = _read(line)
        if fault is None and content.get("previous") != previous:
            fault = say("does not follow the line before; one of them was altered")
        lines.append(ChainLine(number, line, content, fault))
        previous = hashlib.sha256(line).hexdigest()
    return Chain(tuple(lines), torn)


def append(
    path: Path, content: Mapping[str, object], allowed: Callable[[Chain], object] = lambda _chain: None
) -> ChainLine:
    """Append a line; it. `allowed` sees the chain under the lock, and raises where nothing may be appended.

    A torn last line is moved to `<name>.torn`. Raises OSError, and EvidenceError for a damaged chain.
    """
    with FileLock(path.with_suffix(".lock")), path.open("ab+") as file:
        file.seek(0)
        data = file.read()
        chain = parse(data)
        if chain.fault:
            raise EvidenceError(say("{path}, {fault}; nothing was appended", path=path, fault=chain.fault))
        allowed(chain)
        if chain.torn:
            with path.with_suffix(".torn").open("ab") as aside:
                aside.write(chain.torn + b"\n")
                aside.flush()
                os.fsync(aside.fileno())
            file.truncate(len(data) - len(chain.torn))
        elif data and not data.endswith(b"\n"):
            file.write(b"\n")
        raw = encoded({**content, "previous": chain.head})
        file.write(raw + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return ChainLine(len(chain.lines) + 1, raw, dict(content))


def encoded(content: Mapping[str, object]) -> bytes:
    """A line with its own sum."""
    return _line({**content, OWN: hashlib.sha256(_line(content)).hexdigest()})


def _line(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _read(line: bytes) -> tuple[dict[str, Any], str | None]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return {}, say("not a line of this file: cut off or overwritten")
    if not isinstance(content, dict):
        return {}, say("not a line of this file: cut off or overwritten")
    own = content.pop(OWN, None)  # lines of older versions have no such sum
    if own is not None and own != hashlib.sha256(_line(content)).hexdigest():
        return content, say("altered after it was written")
    return content, None
