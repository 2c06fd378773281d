"""Streams that outlive their reader: what cannot be written to a closed pipe or a full device is dropped.

A verdict does not depend on who reads the output: `verify ... | head` ends as `verify ...` does.
"""

from __future__ import annotations

import contextlib
import io
import select
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from _typeshed import ReadableBuffer


class _Tolerant(io.FileIO):
    """A file whose writes never fail."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write `data`; on an error drop it."""
        size = memoryview(data).nbytes
        while True:
            try:
                written = super().write(data)
            except OSError:
                return size
            if written is not None:  # None where the file would block
                return written
            select.select([], [self], [])

    def isatty(self) -> bool:
        """Whether it is a terminal; a closed one is none."""
        try:
            return super().isatty()
        except OSError:
            return False


def tolerant(stream: TextIO) -> TextIO:
    """`stream` with writes that never fail; as it is where it has no file, or is tolerant already."""
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return stream
    if isinstance(getattr(getattr(stream, "buffer", None), "raw", None), _Tolerant):
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    file: Any = io.BufferedWriter(_Tolerant(number, "wb", closefd=False))
    errors = getattr(stream, "errors", None) or "backslashreplace"
    return io.TextIOWrapper(file, stream.encoding, errors, line_buffering=True)


@contextlib.contextmanager
def tolerant_output() -> Iterator[None]:
    """Standard output and error with writes that never fail."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (tolerant(stream) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before
