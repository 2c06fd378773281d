"""Local timer: the one place where a probe measures a duration, so that a duration is known as this machine's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Elapsed(float):
    """Seconds that this machine's clock counted: as long as what was measured, and as this machine kept waiting."""

    __slots__ = ()


class LocalTimer:
    """A timer that runs from its making."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.started = clock()

    @property
    def elapsed_s(self) -> Elapsed:
        """Seconds since then."""
        return Elapsed(self._clock() - self.started)
