"""Circuit breakers of a target: how their transitions are counted, and what opens one where that is allowed."""

from __future__ import annotations

from pydantic import Field

from opsverify.config.section import Duration, Section
from opsverify.units import parse_duration


class BreakerExercise(Section):
    """Commands (lists, no shell) that make a breaker open, and that end it; run only where `[faults] allowed`."""

    on: tuple[str, ...] = Field(min_length=1)
    off: tuple[str, ...] = Field(min_length=1)
    folder: str | None = None
    within: Duration = "1m"

    @property
    def within_s(self) -> float:
        """Seconds that each command, and each transition, may take."""
        return parse_duration(self.within)


class BreakerConfig(Section):
    """One circuit breaker: selectors of the counters of its transitions, and of a gauge that is 0 while it is closed.

    `half_opened` counts trial calls that it lets through after it was open.
    """

    opened: str
    half_opened: str
    closed: str
    not_closed: str
    lookback: Duration = "92d"
    exercise: BreakerExercise | None = None

    @property
    def lookback_s(self) -> float:
        """Seconds that transitions are looked back for."""
        return parse_duration(self.lookback)
