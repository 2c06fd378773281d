"""Ending of a process that a test started: awaited, or, where it does not come, told with what its threads did."""

from __future__ import annotations

import contextlib
import signal
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    import subprocess

DEADLINE_S = 180.0
_TO_TELL_S = 30.0


def ending(process: subprocess.Popen[str], deadline_s: float = DEADLINE_S) -> tuple[str, str]:
    """Await the end of `process`; what it printed and complained of.

    Fails after `deadline_s` seconds, with the stacks of all Python processes among it and its descendants in which
    faulthandler is on: it is in every pytest.
    """
    with contextlib.suppress(TimeoutExpired):
        return process.communicate(timeout=deadline_s)
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for each in [*reversed(root.children(recursive=True)), root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGABRT)
    try:
        out, err = process.communicate(timeout=_TO_TELL_S)
    except TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    pytest.fail(f"{process.args!r} had not ended after {deadline_s:g} s\n{out}\n{err}")
