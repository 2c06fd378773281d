"""Signals that stop a run: one ends it once, and never the writing of the verdict."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_S = 1.0
"""Seconds in which a second signal is the first one once more: sent to the group, and handed on by the parent."""


class StopSignal:
    """Handler of the signals that stop a run; `requested` is the signal's name once there was one."""

    def __init__(self) -> None:
        self.requested: str | None = None
        self.shielded = False
        self._at = float("-inf")

    def __call__(self, number: int, _frame: object) -> None:
        """Raise KeyboardInterrupt, unless the verdict is being written or the same request has raised it."""
        self.requested = self.requested or signal.Signals(number).name
        now = time.monotonic()
        if self.shielded or now - self._at < SAME_S:
            return
        self._at = now
        raise KeyboardInterrupt(signal.Signals(number).name)

    def trouble(self) -> str:
        """The reason that a verdict gives."""
        return say("the run was interrupted ({value})", value=self.requested or "KeyboardInterrupt")


def leave_stops_to_the_main_thread() -> None:
    """Let this thread, which is another one, take none of the signals that stop a run.

    Python acts on them in the main thread alone. After a pause (SIGSTOP, Ctrl-Z) Linux gives a signal to whichever
    thread wakes first: taken by this one, it would not end what the main thread waits for.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def handle_stops(handler: Callable[[int, Any], None]) -> Callable[[], None]:
    """Let `handler` have Ctrl-C, SIGTERM and the end of the terminal; return what undoes it.

    A signal that is ignored stays so: a job in the background, or one under nohup.
    """
    before = {number: signal.getsignal(number) for number in STOPS}
    handled = [number for number in STOPS if before[number] is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handler)

    def undo() -> None:
        for number in handled:
            signal.signal(number, before[number])

    return undo
