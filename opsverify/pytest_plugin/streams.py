"""Streams that outlive their reader: what cannot be written to a closed pipe or a full device is dropped.

A verdict does not depend on who reads the output: `verify ... | head` ends as `verify ...` does.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import threading
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


def make_output_tolerant() -> None:
    """Let standard output and error, also closed ones, have writes that never fail."""
    _open_standard_files()
    sys.stdout, sys.stderr = (
        tolerant(stream if stream is not None else os.fdopen(number, "w", closefd=False))
        for number, stream in enumerate((sys.stdout, sys.stderr), 1)
    )


@contextlib.contextmanager
def tolerant_output() -> Iterator[None]:
    """The same while the body runs."""
    before = sys.stdout, sys.stderr
    make_output_tolerant()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = (old or new for old, new in zip(before, (sys.stdout, sys.stderr), strict=True))


def end_output() -> None:
    """Let nothing reach the terminal any more: pytest, which cleaned what checks print, has put the streams back.

    Exit functions of checks, and threads and children that they left behind, may print a secret.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


def end_output_at_exit() -> None:
    """The same once Python ends, before it waits for threads and calls exit functions (as `atexit` would be too late).

    Under plain pytest and in its workers: what the process of a command line does by itself.
    """
    threading._register_atexit(end_output)  # type: ignore[attr-defined]  # noqa: SLF001 - as concurrent.futures does


def _open_standard_files() -> None:
    """Open what is closed (`>&-`): else the next file of the evidence would be standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
