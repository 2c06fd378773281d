"""Resets of counters: whether a value below the one before is what a new process counted since the scrape before.

A counter falls for other reasons too: several processes answer one address in turn, a recording rule sums up pods of
which one goes, a gauge was taken for a counter. Taken for a restart, its whole value would count as new trials.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAUSIBLE: Final = 4.0
"""Times its usual pace at which a process may count that has just started: it may have to catch up."""
_FEW: Final = 10.0
_UNKNOWN_PART: Final = 0.25
"""Part of the old value that the new one may be, where no pace was seen."""
_KEPT: Final = 40
_ROUNDED: Final = 1e-9


class Pace:
    """Rates (1/s) of the latest scrape intervals in which an instance counted, and none of its counters fell."""

    __slots__ = ("_rates",)

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=_KEPT)

    def add(self, amount: float, seconds: float) -> None:
        """Add an interval; one without a count says nothing of how fast it counts."""
        if amount > 0 and seconds > 0:
            self._rates.append(amount / seconds)

    @property
    def usual(self) -> float:
        """Its lower quartile: where several processes answer in turn, many of the intervals are jumps between them."""
        return sorted(self._rates)[(len(self._rates) - 1) // 4] if self._rates else 0.0


def pace_of(paces: Iterable[Pace]) -> float:
    """The busiest of usual paces; 0 where none was seen."""
    return max((pace.usual for pace in paces), default=0.0)


def falls(value: float, old: float) -> bool:
    """Whether a value is below the one before, by more than a sum of fractions may be off."""
    return value < old * (1 - _ROUNDED)


def is_reset(value: float, old: float, pace: float, seconds: float) -> bool:
    """Whether a value that fell is at most what one process can have counted in the seconds since the one before."""
    most = _PLAUSIBLE * pace * seconds if pace else _UNKNOWN_PART * old
    # An amount (USD) may be small without being few.
    few = _FEW if value % 1 == 0 else min(_FEW, old / 2)
    return value <= max(few, most)
