"""Output of child processes under `-s`: it reaches the terminal by its file descriptor, past Python's streams."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

from opsverify.language.plain import plain_output
from opsverify.pytest_plugin.stop_signal import leave_stops_to_the_main_thread

if TYPE_CHECKING:
    from opsverify.evidence.redact import Redactor

_LONGEST_LINE = 1 << 20
_GRACE_S = 5.0


def guard_children(redactor: Redactor) -> None:
    """Let what is written to file descriptors 1 and 2 pass through a thread that cleans it line by line."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
            _guard(number, redactor)


def _guard(number: int, redactor: Redactor) -> None:
    real = os.dup(number)
    source, sink = os.pipe()
    os.dup2(sink, number)
    os.close(sink)
    thread = threading.Thread(target=_pass_on, args=(source, real, redactor), name="opsverify-output", daemon=True)
    thread.start()
    # The last end of the pipe here is closed by then (`streams.end_output`); a child that lives on may keep another.
    atexit.register(thread.join, _GRACE_S)


def _pass_on(source: int, real: int, redactor: Redactor) -> None:
    leave_stops_to_the_main_thread()
    pending = b""
    while part := os.read(source, 65536):
        lines, newline, rest = (pending + part).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, newline, rest = pending + part, b"", b""
        pending = rest
        _write(real, lines + newline, redactor)
    _write(real, pending, redactor)


def _write(real: int, raw: bytes, redactor: Redactor) -> None:
    data = plain_output(redactor.text(raw.decode("utf-8", "replace"))).encode("utf-8", "replace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(real, data) :]
