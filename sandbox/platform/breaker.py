"""Circuit breaker of calls to the MCP server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal["closed", "open", "half-open"]
FAILURES_TO_OPEN = 5
OPEN_SECONDS = 5.0


class Breaker:
    """Opens after `FAILURES_TO_OPEN` failures in a row, and lets one trial through after `OPEN_SECONDS`.

    `changed` is told every state that it enters.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, changed: Callable[[State], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._changed = changed
        self.held = False
        """Open and staying so, whatever calls bring: a fault."""
        self._opened_at: float | None = None
        self._trial = False
        self.failures = 0

    @property
    def state(self) -> State:
        """Closed lets every call through, half-open one, open none."""
        if self.held:
            return "open"
        if self._opened_at is None:
            return "closed"
        return "half-open" if self._clock() - self._opened_at >= OPEN_SECONDS else "open"

    def allow(self) -> bool:
        """Whether a call may be made now; one that may must be followed by `succeeded` or `failed`."""
        state = self.state
        if state == "half-open" and not self._trial:
            self._trial = True
            self._changed("half-open")
            return True
        return state == "closed"

    def succeeded(self) -> None:
        """The call was answered."""
        if self._opened_at is not None:
            self._changed("closed")
        self._opened_at = None
        self._trial = False
        self.failures = 0

    def failed(self) -> None:
        """The call was not answered."""
        self.failures += 1
        if self._trial or self.failures >= FAILURES_TO_OPEN:
            if self._trial or self._opened_at is None:
                self._changed("open")
            self._opened_at = self._clock()
        self._trial = False
