"""Live window of a canary: its picture out of the observation while that is written, each step read once."""

from __future__ import annotations

import contextlib
import os
import stat
import zlib
from typing import TYPE_CHECKING, Final

from opsverify.canary.observation import NAME, ObservedStep
from opsverify.canary.trace import WindowTracer
from opsverify.canary.window_setup import Setup
from opsverify.errors import EvidenceError
from opsverify.evidence.once import draft_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.canary.trace import WindowTrace

MOST_AT_ONCE: Final = 32 << 20
"""Bytes of an observation that one look takes in; the rest waits for the next one."""
LONGEST_STEP: Final = 128 << 20
"""Bytes of one step: more is no observation of ours."""
_GZIP: Final = 31


class LiveWindow:
    """The window of one run; not for two threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: tuple[int, int] | None = None
        self._begin()

    def _begin(self) -> None:
        self._inflate = zlib.decompressobj(wbits=_GZIP)
        self._read = 0
        self._rest = b""
        self._tracer: WindowTracer | None = None
        self._damaged = False

    def trace(self) -> WindowTrace | None:
        """The trace of all steps that were written so far; None without one, or where they are no observation."""
        with contextlib.suppress(OSError), self._opened() as handle:
            found = os.fstat(handle)
            if self._file != (found.st_dev, found.st_ino):  # a worker died, and another one observes anew
                self._begin()
                self._file = (found.st_dev, found.st_ino)
            if not self._damaged and stat.S_ISREG(found.st_mode):
                try:
                    self._take_in(handle)
                except (EvidenceError, zlib.error, UnicodeDecodeError):
                    self._begin()
                    self._damaged = True
        return self._tracer.trace() if self._tracer is not None else None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The finished file, else the one that is being written."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            handle = os.open(self._folder / NAME, flags)
        except FileNotFoundError:
            handle = os.open(draft_of(self._folder, NAME), flags)
        try:
            yield handle
        finally:
            os.close(handle)

    def _take_in(self, handle: int) -> None:
        """Read on from where the last look ended. Raises EvidenceError and zlib.error for another file."""
        left = MOST_AT_ONCE
        while left > 0 and not self._inflate.eof:
            raw = self._inflate.unconsumed_tail
            if not raw:
                raw = os.pread(handle, 1 << 20, self._read)
                self._read += len(raw)
            content = self._inflate.decompress(raw, left)
            if not (raw or content):
                return
            left -= len(content)
            *lines, self._rest = (self._rest + content).split(b"\n")
            if len(self._rest) > LONGEST_STEP:
                raise EvidenceError(NAME)
            for line in lines:
                self._line(line.decode())

    def _line(self, line: str) -> None:
        if self._tracer is None:
            self._tracer = WindowTracer(Setup.loads(line))
        else:
            self._tracer.advance(ObservedStep.loads(line))
