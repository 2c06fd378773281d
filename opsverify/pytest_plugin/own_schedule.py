"""Schedule of the run's own process: a thread that asks for wake-ups, and what the kernel counts."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

from opsverify.core.run_delay import EVERY_S, RunDelay, WakeUps
from opsverify.pytest_plugin.stop_signal import leave_stops_to_the_main_thread

_WAITED: Final = "/proc/thread-self/schedstat"
"""Of Linux: nanoseconds on a processor, and nanoseconds of waiting for one; of the thread that reads it."""
_LONGEST: Final = 100
"""Bytes; three numbers."""


class OwnSchedule:
    """How late this process is woken, from `start` to `stop`."""

    def __init__(self) -> None:
        self._wake_ups = WakeUps(time.monotonic)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="opsverify-schedule", daemon=True)

    def start(self) -> None:
        """Begin to ask for wake-ups."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._thread.join()

    def mark(self) -> Mark:
        """Begin a span, in the thread that measures."""
        return Mark(self._wake_ups)

    def _watch(self) -> None:
        leave_stops_to_the_main_thread()
        while not self._stopped.wait(EVERY_S):
            self._wake_ups.woke()


class Mark:
    """The beginning of a span in which times are measured."""

    def __init__(self, wake_ups: WakeUps) -> None:
        self._wake_ups = wake_ups
        self._began = time.monotonic()
        self._waited_s = _waited_s()

    def delay(self) -> RunDelay:
        """How late the process was since then."""
        before, now = self._waited_s, _waited_s()
        kernel_s = now - before if before is not None and now is not None else None
        return RunDelay(self._wake_ups.longest_s(self._began), kernel_s)


def _waited_s() -> float | None:
    try:
        file = os.open(_WAITED, os.O_RDONLY | os.O_CLOEXEC)  # read in every check: a file object costs twice as much
        try:
            return int(os.read(file, _LONGEST).split()[1]) / 1e9
        finally:
            os.close(file)
    except (OSError, ValueError, IndexError):
        return None
